"""docs/attacks_benchmark.md and docs/attacks.svg: distance reached against gradient evaluations."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from benchmarks import svg
from benchmarks.attacks_trained import Measured

DOCS = Path(__file__).parent.parent / "docs"
COLOURS = {"ours": 0, "adv-lib": 1, "foolbox": 2}
STYLE = (
    "text{font:11px sans-serif;fill:#1d2126}.name{font-size:9px}.to{stroke:#9aa0a8;stroke-width:.5}.grid{stroke:#d9dce1}"
    ".line{fill:none;stroke:currentColor;stroke-width:1.5}.mark{fill:currentColor}"
    ".s0{color:#0072b2}.s1{color:#d55e00}.s2{color:#009e73}"
)
HEAD = 24
LINE, LETTER = 10, 5
# Farther points are a table's matter: they would press the others together.
FARTHEST = 1.4
INTRODUCTION = """\
# Minimal attacks, measured

Written by `{command}`. A gradient evaluation is one backward pass of one photo,
counted at the model; every distance is the l2 norm of an attack's candidate after the same last line
search, as stored. Ratios are geometric means over photos with 95 % bootstrap intervals; "over the long
DDN" is over the DDN with most gradients, on the photos that both were given. A rival's name ends with
its gradients per photo, perpendicular's with the most it may take; DeepFool is given 10 classes in
either library. Crops are of photos that no option was chosen on.

"""
Table = tuple[Sequence[str], Sequence[Sequence[str]]]
Panel = tuple[Sequence[Measured], Measured]


def write(
    command: str,
    exact: Table,
    trained: Table,
    summary: Sequence[str],
    found: Mapping[str, Panel],
) -> None:
    """Both files; `found` are the attacks and the long DDN on each model's photos, a panel each."""
    (DOCS / "attacks.svg").write_text(_figure(found) + "\n")
    (DOCS / "attacks_benchmark.md").write_text(
        INTRODUCTION.format(command=command)
        + "".join(f"- {line}\n" for line in summary)
        + "\n![distance reached against gradient evaluations](attacks.svg)\n\n"
        + "## Trained models\n\n"
        + table(*trained)
        + "\n## Distance over the exact minimum\n\n"
        + table(*exact)
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _figure(found: Mapping[str, Panel]) -> str:
    panels = []
    for number, (name, panel) in enumerate(found.items()):
        x, y = number % 2 * svg.WIDTH, number // 2 * svg.HEIGHT + HEAD
        place = f'x="{x}" y="{y}" width="{svg.WIDTH}" height="{svg.HEIGHT}"'
        panels.append(_panel(name, *panel).replace("<svg ", f"<svg {place} ", 1))
    keys = "".join(
        f'<g class="s{colour}"><circle class="mark" cx="{70 + 100 * colour}" cy="16" r="5"/>'
        f'<text x="{82 + 100 * colour}" y="20">{series}</text></g>'
        for series, colour in COLOURS.items()
    )
    width, height = 2 * svg.WIDTH, math.ceil(len(found) / 2) * svg.HEIGHT + HEAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fcfcfa"/>'
        f"{keys}{''.join(panels)}</svg>"
    )


def _panel(name: str, attacks: Sequence[Measured], long: Measured) -> str:
    ratios = [(one, one.mean_over(long)) for one in attacks]
    points = [
        svg.Point(one.name, one.gradients, ratio, one.name.split(":")[0], f"{ratio:.3f}")
        for one, ratio in ratios
        if ratio <= FARTHEST
    ]
    x = svg.axis("gradient evaluations per photo", [p.x for p in points], log=True)
    y = svg.axis(f"l2 over that of {long.name}", [p.y for p in points])
    farther = [f"{one.name} {ratio:.2f}" for one, ratio in ratios if not ratio <= FARTHEST]
    beyond = f"; farther: {', '.join(farther)}" if farther else ""
    title = f'<text x="{svg.LEFT}" y="{svg.TOP - 8}">{escape(name + beyond)}</text>'
    plot = svg.scatter(name, points, x, y, COLOURS)
    return plot.replace("</svg>", f"{title}{_names(points, x, y)}</svg>")


def _names(points: Sequence[svg.Point], x: svg.Axis, y: svg.Axis) -> str:
    """A word for each point: beside it, or above or below with a line where others stand there."""
    width, height = svg.WIDTH - svg.LEFT - svg.RIGHT, svg.HEIGHT - svg.TOP - svg.BOTTOM
    taken: list[tuple[float, float, float]] = []
    words = []
    for point in sorted(points, key=lambda one: -one.y):
        word = point.name.partition(": ")[2].partition(",")[0]
        left = x.share(point.x) > 1 / 2
        at_x = svg.LEFT + x.share(point.x) * width
        at_y = svg.TOP + (1 - y.share(point.y)) * height
        size = LETTER * len(word)
        start = at_x - 14 - size if left else at_x + 14
        free = (
            at_y + 3 + sign * shift
            for shift in range(200)
            for sign in (1, -1)
            if svg.TOP + LINE < at_y + sign * shift < svg.TOP + height - 4
            and not any(
                start < a + wide and a < start + size and abs(at_y + 3 + sign * shift - b) < LINE
                for a, b, wide in taken
            )
        )
        down = next(free, at_y + 3)
        taken.append((start, down, size))
        end = start + size + 1 if left else start - 1
        words.append(
            f'<line class="to" x1="{at_x:.1f}" y1="{at_y:.1f}" x2="{end:.1f}" y2="{down - 3:.1f}"/>'
            f'<text class="name" x="{start + size if left else start:.1f}" y="{down:.1f}" '
            f'text-anchor="{"end" if left else "start"}">{escape(word)}</text>'
        )
    return "".join(words)
