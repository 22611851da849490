"""A folder of THINGS is narrowed to the images of a list, in its order, and what is missing is said."""

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.recordings.rdm_files import shown_set
from tests.stimuli.planted_images import check, encoded, pixels, read
from zoo_eval.errors import BadInput
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.things import ThingsSection

OBJECTS = ("aardvark", "abacus", "zebra")
ALL = [f"{one}/{one}_{n:02d}b.jpg" for one in OBJECTS for n in (1, 2)]
TRAIN = ["zebra\\zebra_02b.jpg", "aardvark\\aardvark_01b.jpg", "abacus\\abacus_02b.jpg"]
TEST = ["abacus\\abacus_01b.jpg"]


@pytest.fixture
def folder(tmp_path):
    """Six images of three objects, as the archive is unpacked."""
    for name, image in zip(ALL, pixels(len(ALL)), strict=True):
        path = tmp_path / "THINGS" / "object_images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image))
    return tmp_path / "THINGS"


def tvsd(path, v73=True):
    """TVSD's things_imgs.mat: structures whose fields are texts, by references in HDF5."""
    if not v73:
        parts = {"train_imgs": TRAIN, "test_imgs": TEST}
        structs = {
            name: np.array([(one.split("\\")[0], one) for one in paths], dtype=[("class", "O"), ("things_path", "O")])
            for name, paths in parts.items()
        }  # fmt: skip
        savemat(path, structs)
        return path
    with h5py.File(path, "w") as file:
        for name, paths in (("train_imgs", TRAIN), ("test_imgs", TEST)):
            for field, texts in (
                ("class", [p.split("\\")[0] for p in paths]),
                ("things_path", paths),
            ):
                references = []
                for number, text in enumerate(texts):
                    codes = np.frombuffer(text.encode("utf-16-le"), np.uint16)[:, None]
                    item = file.create_dataset(f"#refs#/{name}{field}{number}", data=codes)
                    item.attrs["MATLAB_class"] = np.bytes_("char")
                    references.append([item.ref])
                file.create_dataset(f"{name}/{field}", data=references, dtype=h5py.ref_dtype)
    return path


def slashed(paths):
    return tuple(one.replace("\\", "/") for one in paths)


@pytest.mark.parametrize("v73", [True, False])
def test_tvsds_own_list_says_which_and_in_which_order(folder, tmp_path, v73):
    path = tvsd(tmp_path / "things_imgs.mat", v73)
    found = read(ThingsSection(path=folder, images=path, part="train"))
    assert found.ids == slashed(TRAIN)
    files = [folder / "object_images" / one for one in found.ids]
    check(found, [np.asarray(Image.open(one)) for one in files])
    assert read(ThingsSection(path=folder, images=path, part="test")).ids == slashed(TEST)
    both = read(ThingsSection(path=folder, images=path, order="sorted"))
    assert both.ids == tuple(sorted(slashed([*TRAIN, *TEST])))


def test_a_recording_means_its_images_with_backslashes_or_by_the_file_alone(folder, tmp_path):
    found = read(ThingsSection(path=folder, images=tvsd(tmp_path / "t.mat"), part="train"))
    for given in (TRAIN, [one.partition("\\")[2] for one in TRAIN]):
        assert list(ids.numbers("here", given, found).values()) == [0, 1, 2]


def test_a_text_file_and_a_csv_of_trials_are_lists(folder, tmp_path):
    names = ["zebra_01b.jpg", "aardvark_02b.jpg", "zebra_01b.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(names) + "\n\n")
    (tmp_path / "trials.csv").write_text("trial_type,stimulus\n" + "".join(f"train,{n}\n" for n in names))  # fmt: skip
    (tmp_path / "other.csv").write_text("which\n" + "\n".join(names))
    for known in (
        {"images": tmp_path / "list.txt"},
        {"images": tmp_path / "trials.csv"},
        {"images": tmp_path / "other.csv", "column": "which"},
    ):
        found = read(ThingsSection(path=folder, **known))
        assert found.ids == ("zebra_01b.jpg", "aardvark_02b.jpg")
        assert found.notes == ("2 images of the list are used",)
    whole = read_folder("all", folder)
    at = whole.ids.index("object_images/zebra/zebra_01b.jpg")
    np.testing.assert_array_equal(found.images[0], whole.images[at])


def test_missing_images_are_one_line(folder, tmp_path):
    (tmp_path / "list.txt").write_text("aardvark/aardvark_01b.jpg\nzebra/zebra_03b.jpg\nx/x.jpg\n")
    with pytest.raises(BadInput) as raised:
        read(ThingsSection(path=folder, images=tmp_path / "list.txt"))
    said = str(raised.value)
    assert "\n" not in said
    assert "list.txt names 'zebra/zebra_03b.jpg', which is not in" in said
    assert "(2 of 3 images; nearest: object_images/zebra/zebra_0" in said


def test_a_file_that_is_there_twice_is_asked_about(folder, tmp_path):
    other = folder / "copy" / "zebra_01b.jpg"
    other.parent.mkdir()
    other.write_bytes(encoded(pixels(1)[0]))
    (tmp_path / "list.txt").write_text("zebra_01b.jpg\n")
    with pytest.raises(BadInput, match=r"may be .*copy.* or .* \(1 such\); write the folder, too"):
        read(ThingsSection(path=folder, images=tmp_path / "list.txt"))
    (tmp_path / "list.txt").write_text("zebra/zebra_01b.jpg\n")
    assert len(read(ThingsSection(path=folder, images=tmp_path / "list.txt"))) == 1


@pytest.mark.parametrize(
    ("file", "content", "known", "said"),
    [
        ("l.txt", "\n", {}, "names no image"),
        ("l.txt", "zebra_01b.jpg\n", {"part": "test"}, "`part` is of TVSD's things_imgs.mat"),
        (
            "l.csv",
            "a,b\n1,2\n",
            {},
            r"no column stimulus, image, .*\(columns: a, b\); set `column`",
        ),
        ("l.csv", "a,b\n1,\n", {"column": "b"}, "line 2: b is empty"),
    ],
)
def test_a_list_that_is_none_is_refused(folder, tmp_path, file, content, known, said):
    (tmp_path / file).write_text(content)
    with pytest.raises(BadInput, match=said):
        read(ThingsSection(path=folder, images=tmp_path / file, **known))


def test_another_matlab_file_is_refused(folder, tmp_path):
    savemat(tmp_path / "t.mat", {"x": 1})
    with pytest.raises(BadInput, match="has no variable 'train_imgs'; give TVSD's things_imgs"):
        read(ThingsSection(path=folder, images=tmp_path / "t.mat"))
    with h5py.File(tmp_path / "t.mat", "w") as file:
        file["train_imgs/class"] = 1
    with pytest.raises(BadInput, match="'train_imgs' has no field 'things_path'; there is: class"):
        read(ThingsSection(path=folder, images=tmp_path / "t.mat"))


def test_ids_that_differ_by_folder_or_extension_alone_are_said_to():
    shown = shown_set(["a/x.jpg", "b/y.jpg", "c/y.jpg"])
    assert ids.numbers("here", ["x.jpg"], shown) == {"x.jpg": 0}
    for given, said in (
        ("q/x.jpg", "it differs from 'a/x.jpg' by its folder alone"),
        ("a/x.png", "it differs from 'a/x.jpg' by its extension alone"),
        ("y.jpg", r"'y.jpg' may be 'b/y.jpg' or 'c/y.jpg'; write the folder, too"),
    ):
        with pytest.raises(BadInput, match=said):
            ids.numbers("here", [given], shown)
