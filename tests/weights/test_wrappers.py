"""Of several weights in one file, averages are taken, and named; what nobody can tell is refused."""

import pytest
import torch

from zoo_eval.errors import Refusal
from zoo_eval.weights import wrappers

RAW = {"a": torch.zeros(2), "b": torch.zeros(3)}
MEAN = {"a": torch.ones(2), "b": torch.ones(3)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}


def key_of(content, weights_key=None):
    return wrappers.chosen(content, weights_key).key


@pytest.mark.parametrize("raw", wrappers.RAW)
@pytest.mark.parametrize("averaged", [*wrappers.AVERAGED, "backbone_ema"])
def test_averages_are_taken_and_told(raw, averaged):
    content = {raw: RAW, averaged: MEAN, "optimizer": OPTIMIZER, "epoch": 3}
    found = wrappers.chosen(content, None)
    assert found.state["a"].tolist() == [1, 1]
    assert (found.key, found.plain, found.told) == (averaged, raw, averaged)
    found = wrappers.chosen(content, raw)
    assert found.state["a"].tolist() == [0, 0]
    assert (found.key, found.plain) == (raw, raw)


def test_averages_in_several_places_are_taken_as_timm_does(tmp_path):
    from timm.models import load_state_dict

    content = {"model": RAW, "state_dict": RAW, "model_ema": RAW, "state_dict_ema": MEAN}
    torch.save(content, tmp_path / "w.pth")
    theirs = load_state_dict(str(tmp_path / "w.pth"))
    assert key_of(content) == "state_dict_ema"
    assert torch.equal(theirs["a"], wrappers.chosen(content, None).state["a"])
    del content["state_dict_ema"]
    assert key_of(content) == "model_ema"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({**RAW, "epoch": 3}, ""),
        ({"encoder": RAW, "optimizer": OPTIMIZER, "epoch": 3}, "encoder"),
        ({"model": RAW, "teacher": MEAN}, "model"),
        ({"state_dict": {"model": RAW, "model_ema": MEAN}}, "state_dict.model_ema"),
        ({"model": {"net": RAW}}, "model.net"),
        ({"model": RAW, "model_ema": None, "ema": True, "ema_decay": 0.99}, "model"),
        ({**RAW, "quantiser.ema.count": torch.ones(3)}, ""),
    ],
)  # fmt: skip
def test_wrappers_are_opened_by_one_rule(content, key):
    assert key_of(content) == key


def test_a_key_may_be_a_path_or_a_prefix_of_names():
    content = {"all": {"teacher": {"state_dict": MEAN}, "student": {"state_dict": RAW}}}
    assert key_of(content, "all.teacher") == "all.teacher.state_dict"
    flat = {"model.a": RAW["a"], "ema_model.a": MEAN["a"]}
    assert wrappers.chosen(flat, "ema_model").state == {"a": MEAN["a"]}
    assert wrappers.chosen({"state_dict": flat}, "state_dict.model").state == {"a": RAW["a"]}
    assert wrappers.chosen({"v1.0": RAW}, "v1.0").state == RAW


@pytest.mark.parametrize(
    ("content", "weights_key", "said"),
    [
        ({"teacher": RAW, "student": MEAN}, None,
         r"under 'teacher' and 'student', and any may be meant; write weights_key = \"teacher\""),
        ({"model": RAW, "ema": {"shadow_params": [RAW["a"]]}}, None,
         r"averages under 'ema' that are no tensors by name; write weights_key = \"model\""),
        ({"epoch": 3, "optimizer": OPTIMIZER}, None, "holds no named tensors, but epoch, optimizer"),
        ({"model": RAW, "epoch": 3}, "modle",
         r"under 'modle' \(weights_key\), but 'model': 2 tensors \(a, b\); epoch; nearest: model"),
        (RAW, "model", "but 2 tensors .*; leave `weights_key` out"),
    ],
)  # fmt: skip
def test_what_nobody_can_tell_is_refused_with_what_the_file_holds(content, weights_key, said):
    with pytest.raises(Refusal, match=said):
        wrappers.chosen(content, weights_key)
