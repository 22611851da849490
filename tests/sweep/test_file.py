"""A sweep file is right, or the error names the line, the key and what was probably meant."""

import re
from pathlib import Path

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import toml
from zoo_eval.sweep.cards import CardFile
from zoo_eval.sweep.toml import line_of
from zoo_eval.units import size_in_bytes

GOOD = """\
[store]
uri = "results/x"

[models]
include = ["timm/resnet*"]
exclude = ["*50"]

[[models.local]]
name = "one"
architecture = "timm/resnet18"
weights = "untrained"

[[models.local]]
name = "two"
architecture = "timm/resnet18"
checkpoint = "two.pth"
edits = { prune = 0.2 }

[stimuli.photos]
kind = "folder"
path = "photos"

[stimuli.parts]
kind = "crops"
of = ["photos"]
n = 10

[recordings.it]
kind = "parquet"
stimuli = "photos"
path = "it.parquet"

[[evaluations]]
kind = "accuracy"
stimuli = "photos"

[[evaluations]]
kind = "neural_fit"
recording = "it"

[[evaluations]]
kind = "minimal_attack"
stimuli = "photos"
attacks = ["ddn"]
options = { ddn = { steps = 5 } }

[run]
memory_budget = "1GiB"
"""


def read(tmp_path, text):
    file = tmp_path / "sweep.toml"
    file.write_text(text)
    return sweep_file.read(file, tmp_path)


def line_number(text, fragment):
    return next(i for i, line in enumerate(text.splitlines(), 1) if fragment in line)


def test_a_right_file_is_read(tmp_path):
    found = read(tmp_path, GOOD)
    assert found.evaluations == (
        Accuracy(stimuli="photos"),
        NeuralFit(recording="it"),
        MinimalAttack(stimuli="photos", attacks=("ddn",), options={"ddn": {"steps": 5}}),
    )
    assert found.models.local[1].edits.prune == 0.2
    assert found.run.memory_budget_bytes == 2**30
    assert found.run.seed == 0


def test_the_demo_is_a_right_file():
    home = Path(__file__).parents[2]
    demo = sweep_file.read(home / "sweeps" / "demo.toml", home)
    assert demo.recordings["planted_it"].kind == "planted"


@pytest.mark.parametrize(
    ("right", "wrong", "key", "meant"),
    [
        ("uri = ", "url = ", "store.url", "uri"),
        ("exclude = ", "exlude = ", "models.exlude", "exclude"),
        ("[models]", "[model]", "model", "models"),
        ("weights = ", "weight = ", "models.local.0.weight", "weights"),
        ("checkpoint = ", "chekpoint = ", "models.local.1.chekpoint", "checkpoint"),
        ("edits = { prune", "edits = { prunes", "models.local.1.edits.prunes", "prune"),
        ("n = 10", "n = 10\nsize = 32", "stimuli.parts.size", "size_px"),
        ('path = "it.parquet"', 'path = "it.parquet"\nnoise = 1', "recordings.it.noise", "path"),
        ('recording = "it"', 'recording = "it"\nreadout = ["pls"]', "evaluations.1.readout", "readouts"),
        ("attacks = ", "attack = ", "evaluations.2.attack", "attacks"),
        ("memory_budget = ", "memory = ", "run.memory", "memory_budget"),
    ],
)  # fmt: skip
def test_an_unknown_key_gives_its_line_and_what_was_meant(tmp_path, right, wrong, key, meant):
    text = GOOD.replace(right, wrong)
    assert text != GOOD
    number = line_number(text, wrong.splitlines()[-1])
    with pytest.raises(BadInput) as error:
        read(tmp_path, text)
    said = str(error.value)
    assert f"sweep.toml, line {number}: {key}: unknown key; " in said
    tail = said.rpartition("; ")[2]
    assert meant in re.findall(r"\w+", tail)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('"1GiB"', '"1GB"', "'1GB' is no size; expected e.g. \"4GiB\""),
        ('"1GiB"', "4", "valid string"),
        ("n = 10", "n = 0", "greater than or equal to 1"),
        ("n = 10", 'n = "ten"', "valid integer"),
        ('weights = "untrained"', 'weights = "random"', "'pretrained' or 'untrained'"),
        ('include = ["timm/resnet*"]', "include = []", "at least 1 item"),
        ('attacks = ["ddn"]', 'attacks = ["ddm"]', "unknown attack 'ddm'; nearest: ddn"),
        ("steps = 5", "stepz = 5", "options of ddn: .*stepz"),
        ("steps = 5", "steps = 0", "ddn needs steps >= 1"),
        ('kind = "accuracy"', 'kind = "accurracy"', "'accurracy'"),
        ('kind = "folder"', 'kind = "folders"', "'folders'"),
        ('recording = "it"', 'recording = "it"\nn_folds = 1', "greater than or equal to 2"),
        (
            'recording = "it"',
            'recording = "it"\nreadouts = ["lasso"]',
            "unknown readout 'lasso'; nearest: pls",
        ),
    ],
)
def test_a_wrong_value_gives_its_line_and_what_was_expected(tmp_path, right, wrong, said):
    text = GOOD.replace(right, wrong, 1)
    assert text != GOOD
    with pytest.raises(BadInput, match=said) as error:
        read(tmp_path, text)
    number = int(re.search(r"line (\d+)", str(error.value))[1])
    # The key's own line; for an error of a whole section, its header's.
    key_line = line_number(text, wrong.splitlines()[-1])
    header = max(
        i for i, line in enumerate(text.splitlines()[:key_line], 1) if line.startswith("[")
    )
    assert number in (key_line, header)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("removed", "key"),
    [
        ('uri = "results/x"\n', "store.uri"),
        ('name = "two"\n', "models.local.1.name"),
        ('path = "photos"\n', "stimuli.photos.path"),
        ('recording = "it"\n', "evaluations.1.recording"),
        ('kind = "crops"\n', "stimuli.parts"),
    ],
)
def test_a_missing_key_gives_its_section_and_name(tmp_path, removed, key):
    text = GOOD.replace(removed, "")
    section = line_number(GOOD, removed.strip())
    header = max(i for i, line in enumerate(GOOD.splitlines()[:section], 1) if line.startswith("["))
    with pytest.raises(BadInput, match=rf"line {header}: {key}: .*required; add it"):
        read(tmp_path, text)


def test_an_untrained_model_with_a_checkpoint_is_an_error(tmp_path):
    text = GOOD.replace('weights = "untrained"', 'weights = "untrained"\ncheckpoint = "x"')
    with pytest.raises(BadInput, match=r"line 8: models.local.0: an untrained model has no checkp"):
        read(tmp_path, text)


def test_an_absent_file_is_an_error(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.toml cannot be read .*correct the path"):
        sweep_file.read(tmp_path / "nowhere.toml", tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        sweep_file.read(tmp_path, tmp_path)


def test_what_is_not_toml_is_an_error_with_its_line(tmp_path):
    with pytest.raises(BadInput, match=r"not valid TOML: .*line 2"):
        read(tmp_path, "[store]\nuri = results\n")
    (tmp_path / "image.toml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(BadInput, match=r"image\.toml is no TOML: it is a PNG image"):
        sweep_file.read(tmp_path / "image.toml", tmp_path)


def test_an_empty_file_says_what_is_required(tmp_path):
    with pytest.raises(BadInput, match="line 1: store: this key is required"):
        read(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "n"),
    [("1B", 1), ("4GiB", 4 * 2**30), ("1.5KiB", 1536), (" 2 MiB ", 2**21), ("1TiB", 2**40)],
)
def test_sizes_are_read_in_binary_units(text, n):
    assert size_in_bytes(text) == n


@pytest.mark.parametrize("text", ["", "4", "GiB", "4 GB", "-1GiB", "1e3B", "4gib"])
def test_what_is_no_size_is_an_error(text):
    with pytest.raises(ValueError, match="is no size"):
        size_in_bytes(text)


def relative(sweep):
    return [path.text for path in sweep.paths() if path.is_relative]


def test_relative_paths_are_those_that_depend_on_the_submitters_folder(tmp_path):
    assert relative(read(tmp_path, GOOD)) == ["results/x", "two.pth", "photos", "it.parquet"]
    absolute = GOOD.replace('"results/x"', '"s3://bucket/x"').replace('"two.pth"', '"/w/two.pth"')
    absolute = absolute.replace('"photos"', '"package:foolbox/data"').replace('"it.parquet"', '"~/it"')  # fmt: skip
    assert relative(read(tmp_path, absolute)) == []


@pytest.mark.parametrize(
    ("place", "fragment"),
    [
        (("run", "memory_budget"), "memory_budget"),
        (("models", "local", 1, "edits", "prune"), "edits = "),
        (("evaluations", 2, "options"), "options"),
        (("stimuli", "parts", "nothing"), "[stimuli.parts]"),
        (("nothing",), "[store]"),
    ],
)
def test_a_key_is_found_by_its_place(place, fragment):
    assert line_of(GOOD, place) == line_number(GOOD, fragment)


CARDS = """\
[[models]]
name = "one"
architecture = "timm/resnet18"
checkpoint = "https://example.org/one.pth"
sha256 = "{sha256}"

[[models]]
name = "two"
factory = "my.nets:build"
"""


def test_a_card_file_describes_own_models(tmp_path):
    file = tmp_path / "cards.toml"
    file.write_text(CARDS.format(sha256="ab" * 32))
    one, two = toml.read(file, CardFile, tmp_path).models
    assert (one.name, one.url, one.sha256) == ("one", "https://example.org/one.pth", "ab" * 32)  # fmt: skip
    assert two.factory == "my.nets:build"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ("factory", "factorie", 9, "unknown key; nearest: factory"),
        ('sha256 = "{sha256}"\n', "", 1, "`sha256` goes with a `checkpoint` that is an address"),
        ("https://example.org/", "", 1, "`sha256` goes with a `checkpoint` that is an address"),
        ("{sha256}", "abc", 5, "String should match pattern"),
        ("my.nets:build", "my.nets", 9, "String should match pattern"),
        ("[[models]]", "[[model]]", 1, "unknown key; nearest: models"),
    ],
)
def test_a_wrong_card_file_gives_its_line(tmp_path, right, wrong, line, said):
    file = tmp_path / "cards.toml"
    file.write_text(CARDS.replace(right, wrong).replace("{sha256}", "ab" * 32))
    with pytest.raises(BadInput) as error:
        toml.read(file, CardFile, tmp_path)
    assert f"{file}, line {line}: " in str(error.value)
    assert said in str(error.value)
