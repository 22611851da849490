"""Recordings are complete and finite; planted ones keep the promises of their recipe."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose

from zoo_eval.errors import BadInput
from zoo_eval.recordings import parquet, planted
from zoo_eval.recordings.planted import Recipe
from zoo_eval.recordings.recording import Recording
from zoo_eval.stimuli.stimulus_set import StimulusSet

IDS = ("c", "a", "b")


@pytest.fixture
def shown():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    return StimulusSet("shown", IDS, (image,) * 3, groups=IDS)


def recording(responses=None, targets=("t1", "t2")):
    responses = np.arange(12.0).reshape(3, 2, 2) if responses is None else responses
    return Recording("r", "shown", responses, targets)


def long_rows():
    """Responses of two targets in two repetitions; their values say where they belong."""
    return [
        {"stimulus_id": s, "repetition": r, "target_id": t, "response": 100.0 * i + 10 * r + j}
        for i, s in enumerate(IDS)
        for r in (5, 7)
        for j, t in enumerate(("t1", "t2"))
    ]


def read(tmp_path, rows, shown):
    file = tmp_path / "r.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    return parquet.read("r", file, shown)


def test_a_mean_is_over_repetitions():
    assert_allclose(recording().mean, [[1, 2], [5, 6], [9, 10]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_response_that_is_no_number_is_located(value):
    responses = np.zeros((3, 2, 2))
    responses[2, 1, 0] = value
    with pytest.raises(BadInput, match=r"target 't1' to stimulus number 2 \(repetition 1\) is NaN"):
        recording(responses)


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 3), (3, 2, 2, 1)])
def test_another_shape_is_an_error(shape):
    with pytest.raises(BadInput, match=r"expected responses \(stimulus, repetition, target\)"):
        recording(np.zeros(shape))


def test_a_recording_of_another_number_of_stimuli_is_refused(shown):
    recording().check(shown)
    with pytest.raises(BadInput, match="2 stimuli recorded, but stimuli 'shown' has 3"):
        recording(np.zeros((2, 2, 2))).check(shown)


def test_a_digest_is_of_responses_and_targets():
    changed = np.arange(12.0).reshape(3, 2, 2)
    changed[0, 0, 0] = 1e-9
    digests = {
        recording().digest,
        recording(changed).digest,
        recording(targets=("t1", "t3")).digest,
        recording(np.arange(12.0).reshape(2, 3, 2)).digest,
    }
    assert len(digests) == 4
    assert Recording("other", "x", recording().responses, ("t1", "t2")).digest in digests


def test_a_parquet_file_is_read_in_the_order_of_the_stimuli(tmp_path, shown):
    rows = long_rows()
    np.random.default_rng(0).shuffle(rows)
    found = read(tmp_path, rows, shown)
    assert found.target_ids == ("t1", "t2")
    expected = [[[100 * i + 10 * r + j for j in (0, 1)] for r in (5, 7)] for i in range(3)]
    assert_allclose(found.responses, expected)


def test_numeric_target_ids_are_read_as_text(tmp_path, shown):
    rows = [{**row, "target_id": int(row["target_id"][1])} for row in long_rows()]
    assert read(tmp_path, rows, shown).target_ids == ("1", "2")


def test_a_missing_response_is_located(tmp_path, shown):
    with pytest.raises(BadInput, match="target 't2' has 0 responses to 'b' in repetition 7"):
        read(tmp_path, long_rows()[:-1], shown)


def test_a_missing_stimulus_is_named(tmp_path, shown):
    rows = [row for row in long_rows() if row["stimulus_id"] != "a"]
    with pytest.raises(BadInput, match="0 responses to 'a'"):
        read(tmp_path, rows, shown)


def test_a_response_given_twice_is_located(tmp_path, shown):
    rows = [*long_rows(), long_rows()[3]]
    with pytest.raises(BadInput, match="target 't2' has 2 responses to 'c' in repetition 7"):
        read(tmp_path, rows, shown)


def test_an_unknown_stimulus_is_named(tmp_path, shown):
    rows = [*long_rows(), {**long_rows()[0], "stimulus_id": "zebra"}]
    with pytest.raises(BadInput, match="stimulus 'zebra' is not in stimuli 'shown'"):
        read(tmp_path, rows, shown)


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_response_that_is_absent_is_located(tmp_path, shown, value):
    rows = long_rows()
    rows[0]["response"] = value
    with pytest.raises(BadInput, match="target 't1' to stimulus number 0"):
        read(tmp_path, rows, shown)


def test_a_missing_column_is_named(tmp_path, shown):
    rows = [{k: v for k, v in row.items() if k != "repetition"} for row in long_rows()]
    with pytest.raises(BadInput, match="has no column 'repetition'"):
        read(tmp_path, rows, shown)


@pytest.mark.parametrize(("column", "value"), [("repetition", None), ("response", "loud")])
def test_a_column_of_another_kind_is_an_error(tmp_path, shown, column, value):
    rows = [{**row, column: value if column == "response" or i else 5} for i, row in enumerate(long_rows())]  # fmt: skip
    with pytest.raises(BadInput, match="recording 'r'"):
        read(tmp_path, rows, shown)


def test_an_empty_file_is_an_error(tmp_path, shown):
    schema = pa.schema(
        [("stimulus_id", pa.string()), ("repetition", pa.int64()), ("target_id", pa.string()),
         ("response", pa.float64())]
    )  # fmt: skip
    file = tmp_path / "r.parquet"
    pq.write_table(schema.empty_table(), file)
    with pytest.raises(BadInput, match="recording 'r'"):
        parquet.read("r", file, shown)


def test_a_file_of_another_kind_is_an_error(tmp_path, shown):
    file = tmp_path / "r.parquet"
    file.write_text("stimulus_id,repetition")
    with pytest.raises(BadInput, match="is not a Parquet file"):
        parquet.read("r", file, shown)


RECIPE = Recipe(
    weights_digest="w", transform={}, layer="blocks.1", stimuli_digest="s", n_components=5,
    n_targets=12, n_repetitions=6, noise=2.0, seed=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def features():
    """Planted features (stimulus, feature) with a falling spectrum and a mean."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((150, 40)) * 0.9 ** np.arange(40) + 3


def plant(features, recipe=RECIPE):
    return planted.plant("p", "shown", features @ features.T, recipe)


def test_planted_signals_lie_in_the_leading_principal_components(features):
    # The witness: principal components of the features themselves, by SVD.
    centred = features - features.mean(0)
    leading = np.linalg.svd(centred, full_matrices=False)[0][:, :5]
    signal = plant(features, replace(RECIPE, noise=0.0)).responses
    assert_allclose(signal, signal[:, :1].repeat(6, axis=1), atol=1e-12)
    signal = signal[:, 0]
    assert_allclose(leading @ (leading.T @ signal), signal, atol=1e-9)
    assert_allclose(signal.mean(0), 0, atol=1e-12)
    assert_allclose(signal.std(0), 1, rtol=1e-12)
    assert np.linalg.matrix_rank(signal) == 5


def test_the_stated_ceiling_is_the_variance_ratio_of_what_was_planted(features):
    found = plant(features)
    signal = plant(features, replace(RECIPE, noise=0.0)).responses.mean(1)
    assert_allclose(found.exact_reliability, 1 / (1 + 2.0**2 / 6))
    # Var(signal) is 1 by construction; the noise left in the mean has variance noise^2 / R.
    residual_variances = [
        plant(features, replace(RECIPE, seed=seed)).responses.var(axis=1, ddof=1).mean()
        for seed in range(10)
    ]
    assert np.mean(residual_variances) == pytest.approx(2.0**2, rel=0.02)
    assert_allclose(signal.var(0), 1)


def test_planting_is_deterministic_and_follows_from_the_recipe(features):
    assert_allclose(plant(features).responses, plant(features).responses, rtol=0)
    other = plant(features, replace(RECIPE, seed=1))
    assert np.abs(other.responses - plant(features).responses).max() > 0.1
    assert other.digest != plant(features).digest == RECIPE.digest


def test_rounding_in_the_features_hardly_moves_the_responses(features):
    moved = plant(features + 1e-9 * np.random.default_rng(1).standard_normal(features.shape))
    assert_allclose(moved.responses, plant(features).responses, atol=1e-5)
    assert moved.digest == plant(features).digest


def test_an_eigenvectors_arbitrary_sign_changes_nothing(features, monkeypatch):
    expected = plant(features).responses
    eigh = np.linalg.eigh
    flips = np.where(np.arange(150) % 3 == 0, -1, 1)

    def flipped(matrix):
        values, vectors = eigh(matrix)
        return values, vectors * flips

    monkeypatch.setattr(np.linalg, "eigh", flipped)
    assert_allclose(plant(features).responses, expected, rtol=0)


def test_a_table_gives_the_recording_back(features, tmp_path):
    original = plant(features)
    file = tmp_path / "kept.parquet"
    pq.write_table(planted.to_table(original), file)
    kept = planted.from_table("p", "shown", pq.read_table(file), RECIPE)
    assert_allclose(kept.responses, original.responses, rtol=0)
    assert_allclose(kept.exact_reliability, original.exact_reliability, rtol=0)
    assert (kept.digest, kept.target_ids) == (original.digest, original.target_ids)


def test_more_components_than_the_rank_are_an_error(features):
    with pytest.raises(
        BadInput, match=r"41 components asked for, but layer 'blocks.1' has rank 40"
    ):
        plant(features, replace(RECIPE, n_components=41))
    assert plant(features, replace(RECIPE, n_components=40)).responses.shape == (150, 6, 12)
