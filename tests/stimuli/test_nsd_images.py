"""NSD's bricks are read image by image, those of a subject alone, and never as zeros that nobody wrote."""

import pickle

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from tests.recordings.rdm_files import shown_set
from tests.stimuli.planted_images import check, pixels, read
from zoo_eval.errors import BadInput
from zoo_eval.stimuli import ids, nsd
from zoo_eval.stimuli.hdf5_rows import Hdf5Rows
from zoo_eval.stimuli.nsd import NsdSection

N = 12
SHOWN = pixels(N, 9, 9)


def brick(path, images=SHOWN, name="imgBrick", **options):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=images, **options)
    return path


def design(path, v73=False, **changes):
    """Who saw what, as nsd_expdesign.mat says it: 8 subjects of 4 images, two of which all have."""
    subjectim = np.array([[2, 5, 6 + s % 5, 12 - s % 3] for s in range(8)])
    content = {
        "subjectim": subjectim,
        "sharedix": np.array([[2, 5]]),
        "masterordering": np.array([[3, 1, 1, 2, 4]]),
        **changes,
    }
    if not v73:
        savemat(path, content)
        return path
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            file[key] = value.T.astype(float)
            file[key].attrs["MATLAB_class"] = b"double"
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (1, 9, 9, 3)}, {"chunks": (5, 4, 9, 2), "compression": "gzip"}],
    ids=["contiguous", "by image", "across images"],
)
def test_images_are_those_of_the_brick(tmp_path, options):
    found = read(NsdSection(path=brick(tmp_path / "b.hdf5", **options)))
    assert found.ids == found.groups == tuple(f"nsd-{n:05d}" for n in range(1, N + 1))
    check(found, list(SHOWN))


@pytest.mark.parametrize("v73", [False, True])
def test_a_subject_has_what_it_saw_in_its_sessions(tmp_path, v73, monkeypatch):
    known = {"path": brick(tmp_path / "b.hdf5"), "design": design(tmp_path / "d.mat", v73)}
    # Subject 3's images are 2, 5, 8 and 10, and it saw them in the order 8, 2, 2, 5, 10.
    assert read(NsdSection(**known, subject=3)).ids == (
        "nsd-00002", "nsd-00005", "nsd-00008", "nsd-00010",
    )  # fmt: skip
    # Of sessions of one trial each, subject 3 had four, and subject 4 three.
    monkeypatch.setattr(nsd, "TRIALS", 1)
    monkeypatch.setattr(nsd, "SESSIONS", (5, 5, 4, 3, 5, 4, 5, 3))
    found = {subject: read(NsdSection(**known, subject=subject)).ids for subject in (3, 4)}
    assert found == {
        3: ("nsd-00002", "nsd-00005", "nsd-00008"),
        4: ("nsd-00002", "nsd-00009"),
    }
    shared = read(NsdSection(**known, shared=True))
    assert shared.ids == ("nsd-00002", "nsd-00005")
    np.testing.assert_array_equal(shared.images[1], SHOWN[4])
    assert read(NsdSection(**known, subject=4, shared=True)).ids == ("nsd-00002",)


def test_a_list_takes_images_in_its_order(tmp_path):
    (tmp_path / "ids.txt").write_text("nsd-00004\n2\nshared0001_nsd00003.png\n")
    path = brick(tmp_path / "b.hdf5")
    for include in (tmp_path / "ids.txt", ("4", "nsd-00002", "3.0")):
        found = read(NsdSection(path=path, include=include))
        assert found.ids == ("nsd-00004", "nsd-00002", "nsd-00003")
        check(found, [SHOWN[3], SHOWN[1], SHOWN[2]])
    assert read(NsdSection(path=path, include=include, limit=1)).ids == ("nsd-00004",)


def test_bricks_of_nsd_synthetic_are_one_after_another(tmp_path):
    grey, colour = pixels(3, 7, 13), pixels(2, 7, 13)
    paths = brick(tmp_path / "a.hdf5", grey), brick(tmp_path / "b.hdf5", colour)
    found = read(NsdSection(path=paths, names="nsdsynthetic"))
    assert found.ids == tuple(f"nsdsynthetic-{n:03d}" for n in range(1, 6))
    check(found, [*grey, *colour])


def test_a_published_number_finds_its_image():
    shown = shown_set(["nsd-00003", "nsd-02951", "nsd-73000"])
    given = ["2951", "shared0001_nsd02951.png", "nsd02951", "nsd-02951", "02951", "2951.0"]
    for one in given:
        assert ids.numbers("here", [one], shown) == {one: 1}
    with pytest.raises(BadInput, match=r"stimulus '2950' is not in stimuli"):
        ids.numbers("here", ["2950"], shown)
    with pytest.raises(BadInput, match="both mean 'nsd-02951'"):
        ids.numbers("here", ["2951", "nsd-02951"], shown)
    # A number that is an id itself is that.
    assert ids.numbers("here", ["3"], shown_set(["nsd-00003", "3"])) == {"3": 1}


def test_a_row_that_was_never_written_is_not_black(tmp_path):
    path = tmp_path / "b.hdf5"
    with h5py.File(path, "w") as file:
        images = file.create_dataset("imgBrick", SHOWN.shape, np.uint8, chunks=(1, 5, 9, 3))
        images[3] = SHOWN[3]
        images[5, :5] = SHOWN[5, :5]
    found = read(NsdSection(path=path))
    np.testing.assert_array_equal(found.images[3], SHOWN[3])
    for number in (2, 5):
        with pytest.raises(BadInput, match=rf"row {number + 1} of '/imgBrick' was never written"):
            _ = found.images[number]


def test_the_true_size_is_planned_without_reading_it(tmp_path):
    path = tmp_path / "b.hdf5"
    with h5py.File(path, "w") as file:
        images = file.create_dataset("imgBrick", (73000, 425, 425, 3), np.uint8, chunks=(1, 425, 425, 3))  # fmt: skip
        images[72999] = 7
    found = read(NsdSection(path=path))
    assert (len(found), found.ids[-1], found.shapes[-1]) == (73000, "nsd-73000", (425, 425, 3))
    assert found.images[72999].mean() == 7
    assert path.stat().st_size < 2**24


@pytest.mark.parametrize(
    ("images", "known", "said"),
    [
        (SHOWN, {"dataset": "images"}, r"no dataset 'images' of its own; there is: imgBrick"),
        (SHOWN[..., :1], {}, r"uint8 \(12, 9, 9, 1\), not uint8 \(image, row, column, 3\)"),
        (SHOWN.astype(float), {}, "float64 .*, not uint8"),
        (SHOWN, {"subject": 1}, "give nsd_expdesign.mat as `design`"),
        (SHOWN, {"include": ("nsd-00001", "nsd-00013", "x")}, r"'nsd-00013' .* not among its images \(2 such\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, images, known, said):
    with pytest.raises(BadInput, match=said):
        read(NsdSection(path=brick(tmp_path / "b.hdf5", images), **known))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subjectim": np.full((8, 4), 13)}, "names images up to 13, but there are 12"),
        ({"subjectim": np.full((8, 4), 0.5)}, "'subjectim' is no array of whole numbers"),
        ({"subjectim": np.full((2, 4), 1)}, "are not those of NSD's design"),
        ({"masterordering": np.array([[5]])}, "are not those of NSD's design"),
    ],
)
def test_another_design_is_refused(tmp_path, changes, said):
    known = {"path": brick(tmp_path / "b.hdf5"), "design": design(tmp_path / "d.mat", **changes)}
    with pytest.raises(BadInput, match=said):
        read(NsdSection(**known, subject=2))


def test_a_brick_in_another_file_or_cut_off_is_refused(tmp_path):
    path = brick(tmp_path / "b.hdf5")
    with h5py.File(tmp_path / "link.hdf5", "w") as file:
        file["imgBrick"] = h5py.ExternalLink("b.hdf5", "imgBrick")
    with pytest.raises(BadInput, match="no dataset 'imgBrick' of its own"):
        read(NsdSection(path=tmp_path / "link.hdf5"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match="cannot be read as HDF5"):
        read(NsdSection(path=path))


def test_a_chunk_that_takes_too_much_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "b.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", (4000, 425, 425, 3), np.uint8, chunks=(2000, 425, 425, 3))
    with pytest.raises(BadInput, match=r"a chunk of '/imgBrick' would take 1\.0 GiB"):
        Hdf5Rows("here", path, "imgBrick").described()


def test_a_copy_of_the_process_opens_the_file_itself(tmp_path, monkeypatch):
    opened = []
    real = h5py.File

    def noting(path):
        opened.append(path)
        return real(path)

    path = brick(tmp_path / "b.hdf5")
    monkeypatch.setattr(h5py, "File", noting)
    rows = Hdf5Rows("here", path, "imgBrick")
    for number in range(3):
        np.testing.assert_array_equal(rows.row(number), SHOWN[number])
    assert len(opened) == 1
    monkeypatch.setattr("os.getpid", lambda: -2)
    np.testing.assert_array_equal(rows.row(3), SHOWN[3])
    assert len(opened) == 2
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows)).row(4), SHOWN[4])
    assert len(opened) == 3
