"""Which GPUs hold a model, by what was measured or else planned; the numbers are worked out by hand."""

from dataclasses import replace

import pytest

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.models.blueprint import blueprint
from zoo_eval.runners.expected import Expected, least_bytes
from zoo_eval.runners.slots import Capacity, GpuClass, SlotShape, gpu_class

GIB = 2**30
CLASSES = (GpuClass("small", 4, 8 * GIB), GpuClass("large", 4, 64 * GIB))
CARD = ModelCard("m", "local", "timm/test_vit", weights="untrained")


def planned(n_params=0, activation_bytes=0):
    known = blueprint(CARD)
    anatomy = replace(known.anatomy, n_params=n_params, activation_bytes=activation_bytes)
    return work(
        Planted("a", "works", "unused"),
        candidate=Candidate(CARD, replace(known, anatomy=anatomy)),
    )


def room(one, peaks=None, *, shares=True, classes=CLASSES):
    return Expected({}, peaks or {}).room(one, classes, shares=shares)


@pytest.mark.parametrize(
    ("n_params", "activation_bytes", "expected"),
    [
        # 1.25 x (4 GiB + 2 GiB) + 0.5 GiB = 8 GiB.
        (GIB, 2 * GIB, (1.0, 1.0)),
        (GIB, 2 * GIB + 1, (None, 1.0)),
        # Backward it is too large for any, but its weights are not: the largest is tried.
        (GIB, 100 * GIB, (None, 1.0)),
        # 4 x 15.875 GiB + 0.5 GiB = 64 GiB.
        (127 * GIB // 8, 0, (None, 1.0)),
        (127 * GIB // 8 + 1, 0, (None, None)),
    ],
)
def test_what_was_never_run_takes_a_whole_gpu_that_holds_its_weights_and_a_backward_pass(
    n_params, activation_bytes, expected
):
    assert room(planned(n_params, activation_bytes)) == expected


def test_a_measured_peak_counts_more_than_what_is_planned():
    one = planned(10 * GIB, 100 * GIB)
    # 1.25 x 1.2 GiB + 0.5 GiB = 2 GiB: a quarter of the small one.
    assert room(one, {"m": 12 * GIB // 10}) == (0.25, 0.25)
    assert room(one, {"m": 6 * GIB}) == (1.0, 0.25)
    assert room(one, {"m": 6 * GIB}, shares=False) == (1.0, 1.0)
    assert room(one, {"m": 7 * GIB}) == (None, 0.25)
    # It did run somewhere: with smaller batches it may here.
    assert room(planned(100 * GIB), {"m": 300 * GIB}) == (None, 1.0)


def test_a_gpu_of_unknown_memory_holds_whatever_there_is():
    assert room(planned(10**12), classes=(GpuClass("new", 1),)) == (1.0,)
    assert room(work(Planted("a", "works", "unused"))) == (1.0, 1.0)


def test_the_least_a_model_takes_is_its_weights_and_half_a_gib():
    assert least_bytes(planned(GIB, 5)) == 4 * GIB + GIB // 2
    assert least_bytes(work(Planted("a", "works", "unused"))) == 0


def node(n_gpus=0.0, label=None, alive=True):
    resources = {"CPU": 8.0, "memory": 1e9} | ({"GPU": n_gpus} if n_gpus else {})
    labels = {} if label is None else {"ray.io/accelerator-type": label}
    return {"Alive": alive, "Resources": resources, "Labels": labels}


def test_a_clusters_gpus_are_counted_by_their_labels_of_nodes_that_are_alive():
    nodes = [
        node(),
        node(4.0, "A10G"),
        node(8.0, "H100"),
        node(4.0, "A10G"),
        node(4.0, "T4", False),
    ]
    there = Capacity.of(nodes)
    assert (there.num_gpus, there.num_cpus) == (16, 32)
    assert [(one.name, one.n_gpus) for one in there.classes] == [("A10G", 8), ("H100", 8)]
    small, large = there.classes
    assert small.n_bytes < 24e9 < 80e9 < large.n_bytes
    assert large.speed > small.speed > 1


def test_where_a_gpu_has_no_label_no_gpu_is_asked_for_by_label():
    assert Capacity.of([node(4.0, "A10G"), node(1.0)]) == Capacity(5, 16)
    assert Capacity.of([]) == Capacity(0, 0)


def test_a_label_of_which_nothing_is_known_is_a_class_of_its_own():
    assert gpu_class("A1000", 2) == GpuClass("A1000", 2)
    # Two memories go by this name.
    assert gpu_class("A100", 2).n_bytes is None


def test_a_slot_on_a_class_is_asked_for_by_its_label():
    assert SlotShape(1, 1).selector == {}
    selector = {"label_selector": {"ray.io/accelerator-type": "A10G"}}
    assert SlotShape(0.5, 1, "A10G").selector == selector
