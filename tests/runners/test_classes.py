"""Which class of GPU gets which work, and how long work is split over slots; no Ray."""

import random
from dataclasses import replace

import pytest

from tests.runners.test_expected import GIB, planned
from tests.runners.test_schedule import Driven
from zoo_eval.runners.execution import Finished, Started
from zoo_eval.runners.expected import Expected
from zoo_eval.runners.moves import GiveBack, HandOver, Refuse, Start
from zoo_eval.runners.schedule import START_TIMEOUT_S
from zoo_eval.runners.slots import Capacity, GpuClass, Slots, SlotShape

GPU = Slots(SlotShape(1, 1))
DONE = {"n_ok": 1, "n_failed": 0, "n_refused": 0, "n_passes": 0, "planned_passes": 0}


def cluster(n_small=1, n_large=1, *, speeds=(1.0, 1.0), small_bytes=8 * GIB):
    classes = (
        GpuClass("large", n_large, 64 * GIB, speeds[1]),
        GpuClass("small", n_small, small_bytes, speeds[0]),
    )
    return Capacity(n_small + n_large, 64, classes)


def model(name, gib=1, n_groups=1, weights=1):
    """A model that needs 1.25 x gib + 0.5 GiB, or as much as its weights where that is more."""
    one = planned(weights * GIB // 4, (gib - weights) * GIB)
    card = replace(one.candidate.card, name=name)
    groups = tuple(
        replace(one.groups[0], evaluation=replace(one.groups[0].evaluation, name=f"{name}.{n}"))
        for n in range(n_groups)
    )
    return replace(one, candidate=replace(one.candidate, card=card), groups=groups)


def driven(*models, there=None, seconds=None, opening_s=1.0):
    expected = Expected(seconds or {}, opening_s=opening_s)
    return Driven(list(models), GPU, there or cluster(), expected)


def classes_of(one):
    return {name: one.shapes[slot].gpu_class for slot, names in one.given.items() for name in names}


def test_a_model_goes_to_the_cheapest_gpu_that_holds_it():
    for gib, name in ((1, "small"), (6, "small"), (7, "large")):
        one = driven(model("m", gib))
        one.begin()
        assert classes_of(one) == {"m.0": name}
        assert len(one.shapes) == 1


def test_large_gpus_do_what_they_alone_hold_first_and_then_help_with_the_rest():
    seconds = {"a": 9, "b": 8, "c": 7, "large": 1}
    one = driven(*(model(name) for name in "abc"), model("large", 30), seconds=seconds)
    one.begin()
    assert classes_of(one) == {"a.0": "small", "large.0": "large"}
    (slot,) = (slot for slot, shape in one.shapes.items() if shape.gpu_class == "large")
    one.schedule.finished(slot)
    one.move()
    assert one.given[slot] == ["b.0"]


def test_a_gpu_that_holds_nothing_of_what_waits_is_given_back():
    one = driven(model("a"), *(model(f"large{n}", 30) for n in range(3)))
    one.begin()
    (small,) = (slot for slot, shape in one.shapes.items() if shape.gpu_class == "small")
    one.schedule.finished(small)
    assert one.move() == [GiveBack(small)]


def test_a_model_larger_than_any_gpu_is_refused_with_the_figures_and_the_rest_goes_on():
    one = driven(model("huge", 80, weights=80), model("a"))
    (refused, *_) = one.schedule.moves(one.capacity)
    assert isinstance(refused, Refuse)
    assert refused.work.name == "huge"
    assert refused.reason == (
        "opened, it takes 80.5 GiB of GPU memory or more, and the largest GPU here (large) has "
        "64.0 GiB; add a node with a larger one"
    )
    assert not any(isinstance(move, Refuse) for move in one.schedule.moves(one.capacity))
    assert not one.schedule.is_over


def test_what_a_gpu_really_has_counts_once_a_slot_is_up():
    one = driven(model("a", 6), model("b", 6), model("c", 6), there=cluster(2, 1))
    for move in one.move():
        # A little less than is published: 1.25 x 6 + 0.5 = 8 GiB do not fit.
        one.schedule.started(move.slot, 63 * GIB if move.shape.gpu_class == "large" else 7 * GIB)
    one.move()
    assert set(classes_of(one).values()) == {"large"}


def test_where_nothing_is_labelled_slots_ask_for_any_gpu():
    one = Driven([model("a", 30)], GPU, Capacity(2, 8))
    one.begin()
    assert one.shapes == {1: SlotShape(1, 1, None)}


def test_long_work_is_split_over_slots_and_short_work_is_not():
    # Four slots: a piece takes a quarter of a slot's even share, 1000 / 4 / 4.
    there = Capacity(4, 8, (GpuClass("one", 4, 64 * GIB),))
    one = driven(model("a", n_groups=8), there=there, seconds={"a": 1000.0})
    one.begin()
    assert sorted(len(names) for names in one.given.values()) == [1, 1, 1, 1]
    given = sorted(name for names in one.given.values() for name in names)
    assert given == [f"a.{n}" for n in range(4)]
    # Opening it once more would take more than a twentieth of a piece.
    one = driven(model("a", n_groups=8), there=there, seconds={"a": 1000.0}, opening_s=51.0)
    one.begin()
    assert [len(names) for names in one.given.values()] == [8]


def test_a_slow_gpu_takes_what_ends_in_time_and_leaves_the_rest_to_a_fast_one():
    there = cluster(speeds=(1.0, 10.0))
    seconds = {"long": 100.0, "middle": 60.0, "short": 5.0}
    one = driven(*(model(name) for name in seconds), there=there, seconds=seconds)
    one.begin()
    one.begin()
    assert classes_of(one) == {"long.0": "large", "short.0": "small"}
    (slow,) = (slot for slot, shape in one.shapes.items() if shape.gpu_class == "small")
    (fast,) = (slot for slot, shape in one.shapes.items() if shape.gpu_class == "large")
    one.schedule.finished(slow)
    # It would take 60 s, the fast one 10 and 6.
    assert one.move() == []
    one.schedule.finished(fast)
    one.move()
    assert one.given[fast] == ["middle.0"]


def test_nobody_waits_for_a_fast_gpu_whose_slot_does_not_come_up():
    there = cluster(speeds=(1.0, 10.0))
    one = driven(model("a"), model("b"), there=there, seconds={"a": 100.0, "b": 90.0})
    starts = [move for move in one.move() if isinstance(move, Start)]
    slow = next(move.slot for move in starts if move.shape.gpu_class == "small")
    one.schedule.started(slow, None)
    assert not any(isinstance(move, HandOver) for move in one.move())
    one.clock.now += START_TIMEOUT_S + 1
    one.move()
    assert one.given == {slow: ["a.0"]}


def test_a_class_that_is_gone_is_asked_for_once_nothing_else_runs_and_its_work_is_not_refused():
    one = driven(model("a"), model("large", 30), model("large too", 70, weights=60))
    one.begin()
    (small,) = (slot for slot, shape in one.shapes.items() if shape.gpu_class == "small")
    (large,) = (slot for slot, shape in one.shapes.items() if shape.gpu_class == "large")
    one.capacity = replace(cluster(), num_gpus=1, classes=cluster().classes[1:])
    one.schedule.lost(large)
    del one.shapes[large]
    assert one.move() == []
    one.schedule.finished(small)
    assert one.move() == [GiveBack(small), Start(3, SlotShape(1, 1, "large"))]
    assert one.move() == []
    one.schedule.started(3, None)
    one.move()
    assert one.given[3][0].startswith("large")


def test_what_was_lost_waits_for_the_classes_that_are_there_by_then():
    one = Driven([model("a", n_groups=2), model("large", 30)], GPU, Capacity(1, 8))
    one.begin()
    one.capacity = cluster()
    one.begin()
    one.schedule.lost(1)
    del one.shapes[1]
    one.begin()
    one.given.pop(1)
    assert classes_of(one) == {"a.0": "small", "a.1": "small", "large.0": "large"}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_each_group_is_settled_once_on_a_class_that_holds_it(seed):
    chance = random.Random(seed)
    sizes = {f"m{n}": chance.choice([1, 5, 30]) for n in range(9)}
    models = [model(name, gib, chance.randint(1, 5)) for name, gib in sizes.items()]
    seconds = {name: chance.choice([0.0, 10.0, 300.0, 5000.0]) for name in sizes}
    speeds = chance.choice([(1.0, 1.0), (1.0, 4.0), (3.0, 1.0)])
    one = driven(*models, there=cluster(2, 2, speeds=speeds), seconds=seconds)
    starting, running, settled = set(), {}, []
    for _ in range(3000):
        if one.schedule.is_over:
            break
        for move in one.move():
            if isinstance(move, Start):
                starting.add(move.slot)
            elif isinstance(move, HandOver):
                running[move.slot] = [group.evaluation.name for group in move.work.groups]
                if sizes[move.work.name] == 30:
                    assert one.shapes[move.slot].gpu_class == "large"
            else:
                starting.discard(move.slot)
        taken = [shape.gpu_class for shape in one.shapes.values()]
        assert max(taken.count("small"), taken.count("large")) <= 2
        one.clock.now += chance.choice([0, 1, 50])
        if starting and chance.random() < 0.5:
            slot = chance.choice(sorted(starting))
            starting.remove(slot)
            one.schedule.started(slot, None)
        elif running:
            slot = chance.choice(sorted(running))
            names = running[slot]
            index = len(one.schedule.work_of(slot).groups) - len(names)
            if chance.random() < 0.2:
                if chance.random() < 0.5:
                    one.schedule.reported(slot, Started(index))
                loss = one.schedule.lost(slot)
                settled += [loss.work.groups[i].evaluation.name for i in loss.given_up]
                del one.shapes[slot], running[slot]
                continue
            one.schedule.reported(slot, Started(index))
            one.schedule.reported(slot, Finished(index, **DONE))
            settled.append(names.pop(0))
            if not names:
                one.schedule.finished(slot)
                del running[slot]
    assert one.schedule.is_over
    assert sorted(settled) == sorted(g.evaluation.name for m in models for g in m.groups)
