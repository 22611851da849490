"""Folds keep groups together and test each row once; stratified shuffles are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from zoo_eval.numerics.splits import grouped_folds, grouped_folds_within, stratified_shuffles

groupings = st.lists(st.integers(0, 30).map(str), min_size=2, max_size=80)
fold_counts = st.integers(2, 8)
seeds = st.integers(0, 2**31)


def folds_of(groups, n_folds, seed):
    assume(len(set(groups)) >= n_folds)
    return grouped_folds(groups, n_folds=n_folds, seed=seed)


@given(groupings, fold_counts, seeds)
def test_each_row_is_tested_once_and_trained_on_otherwise(groups, n_folds, seed):
    folds = folds_of(groups, n_folds, seed)
    assert len(folds) == n_folds
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(groups)))
    for fold in folds:
        assert len(fold.test) > 0
        assert sorted([*fold.train, *fold.test]) == list(range(len(groups)))


@given(groupings, fold_counts, seeds)
def test_no_group_stands_on_both_sides(groups, n_folds, seed):
    for fold in folds_of(groups, n_folds, seed):
        assert not {groups[row] for row in fold.train} & {groups[row] for row in fold.test}


@given(groupings, fold_counts, seeds)
def test_fold_sizes_differ_by_at_most_the_largest_group(groups, n_folds, seed):
    sizes = [len(fold.test) for fold in folds_of(groups, n_folds, seed)]
    assert max(sizes) - min(sizes) <= max(groups.count(g) for g in set(groups))


@given(groupings, fold_counts, seeds)
def test_rows_are_sorted_and_the_same_seed_gives_the_same_folds(groups, n_folds, seed):
    for one, other in zip(
        folds_of(groups, n_folds, seed), folds_of(groups, n_folds, seed), strict=True
    ):
        assert list(one.test) == sorted(one.test)
        assert list(one.train) == sorted(one.train)
        assert list(one.test) == list(other.test)


@given(groupings, fold_counts, seeds)
def test_renaming_groups_in_order_changes_nothing(groups, n_folds, seed):
    renamed = [f"photo {group.zfill(3)}" for group in groups]
    original = [group.zfill(3) for group in groups]
    for one, other in zip(
        folds_of(original, n_folds, seed), folds_of(renamed, n_folds, seed), strict=True
    ):
        assert list(one.test) == list(other.test)


def test_the_largest_groups_are_dealt_first_so_that_small_ones_even_it_out():
    groups = ["large"] * 4 + ["a", "b", "c", "d"]
    for seed in range(5):
        folds = grouped_folds(groups, n_folds=2, seed=seed)
        assert [len(fold.test) for fold in folds] == [4, 4]


def test_another_seed_gives_other_folds():
    groups = [str(row) for row in range(40)]
    first, second = (grouped_folds(groups, n_folds=4, seed=seed) for seed in (0, 1))
    assert any(list(a.test) != list(b.test) for a, b in zip(first, second, strict=True))


def test_fewer_groups_than_folds_are_an_error():
    with pytest.raises(ValueError, match="5 folds need at least 5 groups, got 2"):
        grouped_folds(["a", "b", "a"], n_folds=5, seed=0)


@given(groupings, fold_counts, seeds)
def test_folds_within_a_fold_split_its_training_rows_and_no_others(groups, n_folds, seed):
    outer = folds_of(groups, n_folds, seed)[0]
    assume(len({groups[row] for row in outer.train}) >= 2)
    inside = grouped_folds_within(outer, groups, n_folds=2, seed=seed)
    for inner in inside:
        assert sorted([*inner.train, *inner.test]) == list(outer.train)
        assert not {groups[row] for row in inner.train} & {groups[row] for row in inner.test}
    assert sorted(np.concatenate([inner.test for inner in inside])) == list(outer.train)


@pytest.mark.parametrize(("n", "n_strata"), [(3200, 8), (101, 7), (40, 3)])
def test_stratified_shuffles_have_the_rows_of_sklearn(n, n_strata):
    # Brain-Score passes the share to train on and no share to test on.
    strata = [f"object {row % n_strata}" for row in range(n)]
    splitter = StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1)
    expected = list(splitter.split(np.zeros(n), strata))
    found = stratified_shuffles(strata, n_splits=10, train_share=0.9, seed=1)
    for fold, (train, test) in zip(found, expected, strict=True):
        assert list(fold.train) == sorted(train)
        assert list(fold.test) == sorted(test)


def test_each_stratum_gives_its_share():
    strata = ["large"] * 300 + ["small"] * 20
    for fold in stratified_shuffles(strata, n_splits=5, train_share=0.9, seed=1):
        assert len(fold.test) == 32
        assert sum(row >= 300 for row in fold.test) == 2


def test_a_stratum_of_one_row_is_an_error():
    with pytest.raises(ValueError, match="least populated class"):
        stratified_shuffles(["a"] * 20 + ["b"], n_splits=3, train_share=0.9, seed=1)
