"""The report of a zoo of 2,000 models: its size, how soon it can be used, how fast a brush repaints.

    python -m benchmarks.report [--quick] [--keep FOLDER]

A generated store (planted rows, made through the product's own store): each model with accuracy, two
recordings of 50 layers, attacks in two norms, alignment. --quick has 200 models of 10 layers. The page is
opened in headless Chromium from a file; usable is when the table is drawn, sorted by a click, and every
figure in sight is drawn, since the navigation began. A brush is drawn over one figure, and the time from
its last movement until six figures and the table are painted is measured, many times. The last line is
JSON. Exit status 1 beyond 5 MB or 1.5 s; the aim for the brush is 50 ms.
"""

import argparse
import random
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
from tests.planted_rows import ledger_row, result_row
from zoo_eval.report.html import write
from zoo_eval.store import Store
from zoo_eval.trial import Trial

N_MODELS, N_LAYERS, N_FOLDS, N_IMAGES = 2000, 50, 2, 5
QUICK_MODELS, QUICK_LAYERS = 200, 10
RECORDINGS = ("it", "v4")
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
        usable_s, brush_ms, n_figures = in_browser(place)
    result = {
        "models": n_models, "size_mb": round(size_mb, 3), "usable_s": round(usable_s, 3),
        "brush_ms": round(brush_ms, 1), "figures": n_figures, "written_s": round(written_s, 1),
    }  # fmt: skip
    rows = [(name, value) for name, value in {"store made, s": round(made_s, 1), **result}.items()]
    report(("what", "measured"), rows, result)
    return int(size_mb > SIZE_MB or usable_s > USABLE_S)


def fill(store: Store, n_models: int, n_layers: int) -> None:
    """Commits planted rows of every kind that the report shows, a model at a time."""
    random_ = random.Random(0)
    for number in range(n_models):
        add_model(store, number, n_layers, random_)


def add_model(store: Store, number: int, n_layers: int, random_: random.Random) -> None:
    """One model, better at everything the later it comes, with noise."""
    name, skill = f"timm/generated_{number:04}.a{number % 7}_in1k", 0.2 + 0.6 * random_.random()
    rows: dict[str, list[dict[str, Any]]] = {}
    trials = []

    def add(table: str, evaluation: str, several: list[dict[str, Any]], **facts: Any) -> None:
        protocol = facts.pop("protocol", "standard")
        one = Trial(
            evaluation, 1, protocol, model=name, weights_digest=f"w{number}", transform={},
            **{"stimuli": "photos", "stimuli_digest": "p", **facts},
        )  # fmt: skip
        trials.append(ledger_row(one))
        rows.setdefault(table, []).extend(result_row(table, one, **row) for row in several)

    def noisy(slope: float) -> float:
        return skill * slope + random_.gauss(0, 0.05)

    add("models", "gate", [{
        "source": "timm", "architecture": f"timm/generated_{number:04}", "family": f"family{number % 60}",
        "n_params": 10**6 + 5_000 * number, "input_px": 224, "gate": "pass", "licence": "apache-2.0",
        "year": 2012 + number % 14, "pretraining": f"recipe {number % 20}", "flops": 10**9 + number,
    }])  # fmt: skip
    add("accuracy", "accuracy", [{
        "top1": skill, "top1_low": skill - 0.02, "top1_high": skill + 0.02, "top5": skill, "n_images": 1000,
    }])  # fmt: skip
    for place in range(n_layers):
        layer, depth = f"blocks.{place // 10}.{place % 10}", (place + 1) / n_layers
        add("layers", "layers", [{"layer": layer, "depth": depth, "layer_index": place}], layer=layer)
        for recording in RECORDINGS:
            best = noisy(0.6) * (1 - (depth - 0.7) ** 2)
            folds = [
                {"fold": fold, "score": best + random_.gauss(0, 0.02), "selection_score": best,
                 "statistic": "pearson_r", "mode": "fit"}
                for fold in range(N_FOLDS)
            ]  # fmt: skip
            add("neural_scores", "neural_fit", folds, layer=layer, readout="ridge", recording=recording,
                recording_digest=recording, protocol="nested")  # fmt: skip
    for norm, attack in (("l2", "ddn"), ("linf", "fmn")):
        attacked = [
            {"stimulus_id": f"s{image}", "status": "found", "norm": norm, "distance": abs(noisy(1.0)) + 0.01,
             "l2": 1.0, "linf": 1.0, "attack": attack}
            for image in range(N_IMAGES)
        ]  # fmt: skip
        add("attacks", "minimal_attack", attacked, attack=attack, protocol="corrected",
            parameters={"norm": norm, "decision": "argmax", "canvas": "own"})  # fmt: skip
    for maps in ("clickme", "others"):
        aligned = [
            {"stimulus_id": f"s{image}", "method": "input_gradient", "channel_reduction": "abs_max",
             "published_reduction": True, "spearman": 0.5 - noisy(0.4), "null_spearman": 0.1}
            for image in range(N_IMAGES)
        ]  # fmt: skip
        add("alignment", "human_alignment", aligned, importance=maps, importance_digest=maps)
    store.commit(rows, trials)


def in_browser(place: Path) -> tuple[float, float, int]:
    """Seconds to usable, milliseconds from brush to repaint (medians), and the number of figures."""
    with browser(place / "profile") as driver:
        usable = []
        for _ in range(N_OPENED):
            driver.get("about:blank")
            driver.get((place / "report.html").as_uri())
            usable.append(driver.execute_async_script(USABLE) / 1000)
        driver.execute_async_script("const done = arguments[0]; zooReport.drawn().then(() => done())")
        plots = driver.find_elements("css selector", ".drawing")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plots[0])
        driver.execute_script(WATCHED)
        brush(driver, plots[0].find_element("css selector", "canvas").rect)
        times = driver.execute_script("return window.times")
        assert driver.execute_script("return zooReport.page.choice.brushed.size")
        logged = driver.get_log("browser")
        assert not logged, logged
    return statistics.median(usable), statistics.median(times), len(plots)


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
