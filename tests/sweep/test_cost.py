"""Times are image passes over measured speeds, else FLOPs over measured or assumed ones."""

from dataclasses import replace

import pytest
from torch import nn

from tests.planted_nets import opened
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.evaluations.gate import Gate
from zoo_eval.sweep.cost import ASSUMED, Speeds, describe_cost, describe_work
from zoo_eval.sweep.plan import ModelWork, Plan, TrialGroup
from zoo_eval.sweep.probe import Probed


def work(name, flops, *n_passes):
    model = opened(nn.Flatten())
    anatomy = replace(model.blueprint.anatomy, flops=flops)
    candidate = Candidate(replace(model.card, name=name), replace(model.blueprint, anatomy=anatomy))
    return ModelWork(candidate, tuple(TrialGroup(Gate(), (), (), n) for n in n_passes))


MEASURED = Speeds({"local/a": 4.0}, flops_per_s=1e6)


@pytest.mark.parametrize(
    ("one", "speeds", "seconds"),
    [
        (work("local/a", 10**6, 100, 20), MEASURED, 30.0),
        (work("local/b", 10**6, 100, 20), MEASURED, 120.0),
        (work("local/b", 10**9, 100, 20), Speeds(), 120e9 / ASSUMED.flops_per_s),
        (ModelWork(Candidate(), (TrialGroup(Gate(), (), (), 5),)), MEASURED, 0.0),
    ],
)
def test_an_orders_time(one, speeds, seconds):
    assert speeds.seconds(one) == pytest.approx(seconds)


def test_a_plan_names_its_cost_its_longest_model_and_what_that_rests_on():
    plan = Plan(work=[work("local/a", 10**6, 120), work("local/b", 10**6, 7200)])
    assert describe_cost(plan, MEASURED) == (
        "at most 7320 image passes, 7.3e+09 FLOPs: about 2 slot-hours at the 1e+06 FLOP/s measured "
        "in this store; the longest model, local/b, takes about 2h00m"
    )
    assert "at 1e+10 FLOP/s, assumed: nothing was measured yet" in describe_cost(plan, Speeds())
    on_two = replace(MEASURED, devices=("NVIDIA H200", "cpu"))
    assert "measured in this store on NVIDIA H200, cpu; the" in describe_cost(plan, on_two)
    assert describe_work(plan.work[1], MEASURED) == (
        "  local/b: 0 trials, at most 7200 image passes, 7.2e+09 FLOPs, about 2h00m"
    )
    assert describe_cost(Plan(), MEASURED) == "nothing to run"


def test_a_plan_names_the_most_memory():
    few, many = (TrialGroup(Gate(), (), (), 5, peak_bytes=n * 2**30) for n in (1, 3))
    plan = Plan(work=[ModelWork(Candidate(), (few,)), ModelWork(Candidate(), (many, few))])
    for said in (describe_cost(plan, MEASURED), describe_work(plan.work[1], MEASURED)):
        assert said.endswith("; at most 3.0 GiB of memory besides the network")
    assert "1.0 GiB" in describe_work(plan.work[0], MEASURED)


def test_a_machine_is_probed_where_the_plan_needs_it_alone(monkeypatch):
    def probe():
        return Probed(1e9, "probed by hand")

    one = work("local/a", 10**6, 100)
    found = Speeds.of(Plan(work=[one]), None, probe)
    assert found.seconds(one) == pytest.approx(0.1)
    assert found.rests_on == "at 1e+09 FLOP/s, probed by hand"
    for needless in (Plan(), Plan(work=[ModelWork(Candidate(), (TrialGroup(Gate(), (), (), 5),))])):
        assert Speeds.of(needless, None, lambda: pytest.fail("probed")) == Speeds()
    monkeypatch.setattr(Speeds, "measured", classmethod(lambda cls, store: MEASURED))
    for measured in (one, work("local/b", 10**6, 100)):
        plan = Plan(work=[measured])
        assert Speeds.of(plan, None, lambda: pytest.fail("probed")) is MEASURED
