"""What an epoch shows: each image once, maps and images cut alike, the same for any number of workers."""

import numpy as np
import pytest
import torch
from PIL import Image

from zoo_eval.errors import BadInput
from zoo_eval.harmonizer.samples import cut_out, middle


def test_an_epoch_shows_each_unmapped_image_once_and_mapped_ones_at_the_stated_share(material):
    samples = material().samples
    assert samples.n_epoch == 32
    drawn = [samples.drawn(0, place) for place in range(32)]
    assert sorted(n for is_mapped, n in drawn if not is_mapped) == list(range(16))
    assert sum(is_mapped for is_mapped, _ in drawn) == 16
    # Spread evenly: of any four in a row two are mapped.
    assert all(sum(m for m, _ in drawn[i : i + 4]) == 2 for i in range(29))
    # Of 24 mapped images each comes once before any comes again.
    mapped = [n for e in range(3) for p in range(32) for m, n in [samples.drawn(e, p)] if m]
    assert sorted(mapped[:24]) == sorted(mapped[24:]) == list(range(24))
    assert mapped[:24] != mapped[24:]


def test_a_share_that_is_no_fraction_of_an_epoch_is_kept_over_epochs(material):
    samples = material(("share_mapped = 0.5", "share_mapped = 0.3")).samples
    n = samples.n_epoch
    assert n == int(16 / 0.7)
    mapped = sum(samples.drawn(e, p)[0] for e in range(40) for p in range(n))
    assert mapped == pytest.approx(0.3 * 40 * n, abs=1)


def test_workers_and_parts_of_a_step_show_together_what_one_shows(material):
    whole = list(material().samples.batches(1, 0))
    shared = material(training="workers = 2\naccumulate = 2").samples
    parts = [list(shared.batches(1, worker)) for worker in (0, 1)]
    for step, one in enumerate(whole):
        mine = [b for worker in parts for b in worker[2 * step : 2 * step + 2]]
        for name in ("pixels", "human", "labels", "has_map"):
            together = torch.cat([getattr(b, name) for b in mine])
            assert torch.equal(together, getattr(one, name))


def test_epochs_and_seeds_differ_and_repeat(material):
    samples = material().samples
    again = material().samples
    other = material(("seed = 3", "seed = 4")).samples
    first = [
        next(s.batches(e, 0)).pixels
        for s, e in [(samples, 0), (again, 0), (samples, 1), (other, 0)]
    ]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[3])


def test_map_and_image_are_cut_and_mirrored_alike(material):
    # The map of a planted image is where it is bright: cut apart, they would not correlate.
    samples = material(training="crop_area = [0.5, 0.9]").samples
    rho, mirrored = [], []
    for place in range(32):
        one = samples.sample(0, place)
        if one.has_map and one.human.std() > 0.05:
            grey = one.pixels.mean(2)
            rho.append(np.corrcoef(grey.ravel(), one.human.ravel())[0, 1])
            mirrored.append(np.corrcoef(grey.ravel(), one.human[:, ::-1].ravel())[0, 1])
    assert len(rho) > 8
    assert np.median(rho) > 0.5 > np.median(mirrored) + 0.2


def test_images_without_maps_have_none(material):
    samples = material().samples
    for place in range(8):
        one = samples.sample(0, place)
        assert one.has_map == samples.drawn(0, place)[0]
        assert one.has_map or not one.human.any()


def test_a_cut_takes_the_same_share_of_a_map_of_another_size():
    left, upper, right, lower = box = (0.3, 0.2, 0.8, 0.6)
    at = (np.arange(8) + 0.5) / 8
    expected = 10 * (upper + at * (lower - upper))[:, None] + left + at * (right - left)
    for height, width in ((40, 80), (64, 64), (100, 30)):
        rows, columns = (np.arange(n) + 0.5 for n in (height, width))
        ramp = (10 * rows[:, None] / height + columns / width).astype(np.float32)
        found = cut_out(Image.fromarray(ramp), box, (8, 8), Image.Resampling.BILINEAR)
        assert np.allclose(found, expected, atol=0.01)


def test_the_middle_of_an_image_is_what_its_map_covers():
    image = np.arange(4 * 10 * 3, dtype=np.uint8).reshape(4, 10, 3)
    assert np.array_equal(middle(image), image[:, 3:7])
    assert np.array_equal(middle(image.transpose(1, 0, 2)), image.transpose(1, 0, 2)[3:7])


def test_too_few_images_for_a_step_and_labels_outside_the_head_are_refused(material, planted_data):
    with pytest.raises(BadInput, match="an epoch has 32 images, and a step takes 64"):
        material(("batch_size = 8", "batch_size = 64"))
    labels = planted_data / "wrong.csv"
    text = (planted_data / "plain" / "labels.csv").read_text()
    labels.write_text(text.replace("00003.png,3", "00003.png,1000"))
    with pytest.raises(
        BadInput, match=r"label 1000, outside the network's 1000 classes.*00003\.png"
    ):
        material((f"{planted_data}/plain/labels.csv", str(labels)))


def test_maps_of_other_images_are_refused(material):
    with pytest.raises(BadInput, match="maps belong to stimuli 'seen'"):
        material(
            ('mapped = "seen"', 'mapped = "plain"'), ('unmapped = "plain"', 'unmapped = "seen"')
        )
