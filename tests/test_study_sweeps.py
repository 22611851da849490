"""The sweep of the 2023 attack study is right, and says honestly which networks it lacks."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import timm

from tests.importance.shards import jpeg_record, write
from zoo_eval.evaluations.attack_protocols import PROTOCOLS
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.models.blueprint import blueprint
from zoo_eval.queries.connection import connect
from zoo_eval.sources import registry
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.load import read_inputs

FILE = Path(__file__).parents[1] / "sweeps" / "linsley2023_attack.toml"
TEXT = FILE.read_text()
SWEEP = sweep_file.read(FILE, FILE.parents[1])
MISSING = [int(n) for n in re.findall(r"^# missing: (\d+) ", TEXT, re.MULTILINE)]


def test_every_name_is_one_card_of_the_catalogue():
    names = SWEEP.models.include
    assert len(set(names)) == len(names)
    assert not any(set("*?[") & set(name) for name in names)
    assert [card.name for card in roster(SWEEP.models).cards] == list(names)


def test_what_is_there_and_what_is_missing_add_up_to_what_the_page_counts():
    named, counted = map(int, re.search(r"names (\d+) networks, .* counts (\d+)\.", TEXT).groups())
    assert len(SWEEP.models.include) == named
    assert named + sum(MISSING) == counted


def test_no_source_has_a_harmonized_network():
    everything = registry.cards(["timm/*", "open_clip/*", "torchvision/*"])
    assert len(list(everything)) > 1000
    assert not [card.name for card in everything if fnmatchcase(card.name, "*harmoni[sz]*")]


def test_the_tag_is_the_one_that_timm_takes_by_default():
    # Names of the release that end in _in21ft1k or _in22ft1k say their weights themselves.
    said = [name for name in SWEEP.models.include if name.endswith(".fb_in22k_ft_in1k")]
    assert {name.removeprefix("timm/").partition("_")[0] for name in said} == {"deit3", "convnext"}
    for name in [name for name in SWEEP.models.include if name not in said]:
        architecture, _, tag = name.removeprefix("timm/").partition(".")
        assert timm.get_pretrained_cfg(architecture).tag == tag, name


def beside(trial):
    """What two attacks must have in common for one to be a multiple of the other."""
    said = [trial.parameters[name] for name in ("norm", "decision", "canvas", "importance")]
    return json.dumps([trial.stimuli_digest, trial.seed, *said], sort_keys=True)


@pytest.mark.parametrize("name", ["timm/resnet18.a1_in1k", "timm/xcit_nano_12_p8_384.fb_dist_in1k"])
def test_its_trials_are_planned_on_shards_like_clickmes(tmp_path, name):
    """Everything but the weights: every evaluation wants its trials of a 1000-way model."""
    shards = tmp_path / "data" / "clickme" / "test"
    shards.mkdir(parents=True)
    write(shards / "test-0.tfrecords", [jpeg_record(i, i % 3) for i in range(5)])
    sweep = sweep_file.read(FILE, tmp_path)
    models = roster(sweep.models)
    inputs = read_inputs(sweep, models, "streamed")
    assert inputs.stimulus_set("clickme").labels == (0, 1, 2)
    (card,) = [card for card in models.cards if card.name == name]
    subject = Candidate(card, blueprint(card, "assumed"))
    trials = [t for e in SWEEP.evaluations for t in e.trials(subject, inputs, 0)]
    assert len({trial.id for trial in trials}) == len(trials) == 16
    assert {t.importance for t in trials if t.evaluation != "accuracy"} == {"clickme"}
    assert {t.protocol for t in trials if t.evaluation == "minimal_attack"} == {
        "corrected",
        *PROTOCOLS,
    }
    attacked = [trial for trial in trials if trial.evaluation == "minimal_attack"]
    corrected = {beside(trial) for trial in attacked if trial.protocol == "corrected"}
    assert {beside(trial) for trial in attacked} == corrected


def test_the_example_of_the_page_is_a_right_sweep(tmp_path):
    page = (FILE.parents[1] / "docs" / "alignment.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "sweep.toml"
    file.write_text('[store]\nuri = "s"\n[models]\ninclude = ["timm/*"]\n' + example)
    found = sweep_file.read(file, tmp_path)
    assert [e.kind for e in found.evaluations] == ["human_alignment", "minimal_attack"]
    assert found.importance["clickme"].per_class == 1


def test_the_question_of_the_page_has_an_answer(tmp_path):
    page = (FILE.parents[1] / "docs" / "alignment.md").read_text()
    (question,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert connect(Store(str(tmp_path / "store"), create=True)).rows(question) == []
