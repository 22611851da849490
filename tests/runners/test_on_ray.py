"""The Ray runner: the plain loop's results, whatever dies on the way, each row exactly once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.runners import doors, reverse_sweep
from tests.runners.comparison import assert_each_trial_once, assert_same_results
from tests.runners.planted_evaluations import DeadlyCard, Planted, work
from zoo_eval.catalog import ModelCard
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import BadInput, Cancelled
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.models.blueprint import blueprint
from zoo_eval.queries.connection import connect
from zoo_eval.runners import queue, schedule
from zoo_eval.runners.execution import Finished
from zoo_eval.runners.expected import NOTHING_MEASURED, Expected
from zoo_eval.runners.metrics import Metrics
from zoo_eval.runners.on_ray import runner as ray_runner
from zoo_eval.runners.on_ray import session
from zoo_eval.runners.on_ray.runner import OnRay
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import Schedule
from zoo_eval.runners.slots import LABEL, Capacity, SlotShape, gpu_class
from zoo_eval.stimuli.folder import Files
from zoo_eval.stimuli.identities import Identity
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.plan import Plan

pytestmark = pytest.mark.ray

PLANTED = """
[store]
uri = "x"
[models]
include = ["local/*"]
[[models.local]]
name = "unused"
architecture = "timm/test_vit"
weights = "untrained"
[[evaluations]]
kind = "accuracy"
stimuli = "none"
"""
OWN_STIMULI = """
[stimuli.own]
kind = "folder"
path = "images"
label_pattern = '(\\d)'
"""


@pytest.fixture(scope="module")
def cluster():
    """A Ray of our own with two CPUs and two simulated GPUs, of a class that is planted."""
    import ray
    from ray import cloudpickle

    from tests.runners import planted_evaluations

    cloudpickle.register_pickle_by_value(planted_evaluations)
    labels = {LABEL: "planted"}
    session.start(
        num_cpus=2, num_gpus=2, labels=labels, object_store_memory=10**8, log_to_driver=False
    )
    yield ray
    ray.shutdown()


@pytest.fixture(autouse=True, scope="module")
def as_many_threads_as_a_slot():
    """The order of a sum depends on the number of threads, and float16 rounding amplifies it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_planted(
    tmp_path, tiny_sweep, *work, max_slots=2, expected=NOTHING_MEASURED, store=None
) -> tuple[Store, list[str]]:
    file = tmp_path / "planted.toml"
    file.write_text(PLANTED)
    store = store or Store(str(tmp_path / "store"), create=True)
    plan = Plan(work=list(work))
    said: list[str] = []
    planted = sweep_file.read(file, tmp_path)
    runner = OnRay(planted, roster(planted.models), store, max_slots=max_slots)
    runner.run(plan, Progress.of(plan, said.append), expected)
    return store, said


def test_the_ray_of_these_tests_is_closed_to_others(cluster):
    me = psutil.Process().pid
    assert doors.open_to_others(me) == []
    assert doors.open_to_strangers(me) == []
    assert not doors.joined(cluster.get_runtime_context().gcs_address, RAY_AUTH_MODE="disabled")


def test_results_equal_those_of_the_plain_loop(cluster, tiny_sweep, tmp_path, finished_store):
    request = SweepOptions(tiny_sweep, tmp_path, store=str(tmp_path / "ray"), runner="ray")
    assert sweep.run(request, lambda line: None) == 0
    assert_same_results(tmp_path / "ray", finished_store)


def test_units_are_predicted_from_targets_as_in_the_plain_loop(cluster, tmp_path):
    here, there = (reverse_sweep.swept(tmp_path, runner) for runner in ("local", "ray"))
    assert_same_results(here, there, ("neural_scores",))


def test_images_are_decoded_on_the_cluster_once_and_not_here(cluster, tmp_path, monkeypatch):
    # Images that nothing is known of yet: their digest is needed for the plan.
    (tmp_path / "images").mkdir()
    for label in range(3):
        pixels = np.random.default_rng().integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{label}.png")
    file = tmp_path / "own.toml"
    file.write_text(PLANTED.replace('"none"', '"own"') + OWN_STIMULI)
    load = ray_runner._load

    def counted(*arguments):
        with Path(tmp_path, "loads").open("a") as loads:
            loads.write("x")
        return load(*arguments)

    monkeypatch.setattr(ray_runner, "_load", counted)
    monkeypatch.setattr(Files, "decode", lambda *_: pytest.fail("decoded where it is only planned"))
    request = SweepOptions(file, tmp_path, runner="ray")
    assert sweep.run(request, lambda line: None) == 0
    assert Path(tmp_path, "loads").read_text() == "x"
    (row,) = connect(Store(str(tmp_path / "x"))).rows("SELECT n_images FROM accuracy")
    assert row == {"n_images": 3}
    # Nothing is left to do, and their digest is known: no image is needed.
    assert sweep.run(request, lambda line: None) == 0
    assert Path(tmp_path, "loads").read_text() == "x"


def test_numerics_are_those_of_the_sweep_on_ray_too(cluster, tiny_sweep, tmp_path):
    text = tiny_sweep.read_text()
    text = '[run]\nnumerics = "bf16"\n' + text[: text.index('[[evaluations]]\nkind = "neural_fit"')]
    tiny_sweep.write_text(text)
    for runner in ("ray", "local"):
        request = SweepOptions(tiny_sweep, tmp_path, store=str(tmp_path / runner), runner=runner)
        assert sweep.run(request, lambda line: None) == 0
    assert_same_results(tmp_path / "ray", tmp_path / "local", tables=("models", "accuracy"))
    said = connect(Store(str(tmp_path / "ray"))).rows("SELECT DISTINCT numerics FROM trials")
    assert said == [{"numerics": '{"amp":"bfloat16","dtype":"float32","tf32":false}'}]


def test_an_image_that_changes_after_the_plan_ends_the_run_in_a_line(
    cluster, tiny_sweep, tmp_path, monkeypatch
):
    planned = sweep_file.read(tiny_sweep, tmp_path)
    store = Store(str(tmp_path / "store"), create=True)
    runner = OnRay(planned, roster(planned.models), store)
    runner._load({"photos": Identity("of other ids", "another digest", (), ())})
    plan = Plan(work=[work(Planted("a", "works", str(tmp_path)))])
    with pytest.raises(BadInput, match="stimuli 'photos' changed while the sweep was planned"):
        runner.run(plan, Progress.of(plan, lambda line: None))


def test_slots_ask_for_the_gpus_that_the_cluster_has(cluster):
    assert session.capacity() == Capacity(2, 2, (gpu_class("planted", 2),))
    assert session.slot_shape("auto") == SlotShape(num_gpus=1, num_cpus=1)
    assert session.slot_shape(0.5) == SlotShape(num_gpus=0.5, num_cpus=1)


def test_small_models_share_a_gpu_after_the_large_ones(cluster, tiny_sweep, tmp_path, monkeypatch):
    started = Schedule.started
    # Simulated GPUs have no memory: 16 GiB are planted.
    monkeypatch.setattr(Schedule, "started", lambda one, slot, _: started(one, slot, 2**34))
    sizes = {"small": 2**30, "medium": 2**32, "large": 2**33, "unknown": None}
    peaks = {name: size for name, size in sizes.items() if size}
    everything = []
    for name in sizes:
        card = ModelCard(name, "local", "timm/test_vit", weights="untrained")
        noting = Planted(name, "notes its share", str(tmp_path))
        everything.append(work(noting, candidate=Candidate(card, blueprint(card))))
    store, _ = run_planted(
        tmp_path, tiny_sweep, *everything, expected=Expected({}, peaks), max_slots=1
    )
    assert set(store.ledger().status.values()) == {"ok"}
    noted = [line.split() for line in (tmp_path / "shares").read_text().splitlines()]
    assert {name: float(share) for name, share in noted} == {
        "small": 0.25, "medium": 0.5, "large": 1.0, "unknown": 1.0,
    }  # fmt: skip
    shares = [float(share) for _, share in noted]
    assert shares == sorted(shares, reverse=True)


def test_every_way_to_fail_is_a_row_and_the_rest_is_done_once(
    cluster, tiny_sweep, tmp_path, monkeypatch
):
    monkeypatch.setattr(schedule, "HANG_FLOOR_S", 6.0)
    # Every death costs the start of a new process; two are as telling as three.
    monkeypatch.setattr(queue, "MAX_DEATHS", 2)
    told: list[int] = []
    advanced = Progress.advanced
    monkeypatch.setattr(
        Progress,
        "advanced",
        lambda p, name, one: (told.append(one.n_ahead), advanced(p, name, one)),
    )
    behaviours = [
        "works",
        "dies",
        "works",
        "raises",
        "dies once",
        "hangs",
        "works",
        "dies half-way",
    ]
    planted = [Planted(f"{i} {b}", b, str(tmp_path)) for i, b in enumerate(behaviours)]
    store, said = run_planted(tmp_path, tiny_sweep, work(*planted[:4]), work(*planted[4:]))
    connection = connect(store)
    trials = {row["model"]: row for row in connection.rows("SELECT * FROM trials")}
    status = {model: row["status"] for model, row in trials.items()}
    assert status == {
        p.name: "ok" if p.behaviour in ("works", "dies once", "dies half-way") else "failed"
        for p in planted
    }
    assert len(connection.rows("SELECT * FROM trials")) == len(planted)
    assert "planted error" in trials["3 raises"]["error_message"]
    assert trials["5 hangs"]["error_type"] == "Hang"
    assert trials["1 dies"]["error_message"].startswith("its process was lost 2 times")
    done = [row["model"] for row in connection.rows("SELECT model FROM accuracy ORDER BY model")]
    assert done == sorted(p.name for p in planted if status[p.name] == "ok")
    # Charged to the one that had started, and to no other: the others ran once.
    n_runs = {p.name: len(Path(tmp_path, p.name).read_text()) for p in planted}
    assert n_runs["1 dies"] == queue.MAX_DEATHS
    assert n_runs["4 dies once"] == 2
    # What it had finished was not done again, and of the rest every batch was reported.
    assert told.count(5) >= 2
    assert Path(tmp_path, "7 dies half-way batches").read_text() == "01223"
    assert not list(Path(store.root, "parts").iterdir())
    assert n_runs["0 works"] == n_runs["2 works"] == n_runs["6 works"] == 1
    assert any("trying again" in line for line in said)


def test_a_model_that_kills_its_process_while_opened_fails_as_a_whole(
    cluster, tiny_sweep, tmp_path, monkeypatch
):
    monkeypatch.setattr(queue, "MAX_DEATHS", 2)
    deadly = DeadlyCard("deadly", "local", "timm/resnet18")
    planted = [Planted(name, "works", str(tmp_path)) for name in ("a", "b", "c")]
    store, said = run_planted(
        tmp_path, tiny_sweep, work(*planted[:2], candidate=Candidate(deadly)), work(planted[2])
    )
    trials = connect(store).rows("SELECT model, status, error_message FROM trials ORDER BY model")
    assert [row["status"] for row in trials] == ["failed", "failed", "ok"]
    for row in trials[:2]:
        assert row["error_message"].startswith("its process was lost 2 times")
    assert sum("trying again" in line for line in said) == 1


def test_kill_9_of_an_actor_changes_no_result(cluster, tiny_sweep, tmp_path, finished_store):
    over = threading.Event()
    killer = ThreadPoolExecutor(1).submit(kill_a_busy_slot, over)
    disturbed = SweepOptions(tiny_sweep, tmp_path, store=str(tmp_path / "killed"), runner="ray")
    try:
        assert sweep.run(disturbed, lambda line: None) == 0
    finally:
        over.set()
    assert killer.result(timeout=30)
    assert_each_trial_once(tmp_path / "killed")
    assert_same_results(tmp_path / "killed", finished_store)


def kill_a_busy_slot(over: threading.Event) -> bool:
    """Kills the first worker of ours that is inside `Slot.run`; False if none was before the end."""
    while not over.wait(0.05):
        for process in psutil.Process().children(recursive=True):
            if is_busy_slot(process):
                process.kill()
                return True
    return False


def is_busy_slot(process: psutil.Process) -> bool:
    """Whether a worker's title says it is inside `Slot.run`."""
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return title.startswith("ray::Slot") and ".run" in title


def test_a_second_sweep_on_the_same_store_is_turned_away(cluster, tiny_sweep, tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    request = SweepOptions(tiny_sweep, tmp_path, runner="ray")
    with store.claim(), pytest.raises(BadInput, match="another sweep"):
        sweep.run(request, lambda line: None)


def test_relative_paths_on_several_machines_are_refused(cluster, tiny_sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_runner, "single_machine", lambda: False)
    text = tiny_sweep.read_text().replace(str(tmp_path / "store"), "results")
    tiny_sweep.write_text(text)
    with pytest.raises(BadInput, match="'results' is a relative path, but the cluster has several"):
        sweep.run(SweepOptions(tiny_sweep, tmp_path, runner="ray"), lambda line: None)
    assert Store(str(tmp_path / "results")).ledger().status == {}


def test_a_cancelled_sweep_leaves_what_had_not_begun(cluster, tiny_sweep, tmp_path, monkeypatch):
    planted = [Planted(name, "works", str(tmp_path)) for name in "ab"]
    finished = Progress.finished
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim() as lease:

        def cancelling(progress, name, report):
            finished(progress, name, report)
            lease.cancelled = True

        monkeypatch.setattr(Progress, "finished", cancelling)
        with pytest.raises(Cancelled):
            run_planted(tmp_path, tiny_sweep, *map(work, planted), max_slots=1, store=store)
    assert list(store.ledger().status.values()) == ["ok"]
    assert (store.strays(), store.damage()) == ([], None)
    assert [(tmp_path / one.name).exists() for one in planted] == [True, False]


def test_what_a_driver_counts_is_taken_by_rays_metrics(cluster, tiny_sweep, tmp_path):
    from ray.util import metrics

    told = {}
    shown = Metrics(metrics)
    for name, made in shown._made.items():
        for method in ("inc", "set"):
            if real := getattr(made, method, None):
                setattr(made, method, counting(real, told, name))
    progress = Progress(1, 10, lambda line: None)
    progress.finished("a", Finished(0, 1, 0, 0, 10, 10, evaluation="gate"))
    shown.show(progress)
    assert told["zoo_trials"] == told["zoo_image_passes"] / 10 == 1


def counting(real, told, name):
    def call(value, tags=None):
        told[name] = value
        real(value, tags=tags)

    return call


def test_slots_are_gone_when_the_sweep_ends(cluster, tiny_sweep, tmp_path):
    run_planted(tmp_path, tiny_sweep, work(Planted("a", "works", str(tmp_path))))
    deadline = time.monotonic() + 30
    while cluster.available_resources().get("GPU") != 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert cluster.available_resources()["GPU"] == 2
