"""Triple-N: means of a window, in blocks along the chunks; units of several sessions, and what is known of them."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.recordings import rdm_files
from tests.recordings import triple_n_files as files
from tests.recordings.sweepmates import Mates
from tests.recordings.triple_n_files import N_IMAGES, N_SHARED, ONSET, SHARED_IDS
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import triple_n_responses
from zoo_eval.recordings.triple_n import TripleNSection

WINDOW = (1, 4)
FIRST, SECOND = (files.NAME.format(number, files.SUBJECTS[number]) for number in (1, 11))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two sessions, and all that is known of their units."""
    made = tmp_path_factory.mktemp("triple_n")
    for number in files.N_UNITS:
        files.session(made, number)
        files.processed(made, number)
    files.design(made / "nsd_expdesign.mat")
    files.areas(made / "areas.csv")
    return made


def section(folder, path=".", **options):
    if not {"design", "stimulus_ids"} & set(options):
        options["design"] = "nsd_expdesign.mat"
    options = {"window_ms": WINDOW, "onset_ms": ONSET, **options}
    content = {"kind": "triple_n", "stimuli": "shown", "path": path, **options}
    return TripleNSection.model_validate(content, context={"home": folder})


def read(folder, path=".", most=2**28, **options):
    return section(folder, path, **options).presentations("recording 't'", most)


def all_of(found):
    return found.read(np.arange(found.targets.num_rows))


def expected(number=1, n=N_SHARED, window=WINDOW):
    """Means (image, unit), one by one."""
    stored = files.planted(number)
    low, high = (ONSET + one for one in window)
    return np.array([
        [np.mean([stored[unit, image, ms] for ms in range(low, high)], dtype=np.float64)
         for unit in range(len(stored))]
        for image in range(n)
    ]).astype(np.float32)  # fmt: skip


def test_a_response_is_the_mean_of_the_window_from_the_onset(folder):
    found = read(folder, FIRST)
    assert_array_equal(all_of(found), expected())
    assert list(found.stimulus_ids) == [f"nsd-{one:05d}" for one in SHARED_IDS]
    assert found.itemsize == all_of(found).itemsize == 4
    assert found.sessions is None
    assert found.splits == {}
    assert "1 to 4 ms" in found.notes[1]
    assert "no ceiling" in found.notes[2]
    assert {one.name for one in found.files} == {FIRST, "nsd_expdesign.mat"}


@pytest.mark.parametrize("window", [(-3, 5), (0, 1), (4, 5)])
def test_any_window_within_the_recording(folder, window):
    assert_array_equal(all_of(read(folder, FIRST, window_ms=window)), expected(window=window))


@pytest.mark.parametrize("window", [(-4, 1), (0, 6), (3, 3), (4, 2), (70, 170)])
def test_a_window_outside_is_refused_with_what_there_is(folder, window):
    with pytest.raises(BadInput, match=r"ses01.*not within the recording \(-3 to 5 ms"):
        read(folder, FIRST, window_ms=window)


def test_the_usual_window_is_of_the_published_files():
    usual = TripleNSection(stimuli="s", path=SweepPath.of("x", None))
    assert (usual.window_ms, usual.onset_ms) == ((70, 170), 50)


def test_with_the_localizer_there_are_72_more(folder):
    found = read(folder, FIRST, localizer=True)
    assert_array_equal(all_of(found), expected(n=N_IMAGES))
    assert list(found.stimulus_ids[N_SHARED:]) == [f"localizer-{n:02d}" for n in range(1, 73)]


@pytest.mark.parametrize(("options", "block"), [
    ({"chunks": (3, 100, 3)}, 1), ({"chunks": (3, 100, 3), "compression": "gzip"}, 10_000),
    ({"chunks": (1, 1072, 2)}, 2**25), ({"chunks": (8, 7, 1), "shuffle": True}, 5000), ({}, 1),
])  # fmt: skip
def test_chunks_are_read_once_each_as_they_lie(tmp_path, monkeypatch, options, block):
    files.session(tmp_path, **options)
    files.design(tmp_path / "nsd_expdesign.mat")
    monkeypatch.setattr(triple_n_responses, "BLOCK_BYTES", block)
    found = read(tmp_path, FIRST)
    assert_array_equal(all_of(found), expected())
    assert_array_equal(found.read(np.array([1, 3])), expected()[:, [1, 3]])
    with h5py.File(tmp_path / FIRST) as file:
        stored = file["response_matrix_img"]
        sides = stored.chunks or (1, *stored.shape[1:])
        seen, cells = [], np.zeros(stored.shape, int)
        for box in triple_n_responses._blocks(stored, range(4, 7), N_SHARED):
            cells[box] += 1
            ends = [(one.start // side, (one.stop - 1) // side) for one, side in zip(box, sides)]
            seen += (
                np.stack(np.meshgrid(*[range(a, b + 1) for a, b in ends]), -1)
                .reshape(-1, 3)
                .tolist()
            )
            within = [
                min(side * max(1, b - a + 1), n)
                for (a, b), side, n in zip(ends, sides, stored.shape)
            ]
            assert np.prod(within) * 4 <= max(block, np.prod(sides) * 4)
    assert (cells[4:7, :N_SHARED] == 1).all()
    assert cells.sum() == 3 * N_SHARED * 4
    assert len(set(map(tuple, seen))) == len(seen)


def test_sessions_are_joined_by_image(folder):
    found = read(folder)
    both = np.hstack([expected(1), expected(11)])
    assert_array_equal(all_of(found), both)
    assert_array_equal(found.read(np.array([2, 4, 6])), both[:, [2, 4, 6]])
    assert_array_equal(all_of(read(folder, [SECOND, FIRST])), np.roll(both, 3, axis=1))
    targets = found.targets.to_pydict()
    ids = [f"ses01_unit_{n:03d}" for n in range(1, 5)] + [
        f"ses11_unit_{n:03d}" for n in range(1, 4)
    ]
    assert targets == {
        "target_id": ids,
        "session": ["ses01"] * 4 + ["ses11"] * 3,
        "subject": ["M1"] * 4 + ["M5"] * 3,
        "unit": [1, 2, 3, 4, 1, 2, 3],
    }
    assert found.notes[0] == "7 units of 2 sessions of M1, M5"


def test_what_a_session_lacks_is_missing(tmp_path):
    stored = files.planted()
    stored[2, 5] = np.nan
    stored[3, 6, ONSET + 1] = np.nan
    files.session(tmp_path, 1, stored)
    files.session(tmp_path, 11, files.planted(11)[:, :N_SHARED])
    files.design(tmp_path / "nsd_expdesign.mat")
    found = all_of(read(tmp_path, localizer=True))
    missing = np.zeros((N_IMAGES, 7), bool)
    missing[[5, 6], [2, 3]] = True
    missing[N_SHARED:, 4:] = True
    assert_array_equal(np.isnan(found), missing)
    assert_array_equal(found[:N_SHARED, 4:], expected(11))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The same two sessions as the authors give them out."""
    made = tmp_path_factory.mktemp("good_units")
    for number in files.N_UNITS:
        files.good_unit(made, number, chunks=(2, 100), compression="gzip")
        files.processed(made, number)
    files.design(made / "nsd_expdesign.mat")
    files.areas(made / "areas.csv")
    return made


def test_good_units_have_the_same_responses(good):
    found = read(good)
    both = np.hstack([expected(1), expected(11)])
    assert_array_equal(all_of(found), both)
    assert_array_equal(found.read(np.array([2, 4, 6])), both[:, [2, 4, 6]])
    assert_array_equal(all_of(read(good, files.GOOD[1], localizer=True)), expected(n=N_IMAGES))
    targets = found.targets.to_pydict()
    assert targets["target_id"][::4] == ["240629_M1_g2_unit_001", "240629_M5_g2_unit_001"]
    assert targets["session"] == ["240629_M1_g2"] * 4 + ["240629_M5_g2"] * 3
    assert targets["subject"] == ["M1"] * 4 + ["M5"] * 3


def test_good_units_get_their_numbers_of_the_processed_files(good, tmp_path):
    targets = read(good, processed=".", areas="areas.csv").targets.to_pydict()
    assert targets["reliability"] == [0.0, 0.125, 0.25, None, 0.0, 0.125, None]
    assert targets["area"] == ["MB1", "MB1 + MO1", "MO1", None, "V4_5", "V4_5", None]
    refused("give `processed`", good, areas="areas.csv")
    path = str(files.areas(tmp_path / "areas.csv", "session,area\n240629_M1_g2,MB\n"))
    named = ["MB"] * 4 + [None] * 3
    for options in ({}, {"processed": "."}):
        assert read(good, areas=path, **options).targets.column("area").to_pylist() == named
    files.areas(tmp_path / "areas.csv", "session,area\nses11,V4\n")
    found = read(good, areas=path, processed=".").targets.column("area").to_pylist()
    assert found == [None] * 4 + ["V4"] * 3
    refused("names none of the 7 units", good, areas=path)


def test_one_good_unit_is_no_reference(tmp_path):
    files.good_unit(tmp_path)
    files.design(tmp_path / "nsd_expdesign.mat")
    with h5py.File(tmp_path / files.GOOD[1], "r+") as file:
        del file["GoodUnitStrc/response_matrix_img"]
        file["GoodUnitStrc/response_matrix_img"] = files.planted()[2].T
    assert_array_equal(all_of(read(tmp_path, files.GOOD[1])), expected()[:, [2]])


def test_good_units_that_differ_are_refused(tmp_path):
    files.design(tmp_path / "nsd_expdesign.mat")
    path = files.good_unit(tmp_path, onset=5)
    refused("the onset is after 5 ms; set onset_ms = 5", tmp_path, path.name)
    path = files.good_unit(tmp_path)
    for wrong, match in (
        (np.zeros((7, 1072)), r"of unit 3 has shape \(7, 1072\), that of the first \(8, 1072\)"),
        (np.zeros((8, 999)), "of unit 3 has 999 images"),
        (np.zeros(8), r"of unit 3 is float64 of shape \(8,\)"),
    ):
        with h5py.File(path, "r+") as file:
            del file["#refs#/response_matrix_img2"]
            file["#refs#/response_matrix_img2"] = wrong
            file["GoodUnitStrc/response_matrix_img"][2, 0] = file["#refs#/response_matrix_img2"].ref
        refused(match, tmp_path, path.name)
    with h5py.File(path, "r+") as file:
        empty = file.create_dataset("empty", (8, 1072), "f4")
        file["GoodUnitStrc/response_matrix_img"][2, 0] = empty.ref
    refused("of unit 3 was declared and never written", tmp_path, path.name)
    with h5py.File(path, "r+") as file:
        file["GoodUnitStrc/response_matrix_img"][2, 0] = file["#refs#"].ref
    refused("of unit 3 is no matrix", tmp_path, path.name)


def test_a_session_in_both_files_stands_twice(folder, good):
    refused("stands twice", folder, [FIRST, str(good / files.GOOD[1])])


def test_a_processed_file_of_another_number_is_refused(folder, tmp_path):
    path = tmp_path / "Processed_ses02_240629_M1_2.mat"
    files.processed(tmp_path).rename(path)
    refused("is of session 2, and ses01_240629_M1_2.h5", folder, FIRST, processed=str(path))


def test_ids_in_a_text_file_stand_for_the_design(folder, tmp_path):
    names = [f"{number:04d}.bmp" for number in range(1, N_SHARED + 1)]
    (tmp_path / "ids.txt").write_text("\n".join(names))
    found = read(folder, FIRST, stimulus_ids=str(tmp_path / "ids.txt"), localizer=True)
    assert list(found.stimulus_ids[:N_SHARED]) == names
    assert found.stimulus_ids[-1] == "localizer-72"
    (tmp_path / "ids.txt").write_text("\n".join(names + [f"MFOB{n}.bmp" for n in range(72)]))
    options = {"stimulus_ids": str(tmp_path / "ids.txt")}
    assert read(folder, FIRST, localizer=True, **options).stimulus_ids[-1] == "MFOB71.bmp"
    assert list(read(folder, FIRST, **options).stimulus_ids) == names


def test_units_have_what_the_processed_files_and_the_areas_say(folder):
    found = read(folder, processed=".", areas="areas.csv")
    targets = found.targets.to_pydict()
    assert targets["reliability"] == [0.0, 0.125, 0.25, None, 0.0, 0.125, None]
    assert targets["position"] == files.POSITIONS[1] + files.POSITIONS[11]
    assert targets["unit_type"] == [2] * 7
    assert targets["snr"] == [0.0, 0.25, 0.5, 0.75, 0.0, 0.25, 0.5]
    assert targets["area"] == ["MB1", "MB1 + MO1", "MO1", None, "V4_5", "V4_5", None]
    assert targets["region"] == ["IT", "IT", "IT", None, "EVC", "EVC", None]
    assert found.notes[-1] == "2 units are in no area, and 1 in several"
    names = {f"Processed_ses{n:02d}_240629_M{m}_2.mat" for n, m in files.SUBJECTS.items()}
    assert {one.name for one in found.files} >= {*names, "areas.csv"}


def test_a_processed_file_may_lack_what_is_not_needed(tmp_path):
    files.session(tmp_path)
    files.design(tmp_path / "nsd_expdesign.mat")
    path = files.processed(tmp_path)
    rdm_files.mat(path, reliability_best=np.full((1, 4), 0.5))
    found = read(tmp_path, processed=path.name).targets
    assert found.column("reliability").to_pylist() == [0.5] * 4
    assert found.column_names[-1] == "reliability"


@pytest.mark.parametrize(("text", "areas"), [
    ("session,area\n1,MB\nses11,V4\n", ["MB"] * 4 + ["V4"] * 3),
    ("Session;Area\n01;MB\n", ["MB"] * 4 + [None] * 3),
    ("target_id,area\nses01_unit_002,AF\nses11_unit_003,\n", [None, "AF"] + [None] * 5),
])  # fmt: skip
def test_areas_by_session_or_by_unit(folder, tmp_path, text, areas):
    path = files.areas(tmp_path / "areas.csv", text)
    assert read(folder, areas=str(path)).targets.column("area").to_pylist() == areas


def test_a_sweep_selects_units_and_reads_them_alone(folder):
    shown = rdm_files.shown_set([f"nsd-{one:05d}" for one in sorted(SHARED_IDS[:20].tolist())])
    chosen = section(
        folder, processed=".", areas="areas.csv", targets="region = 'IT' and reliability > 0.1", partial=True
    )  # fmt: skip
    found = chosen.read("t", Mates(shown))
    assert found.target_ids == ("ses01_unit_002", "ses01_unit_003")
    rows = np.argsort(SHARED_IDS[:20])
    assert_array_equal(found.mean.astype(np.float32), expected()[:20][rows][:, [1, 2]])


def refused(match, folder, path=".", **options):
    with pytest.raises(BadInput, match=match) as caught:
        read(folder, path, **options)
    assert "\n" not in str(caught.value)


def test_without_ids_nothing_is_guessed(folder):
    refused("give `design`.* or `stimulus_ids`", folder, design=None)
    (folder / "ids.txt").write_text("a\nb\n")
    refused("remove one", folder, design="nsd_expdesign.mat", stimulus_ids="ids.txt")
    refused("has 2 ids; give 1000, or 1072", folder, stimulus_ids="ids.txt")
    (folder / "ids.txt").write_text("\n".join(["a"] * 2 + [str(n) for n in range(998)]))
    refused("id 'a' is blank or stands twice", folder, stimulus_ids="ids.txt")


@pytest.mark.parametrize(("values", "match"), [
    (np.zeros((2, 1072), np.float32), r"of shape \(1072, 2\)"),
    (np.zeros((2, 999, 8), np.float32), "has 999 images"),
    (np.zeros((2, 1072, 8), bool), "is bool"),
    (np.zeros((0, 1072, 8), np.float32), "of shape"),
])  # fmt: skip
def test_other_arrays_are_refused(tmp_path, values, match):
    files.session(tmp_path, 1, values)
    refused(match, tmp_path, FIRST)


def test_an_infinite_response_is_refused(tmp_path):
    values = files.planted()
    values[1, 2, ONSET + 2] = np.inf
    files.session(tmp_path, 1, values)
    files.design(tmp_path / "nsd_expdesign.mat")
    with pytest.raises(BadInput, match=r"ses01.*infinite"):
        all_of(read(tmp_path, FIRST))


def test_what_was_never_written_is_not_read_as_zeros(tmp_path):
    files.design(tmp_path / "nsd_expdesign.mat")
    for chunks in (None, (1, 1072, 2)):
        with h5py.File(tmp_path / FIRST, "w") as file:
            item = file.create_dataset("response_matrix_img", (8, 1072, 4), "f4", chunks=chunks)
            if chunks:
                item[:, :, :2] = 1
        refused("never written", tmp_path, FIRST)


def test_files_that_are_none_are_refused(folder, tmp_path):
    refused("has no session", folder, str(tmp_path))
    (tmp_path / "day1.h5").write_bytes((folder / FIRST).read_bytes())
    refused("the name says no session", folder, str(tmp_path / "day1.h5"))
    with h5py.File(tmp_path / FIRST, "w") as file:
        file["LFP_Data"] = np.zeros(3)
    refused("has no `response_matrix_img` \\(but LFP_Data\\)", folder, str(tmp_path / FIRST))
    (tmp_path / FIRST).write_bytes((folder / FIRST).read_bytes()[:5000])
    refused("is not a session of Triple-N that can be read", folder, str(tmp_path / FIRST))
    (tmp_path / "ses01_240630_M1_1.h5").write_bytes((folder / FIRST).read_bytes())
    refused("session ses01 stands twice", folder, [FIRST, str(tmp_path / "ses01_240630_M1_1.h5")])
    refused("names no session", folder, [])


def test_a_file_that_changed_after_planning_is_refused(tmp_path):
    files.session(tmp_path)
    files.design(tmp_path / "nsd_expdesign.mat")
    found = read(tmp_path, FIRST)
    files.session(tmp_path, 1, files.planted()[:3])
    with pytest.raises(BadInput, match="has changed"):
        all_of(found)


def test_processed_files_of_other_units_are_refused(folder, tmp_path):
    refused(r"has no Processed_ses\*_240629_M1_2.mat", folder, processed=str(tmp_path))
    options = {"path": FIRST, "processed": str(files.processed(tmp_path))}
    rdm_files.mat(tmp_path / options["processed"], pos=np.zeros((1, 4)))
    refused("has no `reliability_best`", folder, **options)
    files.processed(tmp_path, reliability_best=np.zeros((1, 5)))
    refused("of 5 units, and ses01_240629_M1_2.h5 has 4", folder, **options)
    files.processed(tmp_path, pos=np.zeros((2, 4)))
    refused("not a number per unit", folder, **options)


@pytest.mark.parametrize(("text", "match"), [
    ("unit,area\n1,MB\n", "has the columns unit, area; give"),
    ("session,label\n1,MB\n", "has the columns session, label"),
    ("session,area\n1,MB\nses01,MF\n", "line 3: session 'ses01' stands twice"),
    ("session,area\nfirst,MB\n", "line 2: session 'first' is no session"),
    ("session,area\n7,MB\n", "names none of the 7 units"),
    (files.AREAS, "give `processed`"),
])  # fmt: skip
def test_areas_of_another_form_are_refused(folder, tmp_path, text, match):
    refused(match, folder, areas=str(files.areas(tmp_path / "areas.csv", text)))
