"""Own functions that build networks: what they return, how they fail, and how they are identified."""

import textwrap
from importlib import invalidate_caches

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.rounding import float32_network
from zoo_eval.catalog import Edits, ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint, fetch, is_hosted
from zoo_eval.models.open_model import open_model
from zoo_eval.sources import factory, registry
from zoo_eval.transforms import Transform

CPU = torch.device("cpu")
TRANSFORM = Transform(16, 20, "bilinear", (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
MODULE = '''
    import torch
    from torch import nn
    from zoo_eval.transforms import Transform

    N_BUILT = []
    NOT_A_FUNCTION = 3
    TRANSFORM = Transform(16, 20, "bilinear", (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))

    def bare():
        N_BUILT.append(1)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(784, 10))

    def build():
        return bare(), TRANSFORM

    def number():
        return 3

    def nothing():
        pass

    def pair():
        return bare(), {"input_px": 16}

    def triple():
        return bare(), TRANSFORM, 3

    def raising():
        raise FileNotFoundError("no weights\\nhere")

    def needs_an_argument(size):
        return bare()
'''  # fmt: skip


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be imported; each test's has a name of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    n_written = 0

    def write(text=MODULE):
        nonlocal n_written
        n_written += 1
        name = f"nets_{tmp_path.name}_{n_written}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        invalidate_caches()
        return name

    return write


def card(architecture, **facts):
    return ModelCard("local/m", "local", f"factory/{architecture}", **facts)


def initial():
    """The same network built by hand, with the seed that the source promises."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10))


@torch.no_grad()
def test_a_function_that_returns_network_and_transform_is_a_model(module):
    torch.manual_seed(9)
    model = open_model(card(f"{module()}:build"), CPU)
    view = torch.rand(2, 3, 16, 16)
    mean, std = (torch.tensor(v)[:, None, None] for v in (TRANSFORM.mean, TRANSFORM.std))
    expected = initial()((view - mean) / std)
    bound = float32_network(initial(), float(expected.abs().max()))
    assert (model.logits(view) - expected).abs().max() <= bound
    assert model.transform == TRANSFORM
    assert model.blueprint.anatomy.head == "other:10"
    assert model.blueprint.layers("blocks") == ("1", "pooled")
    assert not model.net.training


def test_a_function_that_returns_a_network_needs_a_transform_in_the_card(module):
    name = module()
    with pytest.raises(Refusal, match=r"return \(net, Transform\(...\)\), or add `transform`"):
        blueprint(card(f"{name}:bare"))
    assert blueprint(card(f"{name}:bare", transform=TRANSFORM)).transform == TRANSFORM


def test_a_function_is_called_once_to_plan_and_once_to_open(module):
    name = module()
    blueprint(card(f"{name}:build"))
    counter = __import__(name).N_BUILT
    assert len(counter) == 1
    open_model(card(f"{name}:build"), CPU)
    assert len(counter) == 2


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("number", "returned a int; expected a torch.nn.Module, or that and a"),
        ("nothing", "returned a NoneType; expected"),
        ("pair", "returned a tuple; expected"),
        ("triple", "returned a tuple; expected"),
        ("raising", "raised FileNotFoundError: no weights here; correct the function"),
        ("needs_an_argument", "raised TypeError: .*size.*; correct the function"),
        ("absent", "cannot be imported .*AttributeError.*; write `module:function`"),
        ("NOT_A_FUNCTION", "is a int, not a function"),
        ("", "cannot be imported"),
    ],
)
def test_what_is_no_network_is_refused_on_one_line(module, function, said):
    with pytest.raises(Refusal, match=said) as refusal:
        blueprint(card(f"{module()}:{function}", transform=TRANSFORM))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_package", "cannot be imported .*no_such_package"),
        ("def build(:", "cannot be imported .*SyntaxError"),
        ("raise RuntimeError('at import')", "cannot be imported .*at import"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused(module, text, said):
    with pytest.raises(Refusal, match=said):
        blueprint(card(f"{module(text)}:build"))


def test_an_absent_module_is_refused():
    with pytest.raises(Refusal, match=r"No module named 'nowhere'.*put its folder on PYTHONPATH"):
        blueprint(card("nowhere.at.all:build"))


def test_a_network_that_is_no_classifier_is_refused(module):
    text = MODULE + "\n    def image():\n        return nn.Conv2d(3, 4, 3), TRANSFORM\n"
    with pytest.raises(Refusal, match=r"cannot be used: it returns \[1, 4, 14, 14\], not logits"):
        blueprint(card(f"{module(text)}:image"))


def test_another_input_size_is_refused(module):
    with pytest.raises(Refusal, match="takes 16 px input only; remove `input_px`"):
        blueprint(card(f"{module()}:build", edits=Edits(input_px=32)))


def test_its_identity_is_that_of_its_tensors_and_its_file(module):
    def digest(text, function="build"):
        return blueprint(card(f"{module(text)}:{function}")).weights_digest

    plain = digest(MODULE)
    assert digest(MODULE) == plain  # the same bytes elsewhere
    assert digest(MODULE + "    # a comment\n") != plain
    other = MODULE + "    def other():\n        net, t = build()\n        net[0].bias.data += 1\n        return net, t\n"  # fmt: skip
    assert digest(other, "other") != digest(other)


def test_weights_that_a_function_reads_are_part_of_its_identity(module, tmp_path):
    # The file of weights changes, the module does not.
    text = f"""
        import torch
        from torch import nn
        from zoo_eval.transforms import Transform

        def build():
            net = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))
            net.load_state_dict(torch.load({str(tmp_path / "w.pth")!r}, weights_only=True))
            return net, Transform(16, 16, "bicubic", (0, 0, 0), (1, 1, 1))
    """
    digests = []
    for value in (1.0, 2.0, 1.0):
        torch.save({"1.weight": torch.full((10, 768), value), "1.bias": torch.zeros(10)}, tmp_path / "w.pth")  # fmt: skip
        digests.append(blueprint(card(f"{module(text)}:build")).weights_digest)
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"1.weight": torch.arange(6.0).view(2, 3)},
        {"0.weight": torch.arange(6.0).view(3, 2)},
        {"0.weight": torch.arange(6.0, dtype=torch.float64).view(2, 3)},
        {"0.weight": torch.arange(6.0).view(2, 3) + 1e-6},
        {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.zeros(0)},
    ],
)
def test_every_change_of_a_tensor_changes_the_digest(changed):
    def of(state):
        net = nn.Module()
        net.state_dict = lambda: state
        return factory._tensors_digest(net)

    plain = of({"0.weight": torch.arange(6.0).view(2, 3)})
    transposed = torch.arange(6.0).view(2, 3).T.contiguous().T
    assert of({"0.weight": transposed}) == plain
    assert of(changed) != plain


def test_every_type_of_tensor_has_a_digest():
    types = (torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.complex64)
    net = nn.Module()
    for i, kind in enumerate(types):
        net.register_buffer(f"b{i}", torch.ones(3).to(kind))
    net.register_buffer("scalar", torch.tensor(3))
    assert len(factory._tensors_digest(net)) == 32


@torch.no_grad()
def test_a_checkpoint_goes_into_what_the_function_builds(module, tmp_path):
    own = initial()
    own[3].bias += 1
    file = tmp_path / "own.safetensors"
    save_file({f"module.{k}": v for k, v in own.state_dict().items()}, file)
    name = module()
    checkpoint = card(f"{name}:build", checkpoint=file, keys="module.")
    model = open_model(checkpoint, CPU)
    view = torch.rand(2, 3, 16, 16)
    expected = own(model.transform.normalise(view))
    bound = float32_network(initial(), float(expected.abs().max()))
    assert (model.logits(view) - expected).abs().max() <= bound
    assert blueprint(checkpoint).weights_digest != blueprint(card(f"{name}:build")).weights_digest
    # The function's own network is as it was.
    plain = open_model(card(f"{name}:build"), CPU)
    assert not torch.allclose(plain.logits(view), expected)
    # A prefix that all names share is taken off without being told.
    unprefixed = open_model(card(f"{name}:build", checkpoint=file), CPU)
    assert torch.equal(unprefixed.net[3].bias, model.net[3].bias)


def test_nothing_of_it_is_hosted_anywhere(module):
    own = card(f"{module()}:build")
    assert not is_hosted(own)
    fetch(own)  # brings nothing and raises nothing
    assert factory.revision(own.architecture) is None
    assert factory.variant(own.architecture) is None
    assert factory.family(own.architecture).startswith("nets_")


def test_an_installed_package_offers_models_by_entry_points(module, tmp_path):
    name = module()
    folder = tmp_path / "their_zoo-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: their-zoo\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[zoo_eval.models]\nbest = {name}:build\nbroken = {name}:absent\n")  # fmt: skip
    by_name = {one.name: one for one in registry.cards(["their-zoo/*"])}
    assert by_name["their-zoo/best"].architecture == f"factory/{name}:build"
    assert open_model(by_name["their-zoo/best"], CPU).transform == TRANSFORM
    with pytest.raises(Refusal, match="cannot be imported"):
        blueprint(by_name["their-zoo/broken"])
