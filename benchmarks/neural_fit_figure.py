"""Cost of PLS against stimuli, features, targets and layers: a table, and docs/neural_fit.svg."""

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import svg

FIGURE = Path(__file__).parent.parent / "docs" / "neural_fit.svg"
# Stimuli, features, targets, layers.
BASE, SMALL_BASE = (640, 4000, 64, 1), (320, 1000, 16, 1)
NAMES = ("stimuli", "features", "targets", "layers")
VALUES = ((320, 640, 1280), (1000, 4000, 16_000), (16, 64, 256), (1, 4, 16))
OURS, RIVAL = "ours, Gram matrix included", "scikit-learn, default tol"
STYLE = (
    "text{font:11px sans-serif;fill:#1d2126}.grid{stroke:#d9dce1}.line{fill:none;"
    "stroke:currentColor;stroke-width:1.5}.mark{fill:currentColor}.s0{color:#0072b2}.s1{color:#d55e00}"
)

Cost = Callable[[int, int, int], float]
Costs = Mapping[str, Mapping[int, tuple[float, float]]]


def measure(ours: Cost, rival: Cost, *, small: bool) -> Costs:
    """Seconds of ours and of the rival by what varies and its value, the rest as in the base.

    Layers share nothing, in either: their cost is that of one, times their number.
    """
    base = SMALL_BASE if small else BASE
    known: dict[tuple[int, int, int], tuple[float, float]] = {}
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for axis, (name, values) in enumerate(zip(NAMES, VALUES, strict=True)):
        found[name] = {}
        for value in values[:2] if small else values:
            n, p, q, n_layers = (value if i == axis else given for i, given in enumerate(base))
            if (n, p, q) not in known:
                known[n, p, q] = ours(n, p, q), rival(n, p, q)
            own, other = known[n, p, q]
            found[name][value] = own * n_layers, other * n_layers
    return found


def show(costs: Costs, *, small: bool) -> None:
    """Prints the table, and writes the figure unless the run is a small one."""
    values = SMALL_BASE if small else BASE
    base = ", ".join(f"{value} {name}" for value, name in zip(values, NAMES))
    print(f"PLS-25, ten folds, around {base}: seconds")
    print(f"{'':20}{OURS:>28}{RIVAL:>28}{'ratio':>8}")
    for name, row in costs.items():
        for value, (own, other) in row.items():
            print(f"{value:>10} {name:9}{own:28.3f}{other:28.3f}{other / own:8.1f}")
    print()
    if not small:
        FIGURE.write_text(_figure(costs) + "\n")


def _figure(costs: Costs) -> str:
    colours = {OURS: 0, RIVAL: 1}
    panels = []
    for number, (name, row) in enumerate(costs.items()):
        lines = [
            svg.Line(series, tuple((float(v), s[i], f"{v} {name}") for v, s in row.items()), series)
            for i, series in enumerate(colours)
        ]
        every = [s for pair in row.values() for s in pair]
        panel = svg.profile(
            f"cost against {name}", lines,
            svg.axis(name, [float(v) for v in row], log=True),
            svg.axis("seconds", every, log=True), colours,
        )  # fmt: skip
        x, y = number % 2 * svg.WIDTH, number // 2 * svg.HEIGHT + 24
        place = f'x="{x}" y="{y}" width="{svg.WIDTH}" height="{svg.HEIGHT}"'
        panels.append(panel.replace("<svg ", f"<svg {place} ", 1))
    keys = "".join(
        f'<g class="s{colour}"><circle class="mark" cx="{70 + 260 * colour}" cy="16" r="5"/>'
        f'<text x="{82 + 260 * colour}" y="20">{series}</text></g>'
        for series, colour in colours.items()
    )
    width, height = 2 * svg.WIDTH, 2 * svg.HEIGHT + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fcfcfa"/>'
        f"{keys}{''.join(panels)}</svg>"
    )
