"""Both releases of ClickMe shards are read; what is damaged, mixed up or half known is refused."""

import gzip
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from tests.importance import shards
from tests.importance.shards import example, heatmap, jpeg, jpeg_record, photo, raw_record, write
from tests.rounding import float32_products, printed
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.importance import clickme
from zoo_eval.importance.preparation import BLURRED_BEFORE, PUBLISHED, prepare
from zoo_eval.importance.selection import Selection
from zoo_eval.stimuli.stimulus_set import Images, StimulusSet

LABELS = [[3, 999, 3], [0, 3]]


@pytest.fixture
def release(tmp_path):
    for number, labels in enumerate(LABELS):
        records = [jpeg_record(10 * number + i, label) for i, label in enumerate(labels)]
        write(tmp_path / f"val-{number}.tfrecords", records)
    return tmp_path


def test_jpeg_shards_give_images_labels_and_prepared_maps(release):
    stimuli, maps = clickme.read("clickme", release)
    assert stimuli.ids[:2] == ("val-0.tfrecords#000000", "val-0.tfrecords#000001")
    assert stimuli.ids == maps.stimulus_ids
    assert stimuli.labels == (3, 999, 3, 0, 3)
    maps.check(stimuli)
    assert (maps.human_ceiling, maps.preparation) == (
        pytest.approx(0.65753, rel=0, abs=printed(5)),
        PUBLISHED,
    )
    for image, found, seed in zip(stimuli.images, maps.maps, (0, 1, 2, 10, 11), strict=True):
        assert image.shape == (256, 256, 3)
        assert np.abs(image.astype(int) - photo(seed)).mean() < 3
        expected = prepare(heatmap(seed).astype(np.float32), PUBLISHED)
        # JPEG moves a value of the map by some levels of 255, of which the blur leaves few.
        assert_allclose(found, expected, rtol=0, atol=8 / 255)
        assert spearmanr(found.ravel(), expected.ravel()).statistic > 0.99


@pytest.mark.parametrize("span", [255, 1])
def test_raw_float_shards_give_exactly_what_was_written(tmp_path, span):
    write(tmp_path / "old.tfrecords", [raw_record(i, i, span=span) for i in range(2)])
    stimuli, maps = clickme.read("old", tmp_path)
    assert stimuli.labels == (0, 1)
    for i in range(2):
        assert np.array_equal(stimuli.images[i], photo(i))
        assert np.array_equal(maps.maps[i], prepare(heatmap(i).astype(np.float32), PUBLISHED))


def test_both_releases_may_lie_side_by_side(tmp_path):
    write(tmp_path / "both.tfrecords", [jpeg_record(0, 1), raw_record(1, 2)])
    stimuli, maps = clickme.read("both", tmp_path)
    assert np.array_equal(stimuli.images[1], photo(1))
    assert len(maps) == 2


def test_raw_maps_that_were_blurred_before_are_not_blurred_again(tmp_path):
    write(tmp_path / "test.tfrecords", [raw_record(0, 1, side=224)])
    with pytest.raises(BadInput, match="blurred before they were written"):
        clickme.read("test", tmp_path)
    _, maps = clickme.read("test", tmp_path, preparation=BLURRED_BEFORE)
    assert_allclose(
        maps.maps[0], heatmap(0, 224) / np.ptp(heatmap(0, 224)), rtol=0, atol=float32_products(4)
    )


def test_one_image_per_class_is_the_first_of_each(release):
    stimuli, _ = clickme.read("one", release, selection=Selection(per_class=1))
    assert stimuli.labels == (3, 999, 0)
    assert stimuli.ids[2] == "val-1.tfrecords#000000"


def test_a_limit_reads_no_further(release):
    (release / "val-1.tfrecords").write_bytes(b"never looked at")
    stimuli, _ = clickme.read("few", release, selection=Selection(limit=3))
    assert len(stimuli) == 3


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"per_class": -1}])
def test_a_selection_of_nothing_is_refused(wrong):
    with pytest.raises(BadInput, match="give 1 or more"):
        Selection(**wrong)


def test_a_damaged_record_names_file_and_number(release):
    path = release / "val-1.tfrecords"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"val-1.tfrecords: record 1: its data does not match"):
        clickme.read("damaged", release)


IMAGE, MAP = jpeg(photo(0)), jpeg(heatmap(0))
RAW = photo(0, 16).astype("<f4")


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"image": [IMAGE], "label": [1]}, "no bytes `heatmap` among its features .image, label"),
        ({"image": [IMAGE], "heatmap": [MAP]}, "`label` is .., not one class index"),
        ({"image": [IMAGE], "heatmap": [MAP], "label": [-1]}, "`label` is .-1."),
        ({"image": [IMAGE], "heatmap": [MAP], "label": [1, 2]}, "`label` is .1, 2."),
        ({"image": [1], "heatmap": [MAP], "label": [1]}, "no bytes `image`"),
        ({"image": [IMAGE], "heatmap": [bytes(4)], "label": [1]}, "one of image and map is JPEG"),
        ({"image": [IMAGE[:40]], "heatmap": [MAP], "label": [1]}, "image: cannot be decoded"),
        ({"image": [IMAGE], "heatmap": [IMAGE], "label": [1]}, "map is a picture in colour"),
        ({"image": [bytes(13)], "heatmap": [bytes(4)], "label": [1]}, "13 bytes are neither JPEG"),
        ({"image": [RAW.tobytes()], "heatmap": [b""], "label": [1]}, "0 bytes are neither JPEG"),
        ({"image": [(RAW * np.nan).tobytes()], "heatmap": [bytes(4)], "label": [1]}, "NaN"),
    ],
)
def test_records_of_another_kind_are_refused_by_number(tmp_path, features, reason):
    write(tmp_path / "x.tfrecords", [jpeg_record(0, 1), example(**features)])
    with pytest.raises(BadInput, match=f"x.tfrecords: record 1.*{reason}"):
        clickme.read("x", tmp_path)


def test_a_sound_record_that_is_no_example_is_refused(tmp_path):
    write(tmp_path / "x.tfrecords", [b"\xff\xff"])
    with pytest.raises(BadInput, match=r"record 0 is no tf\.Example"):
        clickme.read("x", tmp_path)


def test_normalised_raw_images_are_refused_with_their_range(tmp_path):
    image = (photo(0, 64).astype("<f4") / 255 - 0.45) / 0.225
    clicks = heatmap(0, 64).astype("<f4")
    record = example(image=[image.tobytes()], heatmap=[clicks.tobytes()], label=[1])
    write(tmp_path / "x.tfrecords", [record])
    with pytest.raises(BadInput, match=r"between -2 and 2.444, neither in \[0, 1\] nor in"):
        clickme.read("x", tmp_path)


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no file '\*\.tfrecords' in"):
        clickme.read("none", tmp_path)


def test_the_writer_of_these_tests_uses_published_checksums():
    assert shards.crc32c_byte_by_byte(b"123456789") == 0xE3069283


def test_images_are_decoded_when_shown_and_keep_their_identity(release):
    stimuli, maps = clickme.read("clickme", release)
    held = tuple(np.array(one) for one in stimuli.images)
    assert isinstance(stimuli.images, Images)
    assert stimuli.images.shapes == tuple(one.shape for one in held)
    in_memory = StimulusSet("clickme", stimuli.ids, held, groups=stimuli.ids, labels=stimuli.labels)
    assert in_memory.digest == stimuli.digest == maps.stimuli_digest
    sent = pickle.loads(pickle.dumps(stimuli))
    assert np.array_equal(sent.images[4], held[4])
    again, _ = clickme.read("clickme", release)
    assert again.has_known_digest


def test_an_image_that_changes_after_it_was_read_is_refused(release):
    stimuli, _ = clickme.read("clickme", release)
    assert stimuli.image(0).shape == (256, 256, 3)
    records = [jpeg_record(seed, label) for seed, label in zip((7, 1, 2), LABELS[0])]
    write(release / "val-0.tfrecords", records)
    with pytest.raises((BadInput, Refusal), match=r"val-0.tfrecords|changed since it was planned"):
        stimuli.image(0)


@pytest.mark.parametrize("raw", [True, False])
def test_compressed_shards_are_the_same_images_and_maps(tmp_path, raw):
    make = raw_record if raw else jpeg_record
    write(tmp_path / "a.tfrecords", [make(i, i) for i in range(3)])
    plain, maps = clickme.read("a", tmp_path)
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "a.tfrecords.gz").write_bytes(gzip.compress((tmp_path / "a.tfrecords").read_bytes()))
    found, found_maps = clickme.read("a", packed)
    assert found.ids[0] == "a.tfrecords.gz#000000"
    assert all(np.array_equal(*pair) for pair in zip(plain.images, found.images, strict=True))
    assert np.array_equal(maps.maps, found_maps.maps)
    with pytest.raises(
        BadInput, match=r"held of compressed shards would take .* unpack them \(gunzip\)"
    ):
        clickme.read("a", packed, most_bytes=2**12)


def test_maps_are_prepared_one_at_a_time_and_large_sets_of_them_are_on_disk(tmp_path, monkeypatch):
    write(tmp_path / "a.tfrecords", [raw_record(i, i, side=64) for i in range(8)])
    _, in_memory = clickme.read("a", tmp_path)
    assert not isinstance(in_memory.maps, np.memmap)
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path / "cache"))
    _, on_disk = clickme.read("a", tmp_path, most_bytes=2**20)
    assert isinstance(on_disk.maps, np.memmap)
    assert np.array_equal(in_memory.maps, on_disk.maps)
    assert in_memory.digest == on_disk.digest
    # Nobody else sees the file, and none is left.
    assert list((tmp_path / "cache" / "maps").iterdir()) == []


def test_maps_that_the_disk_has_no_room_for_are_refused_with_the_sizes(tmp_path, monkeypatch):
    write(tmp_path / "a.tfrecords", [raw_record(0, 1, side=64)])
    free = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(
        BadInput, match=r"1 maps of 224 x 224 px take 196.0 KiB, and 1000 B are free"
    ):
        clickme.read("a", tmp_path, most_bytes=2**10)


def test_shards_without_records_are_named(tmp_path):
    (tmp_path / "a.tfrecords").write_bytes(b"")
    with pytest.raises(
        BadInput, match=r"a.tfrecords and the like hold no record; fetch them again"
    ):
        clickme.read("x", tmp_path)
