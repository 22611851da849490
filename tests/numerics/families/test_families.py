"""Families count their models, and how many even ones they are worth."""

import numpy as np
import pytest

from zoo_eval.numerics.families.families import Families


def test_effective_families_are_the_inverse_of_simpsons_index():
    found = Families.of(["b", "a", "a", "c", "a", "b"])
    assert (found.names, found.sizes.tolist()) == (("a", "b", "c"), [3, 2, 1])
    assert found.effective == pytest.approx(36 / 14)
    assert Families.of(list("abcd")).effective == pytest.approx(4)
    assert Families.of(["one"] * 9).effective == 1
    assert Families.of([]).effective == 0


def test_sums_and_subsets_follow_the_labels():
    found = Families.of(["b", "a", "a", "c"])
    values = np.arange(8.0).reshape(2, 4)
    assert found.sums(values).tolist() == [[3, 0, 3], [11, 4, 7]]
    some = found.among(np.array([True, True, True, False]))
    assert (some.names, some.codes.tolist()) == (("a", "b"), [1, 0, 0])


def test_hostile_names_are_names():
    found = Families.of(["<script>", "\x1b[31m", "", "<script>"])
    assert sorted(found.names) == ["", "\x1b[31m", "<script>"]
    assert found.effective == pytest.approx(16 / 6)
