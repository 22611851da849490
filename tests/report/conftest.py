"""A store with hand-written (planted) rows: what the report must show is known."""

import base64
import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.report.generated_zoo import fill
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.report.html import write
from zoo_eval.store import Store
from zoo_eval.trial import Trial

NAMES = ['local/<a&"b">', "local/plain", "local/strong", "local/third", "local/weak"]
TOP1 = [0.9, 0.8, 0.7, 0.5, 0.1]
SCORES = [0.4, 0.7, 0.6, 0.5, 0.2]
# The second model withstands every attack.
DISTANCES = [0.3, None, 0.2, 0.15, 0.1]
FAILED = "local/<script>\u202e"
GATES = ["pass", "exempt", "undecided", "exempt", "exempt"]


def trial_row(trial: Trial, **columns) -> dict:
    return {
        **trial.row(), "attempt": 1, "status": "ok", "node": "planted", "device": "cpu",
        "seconds": 1.0, "peak_host_bytes": 1, "library_versions": "{}", "code_revision": "planted",
        "started_at": datetime(2026, 1, 1, tzinfo=UTC), **columns,
    }  # fmt: skip


def commit_model(store: Store, name: str, i: int, gate: str) -> None:
    rows: dict[str, list[dict]] = {}
    trials = []

    def add(table: str, evaluation: str, row: dict, **identity) -> None:
        trial = Trial(
            evaluation, 1, identity.pop("protocol", "planted"), model=name, weights_digest=f"w{i}", transform={},
            stimuli="photos", stimuli_digest="s", **identity,
        )  # fmt: skip
        if not any(t["trial_id"] == trial.id for t in trials):
            trials.append(trial_row(trial))
        rows.setdefault(table, []).append({"trial_id": trial.id, "model": name, **row})

    add("models", "gate", {
        "weights_digest": f"w{i}", "source": "local", "architecture": "timm/planted",
        "family": "planted", "n_params": 10 + i, "input_px": 64, "gate": gate,
        "gate_reason": "planted <reason>",
    })  # fmt: skip
    add("accuracy", "accuracy", {
        "top1": TOP1[i], "top1_low": TOP1[i] - 0.05, "top1_high": min(1.0, TOP1[i] + 0.05),
        "top5": 1.0, "top5_low": 0.9, "top5_high": 1.0, "n_images": 100,
    })  # fmt: skip
    for fold in range(2):
        add("neural_scores", "neural_fit", {
            "recording": "it", "layer": "blocks.1", "readout": "pls", "protocol": "planted",
            "statistic": "pearson_r", "fold": fold, "score": SCORES[i], "selection_score": 0.1,
            "n_constant_targets": 0,
        }, layer="blocks.1", readout="pls", recording="it", recording_digest="r")  # fmt: skip
    add("layers", "layers", {
        "layer": "blocks.1", "layer_index": 1, "depth": 0.5, "shape": [2], "n_features": 2,
        "effective_dim": 1.0,
    }, layer="blocks.1")  # fmt: skip
    distance = DISTANCES[i]
    status = {"status": "bound_hit"} if distance is None else {
        "status": "found", "distance": distance, "l2": distance, "linf": 0.1, "rms": 0.1,
        "relative_l2": 0.1, "adversarial_prediction": 2,
    }  # fmt: skip
    add("attacks", "minimal_attack", {
        "stimulus_id": "x", "attack": "ddn", "canvas_px": 64, "norm": "l2", "label": 1,
        "clean_prediction": 1, "n_forwards": 1, "n_backwards": 1, **status,
    }, attack="ddn", protocol="corrected")  # fmt: skip
    store.commit(rows, trials)


@pytest.fixture
def planted_store(tmp_path) -> Store:
    return planted(tmp_path / "store")


def planted(folder) -> Store:
    """Five models, a ceiling that says that the recording is planted, and a failure."""
    store = Store(str(folder), create=True)
    for i, (name, gate) in enumerate(zip(NAMES, GATES, strict=True)):
        commit_model(store, name, i, gate)
    ceiling = Trial("ceilings", 1, "planted_exact", recording="it", recording_digest="r")
    row = {"trial_id": ceiling.id, "recording": "it", "recording_digest": "r",
           "estimator": "planted_exact", "statistic": "pearson_r", "scale": "reliability", "target": "t",
           "ceiling": 0.9}  # fmt: skip
    store.commit({"ceilings": [row]}, [trial_row(ceiling)])
    failed = Trial("accuracy", 1, "planted", model=FAILED, weights_digest="w")
    store.commit({}, [trial_row(failed, status="failed", error_type="ValueError",
                                error_message="planted <error></script>")])  # fmt: skip
    return store


@pytest.fixture
def quarantined_store(planted_store) -> Store:
    commit_model(planted_store, "local/wrong", 3, "fail")
    return planted_store


class Zoo(NamedTuple):
    connection: Connection
    page: Path


@pytest.fixture(scope="session")
def zoo(tmp_path_factory) -> Zoo:
    """Generated models, and those with names that would break a page, with the page of all."""
    folder = tmp_path_factory.mktemp("zoo")
    store = planted(folder / "store")
    commit_model(store, "local/wrong", 3, "fail")
    fill(store, 12, 4)
    write(store, folder / "report.html")
    return Zoo(connect(store), folder / "report.html")


def held(html: str, identifier: str):
    """A value that a page holds for its scripts."""
    inside = html.partition(f'id="{identifier}">')[2].partition("</script>")[0]
    if not inside.startswith(("{", "[")):
        inside = gzip.decompress(base64.b64decode(inside)).decode()
    return json.loads(inside)


def tables(html: str) -> dict[str, list[dict]]:
    """The rows of each table of a page, and of the pages of models, by name."""
    found = [*held(html, "data")["tables"], *held(html, "details")]
    return {
        one["name"]: [
            {name: values[row] for name, values in one["values"].items()} for row in range(one["n"])
        ]
        for one in found
    }


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One headless Chromium for all tests; its log is empty when a test begins."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "window-size=1280,1600", f"user-data-dir={tmp_path_factory.mktemp('profile')}"):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    opened = webdriver.Chrome(options=options, service=service)
    opened.set_script_timeout(60)
    yield opened
    opened.quit()
