"""Lambda sweep: one network harmonized by several weights of the loss, all beside one control, on one figure.

    python -m jobs.lambda_sweep [LAMBDA ...]

On the planted task of `jobs/planted_task.py`: a plain loop over runs, one sweep, and what each weight costs
and gives: top-1 against alignment against tolerance. Everything is planted.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import altair as alt

from jobs import harmonize_demo
from zoo_eval.files.names import say

FOLDER = Path("results/lambda_sweep")
LAMBDAS = (0.5, 2.0, 5.0, 20.0)
CONTROL = "lambda_0"
TITLE = "Planted task: what lambda costs and gives"


def main(lambdas: tuple[float, ...] = LAMBDAS) -> int:
    """Trains, sweeps, prints and draws; the exit code of what failed, or 0."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    harmonize_demo.write_images(FOLDER)
    # The control is trained once; every other run names it.
    if code := harmonize_demo.train(FOLDER, CONTROL, 0.0, "false"):
        return code
    for weight in lambdas:
        if code := harmonize_demo.train(FOLDER, f"lambda_{weight:g}", weight, f'"{CONTROL}"'):
            return code
    return harmonize_demo.sweep(FOLDER) or show()


def show() -> int:
    """Prints a line for each lambda, and draws the figure."""
    rows = sorted(harmonize_demo.found(FOLDER), key=lambda row: float(row["weight"]))
    say(f"{'lambda':>8} {'top-1':>7} {'misled':>7} {'alignment':>10} {'tolerance':>10}")
    for row in rows:
        say(
            f"{row['weight']:8g} {row['top1']:7.3f} {row['misled']:7.3f} {row['alignment']:10.3f} "
            f"{row['attack']:10.3f}"
        )
    out = FOLDER / "lambda_sweep.svg"
    figure(rows).save(str(out))
    say(f"figure {out}; store {FOLDER / 'store'}")
    return 0


def figure(rows: list[dict[str, Any]]) -> alt.LayerChart:
    """Top-1 where the confound misleads against alignment; the larger the point, the larger the attack."""
    finite = [row["attack"] for row in rows if row["attack"] < float("inf")]
    # A network that no attack moved is drawn as large as the largest, and said to be that.
    largest, more = max(finite, default=1.0), {True: ", no attack succeeded", False: ""}
    shown = [
        {
            **row,
            "attack": min(row["attack"], largest),
            "text": f"λ = {row['weight']:g}{more[row['attack'] > largest]}",
        }
        for row in rows
    ]
    base = alt.Chart({"values": shown}, title=TITLE, width=320, height=240).encode(
        x=alt.X("alignment:Q", title="Mean Spearman with planted maps"),
        y=alt.Y("misled:Q", title="Top-1 where the spot misleads", scale=alt.Scale(domain=[0, 1])),
    )
    size = alt.Size("attack:Q", title="Median smallest l2 attack", scale=alt.Scale(zero=False))
    line = base.mark_line(color="#999999", strokeWidth=1).encode(order="weight:Q")
    names = base.mark_text(align="left", dx=9, dy=-7).encode(text="text:N")
    points = base.mark_circle(color="#c24d00", opacity=0.9).encode(size=size)
    drawn: alt.LayerChart = line + points + names
    return drawn


if __name__ == "__main__":
    raise SystemExit(main(tuple(map(float, sys.argv[1:])) or LAMBDAS))
