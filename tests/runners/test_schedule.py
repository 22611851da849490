"""The order of the queue, shares of a GPU, and who is charged with a lost process."""

import heapq

import pytest

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.models.blueprint import blueprint
from zoo_eval.runners.schedule import (
    CONTEXT_BYTES,
    HEADROOM,
    MAX_DEATHS,
    MAX_INNOCENT_DEATHS,
    NOTHING_MEASURED,
    Expected,
    Queued,
)

GPU_BYTES = 2**34


def planted(*names):
    return work(*(Planted(name, "works", "unused") for name in names))


def named(name):
    card = ModelCard(name, "local", "timm/test_vit", weights="untrained")
    return work(Planted(name, "works", "unused"), candidate=Candidate(card, blueprint(card)))


def largest_peak(share):
    return int((share * GPU_BYTES - CONTEXT_BYTES) / HEADROOM)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_holds_the_measured_peak_with_headroom_and_no_less_would(share):
    at_most = largest_peak(share)
    assert Expected({}, {"m": at_most}).share(named("m"), GPU_BYTES) == share
    assert Expected({}, {"m": at_most + 2}).share(named("m"), GPU_BYTES) == 2 * share


def test_what_was_never_measured_gets_a_whole_gpu():
    assert NOTHING_MEASURED.share(named("m"), GPU_BYTES) == 1
    assert Expected({}, {"m": 1}).share(named("m"), None) == 1
    assert Expected({}, {"m": 2 * GPU_BYTES}).share(named("m"), GPU_BYTES) == 1


def test_whole_gpus_go_first_then_the_longest_then_the_first_in_line():
    some = planted("a")
    wanted = [
        Queued(some, 3, seconds=5, share=1.0),
        Queued(some, 1, seconds=2, share=1.0),
        Queued(some, 2, seconds=2, share=1.0),
        Queued(some, 0, seconds=9, share=0.25),
    ]
    heap = wanted[::-1]
    heapq.heapify(heap)
    assert [heapq.heappop(heap) for _ in wanted] == wanted


def test_only_the_group_that_had_started_is_charged_and_what_is_done_is_not_tried_again():
    left, given_up = Queued(planted("a", "b", "c"), 0, 1).after_loss(blamed=[1], finished={0})
    assert given_up == {}
    assert [group.evaluation.name for group in left.work.groups] == ["b", "c"]
    assert left.deaths == {0: 1}
    left, given_up = left.after_loss(blamed=[0], finished=set())
    assert left.deaths == {0: 2}


def test_a_group_is_given_up_after_its_last_death_and_the_others_go_on():
    left = Queued(planted("deadly", "b"), 0, 1)
    for _ in range(MAX_DEATHS - 1):
        left, given_up = left.after_loss(blamed=[0], finished=set())
        assert given_up == {}
    left, given_up = left.after_loss(blamed=[0], finished=set())
    assert given_up == {0: MAX_DEATHS}
    assert [group.evaluation.name for group in left.work.groups] == ["b"]
    assert left.deaths == {}


def test_losses_that_are_nobodys_fault_end_too():
    left = Queued(planted("a", "b"), 0, 1)
    for _ in range(MAX_INNOCENT_DEATHS - 1):
        left, given_up = left.after_loss(blamed=[], finished=set())
        assert given_up == {}
    left, given_up = left.after_loss(blamed=[], finished=set())
    assert left is None
    assert given_up == {0: MAX_INNOCENT_DEATHS, 1: MAX_INNOCENT_DEATHS}


def test_nothing_is_left_of_an_order_that_was_finished_when_its_process_died():
    left, given_up = Queued(planted("a"), 0, 1).after_loss(blamed=[], finished={0})
    assert left is None
    assert given_up == {}
