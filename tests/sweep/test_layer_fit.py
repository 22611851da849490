"""Layers by pattern of models: the first that fits, and what fits nothing is said before the run."""

import numpy as np
import pytest

import zoo_eval
from tests.notebook.own_net import TRANSFORM, own_net
from tests.sweeps import loaded
from zoo_eval import cli
from zoo_eval.errors import BadInput
from zoo_eval.store import Store
from zoo_eval.sweep.plan import Settled, plan

SWEEP = """
[store]
uri = "store"
[models]
include = ["local/*"]
[[models.local]]
name = "cnn"
architecture = "timm/test_efficientnet"
weights = "untrained"
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_00*.jpg", "imagenet_01*.jpg"]
[[evaluations]]
kind = "{kind}"
stimuli = "photos"
layers = {layers}
"""
CNN, VIT = "local/cnn", "local/vit"


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Writes the sweep with some layers."""
    monkeypatch.chdir(tmp_path)

    def write(layers, kind="layers"):
        file = tmp_path / "sweep.toml"
        kind = "features" if kind == "layers" else kind
        file.write_text(SWEEP.format(layers=layers, kind=kind))
        return file

    return write


def planned(file):
    sweep, models, inputs = loaded(file)
    store = Store(sweep.store.uri.address, create=True)
    return plan(sweep, models.cards, inputs, Settled(store.ledger()))


def layers(found):
    """Layers by model of what is pending."""
    return {
        work.name: [t.layer for group in work.groups for t in group.trials if t.layer]
        for work in found.work
    }


def test_the_first_pattern_in_file_order_decides(sweep):
    found = layers(planned(sweep('{ "local/v*" = ["norm"], "*" = "stages" }')))
    assert found[VIT] == ["norm"]
    assert found[CNN] == list(layers(planned(sweep('"stages"')))[CNN])
    other = layers(
        planned(sweep('{ "local/v*" = "logits", "local/vit" = "norm", "*" = "pooled" }'))
    )
    assert other == {VIT: ["logits"], CNN: ["pooled"]}


def test_a_pattern_that_one_model_lacks_is_no_refusal_where_another_fits(sweep):
    found = planned(sweep('["conv_stem", "patch_embed", "pooled"]'))
    assert not found.refused
    assert found.misfit is None
    assert layers(found) == {CNN: ["conv_stem", "pooled"], VIT: ["patch_embed", "pooled"]}


def test_a_model_that_lacks_all_of_them_is_refused_and_the_rest_is_planned(sweep):
    found = planned(sweep('["conv_stem"]'))
    assert found.misfit is None
    assert [(one.trial.model, one.reason.partition(";")[0]) for one in found.refused] == [
        (VIT, "layer 'conv_stem' is not in the model")
    ]
    assert layers(found)[CNN] == ["conv_stem"]


def test_a_model_that_no_pattern_of_models_fits_is_refused_with_the_next_step(sweep):
    (refused,) = planned(sweep('{ "local/c*" = "blocks" }')).refused
    assert refused.trial.model == VIT
    assert refused.reason == (
        '`layers` has no pattern that fits local/vit; add "*" = "blocks" to it, or leave the model out'
    )


WRONG = {
    "no such layer": ('"conv_stm"', "layer 'conv_stm' is in no model of the sweep; nearest: conv_stem"),
    "beside one that fits": ('["pooled", "blokcs.1"]', "'blokcs.1' is in no model .* nearest: blocks.1"),
    "one of another model": ('{ "local/v*" = "conv_stem", "*" = "blocks" }', "'conv_stem' is in no model"),
    "unknown tokens": ('["pooled", "blocks:last"]', "'blocks:last' fits no model .* write :cls or :mean"),
    "no such model": ('{ "local/vti" = "blocks", "*" = "blocks" }', "'local/vti' decides for no model .* nearest: local/vit"),
    "never reached": ('{ "*" = "blocks", "local/vit" = "norm" }', "'local/vit' decides for no model"),
    "thinned stages": ('"stages/2"', 'only blocks are thinned; write "blocks/2"'),
    "thinned to all": ('"blocks/1"', 'only blocks are thinned; write "blocks/2"'),
    "no layers": ("[]", 'it names no layers; write "blocks"'),
    "no models": ("{}", 'it names no layers; write "blocks"'),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "said"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("command", [["plan"], ["sweep", "--runner", "local"]], ids=lambda c: c[0])
def test_what_fits_nothing_is_one_line_and_nothing_is_run(sweep, capsys, layers, said, command):
    name, *options = command
    assert cli.main([name, str(sweep(layers)), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    with pytest.raises(BadInput, match=said):
        raise BadInput(line)


def test_of_some_of_a_sweeps_models_a_pattern_may_fit_none(sweep, capsys):
    file = str(sweep('{ "local/v*" = "norm", "*" = "blocks" }'))
    assert cli.main(["plan", file, "--models", CNN]) == 0
    assert "refused" not in capsys.readouterr().err


def test_python_takes_the_same_and_rows_say_by_which_choice(tmp_path):
    draws = np.random.default_rng(0)

    def run(layers):
        return zoo_eval.run(
            models=[zoo_eval.model(own_net(), TRANSFORM, name="mine")],
            stimuli={"shown": zoo_eval.images(draws.integers(256, size=(12, 32, 32, 3), dtype=np.uint8))},
            recordings={"it": zoo_eval.responses(draws.normal(size=(12, 2, 3)))},
            evaluations=[zoo_eval.NeuralFit(recording="it", readouts=["cka"], layers=layers, n_folds=2)],
            store=tmp_path / "store",
            progress=False,
        )  # fmt: skip

    with pytest.raises(
        BadInput, match=r"layer 'frist' is in no model of the sweep; nearest: first"
    ):
        run({"local/m*": "frist"})
    found = run({"local/m*": ["first", "pooled"], "*": "blocks"}).sql(
        "SELECT layer, chosen_by FROM layers ORDER BY layer_index"
    )
    assert found.arrow().to_pylist() == [
        {"layer": "first", "chosen_by": "first, pooled"},
        {"layer": "pooled", "chosen_by": "first, pooled"},
    ]
