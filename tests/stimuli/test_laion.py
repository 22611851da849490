"""LAION-fMRI's images are rows of JPEG bytes, named row by row by the CSV beside them."""

from itertools import count as count_from

import h5py
import numpy as np
import pytest

from tests.stimuli.planted_images import by_pillow, check, encoded, pixels, read
from zoo_eval.errors import BadInput
from zoo_eval.files.hdf5_bytes import Hdf5Bytes
from zoo_eval.stimuli.laion import LaionSection

JPEGS = [encoded(image, quality=80 + n) for n, image in enumerate(pixels(6))]
ROWS = [
    ("shared_12rep_LAION_cluster_1003_i0.jpg", "LAION-natural", "sub-01;sub-03", "shared", "12rep"),
    ("shared_4rep_OOD_gabor_1.jpg", "OOD", "sub-01;sub-03", "shared", "4rep"),
    ("unique_LAION_1_p01.jpg", "LAION-natural", "sub-01", "unique", "4rep"),
    ("unique_LAION_2_p04.jpg", "LAION-natural", "sub-03", "unique", "4rep"),
    ("unique_THINGS_3_p01.jpg", "THINGS", "sub-01", "unique", "4rep"),
    ("unique_THINGS_4_p04.jpg", "THINGS", "sub-03", "unique", "4rep"),
]
HEADER = "image_name,dataset,participant,unique_or_shared,n_reps"


@pytest.fixture
def published(tmp_path):
    """The two files, and a section of them; new ones each time, for HDF5 keeps files open."""
    count = count_from(0)

    def section(rows=ROWS, contents=JPEGS, header=HEADER, options=(), **known):
        folder = tmp_path / f"{next(count)}"
        folder.mkdir()
        with h5py.File(folder / "s.h5", "w") as file:
            kind = h5py.vlen_dtype(np.uint8)
            images = file.create_dataset("images", (len(contents),), kind, **dict(options))
            for number, content in enumerate(contents):
                images[number] = np.frombuffer(content, np.uint8)
        lines = [header, *(",".join(row) for row in rows)]
        (folder / "m.csv").write_text("\n".join(lines) + "\n")
        return LaionSection(path=folder / "s.h5", metadata=folder / "m.csv", **known)

    return section


LAYOUTS = [
    {},
    {"chunks": (4,)},
    {"chunks": (4,), "compression": "gzip", "shuffle": True},
    {"chunks": (6,), "compression": "gzip"},
]


@pytest.mark.parametrize("options", LAYOUTS, ids=str)
def test_images_are_the_rows_by_their_names(published, options):
    found = read(published(options=options))
    assert found.ids == found.groups == tuple(row[0] for row in ROWS)
    check(found, [by_pillow(content) for content in JPEGS])


@pytest.mark.parametrize(
    ("participant", "numbers"),
    [("sub-01", [0, 1, 2, 4]), ("sub-03", [0, 1, 3, 5]), ("shared", [0, 1])],
)
def test_a_participant_has_the_shared_images_and_its_own(published, participant, numbers):
    found = read(published(participant=participant))
    assert found.ids == tuple(ROWS[n][0] for n in numbers)
    check(found, [by_pillow(JPEGS[n]) for n in numbers])


def test_a_list_takes_images_in_its_order(published):
    found = read(published(include=(ROWS[4][0], ROWS[1][0].removesuffix(".jpg"))))
    assert found.ids == (ROWS[4][0], ROWS[1][0])
    check(found, [by_pillow(JPEGS[4]), by_pillow(JPEGS[1])])
    assert len(read(published(limit=2))) == 2


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"rows": ROWS[:5]}, r"s\.h5 has 6 images, but .*m\.csv 5 rows"),
        ({"header": HEADER.replace("image_name", "name")}, "there is no 'image_name'"),
        ({"participant": "sub-02"}, r"no image of participant 'sub-02'; known: sub-01, sub-03, shared"),
        ({"include": ("unique_LAION_1_p1.jpg",)}, r"is not among the images \(1 such; nearest: unique_LAION_1_p01"),
        ({"participant": "sub-03", "include": (ROWS[2][0],)}, "is not among the images"),
        ({"dataset": "jpegs"}, "no dataset 'jpegs' of its own; there is: images"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(published, known, said):
    with pytest.raises(BadInput, match=said):
        read(published(**known))


def test_pixels_instead_of_files_are_refused(published):
    section = published()
    with h5py.File(section.path.resolve(), "w") as file:
        file["images"] = pixels(6)
    with pytest.raises(
        BadInput, match=r"'/images' is uint8 \(6, 20, 24, 3\), not \(image,\) of bytes"
    ):
        read(section)


def test_a_row_that_is_no_image_is_named(published):
    for broken, said in ((b"", "empty"), (JPEGS[3][:200], "damaged or cut off")):
        contents = [*JPEGS[:3], broken, *JPEGS[4:]]
        found = read(published(contents=contents))
        with pytest.raises(
            BadInput, match=rf"s\.h5: row 4 of 'images': cannot be decoded .*{said}"
        ):
            _ = found.digest


@pytest.mark.parametrize("options", LAYOUTS, ids=str)
def test_bytes_are_those_that_hdf5_reads(tmp_path, options):
    rng = np.random.default_rng(0)
    # Many small ones share a heap, a large one has its own.
    contents = [rng.bytes(n) for n in [*range(200), 70_000, 5]]
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        images = file.create_dataset("images", (202,), h5py.vlen_dtype(np.uint8), **options)
        for number, content in enumerate(contents):
            images[number] = np.frombuffer(content, np.uint8)
        images[7] = np.frombuffer(contents[9], np.uint8)
    with h5py.File(tmp_path / "a.h5") as file:
        expected = [one.tobytes() for one in file["images"][:]]
    rows = Hdf5Bytes("here", tmp_path / "a.h5", "images")
    assert [rows.row(number) for number in range(len(rows))] == expected
    assert expected[201] == contents[201]


def test_a_heap_that_is_damaged_has_an_end(published):
    section = published()
    path = section.path.resolve()
    whole = path.read_bytes()
    at = whole.index(b"GCOL")
    # The first object of the heap has no size, so that the next would be itself.
    for size in (0, 2**63, 2**40):
        damaged = whole[: at + 24] + size.to_bytes(8, "little") + whole[at + 32 :]
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="row 1 of 'images' is not where the file says"):
            _ = read(section).images[0]
