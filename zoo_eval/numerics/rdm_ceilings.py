"""Ceilings from the RDMs of several subjects (Nili et al. 2014), on the scale of correlations."""

from collections.abc import Sequence

import torch

from zoo_eval.numerics.rsa import Comparison, Rdm, compare


def nili_lower(subjects: Sequence[Rdm], comparison: Comparison) -> float:
    """How well the other subjects' mean RDM predicts a subject's: the ceiling's lower bound.

    Subjects' RDMs are made alike before they are averaged, as suits the comparison: for `cosine`
    scaled to norm 1, for `pearson` less their mean and scaled to norm 1, for `spearman` and
    `kendall_tau_a` replaced by their ranks, ties averaged, so that the mean RDM is one of ranks. Biased
    downwards: the mean of the others is noisier than the RDM that all share. (Nili et al. 2014.)

    Args:
        subjects: at least two RDMs of the same stimuli.
        comparison: the one that models are scored by.

    Returns:
        The mean over subjects; NaN where an RDM is constant.

    Raises:
        ValueError: fewer than two subjects.
    """
    parts = _scaled(subjects, comparison)
    total = parts.sum(0)
    return _mean_comparison(subjects, [Rdm(total - part) for part in parts], comparison)


def nili_upper(subjects: Sequence[Rdm], comparison: Comparison) -> float:
    """How well the mean RDM of all subjects predicts a subject's: the ceiling's upper bound.

    Each subject is in the mean, so no model can be expected to do better: biased upwards. RDMs are
    made alike, or ranked, as in `nili_lower`; for `kendall_tau_a` the mean of ranks is only nearly the
    best RDM. Arguments and errors as in `nili_lower`.
    """
    mean = Rdm(_scaled(subjects, comparison).sum(0))
    return _mean_comparison(subjects, [mean] * len(subjects), comparison)


def _scaled(subjects: Sequence[Rdm], comparison: Comparison) -> torch.Tensor:
    """The subjects' dissimilarities, each ready for the mean (subject, pair)."""
    if len(subjects) < 2:
        raise ValueError("a ceiling from subjects' RDMs needs at least two subjects")
    if not all(subject.varies for subject in subjects):
        return torch.stack([subject.dissimilarities * torch.nan for subject in subjects])
    if comparison == "cosine":
        return torch.stack([subject.direction for subject in subjects])
    if comparison == "pearson":
        return torch.stack([subject.deviation for subject in subjects])
    return torch.stack([subject.ranking.mean_ranks() for subject in subjects])


def _mean_comparison(
    subjects: Sequence[Rdm], predictions: Sequence[Rdm], comparison: Comparison
) -> float:
    pairs = zip(subjects, predictions, strict=True)
    return sum(compare(subject, mean, comparison) for subject, mean in pairs) / len(subjects)
