"""What must hold inside the image; it is run there by its own Python, as its own user."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from zoo_eval.runners.provenance import code_revision

SWEEP = r"""
[store]
uri = "store"
[models]
include = ["local/small"]
[[models.local]]
name = "small"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0*.jpg"]
label_pattern = 'imagenet_\d+_(\d+)'
limit = 2
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""


def main() -> None:
    assert os.getuid() == 1000, "the image's user is not root"
    assert code_revision() == os.environ["EXPECTED_REVISION"]
    for folder in ("/app", "/app/jobs", "/opt/venv", "/usr/bin", "/etc"):
        assert not os.access(folder, os.W_OK), folder
    assert os.access("/weights", os.W_OK)
    for folder in ("/weights", "/home/zoo"):
        assert Path(folder).stat().st_mode & 0o077 == 0, folder
    assert not list(Path("/src").glob("*"))
    subprocess.run(["ssh", "-V"], check=True)
    subprocess.run(["rsync", "--version"], check=True, stdout=subprocess.DEVNULL)
    import boto3  # noqa: F401 - the autoscaler on AWS
    import googleapiclient  # noqa: F401 - and on Google Cloud

    with tempfile.TemporaryDirectory(dir="/home/zoo") as folder:
        for name, command in (
            ("ray", ["zoo-eval", "sweep"]),
            ("local", ["python", "/app/jobs/sweep_zoo.py"]),
        ):
            (Path(folder) / "sweep.toml").write_text(SWEEP.replace('"store"', f'"{name}"'))
            words = [*command, "sweep.toml", "--runner", name]
            subprocess.run(words, cwd=folder, check=True)
            asked = "SELECT count(*) AS n FROM accuracy"
            said = subprocess.run(
                ["zoo-eval", "sql", asked, "--store", name, "--format", "json"],
                cwd=folder, check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            assert json.loads(said) == [{"n": 1}], said
    print("image: everything held")


if __name__ == "__main__":
    main()
