"""The lab's .pth files are read without running code; anything else is refused by name."""

import pickle
import struct

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.importance.shards import heatmap, photo
from tests.rounding import float32_products
from zoo_eval.errors import BadInput
from zoo_eval.importance import lab_pth
from zoo_eval.importance.selection import Selection
from zoo_eval.stimuli.stimulus_set import StimulusSet


def content(seed: int, label: int, *, batched: bool = False) -> dict:
    image = torch.from_numpy(photo(seed, 224).transpose(2, 0, 1).copy())
    clicks = torch.from_numpy(heatmap(seed, 224))[None]
    if batched:
        return {"image": image[None], "heatmap": clicks[None], "label": torch.tensor([[label]])}
    return {"image": image, "heatmap": clicks, "label": torch.tensor(label, dtype=torch.int32)}


@pytest.fixture
def files(tmp_path):
    for number, label in enumerate((5, 7, 5)):
        torch.save(content(number, label, batched=number == 1), tmp_path / f"{number}.pth")
    return tmp_path


def test_files_give_images_labels_and_maps(files):
    stimuli, maps = lab_pth.read("lab", files, human_ceiling=0.5)
    assert stimuli.ids == maps.stimulus_ids == ("0.pth", "1.pth", "2.pth")
    assert stimuli.labels == (5, 7, 5)
    assert maps.human_ceiling == 0.5
    for i in range(3):
        assert np.array_equal(stimuli.images[i], photo(i, 224))
        assert_allclose(
            maps.maps[i],
            heatmap(i, 224) / np.ptp(heatmap(i, 224)),
            rtol=0,
            atol=float32_products(4),
        )


def test_records_are_selected_in_order(files):
    assert lab_pth.read("lab", files, selection=Selection(per_class=1))[0].labels == (5, 7)
    (files / "2.pth").write_bytes(b"never looked at")
    assert len(lab_pth.read("lab", files, selection=Selection(limit=2))[0]) == 2


def test_a_plain_number_is_a_label_too(tmp_path):
    torch.save({**content(0, 1), "label": 42}, tmp_path / "a.pth")
    assert lab_pth.read("lab", tmp_path)[0].labels == (42,)


class Planted:
    """What a malicious file does when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    "write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))]
)
def test_a_file_that_needs_code_is_refused_and_the_code_is_not_run(files, tmp_path, write):
    write({**content(0, 1), "label": Planted(tmp_path / "planted")}, files / "1.pth")
    with pytest.raises(BadInput, match=r"1.pth: is damaged or needs code"):
        lab_pth.read("lab", files)
    assert not (tmp_path / "planted").exists()


IMAGE, MAP = content(0, 1)["image"], content(0, 1)["heatmap"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"image": IMAGE.float()},
            r"expected image as uint8 \(3, row, column\), got torch.float32",
        ),
        ({"image": IMAGE.permute(1, 2, 0)}, r"got torch.uint8 \[224, 224, 3\]"),
        ({"heatmap": MAP[0]}, r"expected heatmap as uint8 \(1, row, column\)"),
        ({"heatmap": IMAGE}, r"got torch.uint8 \[3, 224, 224\]"),
        ({"image": torch.cat([IMAGE[None]] * 2)}, r"\[2, 3, 224, 224\]"),
        ({"heatmap": "text"}, "got str"),
        ({"heatmap": MAP[:, :112]}, "other proportions"),
        ({"label": torch.tensor([1, 2])}, "expected label as one class index"),
        ({"label": torch.tensor(1.0)}, "expected label"),
        ({"label": -1}, "expected label"),
    ],
)
def test_other_shapes_and_types_are_refused(tmp_path, changed, reason):
    torch.save({**content(0, 1), **changed}, tmp_path / "a.pth")
    with pytest.raises(BadInput, match=reason):
        lab_pth.read("lab", tmp_path)


@pytest.mark.parametrize("value", [{"image": IMAGE}, [1, 2], IMAGE])
def test_files_of_other_content_are_refused(tmp_path, value):
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(BadInput, match=r"a.pth: expected a dict of image, heatmap and label"):
        lab_pth.read("lab", tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"\0" * 99]
)
def test_a_damaged_file_is_refused(files, damage):
    path = files / "0.pth"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadInput, match=r"0\.pth: (cannot be read|is damaged)"):
        lab_pth.read("lab", files)


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no file '\*\.pth' in"):
        lab_pth.read("lab", tmp_path)


def test_images_are_decoded_when_shown_and_keep_their_identity(files):
    stimuli, maps = lab_pth.read("lab", files)
    held = tuple(np.array(one) for one in stimuli.images)
    in_memory = StimulusSet("lab", stimuli.ids, held, groups=stimuli.ids, labels=stimuli.labels)
    assert in_memory.digest == stimuli.digest == maps.stimuli_digest
    assert stimuli.images.shapes == tuple(one.shape for one in held)
    assert lab_pth.read("lab", files)[0].has_known_digest


def test_a_tensor_that_repeats_one_value_claims_no_memory(tmp_path):
    large = torch.zeros(1, dtype=torch.uint8).expand(3, 100_000, 100_000)
    torch.save({"image": large, "heatmap": MAP, "label": 1}, tmp_path / "a.pth")
    assert (tmp_path / "a.pth").stat().st_size < 100_000
    with pytest.raises(BadInput, match=r"a.pth: image claims \[3, 100000, 100000\], more than the"):
        lab_pth.read("lab", tmp_path)


def test_a_compressed_archive_that_claims_more_than_it_holds_is_refused(files):
    path = files / "0.pth"
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 2**31)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"0.pth: .* claims 2147483648 bytes, which the file cannot"):
        lab_pth.read("lab", files)


def test_another_file_is_told(files):
    (files / "0.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(BadInput, match=r"0.pth: is damaged.*a Git LFS pointer; run `git lfs pull`"):
        lab_pth.read("lab", files)
