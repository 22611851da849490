"""A sweep of both directions, ridge and the reverse readouts, of one small model."""

from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions

SWEEP = """
[store]
uri = "{store}"
[models]
include = ["local/*"]
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0*.jpg"]
[stimuli.crops]
kind = "crops"
of = ["photos"]
n = 30
size_px = 96
[recordings.planted_in_vit]
kind = "planted"
stimuli = "crops"
model = "local/vit"
layer = "blocks.1"
n_components = 4
n_targets = 6
[[evaluations]]
kind = "neural_fit"
recording = "planted_in_vit"
readouts = ["ridge", "reverse_ridge", "reverse_pls"]
components = 3
n_units = 40
n_folds = 2
n_inner_folds = 2
n_resamples = 20
layers = ["blocks.1", "blocks.5"]
"""


def swept(folder, runner, store=None):
    """The folder of the store, once the sweep is through."""
    store = store or folder / runner
    file = folder / f"{runner}.toml"
    file.write_text(SWEEP.format(store=store))
    said: list[str] = []
    assert sweep.run(SweepOptions(file, folder, runner=runner), said.append) == 0, said
    return store
