"""Brain-Score's stimulus sets: a CSV and a ZIP archive, or the folder that it was unpacked to."""

import zipfile

import numpy as np
import pytest

from tests.stimuli.planted_images import by_pillow, check, encoded, pixels, read
from zoo_eval.errors import BadInput
from zoo_eval.stimuli.brainscore import BrainScoreSection
from zoo_eval.stimuli.folder import read_folder

N = 5
FILES = {f"{one:02d}hash.png": encoded(image, "PNG") for one, image in enumerate(pixels(N))}
HEADER = "id,image_id,object_name,filename"


def rows(ids="image_id"):
    header = HEADER.replace("image_id", ids)
    lines = [f"{n},hvm-{n},{'face' if n % 2 else 'car'},{file}" for n, file in enumerate(FILES)]
    # The archive's own order is another.
    return [header, *reversed(lines)]


PUBLISHED = rows()


@pytest.fixture
def published(tmp_path):
    """A CSV and its archive, and a section of them."""

    def section(lines=PUBLISHED, files=FILES, **known):
        (tmp_path / "image.csv").write_text("\n".join(lines) + "\n")
        with zipfile.ZipFile(tmp_path / "image.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        known = {"images": tmp_path / "image.zip", **known}
        return BrainScoreSection(path=tmp_path / "image.csv", **known)

    return section


@pytest.mark.parametrize("ids", ["image_id", "stimulus_id"])
def test_images_are_those_of_the_archive_in_the_order_of_the_csv(published, ids):
    found = read(published(rows(ids)))
    assert found.ids == found.groups == tuple(f"hvm-{n}" for n in reversed(range(N)))
    assert found.labels is None
    check(found, [by_pillow(content) for content in reversed(FILES.values())])


def test_a_column_keeps_images_in_one_fold_and_a_limit_takes_the_first(published):
    found = read(published(groups="object_name", limit=3))
    assert (found.ids, found.groups) == (("hvm-4", "hvm-3", "hvm-2"), ("car", "face", "car"))
    assert not published(limit=3).is_whole


def test_a_column_is_what_splits_are_stratified_by(published):
    plain, found = read(published()), read(published(strata="object_name"))
    assert found.strata == tuple("face" if n % 2 else "car" for n in reversed(range(N)))
    assert (plain.strata, found.labels, found.groups) == (None, None, found.ids)
    assert found.digest != plain.digest
    assert found.described().strata == found.strata


def test_an_archive_of_a_folder_and_the_folder_itself_are_the_same(published, tmp_path):
    plain = read(published()).digest
    inside = {f"image_dicarlo/{name}": content for name, content in FILES.items()}
    assert read(published(files=inside)).digest == plain
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    assert read(published(images=tmp_path)).digest == plain


def test_it_is_told_which_orientations_are_ignored(published, tmp_path):
    files = dict.fromkeys(FILES, encoded(pixels(1)[0], exif=bytes.fromhex(
        "45786966000049492a000800000001001201030001000000060000000000000000"
    )))  # fmt: skip
    found, turned = (read(published(files=files, exif=exif)) for exif in ("ignore", "apply"))
    assert found.shapes[0] == (20, 24, 3)
    assert turned.shapes[0] == (24, 20, 3)
    assert found.remarks[0].startswith("5 of 5 images have an EXIF orientation that is ignored")
    np.testing.assert_array_equal(turned.images[0], found.images[0].transpose(1, 0, 2)[:, ::-1])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    folder = read_folder("set", tmp_path, include=["*.png"])
    np.testing.assert_array_equal(folder.images[0], found.images[0])


def test_another_archive_is_decoded_anew(published):
    before = read(published()).digest
    other = {**FILES, "00hash.png": encoded(pixels(9)[8], "PNG")}
    assert read(published(files=other)).digest != before


@pytest.mark.parametrize(
    ("change", "known", "said"),
    [
        (lambda lines: ["object_name,filename", "face,00hash.png"], {}, r"no column stimulus_id or image_id \(columns: object_name, filename\)"),
        (lambda lines: [lines[0].replace("filename", "file"), *lines[1:]], {}, "no column filename or image_file_name"),
        (lambda lines: lines, {"filename": "stimulus"}, "no column stimulus"),
        (lambda lines: lines, {"groups": "object"}, "no column object"),
        (lambda lines: lines, {"strata": "object"}, "no column object"),
        (lambda lines: [*lines, "7,hvm-7,,00hash.png"], {"strata": "object_name"}, "line 7: no object_name"),
        (lambda lines: [*lines, "7,,face,00hash.png"], {}, "line 7: no image_id or no filename"),
        (lambda lines: [*lines, "7,hvm-7,face,x.png", "8,hvm-8,face,y.png"], {}, r"names 'x\.png', which .*image\.zip does not have \(2 such"),
        (lambda lines: [*lines, "7,hvm-0,face,00hash.png"], {}, "id 'hvm-0' stands twice"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(published, change, known, said):
    with pytest.raises(BadInput, match=said):
        read(published(change(rows()), **known))


def test_a_row_does_not_lead_out_of_the_folder(published, tmp_path):
    lines = [rows()[0], "0,a,b,../image.csv"]
    with pytest.raises(BadInput, match="leads out of the folder of images"):
        read(published(lines, images=tmp_path))


def test_a_member_that_is_no_image_is_named(published):
    found = read(published(files={**FILES, "02hash.png": b"<!DOCTYPE html>"}))
    with pytest.raises(BadInput, match=r"image\.zip: '02hash\.png': cannot be .* an HTML page"):
        _ = found.digest
