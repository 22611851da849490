"""What is told of a recording's files: counts, ranges, repetitions and reliabilities, from a bounded sample."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from tests.recordings import kinds, rdm_files
from tests.recordings.array_files import planted as array
from zoo_eval.errors import BadInput
from zoo_eval.queries import connection
from zoo_eval.recordings import held_presentations
from zoo_eval.recordings.held import Chart, counted, histogram
from zoo_eval.recordings.held_presentations import HeldPresentations
from zoo_eval.recordings.held_rdms import HeldRdms
from zoo_eval.recordings.presentations import Presentations

MOST = 2**28
HALVES = "{} targets by reliability (split half, Spearman-Brown)"


def twice(n_stimuli=20, n_targets=100, noise=1.0, n_once=5):
    """Stimuli that were shown twice, some of them but once, and the responses to all (presentation, target)."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((n_stimuli, n_targets))
    shown = [*range(n_stimuli), *range(n_stimuli - n_once)]
    values = signal[shown] + noise * rng.standard_normal((len(shown), n_targets))
    return [f"im{one}" for one in shown], values


def presentations(ids, values, **more):
    names = [f"t{one:03d}" for one in range(values.shape[1])]
    known = {"target_id": names} | more.pop("known", {})
    return Presentations("r", (), ids, pa.table(known), lambda those: values[:, those], **more)


def charts(inspection):
    return {one.title: dict(one.bars) for one in inspection.charts}


def test_reliability_is_that_of_two_repetitions_in_closed_form():
    ids, values = twice()
    found = HeldPresentations(presentations(ids, values)).inspection()
    # Runs of eight, at the ends and between; one split of two repetitions, stepped up to both.
    runs = [*range(8), *range(30, 38), *range(61, 69), *range(92, 100)]
    r = np.array([np.corrcoef(values[:15, one], values[20:, one])[0, 1] for one in runs])
    expected = 2 * r / (1 + np.abs(r))
    assert found.facts["reliability"] == (
        f"median {np.median(expected):.3f}, of 32 targets over 15 stimuli that were shown repeatedly"
    )
    drawn = charts(found)[HALVES.format(32)]
    counts, _ = np.histogram(expected, 8)
    assert list(drawn.values()) == counts.tolist()
    low, high = values[:, runs].min(), values[:, runs].max()
    assert found.facts["read"] == (
        f"32 of 100 targets x 35 of 35 presentations: from {low:.4g} to {high:.4g}, 0 % missing"
    )


def test_repetitions_and_targets_are_counted():
    ids = ["a", "b", "a", "c", "a", "b"]
    known = {
        "region": ["IT", "V4", None],
        "snr": [0.5, None, 2.0],
        "depth": [1, 5, 3],
        "note": [f"n{one}" for one in range(3)],
    }
    split = ["train", "test", "train", "", "train", "test"]
    found = HeldPresentations(
        presentations(
            ids, np.arange(18.0).reshape(6, 3), known=known, sessions=list("xxyyzz"), splits={"tau": split}
        )
    ).inspection()  # fmt: skip
    assert found.counts == {"presentations": 6, "stimuli": 3, "targets": 3}
    drawn = charts(found)
    times = Counter(Counter(ids).values())
    assert drawn["stimuli by how often they were shown"] == {
        "1 time": times[1], "2 times": times[2], "3 times": times[3],
    }  # fmt: skip
    assert drawn["targets by region"] == {"IT": 1, "V4": 1}
    assert sum(drawn["targets by snr"].values()) == 2
    facts = found.facts
    assert facts["sessions"] == "3 (x to z)"
    assert facts["split tau"] == "stimuli: 1 to train, 1 to test, 1 in neither"
    assert facts["column region"] == "IT, V4, 1 unknown"
    assert facts["column snr"] == "0.5 to 2, 1 unknown"
    assert facts["column depth"] == "1 to 5"
    # Two stimuli that were shown repeatedly are too few for a correlation.
    assert facts["reliability"] == "of no repetitions: what was read was shown once"


def test_columns_of_any_type_are_told():
    ids, values = twice(n_targets=3)
    known = {
        "coded": pa.array(["b", "a", "b"]).dictionary_encode(),
        "several": [[1, 2], None, [1, 2]],
        "flag": [True, False, True],
        "none": pa.nulls(3),
        "unknown": pa.array([None] * 3, pa.float64()),
        "long": ["x" * 40, "y" * 40, "z" * 40],
    }
    found = HeldPresentations(presentations(ids, values, known=known)).inspection()
    told = {name.removeprefix("column "): one for name, one in found.facts.items()}
    assert told["coded"] == "b, a"
    assert told["several"] == "[1, 2], 1 unknown"
    assert told["flag"] == "True, False"
    assert told["none"] == "none is known, 3 unknown"
    assert told["unknown"] == "none is known"
    assert told["long"] == f"3 values, {'x' * 40} to {'z' * 40}"
    assert charts(found)["targets by coded"] == {"a": 1, "b": 2}


def test_what_is_missing_of_the_sample_is_its_share():
    ids, values = twice(n_targets=10)
    values[np.random.default_rng(1).random(values.shape) < 0.2] = np.nan
    found = HeldPresentations(presentations(ids, values)).inspection()
    assert f"{100 * np.isnan(values).mean():.3g} % missing" in found.facts["read"]
    nothing = HeldPresentations(presentations(ids, np.full((35, 2), np.nan))).inspection()
    assert nothing.facts["read"].endswith("every response is missing")
    assert nothing.facts["reliability"].startswith("undefined, of 2 targets")


def test_no_more_is_read_than_is_allowed(monkeypatch):
    ids, values = twice(n_targets=400)
    asked = []

    def read(numbers):
        asked.append(numbers.tolist())
        return values[:, numbers]

    found = HeldPresentations(replace(presentations(ids, values), read=read))
    found.inspection()
    assert [len(one) for one in asked] == [8] * 4
    assert asked[0][0] == 0
    assert asked[-1][-1] == 399
    asked.clear()
    # Two targets' bytes for each of four runs.
    monkeypatch.setattr(held_presentations, "SAMPLE_BYTES", 4 * 2 * 35 * 8)
    found.inspection()
    assert [len(one) for one in asked] == [2] * 4
    asked.clear()
    # The first run takes more than half of the time: none is begun after it.
    monkeypatch.setattr(held_presentations, "SAMPLE_S", 0.0)
    told = found.inspection()
    assert len(asked) == 1
    assert told.facts["read"].startswith("2 of 400 targets x ")


def test_a_part_that_can_be_read_by_itself_stands_for_all():
    ids, values = twice()
    sample = presentations(ids, values)

    def never(_):
        raise AssertionError("the whole is read")

    whole = replace(sample, stimulus_ids=[*ids, *"pqr"], read=never, sample=sample)
    found = HeldPresentations(whole).inspection()
    assert found.counts["presentations"] == 38
    assert found.facts["read"].startswith("32 of 100 targets x 35 of 38 presentations")


def test_targets_are_selected_by_sql():
    ids, values = twice(n_targets=6)
    known = {"region": ["IT", "V4"] * 3}
    whole = presentations(ids, values, known=known)
    held = HeldPresentations(replace(whole, sample=whole)).selected("region = 'V4'", connection)
    found = held.inspection()
    assert found.counts["targets"] == 3
    assert found.notes == ("3 of 6 targets are selected",)
    low, high = values[:, 1::2].min(), values[:, 1::2].max()
    assert f"from {low:.4g} to {high:.4g}" in found.facts["read"]
    with pytest.raises(BadInput, match="selects none of 6; the columns are region: IT, V4"):
        HeldPresentations(whole).selected("region = 'TEO'", connection)


def test_the_reliability_of_rdms_is_that_of_a_loop_over_subjects():
    rdms = rdm_files.rdms(3, 6)
    found = HeldRdms(rdms, "xyz", list("abcdef")).inspection()
    pairs = [one[np.triu_indices(6, 1)] for one in rdms]
    r = [
        np.corrcoef(one, np.mean([other for other in pairs if other is not one], axis=0))[0, 1]
        for one in pairs
    ]
    assert found.facts["reliability"].startswith(f"mean r {np.mean(r):.3f} of a subject's RDM")
    assert found.counts == {"subjects": 3, "stimuli": 6, "targets": 0}
    drawn = charts(found)["pairs of stimuli by dissimilarity"]
    assert list(drawn.values()) == np.histogram(np.concatenate(pairs), 8)[0].tolist()
    alone = HeldRdms(rdms[:1], "x", None).inspection()
    assert alone.facts["reliability"] == "of one subject: none"
    assert alone.facts["stimulus ids"] == "none: rows meet the images by their order"


def test_charts_count_values_and_ranges():
    assert counted("n", [3, 1, 3]) == Chart("n", (("1", 1), ("3", 2)))
    assert histogram("n", np.array([2.0, 2.0, np.nan])) == Chart("n", (("2", 2),))
    assert histogram("n", np.array([np.nan, np.inf])) == Chart("n", ())
    # Ranges that float64 hardly holds, and those that it cannot.
    close = histogram("n", np.array([1.0, np.nextafter(1.0, 2.0)]))
    assert [n for _, n in close.bars] == [1, 0, 0, 0, 0, 0, 0, 1]
    far = histogram("n", np.array([-1.7e308, 0, 1.7e308]))
    assert [n for _, n in far.bars] == [1, 0, 0, 0, 1, 0, 0, 1]
    values = np.random.default_rng(0).standard_normal(100)
    found = histogram("n", values)
    edges = np.array([[float(end) for end in label.split(" to ")] for label, _ in found.bars])
    assert_allclose(edges[1:, 0], edges[:-1, 1])
    expected = [((values >= low) & (values <= high)).sum() for low, high in edges]
    # Edges are told with three digits.
    assert_allclose([n for _, n in found.bars], expected, atol=2)


@pytest.mark.parametrize("planted", kinds.ALL, ids=lambda one: one.kind)
def test_every_kind_is_inspected(planted, tmp_path):
    planted.make(tmp_path)
    section = planted.section(tmp_path)
    found = section.held("r", MOST, whole=False).inspection()
    assert found.counts["stimuli"] > 2
    assert found.charts[0].bars
    assert "reliability" in found.facts
    if planted in kinds.RESPONSES:
        whole = section.presentations("r", MOST)
        assert found.counts == {
            "presentations": len(whole.stimulus_ids),
            "stimuli": len(set(whole.stimulus_ids)),
            "targets": whole.targets.num_rows,
        }


def test_rows_without_ids_are_inspected_too(tmp_path):
    np.save(tmp_path / "it.npy", array(5, 3, 4))
    planted = kinds.Planted("arrays", "it.npy", lambda _: None)
    found = planted.section(tmp_path).held("r", MOST, whole=False).inspection()
    assert found.counts == {"presentations": 15, "stimuli": 5, "targets": 4}
    np.save(tmp_path / "rdm.npy", rdm_files.rdms(2, 12))
    planted = kinds.Planted("rdm", "rdm.npy", lambda _: None)
    found = planted.section(tmp_path).held("r", MOST, whole=False).inspection()
    assert found.counts["stimuli"] == 12
    np.savez(tmp_path / "maps.npz", maps=np.nan_to_num(array(5, 3, 4, 2)))
    planted = kinds.Planted("spatial_arrays", "maps.npz", lambda _: None)
    found = planted.section(tmp_path).held("r", MOST, whole=False).inspection()
    assert found.facts["image ids"] == "none: maps meet the images by their order"


def test_a_long_table_is_told_from_its_first_rows(tmp_path, monkeypatch):
    from zoo_eval.recordings import parquet

    kinds.parquet(tmp_path)
    planted = kinds.Planted("parquet", "it.parquet", kinds.parquet)
    rows = kinds.pq.read_table(tmp_path / "it.parquet").to_pylist()[:9]
    monkeypatch.setattr(parquet, "GLIMPSED_ROWS", 9)
    monkeypatch.setattr(parquet, "BLOCK_ROWS", 4)
    found = planted.section(tmp_path).held("r", MOST, whole=False).inspection()
    pairs = {(one["stimulus_id"], one["repetition"]) for one in rows}
    assert found.counts == {
        "presentations": len(pairs),
        "stimuli": len({one for one, _ in pairs}),
        "targets": len({one["target_id"] for one in rows}),
    }
    assert found.notes == ("of the first 9 of 21 rows",)
    responses = [one["response"] for one in rows]
    assert f"from {min(responses):.4g} to {max(responses):.4g}" in found.facts["read"]


@pytest.mark.parametrize("kind", ["planted", "together"])
def test_what_is_in_no_file_is_refused(kind):
    from zoo_eval.recordings.recording import RECORDINGS

    section = RECORDINGS.get(kind).model_construct(kind=kind, stimuli="shown")
    with pytest.raises(BadInput, match=f"of kind '{kind}' say nothing without their stimuli"):
        section.held("recording 'r'", MOST, whole=True)
