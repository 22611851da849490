"""`zoo-eval models`: the whole catalogue as a table, filtered by name and SQL, without PyTorch."""

import csv
import io
import json
import subprocess
import sys

import pytest
import timm as timm_library

from zoo_eval import cli
from zoo_eval.catalog import ModelCard
from zoo_eval.commands import models
from zoo_eval.errors import BadInput
from zoo_eval.models.blueprint import blueprint

SWEEP = """
[store]
uri = "store"
[models]
include = ["timm/resnet50.a1_in1k", "local/*"]
facts = ["mine.csv"]
[[models.local]]
name = "mine"
architecture = "timm/resnet50"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "photos"
[[evaluations]]
kind = "features"
stimuli = "photos"
"""


def table(*patterns, where=None, sweep=None):
    return models.models(patterns, where, sweep)[0].to_pylist()


def test_a_row_says_what_timm_says():
    (row,) = table("timm/resnet18.a1_in1k")
    net = timm_library.create_model("resnet18.a1_in1k")
    config = timm_library.get_pretrained_cfg("resnet18.a1_in1k")
    assert row["n_params"] == sum(p.numel() for p in net.parameters())
    assert (row["input_px"], row["input_width_px"]) == (config.input_size[1], None)
    assert row["licence"] == config.license
    assert (row["source"], row["family"], row["head"]) == ("timm", "resnet", "imagenet1k")
    assert (row["pretraining"], row["weights"]) == ("a1_in1k", "pretrained")
    assert (row["year"], row["objective"]) == (None, None)


def test_an_input_that_is_no_square_has_its_width():
    (row,) = table("timm/vit_base_patch16_sapiens2.fb")
    assert (row["input_px"], row["input_width_px"]) == (1024, 768)


@pytest.fixture(scope="module")
def rows():
    """Some models of two libraries, with all that is known of them."""
    return table("torchvision/vgg*", "timm/resnet18*")


@pytest.mark.parametrize("column", models.SCHEMA.names)
def test_every_column_can_be_filtered_by(column, rows):
    filled = table("torchvision/vgg*", "timm/resnet18*", where=f"{column} IS NOT NULL")
    assert [row for row in rows if row[column] is not None] == filled
    if filled:
        value = filled[0][column]
        literal = f"'{value}'" if isinstance(value, str) else repr(value)
        same = table("torchvision/vgg*", "timm/resnet18*", where=f"{column} = {literal}")
        assert same == [row for row in rows if row[column] == value]
        assert same


def test_the_issues_own_condition_finds_small_transformers():
    where = "n_params < 30e6 and family = 'vision_transformer'"
    found = {row["model"] for row in table("timm/*", where=where)}
    every = [row for row in table("timm/*") if row["n_params"] is not None]
    small = {r["model"] for r in every if r["n_params"] < 30e6 and r["family"] == "vision_transformer"}  # fmt: skip
    assert found == small
    assert "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k" in found
    assert "timm/vit_base_patch16_224.augreg_in1k" not in found


@pytest.mark.parametrize(
    ("patterns", "where", "said"),
    [
        (["timm/resnet81*"], None, "unknown model 'timm/resnet81\\*'; nearest: timm/resnet"),
        (["timm/resnet18.a1_in1"], None, "nearest: timm/resnet18.a1_in1k"),
        (["tim/*"], None, "unknown model 'tim/\\*'"),
        (["timm/resnet18*"], "n_parms < 3", "--where: .*n_parms"),
        (["timm/resnet18*"], "n_params <", "--where: "),
        (["timm/resnet18*"], "model = (SELECT content FROM read_text('/etc/hostname'))", "--where: "),
    ],
)  # fmt: skip
def test_wrong_patterns_and_conditions_are_one_line(patterns, where, said):
    with pytest.raises(BadInput, match=said) as error:
        table(*patterns, where=where)
    assert "\n" not in str(error.value)


def test_the_formats_hold_the_same_rows(capsys):
    arguments = ["models", "torchvision/vgg1*", "--where", "n_params > 133e6"]
    expected = table("torchvision/vgg1*", where="n_params > 133e6")
    assert len(expected) > 3
    assert cli.main([*arguments, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert cli.main([*arguments, "--format", "csv"]) == 0
    as_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in expected] == as_csv
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == models.SCHEMA.names
    assert [line.split()[0] for line in lines[2:]] == [row["model"] for row in expected]


def test_no_rows_is_an_empty_table(capsys):
    assert cli.main(["models", "torchvision/vgg*", "--where", "n_params < 0", "--format", "json"]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out) == []


def test_a_sweeps_own_models_and_facts_are_listed_with_the_share_that_is_known(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    (tmp_path / "mine.csv").write_text("model,year\ntimm/resnet50.a1_in1k,2021\nlocal/mine,2024\n")
    arguments = ["models", "*", "--sweep", "sweep.toml", "--where", "year IS NOT NULL", "--format", "json"]  # fmt: skip
    assert cli.main(arguments) == 0
    said = capsys.readouterr()
    years = {row["model"]: row["year"] for row in json.loads(said.out)}
    assert years == {"local/mine": 2024, "timm/resnet50.a1_in1k": 2021}
    assert "mine.csv: facts for 2 of " in said.err


def of_layers(capsys, *arguments):
    assert cli.main(["models", *arguments, "--layers", "--format", "json"]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    return {(row["model"], row["choice"]): row for row in rows}, said.err


def test_layers_says_how_many_each_choice_gives_and_which(capsys):
    rows, _ = of_layers(capsys, "timm/resnet18.a1_in1k", "torchvision/alexnet.*")
    model = "timm/resnet18.a1_in1k"
    assert (
        rows[model, "blocks"]["layers"] == "layer1.0..1 layer2.0..1 layer3.0..1 layer4.0..1 pooled"
    )
    assert rows[model, "stages"]["layers"] == "layer1.1 layer2.1 layer3.1 layer4.1 pooled"
    net = timm_library.create_model("resnet18")
    assert rows[model, "feature_info"]["n_layers"] == len(net.feature_info)
    assert rows["torchvision/alexnet.IMAGENET1K_V1", "feature_info"]["n_layers"] == 0
    plan = blueprint(ModelCard("m", "timm", "timm/resnet18", weights="untrained"))
    assert rows[model, "all"]["n_layers"] == len(plan.layers("all"))
    for choice in ("blocks", "stages", "feature_info"):
        assert rows[model, choice]["n_layers"] == len(plan.layers(choice))


def test_layers_of_a_sweeps_own_models_are_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP.replace('facts = ["mine.csv"]', ""))
    rows, _ = of_layers(capsys, "local/*", "--sweep", "sweep.toml")
    assert rows["local/mine", "blocks"]["n_layers"] == 3 + 4 + 6 + 3 + 1


def test_names_of_layers_are_not_cut_on_a_screen(capsys):
    assert cli.main(["models", "torchvision/densenet121.*", "--layers"]) == 0
    assert "features.denseblock4.denselayer1..16 pooled" in capsys.readouterr().out


PROGRAM = """
import sys
from zoo_eval import cli
assert cli.main(["models", *sys.argv[1:], "--format", "csv"]) == 0
heavy = {"torch", "timm", "open_clip", "torchvision", "ray", "huggingface_hub"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("pattern", ["*", "hf-hub:owner/name"])
def test_a_kept_catalogue_is_listed_without_pytorch_and_its_libraries(pattern):
    models.models(["*"], None, None)  # kept from now on
    command = [sys.executable, "-c", PROGRAM, pattern]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(table(pattern))
