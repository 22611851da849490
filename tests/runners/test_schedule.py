"""Who gets what next, shares of a GPU, deadlines, and who is charged with a lost process; no Ray."""

import random
import re
from dataclasses import replace

import pytest

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.models.blueprint import blueprint
from zoo_eval.runners.execution import Finished, Started
from zoo_eval.runners.expected import CONTEXT_BYTES, HEADROOM, NOTHING_MEASURED, Expected
from zoo_eval.runners.moves import GiveBack, HandOver, Start
from zoo_eval.runners.queue import MAX_DEATHS, MAX_INNOCENT_DEATHS, Queue, Queued
from zoo_eval.runners.schedule import (
    HANG_FLOOR_S,
    HANG_S_PER_PASS,
    START_TIMEOUT_S,
    Schedule,
)
from zoo_eval.runners.slots import Capacity, Slots, SlotShape
from zoo_eval.sweep.faults import GPU_MEMORY, NODE, PROCESS

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
        Queued(some, 1, seconds=5),
        Queued(some, 2, seconds=2),
        Queued(some, 3, seconds=2),
        Queued(some, 0, seconds=9, room=(0.25,)),
    ]
    queue, found = Queue(wanted[::-1]), []
    while queue:
        found.append(queue.first(0))
        queue.take(found[-1])
    assert found == wanted


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


CPU, GPU = SlotShape(0, 1), SlotShape(1, 1)
TWO_CPUS, TWO_GPUS = Capacity(0, 2), Capacity(2, 8)
DONE = {"n_ok": 1, "n_failed": 0, "n_refused": 0, "n_passes": 0, "planned_passes": 0}


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Driven:
    """A schedule whose moves are followed: which slots there are, and what each was given."""

    def __init__(self, everything, slots=None, capacity=TWO_CPUS, expected=NOTHING_MEASURED):
        self.clock, self.capacity = Clock(), capacity
        self.schedule = Schedule(everything, slots or Slots(CPU), expected, self.clock)
        self.shapes, self.given, self.upcoming, self.given_back = {}, {}, {}, []

    def move(self, **options):
        moves = self.schedule.moves(self.capacity, **options)
        for move in moves:
            if isinstance(move, Start):
                assert move.slot not in self.shapes
                self.shapes[move.slot] = move.shape
            elif isinstance(move, HandOver):
                self.given[move.slot] = names(move.work)
                self.upcoming[move.slot] = names(move.upcoming)
            else:
                del self.shapes[move.slot]
                self.given_back.append(move.slot)
        return moves

    def begin(self, gpu_bytes=None):
        """Starts what there is room for, and hands work over."""
        moves = self.move()
        for move in moves:
            if isinstance(move, Start):
                self.schedule.started(move.slot, gpu_bytes)
        return [*moves, *self.move()]

    def start_group(self, slot, index):
        self.schedule.reported(slot, Started(index))

    def finish_group(self, slot, index):
        self.schedule.reported(slot, Finished(index, **DONE))


def names(work):
    return None if work is None else [group.evaluation.name for group in work.groups]


def longest_first(*seconds):
    """Work of one group each, called a, b, ..., that takes so long."""
    cards = [ModelCard(chr(97 + n), "local", "timm/test_vit") for n in range(len(seconds))]
    everything = [
        work(Planted(card.name, "works", "unused"), candidate=Candidate(card)) for card in cards
    ]
    return everything, Expected({card.name: s for card, s in zip(cards, seconds, strict=True)})


def test_as_many_slots_start_as_there_is_room_for_and_no_more_than_work():
    assert Driven([planted(n) for n in "abc"]).move() == [Start(1, CPU), Start(2, CPU)]
    assert Driven([planted("a")]).move() == [Start(1, CPU)]
    assert Driven([planted(n) for n in "abc"], Slots(CPU, at_most=1)).move() == [Start(1, CPU)]
    on_gpus = Driven([planted(n) for n in "abc"], Slots(GPU), TWO_GPUS)
    assert on_gpus.move() == [Start(1, GPU), Start(2, GPU)]
    # What is starting is not asked for again.
    assert on_gpus.move() == []


@pytest.mark.parametrize("shape", [CPU, GPU])
def test_a_cluster_that_has_nothing_yet_is_asked_for_one_slot(shape):
    assert Driven([planted("a"), planted("b")], Slots(shape), Capacity(0, 0)).move() == [
        Start(1, shape)
    ]


def test_the_longest_work_goes_first_and_weights_are_fetched_as_far_ahead_as_there_are_slots():
    everything, expected = longest_first(1, 4, 3, 5, 2)
    driven = Driven(everything, expected=expected)
    driven.begin()
    assert driven.given == {1: ["d"], 2: ["b"]}
    # Work of the other slot may end first, and takes what is next: c, or e for the later of the two.
    assert driven.upcoming == {1: ["c"], 2: ["e"]}
    driven.schedule.finished(2)
    driven.move()
    assert driven.given[2] == ["c"]
    assert driven.upcoming[2] == ["a"]


def test_a_slot_goes_on_with_the_next_work_and_goes_when_there_is_none():
    driven = Driven([planted("a"), planted("b")], Slots(CPU, at_most=1))
    driven.begin()
    driven.schedule.finished(1)
    assert not driven.schedule.is_over
    assert driven.move() == [HandOver(1, driven.schedule.work_of(1), None)]
    assert not driven.schedule.is_over
    driven.schedule.finished(1)
    assert driven.schedule.is_over
    assert driven.move() == [GiveBack(1)]


def test_idle_and_starting_slots_are_given_back_once_all_work_is_handed_over():
    driven = Driven([planted("a"), planted("b")])
    driven.move()
    driven.schedule.started(2, None)
    driven.move()
    # The first one comes up late: the other has done everything by then.
    driven.schedule.finished(2)
    driven.move()
    assert driven.given == {2: ["b"]}
    assert driven.given_back == [1]


def test_nothing_is_handed_over_before_there_are_inputs_and_slots_start_meanwhile():
    driven = Driven([planted("a")])
    assert driven.move(inputs_ready=False) == [Start(1, CPU)]
    driven.schedule.started(1, None)
    driven.clock.now += 10 * HANG_FLOOR_S
    assert driven.move(inputs_ready=False) == []
    assert driven.schedule.hung() == []
    driven.move()
    assert driven.given == {1: ["a"]}
    assert driven.schedule.hung() == []


def test_shares_are_cut_when_a_gpu_is_known_and_slots_that_no_longer_fit_are_given_back():
    everything = [named("small"), named("large")]
    expected = Expected({}, {"small": largest_peak(0.25), "large": largest_peak(1.0)})
    driven = Driven(everything, Slots(GPU, shares=True), Capacity(1, 8), expected)
    # The first slot is a whole GPU: nothing is known of it.
    driven.begin(GPU_BYTES)
    assert driven.given == {1: ["large"]}
    driven.schedule.finished(1)
    driven.begin(GPU_BYTES)
    assert driven.given_back == [1]
    assert driven.shapes == {2: SlotShape(0.25, 1)}
    assert driven.given[2] == ["small"]


def test_shares_follow_the_smallest_gpu():
    expected = Expected({}, {"m": largest_peak(0.5)})
    for seen, share in (((GPU_BYTES,), 0.5), ((GPU_BYTES, GPU_BYTES // 2, GPU_BYTES), 1.0)):
        everything = [named(f"unknown {n}") for n in seen] + [named("m")]
        driven = Driven(everything, Slots(GPU, shares=True), Capacity(8, 8), expected)
        driven.move()
        for slot, gpu_bytes in enumerate(seen, start=1):
            driven.schedule.started(slot, gpu_bytes)
        driven.move(inputs_ready=False)
        rooms = {queued.work.name: queued.room for queued in driven.schedule._queue}
        assert rooms["m"] == (share,)
    whole = Driven([named("m")], Slots(GPU), TWO_GPUS, expected)
    whole.begin(GPU_BYTES)
    assert whole.shapes == {1: GPU}


def test_four_small_models_share_a_gpu():
    everything = [named(str(n)) for n in range(6)]
    expected = Expected({}, {str(n): largest_peak(0.25) for n in range(6)})
    driven = Driven(everything, Slots(GPU, shares=True), Capacity(1, 8), expected)
    driven.begin(GPU_BYTES)
    for slot in driven.shapes:
        driven.schedule.started(slot, GPU_BYTES)
    driven.move()
    assert driven.given_back == [1]
    assert list(driven.shapes.values()) == 4 * [SlotShape(0.25, 1)]
    assert len(driven.given) == 4


def passing(n_passes):
    """Work of two groups with so many image passes."""
    two = planted("a", "b")
    return replace(two, groups=tuple(replace(group, n_passes=n_passes) for group in two.groups))


def test_a_slot_hangs_when_its_group_takes_too_long_and_every_report_gives_it_more_time():
    driven = Driven([passing(100)], Slots(CPU, at_most=1))
    driven.begin()
    driven.clock.now += HANG_FLOOR_S
    assert driven.schedule.hung() == []
    driven.start_group(1, 0)
    driven.clock.now += HANG_FLOOR_S + 100 * HANG_S_PER_PASS
    assert driven.schedule.hung() == []
    driven.clock.now += 1
    assert driven.schedule.hung() == [1]
    driven.start_group(1, 1)
    assert driven.schedule.hung() == []


def lose(driven, *reports, fault=PROCESS):
    """Begins, reports, and loses the slot that has the work."""
    driven.begin()
    slot = max(driven.given)
    for started, index in reports:
        (driven.start_group if started else driven.finish_group)(slot, index)
    loss = driven.schedule.lost(slot, fault)
    driven.shapes.pop(slot)
    return loss


def test_a_death_is_charged_to_what_had_started_and_only_what_is_left_is_tried_again():
    driven = Driven([planted("a", "deadly", "c")], Slots(CPU, at_most=1))
    for n in range(1, MAX_DEATHS):
        loss = lose(
            driven, *([(True, 0), (False, 0)] if n == 1 else []), (True, 1 if n == 1 else 0)
        )
        assert loss.tried_again
        assert loss.given_up == {}
    loss = lose(driven, (True, 0))
    assert loss.given_up == {0: MAX_DEATHS}
    assert names(loss.work) == ["deadly", "c"]
    driven.begin()
    assert driven.given[max(driven.given)] == ["c"]


def test_a_death_while_a_model_is_opened_is_charged_to_all_of_its_groups():
    driven = Driven([planted("a", "b")], Slots(CPU, at_most=1))
    for _ in range(MAX_DEATHS - 1):
        assert lose(driven, (True, None)).tried_again
    loss = lose(driven, (True, None))
    assert loss.given_up == {0: MAX_DEATHS, 1: MAX_DEATHS}
    assert not loss.tried_again
    assert driven.schedule.is_over


def test_a_death_between_groups_is_nobodys():
    driven = Driven([planted("a", "b")], Slots(CPU, at_most=1))
    lose(driven, (True, 0), (False, 0))
    for _ in range(MAX_INNOCENT_DEATHS - 2):
        assert lose(driven).given_up == {}
    assert lose(driven).given_up == {0: MAX_INNOCENT_DEATHS}


def test_a_node_that_is_lost_is_nobodys_death_whatever_had_started():
    driven = Driven([planted("a")], Slots(CPU, at_most=1))
    for _ in range(MAX_DEATHS):
        loss = lose(driven, (True, 0), fault=NODE)
        assert loss.given_up == {}
        assert loss.tried_again


def start_all(driven, gpu_bytes):
    """Moves until nothing is left to do, with every slot that starts up at once."""
    while moves := driven.move():
        for move in moves:
            if isinstance(move, Start):
                driven.schedule.started(move.slot, gpu_bytes)


def test_what_is_too_much_for_a_share_of_a_gpu_gets_a_whole_one_and_keeps_it():
    cards = [ModelCard(name, "local", "timm/test_vit") for name in "ab"]
    everything = [
        work(Planted(card.name, "works", "unused"), candidate=Candidate(card)) for card in cards
    ]
    expected = Expected({}, dict.fromkeys("ab", largest_peak(0.25)))
    driven = Driven(everything, Slots(GPU, shares=True), TWO_GPUS, expected)
    start_all(driven, GPU_BYTES)
    slot = min(driven.given)
    assert driven.shapes[slot].num_gpus == 0.25
    driven.start_group(slot, 0)
    driven.schedule.lost(slot, GPU_MEMORY)
    driven.shapes.pop(slot)
    # A smaller GPU that comes up later does not take it back.
    n_given = len(driven.given)
    start_all(driven, GPU_BYTES // 2)
    assert len(driven.given) > n_given
    shares = {driven.given[slot][0]: driven.shapes[slot].num_gpus for slot in driven.shapes}
    assert shares["a"] == 1


def test_a_slot_whose_machine_goes_ends_its_group_and_hands_back_the_rest_uncharged():
    driven = Driven([planted("a", "b"), planted("c")], Slots(CPU))
    driven.begin()
    first, second = driven.given
    driven.start_group(first, 0)
    driven.schedule.leaving(first)
    assert driven.schedule.is_leaving(first)
    assert driven.move() == []
    driven.finish_group(first, 0)
    driven.schedule.handed_back(first)
    driven.shapes.pop(first)
    # One that is through is not given anything more, and one that is idle neither.
    driven.schedule.leaving(second)
    driven.finish_group(second, 0)
    driven.schedule.finished(second)
    driven.begin()
    assert driven.given_back == [second]
    third = max(driven.given)
    assert driven.given[third] == ["b"]
    for _ in range(MAX_DEATHS - 1):
        assert lose(driven, (True, 0)).tried_again


def test_nothing_waits_of_work_that_was_finished_when_it_was_handed_back():
    driven = Driven([planted("a")], Slots(CPU, at_most=1))
    driven.begin()
    (slot,) = driven.given
    driven.start_group(slot, 0)
    driven.schedule.leaving(slot)
    driven.finish_group(slot, 0)
    driven.schedule.handed_back(slot)
    assert driven.schedule.is_over


def fail_to_start(driven):
    (start,) = driven.move()
    del driven.shapes[start.slot]
    driven.schedule.start_failed(start.slot, "no torch")


def test_slots_that_cannot_start_end_the_sweep_unless_one_starts_between():
    driven = Driven([planted("a")], Slots(CPU, at_most=1))
    for _ in range(2):
        for _ in range(MAX_DEATHS - 1):
            fail_to_start(driven)
        lose(driven)
    for _ in range(MAX_DEATHS - 1):
        fail_to_start(driven)
    with pytest.raises(
        BadInput, match=r"3 slots in a row could not start \(no torch\); every node"
    ):
        fail_to_start(driven)


def test_a_slot_that_never_comes_up_ends_the_sweep_only_where_nobody_works():
    alone = Driven([planted("a")], Slots(GPU), Capacity(0, 4))
    alone.move()
    alone.clock.now += START_TIMEOUT_S
    assert alone.move() == []
    alone.clock.now += 1
    said = (
        "no slot started within 600 s: one needs 1 GPUs and 1 CPUs, the cluster has 0 and 4; change"
    )
    with pytest.raises(BadInput, match=re.escape(said)):
        alone.move()
    two = Driven([planted(n) for n in "abc"])
    two.move()
    two.schedule.started(1, None)
    two.move()
    two.clock.now += START_TIMEOUT_S + 1
    assert two.move() == [GiveBack(2), Start(3, CPU)]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_group_is_done_or_given_up_once_within_the_clusters_room(seed):
    chance = random.Random(seed)
    everything = [planted(*(f"{n}.{i}" for i in range(chance.randint(1, 4)))) for n in range(6)]
    driven = Driven(everything, capacity=Capacity(0, 3))
    settled = []
    running = {}
    while not driven.schedule.is_over:
        for move in driven.begin():
            if isinstance(move, HandOver):
                running[move.slot] = (move.work, 0)
        assert len(driven.shapes) <= 3
        for slot, (one, index) in list(running.items()):
            if chance.random() < 0.4:
                if chance.random() < 0.7:
                    driven.start_group(slot, index)
                loss = driven.schedule.lost(slot)
                del driven.shapes[slot], running[slot]
                settled += [loss.work.groups[i].evaluation.name for i in loss.given_up]
            else:
                driven.start_group(slot, index)
                driven.finish_group(slot, index)
                settled.append(one.groups[index].evaluation.name)
                running[slot] = (one, index + 1)
                if chance.random() < 0.2:
                    driven.schedule.handed_back(slot)
                    del driven.shapes[slot], running[slot]
                elif index + 1 == len(one.groups):
                    driven.schedule.finished(slot)
                    del running[slot]
    assert sorted(settled) == sorted(name for one in everything for name in names(one))
