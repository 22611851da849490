"""Everything that a sweep names is read once; planning opens no network and holds no image."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.sweeps import loaded
from zoo_eval.commands import sweep as sweep_command
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.models import open_model
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli.stimulus_set import Images
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import roster

FOLDER = SweepPath.of("package:foolbox/data", None).resolve()
PHOTOS = [photo.name for photo in sorted(FOLDER.glob("imagenet_0*.jpg"))]


@pytest.fixture
def no_network(monkeypatch):
    """An opened network fails the test."""
    monkeypatch.setattr(open_model, "_network", lambda *_: pytest.fail("a network was opened"))


def test_a_plan_opens_no_network_and_the_second_decodes_nothing(
    tiny_sweep, decoded, no_network, capsys
):
    options = SweepOptions(tiny_sweep, tiny_sweep.parent, runner="local")
    sweep_command.show_plan(options)
    first = capsys.readouterr().out
    assert "pending on 2 models" in first
    assert set(decoded) == set(PHOTOS)
    decoded.clear()
    sweep_command.show_plan(options)
    assert capsys.readouterr().out == first
    # Planted maps of local contrast, too, which are made of the photos themselves.
    assert decoded == []


def test_what_a_plan_reads_holds_no_image(tiny_sweep, decoded):
    sweep = sweep_file.read(tiny_sweep, tiny_sweep.parent)
    inputs = load.read_inputs(sweep, roster(sweep.models), "streamed")
    assert all(isinstance(one.images, Images) for one in inputs.stimuli.values())
    described = load.described(inputs)
    assert {n: one.digest for n, one in described.stimuli.items()} == {
        name: one.digest for name, one in inputs.stimuli.items()
    }
    with pytest.raises(RuntimeError, match="images are elsewhere"):
        _ = described.stimulus_set("photos").images[0]


def test_where_images_must_be_decoded_they_are_not_unless_asked(tiny_sweep, decoded):
    sweep = sweep_file.read(tiny_sweep, tiny_sweep.parent)
    models = roster(sweep.models)
    with pytest.raises(load.NotKnown):
        load.read_inputs(sweep, models, "undecoded")
    load.read_inputs(sweep, models, "streamed")
    known = load.read_inputs(sweep, models, "undecoded")
    assert known.stimulus_set("crops").has_known_digest


def test_an_image_that_changed_since_it_was_planned_is_said(tiny_sweep, tmp_path, decoded):
    photos = tmp_path / "own"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
    text = tiny_sweep.read_text() + f'[stimuli.own]\nkind = "folder"\npath = "{photos}"\n'
    tiny_sweep.write_text(text)
    sweep = sweep_file.read(tiny_sweep, tiny_sweep.parent)
    inputs = load.read_inputs(sweep, roster(sweep.models), "streamed")
    planned = load.identities(inputs)
    Image.new("RGB", (40, 40)).save(photos / "1.png")
    again = load.as_planned(load.read_inputs(sweep, roster(sweep.models), "streamed"), planned)
    assert load.identities(again) == planned
    with pytest.raises(
        Refusal, match=r"'1\.png' of stimuli 'own' changed since it was planned; run"
    ):
        again.stimuli["own"].image(1)
    (photos / "2.png").unlink()
    fewer = load.read_inputs(sweep, roster(sweep.models), "streamed")
    with pytest.raises(BadInput, match="stimuli 'own' changed while the sweep was planned; run"):
        load.as_planned(fewer, planned)


def test_a_planted_recording_is_made_once_and_kept(tiny_sweep, tmp_path, monkeypatch):
    _, models, inputs = loaded(tiny_sweep)
    store = Store(str(tmp_path / "kept"), create=True)
    planned = inputs.recording("planted")
    with pytest.raises(RuntimeError):
        _ = planned.mean
    made = load.made(inputs, {"planted"}, models, store)["planted"]
    assert made.digest == planned.digest
    assert made.mean.shape == (40, 6)
    monkeypatch.setattr(open_model, "_network", lambda *_: pytest.fail("a network was opened"))
    again = load.made(inputs, {"planted"}, models, store)["planted"]
    assert torch.equal(torch.from_numpy(again.mean), torch.from_numpy(made.mean))
    assert load.made(inputs, set(), models, store) == {}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[stimuli.x]\nkind = "crops"\nof = ["x"]\nn = 2\n', "stimuli 'x' are made of themselves"),
        ('[stimuli.x]\nkind = "crops"\nof = ["phots"]\nn = 2\n', "unknown stimuli 'phots'; nearest: photos"),
        ('[stimuli.x]\nkind = "importance"\nimportance = "contrast"\n', "no importance 'contrast' that comes with images"),
        ('[recordings.x]\nkind = "planted"\nstimuli = "crops"\nmodel = "local/vti"\nlayer = "a"\n', "'local/vti'.*nearest: local/vit"),
    ],
)  # fmt: skip
def test_a_name_that_is_wrong_is_one_line_with_the_next_step(tiny_sweep, more, said):
    tiny_sweep.write_text(tiny_sweep.read_text() + more)
    with pytest.raises(BadInput, match=said) as error:
        loaded(tiny_sweep)
    assert "\n" not in str(error.value)


IN_FIELD = """
[store]
uri = "store"
[models]
include = ["local/*"]
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[01]*.jpg"]
degrees = 8
seen_degrees = 10
[stimuli.crops]
kind = "crops"
of = ["photos"]
n = 4
size_px = 32
[[evaluations]]
kind = "features"
stimuli = "photos"
[[evaluations]]
kind = "features"
stimuli = "crops"
"""


def test_degrees_are_those_of_what_every_reader_of_a_set_is_given(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(IN_FIELD)
    sweep = sweep_file.read(file, tmp_path)
    found = load.read_inputs(sweep, roster(sweep.models), "streamed").stimuli
    image = np.asarray(Image.open(FOLDER / PHOTOS[0]).convert("RGB"))
    height, width, _ = image.shape
    assert (height, width) == (512, 512)
    assert found["photos"].shapes[0] == (640, 640, 3)
    np.testing.assert_array_equal(found["photos"].image(0)[64:576, 64:576], image)
    assert (found["photos"].image(0)[:64] == 128).all()
    # Crops are of the field, and not of the photo that fills a part of it.
    sides = [crop.side for crop in found["crops"].images.crops]
    assert min(sides) >= round(0.35 * 640)
    assert len(found["crops"].image(0)) == 32
    file.write_text(IN_FIELD.replace("seen_degrees = 10\n", ""))
    with pytest.raises(
        BadInput, match=r"sweep\.toml.*`degrees` without `seen_degrees` says nothing"
    ):
        sweep_file.read(file, tmp_path)
