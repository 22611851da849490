"""What changes a live module's identity, what does not, and what it cannot be told of."""

import copy
import subprocess
import sys
import types
from dataclasses import dataclass

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrize

from tests.notebook.cells import NET, net, notebook, run_cell
from zoo_eval.errors import BadInput
from zoo_eval.notebook.identity import identity


def digest(module: nn.Module) -> str:
    found = identity(module)
    assert found.untold == ()
    return found.digest


def test_the_same_module_has_one_identity_however_it_came_to_be():
    one = net()
    assert digest(one) == digest(one) == digest(net()) == digest(copy.deepcopy(one))


def test_running_it_its_mode_and_its_gradients_change_nothing():
    one = net().eval()
    before = digest(one)
    one(torch.zeros(2, 3, 32, 32)).sum().backward()
    assert digest(one) == before
    assert digest(one.requires_grad_(False)) == before
    assert digest(one.train()) == before


def test_comments_and_names_of_cells_around_it_change_nothing():
    assert digest(net("# a comment\n\n" + NET)) == digest(net())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("** self.power", "** (self.power + 0)"),  # a method
        ("torch.tanh(x * SCALE)", "torch.sigmoid(x * SCALE)"),  # a function that a method calls
        ("SCALE = 2.0", "SCALE = 3.0"),  # a constant that this function reads
        ("functional.relu", "functional.gelu"),  # a package's function, held as an attribute
        ("padding=1", "padding=1, padding_mode='reflect'"),  # what a package's class is made with
        ("class Body(nn.Module)", "class Body(nn.Identity)"),  # a base
    ],
)
def test_other_code_is_another_module(old, new):
    assert old in NET
    assert digest(net(NET.replace(old, new))) != digest(net())


def test_a_weight_a_buffer_and_an_argument_tell_modules_apart():
    found = [digest(net()), digest(net(power=3))]
    changed = net()
    with torch.no_grad():
        changed.head.bias[3] += 1e-7
    found.append(digest(changed))
    changed = net()
    changed.body.norm.running_var[0] = 2.0
    found.append(digest(changed))
    changed = net()
    changed.body.register_buffer("unsaved", torch.ones(1), persistent=False)
    found.append(digest(changed))
    changed = net()
    changed.body.norm.eps = 1e-3
    found.append(digest(changed))
    assert len(set(found)) == len(found)


def test_a_method_put_in_later_is_seen():
    one, names = net(), notebook()
    run_cell(
        "def forward(self, x):\n    return self.head(x.mean((2, 3)).repeat(1, 2)[:, :4])\n", names
    )
    one.forward = types.MethodType(names["forward"], one)
    assert digest(one) != digest(net())
    other = net()
    type(other).forward = names["forward"]
    assert digest(other) != digest(net())


def test_modules_in_a_plain_list_are_seen():
    one, other = net(), net()
    one.hidden, other.hidden = [nn.Linear(2, 2)], [nn.Linear(2, 2)]
    assert digest(one) != digest(other)
    other.hidden[0].load_state_dict(one.hidden[0].state_dict())
    assert digest(one) == digest(other)


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2


class Tripled(nn.Module):
    def forward(self, x):
        return x * 3


def test_parametrizations_are_part_of_it():
    found = []
    for one in (Doubled(), Tripled()):
        changed = net()
        parametrize.register_parametrization(changed.head, "weight", one, unsafe=True)
        found.append(digest(changed))
    assert len({*found, digest(net())}) == 3


@dataclass
class Options:
    width: int = 3


def test_options_of_a_data_class_are_values():
    one, same, other = net(), net(), net()
    one.options, same.options, other.options = Options(), Options(), Options(4)
    assert digest(one) == digest(same) != digest(other)


def test_hooks_are_refused_in_one_line():
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        one = net()
        getattr(one.body, register)(lambda *_: None)
        with pytest.raises(BadInput, match=r"'body' has hooks.*remove them") as refusal:
            identity(one)
        assert "\n" not in str(refusal.value)
    one = net()
    one.register_full_backward_hook(lambda *_: None)
    with pytest.raises(BadInput, match="has hooks"):
        identity(one)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.raises(BadInput, match="all modules"):
            identity(net())
    finally:
        handle.remove()
    assert digest(net())


def test_compiled_and_empty_modules_are_refused():
    with pytest.raises(BadInput, match="compiled"):
        identity(torch.jit.script(nn.Linear(2, 2)))
    with pytest.raises(BadInput, match="has no values"):
        identity(nn.LazyLinear(3))
    with pytest.raises(BadInput, match="has no values"):
        identity(nn.Linear(2, 2, device="meta"))


def test_code_without_source_is_never_the_same():
    names = {"__name__": "__main__"}
    exec(NET, names)
    torch.manual_seed(0)
    one = names["Net"]()
    first, second = identity(one), identity(one)
    assert first.digest != second.digest
    assert "Net.forward has no source" in first.untold


def test_what_holds_the_unknown_is_never_the_same():
    one = net()
    one.generator = torch.Generator()
    assert identity(one).digest != identity(one).digest
    assert identity(one).untold == ("Net.generator is a Generator",)


def test_a_file_that_was_edited_after_it_was_imported_is_not_its_source(tmp_path, monkeypatch):
    file = tmp_path / "edited_net.py"
    file.write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    import edited_net

    torch.manual_seed(0)
    one = edited_net.Net()
    assert digest(one) == digest(net())
    file.write_text(NET.replace("torch.tanh(x * SCALE)", "torch.sin(x * SCALE) * 1"))
    assert any("squashed" in reason for reason in identity(one).untold)


def test_another_process_finds_the_same(tmp_path):
    (tmp_path / "own_net.py").write_text(NET)
    code = (
        "import torch, own_net; from zoo_eval.notebook.identity import identity; "
        "torch.manual_seed(0); print(identity(own_net.Net()).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == digest(net())


@pytest.mark.parametrize(
    "name",
    [
        "timm/resnet18",
        "timm/test_vit",
        "timm/test_convnext",
        "torchvision/squeezenet1_1",
        "torchvision/swin_t",
    ],
)
def test_networks_of_libraries_have_one_and_running_keeps_it(name):
    library, _, architecture = name.partition("/")

    def made() -> nn.Module:
        torch.manual_seed(0)
        if library == "timm":
            return timm.create_model(architecture)
        return torchvision.models.get_model(architecture, weights=None)

    one = made().eval()
    before = digest(one)
    side = one.default_cfg["input_size"][1] if library == "timm" else 64
    one(torch.zeros(1, 3, side, side))
    assert before == digest(one) == digest(made())
