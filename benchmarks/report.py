"""The report of a zoo of 2,000 models: its size, how soon it can be used, how fast a brush repaints.

    python -m benchmarks.report [--quick] [--keep FOLDER]

A generated store (planted rows, made through the product's own store): each model with accuracy, two
recordings of 50 layers, attacks in two norms, alignment. --quick has 200 models of 10 layers. The page is
opened in headless Chromium from a file; usable is when the table is drawn, sorted by a click, and every
figure in sight is drawn, since the navigation began. A brush is drawn over one figure, and the time from
its last movement until the figures in sight and the table are painted is measured, many times (the others are
painted when they come into sight); and once how long it then takes to paint all. The last line is
JSON. Exit status 1 beyond 5 MB or 1.5 s; the aim for the brush is 50 ms.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measurement import report
from tests.report.generated_zoo import fill
from zoo_eval.report.html import write
from zoo_eval.store import Store

N_MODELS, N_LAYERS = 2000, 50
QUICK_MODELS, QUICK_LAYERS = 200, 10
SIZE_MB, USABLE_S = 5.0, 1.5
N_BRUSHES, N_OPENED = 20, 3
# Longer than a repaint takes: each is measured alone.
PAUSE_S = 0.3
# From a movement of the pointer until table and figures are painted with what the brush then holds.
WATCHED = """
const { page, repainted } = window.zooReport;
window.times = [];
let moved = null;
addEventListener("pointermove", (event) => { moved ??= event.timeStamp; }, true);
page.choice.watch(async (part) => {
  if (part !== "brushed" || moved === null) return;
  const began = moved;
  moved = null;
  // What watches later is told first.
  await null;
  await repainted();
  requestAnimationFrame(() => setTimeout(() => window.times.push(performance.now() - began)));
});
"""
# How long the figures take that were out of sight.
REST = """
const [done, began] = [arguments[0], performance.now()];
zooReport.shown().then(() => done(performance.now() - began));
"""
# When everything in sight is there and the main thread answers again.
USABLE = """
const done = arguments[0];
const poll = () => {
  const inSight = [...document.querySelectorAll(".drawing")].filter((one) => one.getBoundingClientRect().top < innerHeight);
  if (document.querySelector("tbody tr[data-row]") && inSight.every((one) => one.classList.contains("drawn")))
    requestAnimationFrame(() => setTimeout(() => done(performance.now())));
  else setTimeout(poll, 5);
};
poll();
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute on two cores")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where store and page stay")
    options = parser.parse_args()
    n_models, n_layers = (QUICK_MODELS, QUICK_LAYERS) if options.quick else (N_MODELS, N_LAYERS)
    with folder(options.keep) as place:
        store = Store(str(place / "store"), create=True)
        made_s = taken(lambda: fill(store, n_models, n_layers))
        written_s = taken(lambda: write(store, place / "report.html"))
        size_mb = (place / "report.html").stat().st_size / 1e6
        seen = in_browser(place)
    result = {
        "models": n_models,
        "size_mb": round(size_mb, 3),
        "written_s": round(written_s, 1),
        **seen,
    }
    rows = [(name, value) for name, value in {"store made, s": round(made_s, 1), **result}.items()]
    report(("what", "measured"), rows, result)
    return int(size_mb > SIZE_MB or seen["usable_s"] > USABLE_S)


def in_browser(place: Path) -> dict[str, float]:
    """Seconds to usable and milliseconds from brush to repaint: medians, and of the main thread alone."""
    with browser(place / "profile") as driver:
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        usable, usable_cpu = [], []
        for _ in range(N_OPENED):
            driver.get("about:blank")
            driver.get((place / "report.html").as_uri())
            usable.append(driver.execute_async_script(USABLE) / 1000)
            usable_cpu.append(main_thread_s(driver))
        driver.execute_async_script(
            "const done = arguments[0]; zooReport.drawn().then(() => done())"
        )
        plots = driver.find_elements("css selector", ".drawing")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plots[0])
        driver.execute_script(WATCHED)
        before = main_thread_s(driver)
        brush(driver, plots[0].find_element("css selector", "canvas").rect)
        brush_cpu = (main_thread_s(driver) - before) / N_BRUSHES
        times = driver.execute_script("return window.times")
        in_sight = driver.execute_script("return zooReport.plots.filter(p => p.isInSight).length")
        rest_ms = driver.execute_async_script(REST)
        assert driver.execute_script("return zooReport.page.choice.brushed.size")
        logged = driver.get_log("browser")
        assert not logged, logged
    return {
        "usable_s": round(statistics.median(usable), 3),
        "usable_cpu_s": round(statistics.median(usable_cpu), 3),
        "brush_ms": round(statistics.median(times), 1),
        "brush_cpu_ms": round(1000 * brush_cpu, 1),
        "rest_ms": round(rest_ms, 1),
        "figures": len(plots),
        "figures_in_sight": in_sight,
    }


def main_thread_s(driver: Any) -> float:
    """Seconds that the page's main thread has run, whatever else the machine does."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def brush(driver: Any, box: dict[str, float]) -> None:
    """Draws a brush over a figure, a step at a time."""
    top = driver.execute_script("return scrollY")

    def mouse(kind: str, share: float, buttons: int) -> None:
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", {
            "type": kind, "x": box["x"] + share * box["width"], "y": box["y"] - top + share * box["height"],
            "button": "left", "buttons": buttons, "clickCount": 1,
        })  # fmt: skip

    mouse("mouseMoved", 0.25, 0)
    mouse("mousePressed", 0.25, 1)
    for step in range(1, N_BRUSHES + 1):
        mouse("mouseMoved", 0.25 + 0.5 * step / N_BRUSHES, 1)
        time.sleep(PAUSE_S)
    mouse("mouseReleased", 0.75, 0)


@contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """Headless Chromium, 1280 x 900."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        sys.exit("benchmarks.report: chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                 "disable-background-networking", "window-size=1280,900", f"user-data-dir={profile}"):  # fmt: skip
        options.add_argument(f"--{flag}")
    opened = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=driver)
    )
    opened.set_script_timeout(120)
    try:
        yield opened
    finally:
        opened.quit()


@contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def taken(work: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main())
