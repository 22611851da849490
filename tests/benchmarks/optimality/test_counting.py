"""A watched network: passes counted, the shortest misclassified query kept, nothing beyond the budget."""

import pytest
import torch

from benchmarks.optimality.counting import LENGTHS, Spent, Watched, attacked, is_random

IMAGE = torch.full((3, 2, 2), 0.5)


def two_classes(images):
    """Class 1 where the values' mean is above 0.6; a gradient everywhere."""
    mean = images.flatten(1).mean(1)
    return torch.stack([torch.full_like(mean, 0.6), mean], 1)


def watched(budget=100, logits=two_classes, image=IMAGE):
    return Watched(logits, image, 0, budget)


def query(change):
    return (IMAGE + change)[None]


def test_lengths_are_those_of_a_known_perturbation():
    delta = torch.zeros(3, 2, 2, dtype=torch.float64)
    delta[0, 0, 0], delta[1, 0, 0], delta[2, 1, 1] = 3, -4, 12
    found = {norm: float(length(delta)) for norm, length in LENGTHS.items()}
    assert found == {"l2": 13, "linf": 12, "l1": 19, "l0_values": 3, "l0_pixels": 2}


def test_the_least_is_kept_norm_by_norm():
    one = watched()
    one(query(0.2))
    spike = torch.zeros(3, 2, 2)
    spike[:, 0, 0] = 0.5
    spike[:, 1, 1] = 0.3
    one(query(spike))
    assert one.least["linf"] == pytest.approx(0.2)
    assert one.least["l0_values"] == 6
    assert one.least["l0_pixels"] == 2
    assert one.least["l1"] == pytest.approx(2.4)
    assert one.least["l2"] == pytest.approx(12**0.5 * 0.2)


def test_a_correct_query_and_one_outside_the_box_count_for_nothing():
    one = watched()
    one(query(0.05))
    one(query(0.6))
    assert set(one.least.values()) == {float("inf")}
    one(query(0.5 + 5e-7))
    assert one.least["linf"] == pytest.approx(0.5)


def test_logits_that_are_not_finite_are_no_success():
    one = watched(logits=lambda images: torch.full((len(images), 2), torch.nan))
    one(query(0.2))
    assert one.least["l2"] == float("inf")


def test_passes_of_every_row_are_counted():
    one = watched()
    images = query(0.0).repeat(3, 1, 1, 1).requires_grad_()
    logits = one(images)
    assert (one.n_forwards, one.n_backwards) == (3, 0)
    for column in (0, 1):
        torch.autograd.grad(logits[:, column].sum() + images.sum(), images, retain_graph=True)
    assert (one.n_forwards, one.n_backwards) == (3, 6)
    with torch.no_grad():
        one(query(0.0))
    assert one.n_propagations == 10


def test_nothing_counts_beyond_the_budget():
    one = watched(budget=3)
    one(query(0.0))
    one(torch.cat([query(0.4), query(0.3), query(0.2)]))
    assert one.n_propagations == 3
    assert one.least["linf"] == pytest.approx(0.3)
    with pytest.raises(Spent):
        one(query(0.2))
    assert (one.n_propagations, one.least["linf"]) == (3, pytest.approx(0.3))


def test_backward_passes_are_not_counted_beyond_the_budget_either():
    one = watched(budget=2)
    images = query(0.0).requires_grad_()
    logits = one(images)
    for _ in range(3):
        torch.autograd.grad(logits.sum(), images, retain_graph=True)
    assert one.n_propagations == 2


def test_what_was_found_within_each_number_of_propagations():
    one = watched()
    one(query(0.0))
    one(torch.cat([query(0.4), query(0.2)]))
    one(query(0.3))
    found = one.within((1, 2, 3, 4), "linf")
    assert found == [float("inf"), pytest.approx(0.4), pytest.approx(0.2), pytest.approx(0.2)]


def test_an_attack_that_never_ends_ends_with_its_budget():
    def endless(logits, images, labels):
        while True:
            logits(images + 0.2)

    one = watched(budget=5)
    assert attacked(one, endless).error is None
    assert (one.n_propagations, one.least["linf"]) == (5, pytest.approx(0.2))


def test_an_attack_that_breaks_keeps_what_it_found():
    def breaking(logits, images, labels):
        logits(images + 0.2)
        raise IndexError("no such\nclass")

    one = watched()
    assert attacked(one, breaking).error == "IndexError: no such class"
    assert one.least["linf"] == pytest.approx(0.2)


def test_a_random_network_is_seen():
    assert not is_random(two_classes, IMAGE[None])
    assert is_random(lambda images: two_classes(images) + torch.randn(len(images), 2), IMAGE[None])
