"""A monkey's file of Arcaro 2020, as MATLAB writes version 5: responses by position and millisecond, and names."""

import numpy as np

from tests.recordings import rdm_files

# (x, y, time_ms, channel, image)
SHAPE = (3, 4, 6, 5, 4)
IDS = ("face.png", "hand.png", "body.png", "round object.png")
PATHS = [[f"C:\\stimuli\\natural_test\\{one}" for one in IDS]]


def planted(shape=SHAPE):
    return np.random.default_rng(5).random(shape).astype(np.float32)


def monkey(path, write=rdm_files.mat, **changed):
    names = np.empty((1, len(IDS)), object)
    names[:] = PATHS
    return write(
        path, **{"imageRF": planted(), "UniqueNames": names, "RFwidth": np.eye(2), **changed}
    )
