"""Recordings of maps over positions: what they hold, refuse, and how files and planted ones make them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError
from scipy.stats import pearsonr

from tests.planted_nets import noise
from tests.recordings.rdm_files import cells, mat, mat73, npz, shown_set
from tests.recordings.sweepmates import LAYER, MODEL, Mates
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.ceiling import CeilingChoices
from zoo_eval.recordings.planted_spatial import PlantedSpatialSection, plant
from zoo_eval.recordings.recording import RECORDINGS
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_arrays import SpatialArraysSection
from zoo_eval.recordings.spatial_recording import SpatialRecording, of_stimuli

IDS = ("c", "a", "b", "d")
SHOWN = shown_set(IDS)
CHANNELS = ("x", "y", "z")
RNG = np.random.default_rng(0)
REPEATED = RNG.standard_normal((4, 2, 3, 5, 3))
CHOICES = CeilingChoices(10, "spearman")


def held(repeated=REPEATED, image_ids=IDS, channel_ids=CHANNELS):
    return SpatialMaps(repeated.mean(1), image_ids, channel_ids, repeated)


def recording(name="it", **changes):
    return of_stimuli("recording 'it': f.npz", name, held(**changes), SHOWN)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_ids": ("a",)}, "expected maps .* of 1 images and 3 channels, got shape"),
        ({"channel_ids": ("x", "y")}, "of 4 images and 2 channels"),
        ({"channel_ids": ("x", "y", "x")}, "channel 'x' stands twice"),
        ({"image_ids": ("a", "b", "a", "d")}, "image 'a' stands twice"),
        ({"repeated": REPEATED[:2], "image_ids": ("a", "b")}, "at least 3 images"),
        ({"repeated": REPEATED[:, :, :1, :2]}, "3 positions and one channel are needed"),
    ],
)
def test_what_is_no_recording_of_maps_is_refused_on_one_line(changes, said):
    with pytest.raises(BadInput, match=said) as refusal:
        held(**changes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e120])
def test_what_float64_cannot_square_is_named(value):
    broken = REPEATED.copy()
    broken[1, 0, 2, 4, 1] = value
    with pytest.raises(
        BadInput, match=r"channel 'y' at row 2, column 4 \(from 0\) of image 'a' is"
    ):
        held(repeated=broken)


def test_repetitions_of_another_size_are_refused():
    with pytest.raises(BadInput, match="with repetitions of shape"):
        SpatialMaps(REPEATED.mean(1), IDS, CHANNELS, REPEATED[:, :, :2])


def test_it_answers_maps_and_refuses_what_asks_for_one_response_each():
    one = recording()
    assert one.spatial_shape == (3, 5, 3)
    assert_array_equal(one.spatial().maps, REPEATED.mean(1))
    assert (one.target_ids, one.subject_ids, one.n_stimuli) == ((), (), 4)
    asked = [
        lambda: one.check_targets("pls"),
        lambda: one.check_rdms("rsa", "correlation"),
        lambda: one.check_products("cka"),
        lambda: one.check_points("procrustes"),
        lambda: one.mean,
        lambda: one.gram_at(np.arange(2)),
        lambda: one.rdms_at(np.arange(2), "correlation"),
    ]
    for ask in asked:
        with pytest.raises(
            BadInput, match=r"recording 'it': it holds maps over positions.*spatial_fit$"
        ):
            ask()
    with pytest.raises(BadInput, match="maps of 4 images, but stimuli 'noise 0' has 3"):
        one.check(noise(3))


def test_other_recordings_have_no_maps():
    other = ResponseRecording("r", "s", np.zeros((3, 1, 1)), ("t",))
    for ask in (other.spatial, lambda: other.spatial_shape):
        with pytest.raises(BadInput, match="'r' holds no maps over positions"):
            ask()


def test_maps_are_put_in_the_order_of_the_stimuli():
    one = recording(image_ids=("a", "b.png", "c", "d"))
    assert one.spatial().image_ids == ("c", "a", "b.png", "d")
    assert_array_equal(one.spatial().maps, REPEATED[[2, 0, 1, 3]].mean(1))
    with pytest.raises(BadInput, match=r"f.npz: stimulus 'e' is not in stimuli 'shown'"):
        recording(image_ids=("a", "b", "c", "e"))


def test_its_digest_is_that_of_its_content():
    one = recording()
    assert recording("other").digest == one.digest
    assert recording(channel_ids=("x", "y", "w")).digest != one.digest
    moved = REPEATED.copy()
    moved[0, 0, 0, 0, 0] += 1
    assert recording(repeated=moved).digest != one.digest


def test_its_ceilings_are_of_each_image_averaged():
    found = {one.estimator: one for one in recording().ceilings(CHOICES)}
    assert set(found) == {"max_pairwise_target", "splithalf_spearman_brown"}
    means = REPEATED.mean(1).reshape(4, 15, 3)
    highest = [
        max(pearsonr(m[:, i], m[:, j]).statistic for i, j in ((0, 1), (0, 2), (1, 2)))
        for m in means
    ]
    (value,) = found["max_pairwise_target"].values(0).values()
    assert value == pytest.approx(np.mean(highest), rel=0, abs=1e-12)
    by_hand = []
    for image in REPEATED.reshape(4, 2, 15, 3):
        r = np.array([pearsonr(image[0, :, c], image[1, :, c]).statistic for c in range(3)])
        by_hand.append(2 * r / (1 + np.abs(r)))
    values = found["splithalf_spearman_brown"].values(0)
    assert list(values) == list(CHANNELS)
    assert_allclose(list(values.values()), np.mean(by_hand, 0), rtol=0, atol=1e-12)


def test_ceilings_that_cannot_be_are_not_there_or_undefined():
    once = SpatialMaps(REPEATED[:, 0], IDS, CHANNELS)
    assert [c.estimator for c in SpatialRecording("r", "s", once).ceilings(CHOICES)] == [
        "max_pairwise_target"
    ]
    flat = REPEATED.copy()
    flat[..., 1] = 1.0
    found = {one.estimator: one for one in recording(repeated=flat).ceilings(CHOICES)}
    values = found["splithalf_spearman_brown"].values(0)
    assert np.isnan(values["y"])
    assert not np.isnan(values["x"])
    assert "constant over positions" in found["splithalf_spearman_brown"].undefined("y")
    alone = SpatialMaps(REPEATED[:, 0, :, :, :1], IDS, ("x",))
    assert SpatialRecording("r", "s", alone).ceilings(CHOICES) == []


# Of files.


def read(path, **choices):
    section = SpatialArraysSection(stimuli="shown", path=SweepPath.of(path, None), **choices)
    return section.read("it", Mates(SHOWN))


def test_arrays_of_npz_and_both_mat_versions_are_one(tmp_path):
    ids, channels = np.array(["a", "b", "c", "d"]), np.array(CHANNELS)
    files = [
        npz(tmp_path / "m.npz", maps=REPEATED, image_ids=ids, channel_ids=channels),
        mat(tmp_path / "m5.mat", maps=REPEATED, image_ids=cells(ids), channel_ids=cells(channels)),
        mat73(
            tmp_path / "m73.mat", maps=REPEATED, image_ids=cells(ids), channel_ids=cells(channels)
        ),
    ]
    for file in files:
        found = read(file)
        assert_array_equal(found.spatial().repetitions, REPEATED[[2, 0, 1, 3]])
        assert_allclose(found.spatial().maps, REPEATED[[2, 0, 1, 3]].mean(1), rtol=0, atol=1e-15)
        assert found.channel_ids == CHANNELS
        assert found.digest == read(files[0]).digest


def test_axes_may_be_in_any_order(tmp_path):
    once = REPEATED[:, 0]
    plain = read(npz(tmp_path / "plain.npz", maps=once), image_ids=IDS)
    turned = npz(tmp_path / "turned.npz", maps=once.transpose(2, 1, 3, 0))
    found = read(turned, image_ids=IDS, axes=("column", "row", "channel", "image"))
    assert found.digest == plain.digest
    assert found.spatial().repetitions is None
    assert found.channel_ids == ("channel_00", "channel_01", "channel_02")


def test_maps_without_ids_meet_the_images_by_their_order_and_say_so(tmp_path):
    found = read(npz(tmp_path / "m.npz", maps=REPEATED), order="natural")
    assert found.spatial().image_ids == IDS
    assert_array_equal(found.spatial().repetitions, REPEATED[[2, 0, 1, 3]])
    assert "row 1 is 'a', row 2 is 'b', row 4 is 'd'" in str(found.by_position)
    assert "row 1 is 'c'" in str(read(npz(tmp_path / "n.npz", maps=REPEATED)).by_position)


def test_a_list_of_ids_may_be_a_file(tmp_path):
    (tmp_path / "ids.txt").write_text("d\nb\na\nc\n")
    found = read(
        npz(tmp_path / "m.npz", maps=REPEATED), image_ids=SweepPath.of(tmp_path / "ids.txt", None)
    )
    assert_array_equal(found.spatial().repetitions, REPEATED[[3, 2, 1, 0]])


@pytest.mark.parametrize(
    ("content", "choices", "said"),
    [
        ({"maps": REPEATED[:, 0, 0]}, {}, r"shape \(4, 5, 3\), expected \(image, row, column, channel\)"),
        ({"maps": REPEATED}, {"axes": ("image", "row", "column", "channel")}, "name the array's axes"),
        ({"maps": REPEATED.astype(complex)}, {}, "of type complex128; give real numbers"),
        ({"a": REPEATED, "b": REPEATED}, {}, r"holds 2 variables \(a, b\); name one"),
        ({"maps": REPEATED}, {"variable": "map"}, "no variable 'map'; nearest: maps"),
        ({"maps": REPEATED}, {"image_ids": ("a", "b")}, "maps of 4 images, but 2 ids"),
        ({"maps": REPEATED, "image_ids": np.array(IDS)}, {"order": "images"}, "ids of its own; remove `order`"),
        ({"maps": REPEATED}, {"image_ids": IDS, "order": "images"}, "says the order already"),
        ({"maps": REPEATED, "image_ids": np.array([IDS, IDS])}, {}, "`image_ids` has shape"),
        ({"maps": REPEATED, "channel_ids": np.array(["x", "y"])}, {}, "of 4 images and 2 channels"),
        ({"maps": REPEATED[:2]}, {"image_ids": ("a", "b")}, "at least 3 images"),
        ({"maps": np.zeros((0, 3, 5, 3))}, {}, "of shape"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_one_line_that_names_it(tmp_path, content, choices, said):
    path = npz(tmp_path / "m.npz", **content)
    with pytest.raises(BadInput, match=said) as refusal:
        read(path, **choices)
    assert "m.npz" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_another_kind_of_file_or_axis_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("1,2\n")
    with pytest.raises(BadInput, match=r"m.csv is of no known kind; give a .npz or .mat file"):
        read(tmp_path / "m.csv")
    with pytest.raises(ValidationError, match="expected image, row, column, channel in any order"):
        read(tmp_path / "m.npz", axes=("image", "row", "row", "channel"))


def test_what_does_not_fit_the_budget_is_refused_before_it_is_made(tmp_path, monkeypatch):
    path = npz(tmp_path / "m.npz", maps=REPEATED)
    monkeypatch.setattr(Mates, "memory_budget_bytes", REPEATED.nbytes * 2)
    with pytest.raises(BadInput, match="its maps would take"):
        read(path)


# Planted.

PHOTOS = noise(4)
SECTION = PlantedSpatialSection(
    stimuli=PHOTOS.name, model=MODEL, layer=LAYER, grid=(3, 5), n_components=2, n_channels=4,
    n_repetitions=3, noise=0.5,
)  # fmt: skip
LAYER_MAPS = np.random.default_rng(1).standard_normal((4, 3, 5, 6))


def test_planted_maps_are_planned_by_their_recipe_alone():
    planned = SECTION.read("it", Mates(PHOTOS))
    made = planned.pending.made(LAYER_MAPS)
    assert made.pending is None
    for fact in ("digest", "n_stimuli", "n_repetitions", "channel_ids", "spatial_shape", "stimuli"):
        assert getattr(planned, fact) == getattr(made, fact), fact
    for one, other in zip(planned.ceilings(CHOICES), made.ceilings(CHOICES), strict=True):
        assert replace(one, values=other.values, undefined=other.undefined) == other
    with pytest.raises(RuntimeError, match="planned but not made yet"):
        planned.spatial()
    assert SECTION.model_copy(update={"seed": 1}).read("it", Mates(PHOTOS)).digest != planned.digest


def test_planted_maps_that_were_kept_are_those_that_were_made():
    planned = SECTION.read("it", Mates(PHOTOS))
    made = planned.made(LAYER_MAPS)
    again = planned.kept(planned.table(made))
    assert_array_equal(again.spatial().repetitions, made.spatial().repetitions)
    assert again.digest == planned.digest


def test_planted_channels_are_components_of_the_layer_and_noise():
    recipe = SECTION.read("it", Mates(PHOTOS)).recipe
    clean = plant("it", LAYER_MAPS, replace(recipe, noise=0.0))
    x = LAYER_MAPS.reshape(60, 6) - LAYER_MAPS.reshape(60, 6).mean(0)
    _values, vectors = np.linalg.eigh(x.T @ x)
    leading = x @ vectors[:, -2:]
    y = clean[:, 0].reshape(60, 4)
    assert_array_equal(clean[:, 0], clean[:, 2])
    # All of their variance, which is 1, lies in the two leading components.
    residual = y - leading @ np.linalg.lstsq(leading, y, rcond=None)[0]
    assert_allclose(residual, 0, rtol=0, atol=1e-12)
    assert_allclose(y.std(0), 1, rtol=0, atol=1e-12)
    noisy = plant("it", LAYER_MAPS, replace(recipe, n_repetitions=500, noise=2.0))
    spread = noisy.std(1, ddof=1)
    # Each of 240 standard deviations has a standard error of 2 / sqrt(1000).
    assert spread.mean() == pytest.approx(2, rel=0, abs=5 * 2 / np.sqrt(1000 * 240))


def test_more_components_than_the_layer_has_are_refused():
    recipe = SECTION.read("it", Mates(PHOTOS)).recipe
    with pytest.raises(BadInput, match=r"7 components asked for, but layer 'blocks.1' has rank 6"):
        plant("it", LAYER_MAPS, replace(recipe, n_components=7))
    with pytest.raises(BadInput, match="has rank 0 over 60 positions"):
        plant("it", np.ones_like(LAYER_MAPS), recipe)


def test_both_kinds_are_found():
    assert {"spatial_arrays", "planted_spatial"} <= set(RECORDINGS.things())
