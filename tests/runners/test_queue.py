"""Work that waits: what a class of GPU takes next, and how long work is split; no slots."""

import random
from dataclasses import replace

import pytest

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.runners.queue import Queue, Queued


def queued(number, seconds, room=(1.0,), n_groups=1):
    groups = work(*(Planted(f"{number}.{i}", "works", "unused") for i in range(n_groups)))
    return Queued(groups, number, seconds, room)


def names(one):
    return [group.evaluation.name for group in one.work.groups]


# Of two classes, small and large: what only the large one holds, and what both do.
LARGE, BOTH = (None, 1.0), (1.0, 1.0)


def test_a_class_takes_what_it_alone_holds_first_and_a_small_one_nothing_that_it_does_not_hold():
    short, long, large = queued(0, 1, BOTH), queued(1, 9, BOTH), queued(2, 3, LARGE)
    queue = Queue([short, long, large])
    assert queue.first(0) is long
    assert queue.first(1) is large
    queue.take(large)
    assert queue.first(1) is long
    queue.take(long)
    queue.take(short)
    assert queue.first(0) is queue.first(1) is None
    assert (len(queue), queue.seconds) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_every_answer_is_that_of_a_plain_list_sorted_anew(seed):
    chance = random.Random(seed)
    rooms = [LARGE, BOTH, (0.5, 0.25), (1.0, 0.5)]
    plain, queue = [], Queue(least=1.0)
    for number in range(200):
        if plain and chance.random() < 0.4:
            gone = chance.choice(plain)
            plain.remove(gone)
            queue.take(gone)
        else:
            new = queued(number, chance.choice([0, 1, 2.5, 7]), chance.choice(rooms), 3)
            plain.append(new)
            queue.add(new)
        for kind in (0, 1):
            fit = [one for one in plain if one.room[kind] is not None]
            fit.sort(key=lambda one: (-one.room[kind], -one.room.count(None)))
            # Rooms of the same rank come in any order, each of them whole.
            first = queue.first(kind)
            assert (first is None) == (not fit)
            if fit:
                rank = (-fit[0].room[kind], fit[0].room.count(None))
                assert (-first.room[kind], first.room.count(None)) == rank
                same = [one for one in fit if one.room == first.room]
                assert first is min(same, key=lambda one: (-one.seconds, one.number))
                assert queue.ahead(kind, 1) is first
                assert queue.ahead(kind, 10**6) in fit
            parts = sum(3 if one.seconds >= 3 else 2 if one.seconds >= 2 else 1 for one in plain)
            assert queue.n_all_parts == parts
        assert len(queue) == len(plain)
        assert queue.seconds == pytest.approx(sum(one.seconds for one in plain))


def test_what_comes_n_th_goes_on_in_the_next_room():
    some = [queued(n, 10 - n, LARGE if n < 2 else BOTH) for n in range(5)]
    queue = Queue(some)
    assert [queue.ahead(1, n) for n in (1, 2, 3, 5, 6)] == [*some[:3], some[4], some[4]]


def test_the_longest_in_time_takes_no_more_than_was_asked_for():
    queue = Queue([queued(n, n) for n in (1, 4, 6)])
    found = [queue.longest(0, seconds, 1.0) for seconds in (0.5, 4, 5.9, 99)]
    assert [one and one.number for one in found] == [None, 4, 4, 6]
    assert queue.longest(0, 99, 0.5) is None


def four(seconds=(8, 1, 1, 2)):
    """Groups a, b, ... of so many seconds each."""
    one = work(*(Planted(chr(97 + n), "works", "unused") for n in range(len(seconds))))
    groups = tuple(replace(g, n_passes=10 * s) for g, s in zip(one.groups, seconds, strict=True))
    return Queued(replace(one, groups=groups), 0, float(sum(seconds)), deaths={0: 1, 3: 2})


def test_long_work_is_split_longest_group_first_and_deaths_stay_with_their_groups():
    piece, rest = four().split(most=3, least=0)
    assert (names(piece), piece.seconds, piece.deaths) == (["a"], 8, {0: 1})
    assert (names(rest), rest.seconds, rest.deaths) == (["b", "c", "d"], 4, {2: 2})
    piece, rest = rest.split(most=3, least=0)
    assert (names(piece), piece.seconds, piece.deaths) == (["b", "d"], 3, {1: 2})
    assert (names(rest), rest.seconds) == (["c"], 1)


def test_no_piece_is_shorter_than_what_a_second_opening_is_worth():
    assert four().split(most=12, least=0) == (four(), None)
    # What is left would be too short.
    assert four().split(most=3, least=5) == (four(), None)
    piece, rest = four((8, 3, 3, 2)).split(most=3, least=5)
    assert (names(piece), names(rest)) == (["a"], ["b", "c", "d"])
    # One group cannot be split, and nothing is known of work without a time.
    assert queued(0, 9).split(most=1, least=0)[1] is None
    assert queued(0, 0, n_groups=3).split(most=0, least=200)[1] is None


def test_nothing_is_taken_that_is_longer_than_what_ends_in_time():
    piece, rest = four().split(most=3, least=0, longest=4)
    assert (names(piece), names(rest)) == (["b", "d"], ["a", "c"])
    assert four((8, 8)).split(most=3, least=0, longest=4)[0] is None


def test_groups_without_passes_are_taken_to_be_alike():
    assert queued(0, 9, n_groups=3).group_seconds == (3, 3, 3)
    assert queued(0, 9, n_groups=3).n_parts(least=4) == 2
    assert queued(0, 9, n_groups=3).n_parts(least=0) == 1
