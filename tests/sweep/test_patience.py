"""What may pass is waited for while a sweep is planned; what does not is of its class, and asked again."""

import pickle
from dataclasses import replace

import pytest

from zoo_eval.commands import sweep as command
from zoo_eval.errors import BadInput, Refusal, Unreachable
from zoo_eval.models.blueprint import blueprint
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.sweep import cards, load, patience, plan
from zoo_eval.sweep.faults import DISK, HOST_MEMORY, NETWORK, Passing, fault_of, refused
from zoo_eval.sweep.patience import Patience

AWAY = Unreachable("the hub does not answer")


class Flaky:
    """Raises so often, then answers."""

    def __init__(self, n, error=AWAY):
        self.left, self.n_asked, self.error = n, 0, error

    def __call__(self, *args, **kwargs):
        self.n_asked += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "answer"


@pytest.fixture
def slept(monkeypatch):
    """The waits, none of which is waited."""
    waits = []
    monkeypatch.setattr(patience, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    "error", [AWAY, ConnectionResetError("reset"), OSError(28, "no space"), MemoryError()]
)
def test_what_passes_costs_only_the_waits_and_each_is_said(slept, error):
    said, ask = [], Flaky(2, error)
    assert Patience((5.0, 20.0, 60.0), said.append).waited("m", ask) == "answer"
    assert slept == [5.0, 20.0]
    assert [line.rpartition("; ")[2] for line in said] == [
        "trying again in 5 s", "trying again in 20 s",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [Refusal("no such layer"), ValueError("wrong"), BadInput("no")])
def test_what_does_not_pass_is_asked_once(slept, error):
    ask = Flaky(9, error)
    with pytest.raises(type(error)):
        Patience((5.0,)).waited("m", ask)
    assert ask.n_asked == 1
    assert slept == []


def test_what_was_waited_for_in_vain_is_waited_for_once_by_all(slept):
    one = Patience((5.0, 20.0))
    asks = [Flaky(99) for _ in range(3)]
    for ask in asks:
        with pytest.raises(Refusal):
            one.waited("m", ask)
    assert [ask.n_asked for ask in asks] == [3, 1, 1]
    with pytest.raises(Passing, match="was not asked for: the hub does not answer"):
        one.asked("m", asks[0])
    assert asks[0].n_asked == 3
    # Until something goes well.
    assert one.waited("m", Flaky(0)) == "answer"
    assert one.asked("m", Flaky(1)) == "answer"


def test_one_that_fails_while_others_do_not_leaves_them_their_patience(slept):
    one = Patience((5.0,))

    def answered():
        one.waited("other", Flaky(0))
        raise AWAY

    with pytest.raises(Unreachable):
        one.waited("m", answered)
    assert one.in_vain is None


def test_a_refusal_for_what_may_pass_keeps_its_class_on_its_way(slept):
    for error, fault in (
        (AWAY, NETWORK),
        (OSError(28, "full"), DISK),
        (MemoryError(), HOST_MEMORY),
    ):
        one = refused(error, "m")
        assert fault_of(pickle.loads(pickle.dumps(one))) == fault
    assert type(refused(ValueError("wrong"), "m")) is Refusal


def places(monkeypatch, error, n):
    """Every place in which a plan asks for what may be away, failing so often: by name."""
    from zoo_eval.evaluations.accuracy import Accuracy
    from zoo_eval.stimuli.folder import FolderSection

    failing = {}

    def plant(name, where, attribute):
        real, left = getattr(where, attribute), [n]

        def fails(*args, **kwargs):
            if left[0]:
                left[0] -= 1
                raise error
            return real(*args, **kwargs)

        failing[name] = lambda: monkeypatch.setattr(where, attribute, fails)

    plant("weights", plan, "weights_digest")
    plant("shape", plan, "blueprint")
    plant("trials", Accuracy, "trials")
    plant("passes", Accuracy, "n_passes")
    plant("stimuli", FolderSection, "read")
    return failing


PLACES = ("weights", "shape", "trials", "passes", "stimuli")


@pytest.fixture
def small(tiny_sweep, monkeypatch):
    """The tiny sweep's accuracy alone, of one model, which a host is asked for."""
    text = tiny_sweep.read_text()
    start, stop = text.index("[stimuli.own_labels]"), text.index("[[evaluations]]")
    text = text[:start] + text[stop : text.index("[[evaluations]]", stop + 1)]
    vit = text.index('[[models.local]]\nname = "vit"')
    tiny_sweep.write_text(text[:vit] + text[text.index("[stimuli.photos]") :])
    monkeypatch.setattr(plan, "is_hosted", lambda card: True)
    return tiny_sweep


def run(file):
    said = []
    code = command.run(command.SweepOptions(file, file.parent, runner="local"), said.append)
    return code, said


@pytest.mark.parametrize("name", PLACES)
def test_what_is_away_while_it_is_planned_and_comes_back_costs_no_row(
    small, monkeypatch, slept, name
):
    places(monkeypatch, AWAY, 2)[name]()
    code, said = run(small)
    assert code == 0, said
    assert slept == [5.0, 20.0]
    assert any("trying again in 20 s" in line for line in said)


@pytest.mark.parametrize("name", PLACES)
def test_what_stays_away_is_a_row_of_its_class_that_the_next_sweep_does_not_take_for_done(
    small, monkeypatch, slept, name
):
    with monkeypatch.context() as away:
        places(away, AWAY, 99)[name]()
        if name == "stimuli":
            # Nothing else can be read either: the sweep is not begun.
            with pytest.raises(BadInput, match="does not answer"):
                run(small)
            return
        code, said = run(small)
    assert code == 1
    assert any("this may pass" in line for line in said)
    (uri,) = {line.rpartition("store ")[2] for line in said if "trials run" in line}
    found = connect(Store(uri)).rows(
        "SELECT status, failure_class FROM trials WHERE status <> 'ok'"
    )
    assert {(row["status"], row["failure_class"]) for row in found} == {("refused", "network")}
    code, said = run(small)
    assert code == 0, said
    assert connect(Store(uri)).rows("SELECT * FROM failures") == []


def test_a_card_that_cannot_be_had_now_is_refused_for_that():
    card = cards.LocalModelSection(name="m", architecture="timm/test_vit").card()
    away = replace(card, unavailable="the hub is away", is_away=True)
    with pytest.raises(Unreachable, match="the hub is away"):
        blueprint(away)


@pytest.mark.parametrize("error", [AWAY, ValueError("wrong")])
def test_what_an_own_model_lacks_for_a_moment_makes_it_unavailable_for_a_moment(monkeypatch, error):
    monkeypatch.setattr(cards.registry, "source_of", Flaky(9, error))
    card = cards.LocalModelSection(name="m", architecture="timm/test_vit").card()
    assert card.unavailable is not None
    assert card.is_away is (error is AWAY)


def test_what_all_models_see_is_compared_whole_or_not_at_all(slept, monkeypatch):
    monkeypatch.setattr(load, "transform_of", Flaky(99))
    reader = load._Reader.__new__(load._Reader)
    reader.roster = cards.Roster(
        (cards.LocalModelSection(name="m", architecture="timm/x").card(),), ()
    )
    reader.patience = Patience(patience.WAITS_S)
    with pytest.raises(BadInput, match="run the same command again"):
        reader._compared()
