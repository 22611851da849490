"""Live models: taken as they are, opened as copies; and what is refused in one line."""

import pickle
import sys
import threading
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.models import ResNet18_Weights

import zoo_eval
from tests.notebook.own_net import TRANSFORM, own_net
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.models.open_model import open_model
from zoo_eval.sources import factory, live
from zoo_eval.sources.live import present


def taken(module):
    return zoo_eval.model(module, TRANSFORM, name="mine").taken()


def test_what_is_opened_gives_what_the_module_gives():
    module = own_net().eval()
    one = taken(module)
    pixels = torch.rand(3, 3, 32, 32)
    with present({one.identity.digest: one.snapshot}):
        opened = open_model(one.card, torch.device("cpu"))
        assert {"first", "second", "head"} <= set(opened.blueprint.modules)
    mean, std = (torch.tensor(part)[:, None, None] for part in (TRANSFORM.mean, TRANSFORM.std))
    with torch.no_grad():
        assert torch.equal(opened(pixels), module((pixels - mean) / std))
    assert opened.blueprint.weights_digest == one.identity.digest


def test_it_is_taken_as_it_is_then():
    module = own_net()
    model = zoo_eval.model(module, TRANSFORM)
    first = model.taken()
    with torch.no_grad():
        module.head.bias += 1
    assert model.taken().identity != first.identity
    assert not torch.equal(first.snapshot.net.head.bias, module.head.bias)
    assert not first.snapshot.net.training


def test_a_card_brings_its_network_to_where_it_is_unpickled():
    one = taken(own_net())
    with present({one.identity.digest: one.snapshot}):
        sent = pickle.dumps(one.card)
    with pytest.raises(Refusal, match="give it from Python"):
        live.initial(one.card.architecture)
    card = pickle.loads(sent)
    assert card == one.card
    assert hash(card) == hash(one.card)
    state = live.initial(card.architecture).state_dict()
    assert all(torch.equal(state[name], value) for name, value in own_net().state_dict().items())


def test_a_process_forgets_what_a_run_had():
    one = taken(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 7)))
    with present({one.identity.digest: one.snapshot}):
        assert live.outline(one.card.architecture) is live.skeleton(one.card.architecture)
    with pytest.raises(Refusal):
        live.outline(one.card.architecture)


STEPS = transforms.Compose(
    [
        transforms.Resize(40),
        transforms.CenterCrop(32),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    ]
)
AUGMENTED = transforms.Compose([*STEPS.transforms[:2], transforms.RandomHorizontalFlip()])


@pytest.mark.parametrize(
    ("module", "transform", "name", "said"),
    [
        (own_net(), None, None, "'OwnNet' has no transform"),
        (
            own_net(),
            AUGMENTED,
            None,
            r"no Transform \(step RandomHorizontalFlip.*write zoo_eval.model",
        ),
        (own_net(), print, None, "builtin_function_or_method is no Transform"),
        (own_net(), TRANSFORM, "mine/*", "have a meaning"),
        (own_net, TRANSFORM, None, r"own_net is a function.*zoo_eval.model\(own_net\(\)"),
        (lambda: own_net(), TRANSFORM, None, "<lambda> is a function"),
        ("resnet18", TRANSFORM, None, "got a str"),
    ],
)
def test_what_is_no_model_is_one_line(module, transform, name, said):
    with pytest.raises(BadInput, match=said) as refusal:
        zoo_eval.model(module, transform, name)
    assert "\n" not in str(refusal.value)


def test_a_pipeline_of_torchvisions_is_read_bit_for_bit():
    model = zoo_eval.model(own_net(), STEPS)
    image = np.random.default_rng(0).integers(256, size=(90, 70, 3), dtype=np.uint8)
    seen = model.transform.view_images([image], torch.device("cpu"))
    assert torch.equal(model.transform.normalise(seen)[0], STEPS(Image.fromarray(image)))
    preset = ResNet18_Weights.IMAGENET1K_V1.transforms()
    assert zoo_eval.model(own_net(), preset).transform.resize_px == 256


def test_hooks_and_what_cannot_be_copied_are_refused_with_the_name():
    module = own_net()
    handle = module.first.register_forward_hook(lambda *_: None)
    with pytest.raises(BadInput, match="model 'mine': module 'first' has hooks"):
        taken(module)
    handle.remove()
    module.lock = threading.Lock()
    with pytest.raises(BadInput, match="model 'mine' cannot be copied") as refusal:
        taken(module)
    assert "\n" not in str(refusal.value)


def test_a_function_of_a_notebook_cell_is_no_factory(monkeypatch):
    cells = ModuleType("__main__")
    cells.build = own_net
    monkeypatch.setitem(sys.modules, "__main__", cells)
    with pytest.raises(Refusal, match=r"notebook.*zoo_eval.model\(build\(\), transform\)"):
        factory.skeleton("factory/__main__:build")
