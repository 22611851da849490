"""A run file is checked: what is wrong in it is said with its line and the nearest key."""

import pytest

from zoo_eval.cli import main
from zoo_eval.errors import BadInput
from zoo_eval.harmonizer import run_file


def read(path):
    return run_file.read(path, path.parent)


def test_its_defaults_are_those_that_were_published(written):
    run = read(
        written(("epochs = 2\nbatch_size = 8\nlearning_rate = 0.01\nwarmup_epochs = 0\n", ""))
    )
    how = run.training
    assert (how.optimiser, how.momentum, how.weight_decay, how.label_smoothing) == (
        "sgd", 0.9, 1e-5, 0.1,
    )  # fmt: skip
    assert (how.warmup_epochs, how.drop_epochs, how.drop, how.batch_size) == (
        5,
        (30, 60, 80),
        0.1,
        1024,
    )
    assert run.harmonize.mismatch.saliency == "signed_mean"
    assert run.harmonize.weight == 0.1


@pytest.mark.parametrize(("before", "after", "said"), [
    ("lambda = 0.1", "lamda = 0.1", "line 29: harmonize.lamda: unknown key; nearest: lambda"),
    ("epochs = 2", "epoch = 2", "training.epoch: unknown key; nearest: epochs"),
    ("lambda = 0.1", "lambda = -1", "harmonize.lambda: Input should be greater"),
    ('mapped = "seen"', "", "harmonize.mapped: this key is required"),
    ("batch_size = 8", "batch_size = 8\nworkers = 3", "batch_size 8 cannot be shared equally by 3 workers"),
    ('name = "tiny"\nmapped', 'name = "../x"\nmapped', "harmonize.name: String should match"),
    ("[run]", "[runs]", "unknown key; nearest: run"),
    ("seed = 3", "seed = 3\ncrop_area = [1, 2]", "run.crop_area: unknown key"),
    ("epochs = 2", "epochs = 2\ncrop_area = [0.5, 2.0]", "crop_area: give"),
    ('kind = "folder"\nstimuli', 'kind = "foldr"\nstimuli', "importance.marks.kind: "),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(written, before, after, said):
    with pytest.raises(BadInput, match=r"RUN\.toml, line") as error:
        read(written((before, after)))
    assert said in str(error.value)


def test_the_command_says_it_on_one_line(written, capsys):
    path = written(("epochs = 2", "epoch = 2"))
    assert main(["harmonize", str(path), "--runner", "local"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_one_process_is_no_two_workers(written, capsys):
    path = written(training="workers = 2")
    assert main(["harmonize", str(path), "--runner", "local"]) == 2
    assert "training.workers = 2, but --runner local is one process" in capsys.readouterr().err


def test_more_than_one_model_is_refused(material):
    with pytest.raises(BadInput, match=r"means \d+ models \(local/b, local/tiny"):
        material(('include = ["local/tiny"]', 'include = ["local/*", "timm/test_vit*"]\n[[models.local]]\nname = "b"\narchitecture = "timm/test_vit"\nweights = "untrained"'))  # fmt: skip
