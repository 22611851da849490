"""The page of what runners cost: docs/overhead.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.attacks_page import table

PAGE = Path(__file__).parent.parent / "docs" / "overhead.md"


def write(
    found: tuple[Sequence[str], Sequence[Sequence[str]]],
    figures: Mapping[str, float],
    processor: str,
) -> None:
    """Writes it."""
    PAGE.write_text(page(found, figures, processor))


def page(
    found: tuple[Sequence[str], Sequence[Sequence[str]]],
    figures: Mapping[str, float],
    processor: str,
) -> str:
    """What was measured, and what it means."""
    return f"""# What a runner costs

Written by `python -m benchmarks.runner`, on {processor}. The same sweeps side by side: in one process of two
threads (`--runner local`), and on a Ray that is started for it, with two slots of one thread each.

{table(*found).rstrip()}

- The demo takes **{figures["ray_ratio"]:.2f}** times as long on Ray as in one process, from when Ray is up; the
  processor's seconds of everything, Ray's own included, are {figures["ray_cpu_ratio"]:.2f} times as many.
- In one process it takes {figures["overhead_ratio"]:.2f} times as long as a bare loop over the same evaluations, which
  makes no tables.
- A trial costs **{figures["trial_overhead_ms"]:.0f} ms** of a slot on Ray besides its evaluation, and
  {figures["trial_overhead_local_ms"]:.0f} ms in one process: its commit, above all. Measured on trials of next to no work, each of
  which is committed by itself; what shares a capture is committed together.
- **Slots do nothing**: the share of slots' time in which no trial ran, by the rows' `started_at` and `seconds`, from
  the first one's start until a slot has nothing more. Models are opened in it, and rows committed.
- The first row is there **{figures["first_row_s"]:.0f} s** after the command began, Ray's start included; and
  **{figures["node_first_row_s"]:.0f} s** after another node joins a sweep that runs on one, the first of what ran on it.
- The driver takes {figures["driver_cpu_share"]:.2f} of a core while tiny trials keep it as busy as they can.
"""
