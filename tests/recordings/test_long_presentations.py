"""A long table beside a table of presentations: sessions and splits are known, and what does not fit is told."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.by_position import stand_in
from zoo_eval.recordings.parquet import ParquetSection

MOST = 2**28
SHOWN = [("b", 1), ("a", 1), ("b", 2), ("c", 1), ("a", 2)]
SESSIONS = ["mon", "mon", "mon", "tue", "tue"]
SIDES = ["train", "test", "train", None, "test"]
# (presentation, target); of one presentation nothing is known.
VALUES = np.random.default_rng(0).standard_normal((5, 2))
VALUES[3] = np.nan
VALUES[1, 0] = np.nan


def rows():
    return [
        {"stimulus_id": stimulus, "repetition": repetition, "target_id": target, "response": value}
        for (stimulus, repetition), of_shown in zip(SHOWN, VALUES.tolist(), strict=True)
        for target, value in zip(("x", "y"), of_shown, strict=True)
        if value == value
    ]


def presentations(**changed):
    names, repetitions = zip(*SHOWN, strict=True)
    columns = {
        "stimulus_id": names,
        "repetition": repetitions,
        "session": SESSIONS,
        "split_tau": SIDES,
    }
    columns |= changed
    return pa.table({key: list(one) for key, one in columns.items() if one is not None})


def write(folder, responses=None, shown=None, **options):
    pq.write_table(pa.Table.from_pylist(rows() if responses is None else responses), folder / "responses.parquet", **options)  # fmt: skip
    pq.write_table(pa.table({"target_id": ["x", "y"], "region": ["IT", "V4"]}), folder / "targets.parquet")  # fmt: skip
    pq.write_table(presentations() if shown is None else shown, folder / "presentations.parquet")
    return ParquetSection(stimuli="shown", path=folder)


def read(section):
    return section.read("r", Mates(stand_in(["a", "b", "c"])))


@pytest.mark.parametrize("options", [{}, {"row_group_size": 2}])
def test_rows_meet_their_presentations(tmp_path, options):
    found = write(tmp_path, **options).presentations("r", MOST)
    assert found.stimulus_ids == [one for one, _ in SHOWN]
    assert found.sessions == SESSIONS
    assert found.splits == {"tau": ["train", "test", "train", "", "test"]}
    assert_array_equal(found.read(np.array([0, 1])), VALUES)
    assert_array_equal(found.read(np.array([1])), VALUES[:, [1]])


def test_a_presentation_without_responses_was_shown(tmp_path):
    found = read(write(tmp_path))
    assert found.repeated().counts.tolist() == [2, 2, 1]
    assert_array_equal(found.repeated().responses, VALUES[[1, 4, 0, 2, 3]])
    assert found.splits == {"tau": ("test", "train", "")}
    assert found.targets["region"].to_pylist() == ["IT", "V4"]


def test_sessions_are_z_scored_and_targets_selected(tmp_path):
    section = write(tmp_path).model_copy(update={"zscore": "session", "targets": "region = 'V4'"})
    found = read(section)
    expected = VALUES[:, 1].copy()
    for session in ("mon", "tue"):
        own = [one == session and place != 3 for place, one in enumerate(SESSIONS)]
        apart = expected[own] - expected[own].mean()
        expected[own] = apart / apart.std() if len(apart) > 1 else 0
    assert found.target_ids == ("y",)
    np.testing.assert_allclose(found.repeated().responses[:, 0], expected[[1, 4, 0, 2, 3]])


def test_tables_may_be_named_and_csv(tmp_path):
    write(tmp_path)
    lines = ["stimulus_id,repetition,session"]
    lines += [f"{name},{repetition},{one}" for (name, repetition), one in zip(SHOWN, SESSIONS, strict=True)]  # fmt: skip
    (tmp_path / "shown.csv").write_text("\n".join(lines) + "\n")
    section = ParquetSection(
        stimuli="shown", path=tmp_path / "responses.parquet", targets_table=tmp_path / "targets.parquet",
        presentations_table=tmp_path / "shown.csv",
    )  # fmt: skip
    found = section.presentations("r", MOST)
    assert found.sessions == SESSIONS
    assert found.splits == {}
    assert_array_equal(found.read(np.array([0, 1])), VALUES)
    (tmp_path / "ceilings.csv").write_text("target,ceiling\nx,0.5\ny,0.25\n")
    published = SweepPath.of("ceilings.csv", tmp_path)
    with_ceilings = read(section.model_copy(update={"ceilings": published}))
    assert with_ceilings.file_ceilings.values.tolist() == [0.5, 0.25]


def test_notes_are_kept(tmp_path):
    shown = presentations().replace_schema_metadata(
        {"notes": json.dumps(["means of 70 to 170 ms"])}
    )
    assert "means of 70 to 170 ms" in read(write(tmp_path, shown=shown)).notes


@pytest.mark.parametrize(("changed", "match"), [
    ({"repetition": None}, "presentations.parquet needs a column 'repetition'"),
    ({"stimulus_id": None}, "presentations.parquet needs one column 'stimulus_id'"),
    ({"stimulus_id": ["b", "a", None, "c", "a"]}, "stimulus_id of row 3 is empty; fill it in"),
    ({"repetition": [1, 1, 2, None, 2]}, "repetition of row 4 is empty; fill it in"),
    ({"repetition": [1, 1, 1, 1, 2]}, "'b' in repetition 1 stands twice; keep one"),
    ({"session": ["mon", None, "mon", "tue", "tue"]}, "session of row 2 is empty; fill it in"),
    ({"split_tau": ["train", "tset", "", "", ""]}, "split_tau of row 2 is 'tset'; write train, test"),
    ({"repetition": [1, 1, 3, 1, 2]}, "a row is of 'b' in repetition 2, which is not in the table of presentations"),
    ({"stimulus_id": ["q", "a", "b", "c", "a"]}, "a row is of 'b' in repetition 1, which is not in the table"),
])  # fmt: skip
def test_a_wrong_table_of_presentations_is_one_line(tmp_path, changed, match):
    section = write(tmp_path, shown=presentations(**changed))
    with pytest.raises(BadInput, match=match):
        section.presentations("recording 'r'", MOST).read(np.array([0, 1]))


def test_notes_that_are_none_are_one_line(tmp_path):
    for notes, match in (("{", "has notes that cannot be read"), ('{"a": 1}', "no list of text")):
        section = write(tmp_path, shown=presentations().replace_schema_metadata({"notes": notes}))
        with pytest.raises(BadInput, match=match):
            section.presentations("recording 'r'", MOST)


def test_a_response_that_stands_twice_is_named(tmp_path):
    doubled = [*rows(), rows()[-1]]
    found = write(tmp_path, doubled, row_group_size=3).presentations("recording 'r'", MOST)
    with pytest.raises(BadInput, match=r"target 'y' has two responses to 'a' in repetition 2; keep one of the"):  # fmt: skip
        found.read(np.array([0, 1]))
    # One of them is missing: there are no two.
    gap = {**rows()[-1], "response": np.nan}
    found = write(tmp_path, [gap, *rows()]).presentations("recording 'r'", MOST)
    assert_array_equal(found.read(np.array([0, 1])), VALUES)


def test_what_is_lacking_is_named(tmp_path):
    section = write(tmp_path)
    alone = ParquetSection(
        stimuli="s", path=tmp_path / "responses.parquet", presentations_table=tmp_path / "presentations.parquet",
    )  # fmt: skip
    with pytest.raises(
        BadInput, match="`presentations_table` needs `targets_table` beside it; add it"
    ):
        alone.presentations("recording 'r'", MOST)
    without = ParquetSection(stimuli="shown", path=tmp_path / "responses.parquet", zscore="session")
    with pytest.raises(BadInput, match="does not say its sessions: give `presentations_table`"):
        read(without)
    (tmp_path / "targets.parquet").unlink()
    with pytest.raises(
        BadInput, match=r"has no targets\.parquet; name a Parquet file, or a folder"
    ):
        section.presentations("recording 'r'", MOST)


def test_presentations_that_do_not_fit_are_not_numbered(tmp_path):
    # Each stimulus in any of a thousand repetitions that are numbered through.
    many = presentations(
        stimulus_id=[f"s{one}" for one in range(1000)], repetition=list(range(1000)),
        session=None, split_tau=None,
    )  # fmt: skip
    section = write(tmp_path, shown=many)
    with pytest.raises(BadInput, match=r"its stimuli and repetitions would take 7\.6 MiB"):
        section.presentations("recording 'r'", 2**20)
