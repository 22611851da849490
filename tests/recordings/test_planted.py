"""Planted recordings keep the promises of their recipe, and are planned before they are made."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose

from tests.planted_nets import noise
from tests.recordings.sweepmates import LAYER, MODEL, Mates
from tests.rounding import float64_products
from zoo_eval.errors import BadInput
from zoo_eval.recordings import planted
from zoo_eval.recordings.ceiling import CeilingChoices
from zoo_eval.recordings.planted import PlantedSection, Recipe

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
    signal = plant(features, replace(RECIPE, noise=0.0)).repeated().padded()
    assert_allclose(signal, signal[:, :1].repeat(6, axis=1), rtol=0)
    signal = signal[:, 0]
    # Eigenvectors follow the Gram matrix's rounding over the gap behind the fifth eigenvalue.
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    error = float64_products(40 + 2 * 150, (features**2).sum(1).max()) * 150**0.5
    rounding = error / (values[4] - values[5])
    assert_allclose(leading @ (leading.T @ signal), signal, rtol=0, atol=rounding * 150**0.5)
    assert_allclose(signal.mean(0), 0, rtol=0, atol=rounding)
    assert_allclose(signal.std(0), 1, rtol=float64_products(150))
    assert np.linalg.matrix_rank(signal) == 5


def test_the_stated_ceiling_is_the_variance_ratio_of_what_was_planted(features):
    found = plant(features)
    signal = plant(features, replace(RECIPE, noise=0.0)).repeated().padded().mean(1)
    assert_allclose(found.exact_reliability, 1 / (1 + 2.0**2 / 6), rtol=float64_products(4))
    # Var(signal) is 1 by construction; the noise left in the mean has variance noise^2 / R.
    residual_variances = [
        plant(features, replace(RECIPE, seed=seed)).repeated().padded().var(axis=1, ddof=1).mean()
        for seed in range(10)
    ]
    n_values = 10 * signal.size * 5
    error = 5 * (2 / n_values) ** 0.5
    assert np.mean(residual_variances) == pytest.approx(2.0**2, rel=error)
    assert_allclose(signal.var(0), 1, rtol=float64_products(150))


def test_planting_is_deterministic_and_follows_from_the_recipe(features):
    assert_allclose(
        plant(features).repeated().padded(), plant(features).repeated().padded(), rtol=0
    )
    other = plant(features, replace(RECIPE, seed=1))
    assert np.abs(other.repeated().padded() - plant(features).repeated().padded()).max() > 0.1
    assert other.digest != plant(features).digest == RECIPE.digest


def test_rounding_in_the_features_hardly_moves_the_responses(features):
    centred = features - features.mean(0)
    values, moved_by = np.linalg.svd(centred, compute_uv=False) ** 2, 1e-9
    moved = plant(features + moved_by * np.random.default_rng(1).standard_normal(features.shape))
    # F E^T and its like, over the smallest gap among the leading eigenvalues.
    error = 2 * moved_by * float(np.linalg.norm(features, axis=1).max()) * 150**0.5
    bound = 150**0.5 * error / -np.diff(values[:6]).max()
    assert_allclose(
        moved.repeated().padded(), plant(features).repeated().padded(), rtol=0, atol=bound
    )
    assert moved.digest == plant(features).digest


def test_an_eigenvectors_arbitrary_sign_changes_nothing(features, monkeypatch):
    expected = plant(features).repeated().padded()
    eigh = np.linalg.eigh
    flips = np.where(np.arange(150) % 3 == 0, -1, 1)

    def flipped(matrix):
        values, vectors = eigh(matrix)
        return values, vectors * flips

    monkeypatch.setattr(np.linalg, "eigh", flipped)
    assert_allclose(plant(features).repeated().padded(), expected, rtol=0)


def test_a_table_gives_the_recording_back(features, tmp_path):
    original = plant(features)
    file = tmp_path / "kept.parquet"
    pq.write_table(planted.to_table(original), file)
    kept = planted.from_table("p", "shown", pq.read_table(file), RECIPE)
    assert_allclose(kept.repeated().padded(), original.repeated().padded(), rtol=0)
    assert_allclose(kept.exact_reliability, original.exact_reliability, rtol=0)
    assert (kept.digest, kept.target_ids) == (original.digest, original.target_ids)


def test_more_components_than_the_rank_are_an_error(features):
    with pytest.raises(
        BadInput, match=r"41 components asked for, but layer 'blocks.1' has rank 40"
    ):
        plant(features, replace(RECIPE, n_components=41))
    assert plant(features, replace(RECIPE, n_components=40)).repeated().padded().shape == (
        150,
        6,
        12,
    )


SHOWN = noise(150)
SECTION = PlantedSection(
    stimuli=SHOWN.name, model=MODEL, layer=LAYER, n_components=5, n_targets=12, n_repetitions=6,
    noise=2.0,
)  # fmt: skip


def test_a_planted_recording_is_planned_by_its_recipe_alone(features):
    planned = SECTION.read("p", Mates(SHOWN))
    # Of the code before recordings could be planned without being made.
    assert planned.digest == "666179398e148c3d038a802701dd8801"
    made = planned.pending.made(features @ features.T)
    assert made.pending is None
    for fact in ("digest", "n_stimuli", "n_repetitions", "target_ids", "subject_ids", "stimuli"):
        assert getattr(planned, fact) == getattr(made, fact), fact
    assert_allclose(planned.exact_reliability, made.exact_reliability, rtol=0)
    choices = CeilingChoices(10, "spearman")
    for one, other in zip(planned.ceilings(choices), made.ceilings(choices), strict=True):
        assert replace(one, values=other.values, undefined=other.undefined) == other


def test_what_was_kept_is_what_was_made(features):
    planned = SECTION.read("p", Mates(SHOWN))
    made = planned.made(features @ features.T)
    again = planned.kept(planned.table(made))
    assert_allclose(again.repeated().padded(), made.repeated().padded(), rtol=0)
    assert again.digest == planned.digest


def test_numbers_of_a_recording_that_is_not_made_are_an_error():
    planned = SECTION.read("p", Mates(SHOWN))
    ceilings = {one.estimator: one for one in planned.ceilings(CeilingChoices(10, "spearman"))}
    said = "recording 'p' is planned but not made yet; make it of layer 'blocks.1'"
    for asked in (
        lambda: planned.mean,
        lambda: planned.rdms_at(np.arange(9), "correlation"),
        lambda: planned.gram_at(np.arange(9)),
        lambda: ceilings["ncsnr"].values(0),
    ):
        with pytest.raises(RuntimeError, match=said):
            asked()
    assert set(ceilings["planted_exact"].values(0).values()) == {RECIPE.reliability}


def test_a_model_outside_the_sweep_is_named():
    section = SECTION.model_copy(update={"model": "other"})
    with pytest.raises(BadInput, match=r"^recording 'p': model 'other' is not in the sweep"):
        section.read("p", Mates(SHOWN))
