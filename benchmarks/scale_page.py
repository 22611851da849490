"""The page and the figure of simulated sweeps: docs/scale.md, docs/scale.svg."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import svg
from benchmarks.attacks_page import table
from benchmarks.scale_cluster import NODE_S, POLL_S, Times
from benchmarks.scale_zoo import EVALUATIONS, FLOPS_PER_S, SIGMA

DOCS = Path(__file__).parent.parent / "docs"
STYLE = (
    "text{font:11px sans-serif;fill:#1d2126}.grid{stroke:#d9dce1}.line{fill:none;"
    "stroke:currentColor;stroke-width:1.5}.mark{fill:currentColor}.s0{color:#0072b2}"
    ".s1{color:#d55e00}.s2{color:#009e73}.s3{color:#cc79a7}"
)
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def write(found: Table, result: Mapping[str, float], times: Times, processor: str) -> None:
    """Writes both."""
    (DOCS / "scale.svg").write_text(figure(found[1]) + "\n")
    (DOCS / "scale.md").write_text(page(found, result, times, processor))


def page(found: Table, result: Mapping[str, float], times: Times, processor: str) -> str:
    """What was simulated, what was not, and what came of it."""
    parts = "\n".join(f"| {one.name} | {one.n_passes:,} | {one.n_kept} |" for one in EVALUATIONS)
    return f"""# A sweep of the whole zoo on 1 to 256 GPUs, simulated

Written by `python -m benchmarks.scale`. In virtual time, the schedule that runs real sweeps
(`zoo_eval/runners/schedule.py`) hands every model that `zoo-eval models` lists, eight evaluations each,
to clusters that do not exist. Each line is the worst of three draws.

![makespan over its bound, and the share of time that networks run](scale.svg)

{table(*found).rstrip()}

- **bound**: of one class of GPU max(total / GPUs, longest group); of three the linear program's, in which
  any part of any model may run on any GPU that holds it. Neither has time to open models, to fetch
  weights or to commit.
- **models**: all of them, and all but those whose longest evaluation is planned to take over half of an
  even share of the rest. One model of 5 billion weights at 1024 pixels is so long that on 64 GPUs or more
  it alone decides when a sweep of everything ends; the second line shows how the rest is spread.
- **network running**: of all GPUs' time from when the last node got its first work until nothing waits.
  Opening models, waiting for weights and committing are not counted as work.
- **models opened**: more than there are where long ones are split by their groups over several slots.
- **driver**: processor time of the schedule and the progress in a simulated day, {1 / POLL_S:.0f} turns a
  second that find nothing included ({result["driver_turn_us"]:.0f} us each); Ray's own is not. Its memory
  was {result["driver_peak_gib"]:.2f} GiB at most, PyTorch and the simulation included.

## What is simulated

| evaluation | image passes a model | parts that are kept |
|---|---|---|
{parts}

A model's planned time is its FLOPs for an image (from the anatomies shipped with the package, which have
every listed model) times these passes, at {FLOPS_PER_S:.0e} FLOP/s, half of what is published for an A100
in float32; a backward pass counts as a forward one. Its true time is that times a factor drawn from a
lognormal distribution with sigma {SIGMA}, the same for all of its evaluations. One class: GPUs of 139 GiB.
Three: half of them 22 GiB and 1.6 times that speed, a quarter 79 GiB and 1.0, a quarter 79 GiB and 3.4. A
model needs its weights and what a backward pass of one image keeps, and a quarter more.

Measured in the same run on {processor}: a slot starts in {times.start_s:.1f} s; a model is opened in
{times.open_s:.2f} s, and its weights read and verified at {times.open_bytes_per_s / 1e6:.0f} MB/s; weights
are fetched at {times.fetch_bytes_per_s / 1e6:.0f} MB/s (over the loopback, at most 1 Gbit/s), by each node
for itself, as far ahead as the schedule says; a commit takes {1000 * times.commit_s:.0f} ms (50 rows, to a
folder).

Nodes lost: a tenth of them, each at a random moment, without warning; another is there {NODE_S:.0f} s
later. The evaluation it was at begins again, an attack after the last part that is kept.

## What is not

Ray, the network between nodes, GPUs, a store that is slower than a folder, nodes that come one by one,
several small models on one GPU (nothing is measured yet in a first sweep), and failures other than lost
nodes. That an A10G or H100 is so many times as fast as an A100 is published for products of large matrices,
not measured on networks.
"""


def figure(found: Sequence[Sequence[str]]) -> str:
    """Makespan over its bound and busy share against GPUs; of fewer models where there are two lines."""
    colours: dict[str, int] = {}
    ratios: dict[str, list[tuple[float, float, str]]] = {}
    shares: dict[str, list[tuple[float, float, str]]] = {}
    fewest = {
        row[0]: min(int(r[2].replace(",", "")) for r in found if r[0] == row[0]) for row in found
    }
    for gpus, classes, models, lost, _, _, ratio, busy, *_ in found:
        if int(models.replace(",", "")) != fewest[gpus]:
            continue
        series = classes if lost == "0%" else f"{classes}, {lost} of nodes lost"
        colours.setdefault(series, len(colours))
        ratios.setdefault(series, []).append((float(gpus), float(ratio), f"{gpus} GPUs: {ratio}"))
        percent = float(busy.rstrip("%"))
        shares.setdefault(series, []).append((float(gpus), percent, f"{gpus} GPUs: {busy}"))
    panels = [
        _panel("makespan over its bound", ratios, colours, [1.0, 1.1], 0),
        _panel("% of time that networks run", shares, colours, [97.0, 100.0], svg.WIDTH),
    ]
    keys = "".join(
        f'<g class="s{colour}"><circle class="mark" cx="{70 + 260 * colour}" cy="16" r="5"/>'
        f'<text x="{82 + 260 * colour}" y="20">{series}</text></g>'
        for series, colour in colours.items()
    )
    width, height = 2 * svg.WIDTH, svg.HEIGHT + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fcfcfa"/>'
        f"{keys}{''.join(panels)}</svg>"
    )


def _panel(
    label: str,
    series: Mapping[str, Sequence[tuple[float, float, str]]],
    colours: Mapping[str, int],
    ends: Sequence[float],
    left: int,
) -> str:
    lines = [svg.Line(name, tuple(points), name) for name, points in series.items()]
    values = [y for points in series.values() for _, y, _ in points]
    x = svg.axis("GPUs", [1.0, 8.0, 64.0, 256.0], log=True)
    panel = svg.profile(label, lines, x, svg.axis(label, [*values, *ends]), colours)
    place = f'x="{left}" y="24" width="{svg.WIDTH}" height="{svg.HEIGHT}"'
    return panel.replace("<svg ", f"<svg {place} ", 1)
