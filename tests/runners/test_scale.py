"""The simulated cluster's bookkeeping by hand, its bounds, and how near the schedule comes to them."""

import itertools
import random
from dataclasses import replace

import pytest

from benchmarks.scale import mixed, one_class
from benchmarks.scale_cluster import NODE_S, Cluster, Times
from benchmarks.scale_zoo import EVALUATIONS, PASSES, Zoo, _fractional, zoo
from zoo_eval.runners.expected import Expected
from zoo_eval.runners.slots import GpuClass
from zoo_eval.sources import registry

INSTANT = Times(0.0, 0.0, 1e30, 1e30, 0.0)
LARGE, BOTH = (None, 1.0), (1.0, 1.0)


@pytest.fixture(scope="module")
def few():
    return zoo(0, every=230)


def taking(few, *seconds):
    """As many models, which take so long and are planned so."""
    some = few.everything[: len(seconds)]
    planned = {one.name: float(s) for one, s in zip(some, seconds, strict=True)}
    return Zoo(some, Expected(planned), dict.fromkeys(planned, 1.0))


def two_gpus(n=2):
    return (GpuClass("one", n, None, 1.0),)


def test_the_zoo_is_every_listed_model_times_eight_evaluations():
    everything = zoo(1)
    assert len(everything.everything) == len(registry.listed_cards(["*"])) > 2000
    assert {len(one.groups) for one in everything.everything} == {8}
    draws = sorted(everything.factors.values())
    # Median 1, and two thirds within a factor of e ** 0.3.
    assert draws[len(draws) // 2] == pytest.approx(1, abs=0.03)
    within = sum(1 / 1.34986 < draw < 1.34986 for draw in draws) / len(draws)
    assert within == pytest.approx(0.683, abs=0.03)


def test_makespan_and_shares_are_those_worked_out_by_hand(few):
    # 5 to start, 2 to open each; slot 1: 60; slot 2: 40, then at 47 another opening and 30.
    times = replace(INSTANT, start_s=5.0, open_s=2.0)
    cluster = Cluster(taking(few, 60, 40, 30), two_gpus(), times)
    outcome = cluster.run()
    assert outcome.makespan_s == pytest.approx(5 + 2 + 40 + 2 + 30)
    # From 5 until nothing waits, at 47: each slot opened for 2 and computed for 40.
    assert outcome.computing == pytest.approx(80 / 84)
    assert outcome.occupied == pytest.approx(1)
    assert (outcome.n_openings, outcome.groups_done, outcome.given_up) == (3, 24, 0)


def test_commits_and_weights_that_nobody_fetched_ahead_take_their_time(few):
    models = taking(few, 60, 40)
    size = 4 * models.everything[0].candidate.blueprint.anatomy.n_params
    other = 4 * models.everything[1].candidate.blueprint.anatomy.n_params
    # The second model's take 30 s, while the first one runs.
    times = replace(INSTANT, commit_s=1.0, fetch_bytes_per_s=other / 30)
    outcome = Cluster(models, two_gpus(1), times).run()
    assert outcome.makespan_s == pytest.approx(30 * size / other + 60 + 8 + 40 + 8)


def test_a_lost_node_costs_the_group_it_was_at_and_comes_back(few, monkeypatch):
    times = replace(INSTANT, start_s=5.0, open_s=2.0)
    cluster = Cluster(taking(few, 60), two_gpus(1), times)
    gate = 60 * EVALUATIONS[0].n_passes / PASSES
    monkeypatch.setattr(
        cluster, "_say_losses", lambda lost: cluster._later(7 + gate + 1, cluster._lose_one)
    )
    outcome = cluster.run()
    assert outcome.makespan_s == pytest.approx(7 + gate + 1 + NODE_S + 7 + 60 - gate)
    assert (outcome.n_lost, outcome.groups_done) == (1, 8)


def test_of_a_lost_attack_the_finished_parts_are_kept(few, monkeypatch):
    cluster = Cluster(taking(few, 320), two_gpus(1), INSTANT)
    attack = 320 * EVALUATIONS[-1].n_passes / PASSES
    assert EVALUATIONS[-1].n_kept == 32
    # In the middle of its 11th part.
    moment = 320 - attack + attack * 10.5 / 32
    monkeypatch.setattr(
        cluster, "_say_losses", lambda lost: cluster._later(moment, cluster._lose_one)
    )
    assert cluster.run().makespan_s == pytest.approx(320 + attack * 0.5 / 32 + NODE_S)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ({BOTH: 90}, 30),
        # 60 at speed 2 and 30 at 1.
        ({LARGE: 60, BOTH: 30}, 30),
        ({LARGE: 90, BOTH: 30}, 45),
        ({LARGE: 30, BOTH: 60}, 30),
    ],
)
def test_the_linear_program_divides_work_among_classes_that_hold_it(work, expected):
    classes = (GpuClass("small", 1, None, 1.0), GpuClass("large", 1, None, 2.0))
    assert _fractional(work, classes) == pytest.approx(expected)


def test_the_bound_of_one_class_is_an_even_share_or_the_longest_group(few):
    part = max(one.n_passes for one in EVALUATIONS) / PASSES
    assert taking(few, 60, 40, 30).bound(two_gpus()) == pytest.approx(65)
    assert taking(few, 600, 40, 30).bound(two_gpus(9)) == pytest.approx(600 * part)


@pytest.mark.parametrize("seed", range(15))
def test_tiny_cases_come_as_near_to_the_best_of_all_plans_as_longest_first_is_proven_to(few, seed):
    chance = random.Random(seed)
    n_gpus = chance.choice([2, 3])
    seconds = [chance.randint(1, 20) for _ in range(chance.randint(n_gpus, 7))]
    makespan = Cluster(taking(few, *seconds), two_gpus(n_gpus), INSTANT).run().makespan_s
    best = min(
        max(
            sum(s for s, gpu in zip(seconds, plan, strict=True) if gpu == one)
            for one in range(n_gpus)
        )
        for plan in itertools.product(range(n_gpus), repeat=len(seconds))
    )
    assert best - 1e-6 <= makespan <= best * (4 / 3 - 1 / (3 * n_gpus)) + 1e-6


@pytest.mark.parametrize("classes", [one_class, mixed])
@pytest.mark.parametrize("lost", [0.0, 0.25])
def test_a_short_simulation_ends_near_its_bound_with_everything_done_once(classes, lost):
    models = zoo(2, every=12)
    there = classes(8)
    times = replace(INSTANT, start_s=10.0, open_s=2.0, commit_s=0.05, open_bytes_per_s=1e9)
    outcome = Cluster(models, there, times, seed=3).run(lost)
    assert outcome.groups_done == 8 * len(models.everything)
    assert outcome.given_up == 0
    assert 1 <= outcome.makespan_s / models.bound(there) < 1.1
    assert outcome.computing > 0.95
