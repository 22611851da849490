"""Images at the size at which they were shown: so much of the field, in its middle, grey around it."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.recordings.sweepmates import Mates
from tests.stimuli.planted_images import check, pixels
from zoo_eval.errors import BadInput
from zoo_eval.importance.folder import MapFolderSection
from zoo_eval.stimuli import degrees
from zoo_eval.stimuli.folder import FolderSection
from zoo_eval.stimuli.importance import ImportanceStimuliSection
from zoo_eval.stimuli.stimulus_set import StimulusSet


@pytest.fixture
def photos(tmp_path):
    """A folder of four photos of 20 x 24 pixels."""
    for number, image in enumerate(pixels(4)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    return tmp_path


def seen(folder, **known):
    section = FolderSection(path=folder, **known)
    return degrees.shown(section, section.read("set", Mates(None)))


def drawn(image, height, width):
    """Pixel by pixel: the image's centre on the field's."""
    found = np.full((height, width, 3), 128, np.uint8)
    top, left = ((a - b) // 2 if a >= b else -((b - a) // 2) for a, b in zip((height, width), image.shape))  # fmt: skip
    for row in range(height):
        for column in range(width):
            at = row - top, column - left
            if 0 <= at[0] < image.shape[0] and 0 <= at[1] < image.shape[1]:
                found[row, column] = image[at]
    return found


@pytest.mark.parametrize(
    ("known", "size"),
    [
        ({"degrees": 8, "seen_degrees": 16}, (40, 48)),
        ({"degrees": 8, "seen_degrees": 10}, (25, 30)),
        ({"degrees": 8, "seen_degrees": 8.1}, (20, 24)),
        ({"degrees": 16, "seen_degrees": 8}, (10, 12)),
        ({"degrees": 10, "seen_degrees": 7}, (14, 17)),
        ({"degrees": 180, "seen_degrees": 0.1}, (1, 1)),
    ],
)
def test_an_image_takes_its_share_of_the_field(photos, known, size):
    found = seen(photos, **known)
    check(found, [drawn(image, *size) for image in pixels(4)])
    assert found.shapes[0] == (*size, 3)


def test_the_share_is_that_of_the_degrees(photos):
    found = seen(photos, degrees=9.2, seen_degrees=20)
    _, width, _ = found.shapes[0]
    inside = (found.images[0] != 128).any((0, 2))
    assert abs(inside.sum() / width - 9.2 / 20) <= 0.5 / width + 1 / 24


def test_a_set_without_degrees_is_the_set_itself(photos):
    section = FolderSection(path=photos)
    plain = section.read("set", Mates(None))
    assert degrees.shown(section, plain) is plain
    # What was computed before the option came.
    in_memory = StimulusSet("m", plain.ids, tuple(pixels(4)), plain.groups)
    same, padded = (seen(photos, degrees=8, seen_degrees=one) for one in (8, 16))
    assert plain.digest == in_memory.digest == same.digest != padded.digest
    assert padded.ids == plain.ids


def test_a_plan_says_it_and_keeps_what_it_said(photos):
    (line,) = seen(photos, degrees=8, seen_degrees=16).remarks
    assert line == "images of 8 degrees are seen in a field of 16, padded with grey"
    assert seen(photos, degrees=16, seen_degrees=8).notes[0].endswith("cut to its centre")


def test_a_digest_is_kept_by_the_field(photos, decoded):
    first = seen(photos, degrees=8, seen_degrees=16).digest
    decoded.clear()
    again = seen(photos, degrees=8, seen_degrees=16)
    assert (again.has_known_digest, again.digest, decoded) == (True, first, [])
    assert not seen(photos, degrees=8, seen_degrees=12).has_known_digest


@pytest.mark.parametrize("given", ["degrees", "seen_degrees"])
def test_one_without_the_other_says_nothing(photos, given):
    with pytest.raises(ValidationError, match=f"`{given}` without `.*degrees` says nothing"):
        FolderSection(path=photos, **{given: 8})


@pytest.mark.parametrize("wrong", [0, -8, 181, float("nan"), float("inf")])
def test_what_is_no_angle_is_refused(photos, wrong):
    with pytest.raises(ValidationError):
        FolderSection(path=photos, degrees=8, seen_degrees=wrong)


def test_a_field_that_nobody_sees_is_refused_before_it_is_drawn(photos):
    with pytest.raises(BadInput, match=r"'0\.png' in its field would have 43200 x 36000 pixels"):
        seen(photos, degrees=0.1, seen_degrees=180)


def test_human_maps_do_not_move_with_the_images(photos):
    section = ImportanceStimuliSection(importance="maps", degrees=8, seen_degrees=16)
    with pytest.raises(BadInput, match="human maps lie on the images as they came"):
        section.read("set", Mates(None))
    shown = seen(photos, degrees=8, seen_degrees=16)
    maps = MapFolderSection(stimuli="set", path=photos)
    with pytest.raises(BadInput, match="stimuli 'set' are shown in a field of `degrees`"):
        maps.read("maps", Mates(shown))
