"""Kendall's tau-a of two rankings, exact, in O(m log m) for m values."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from zoo_eval.numerics.ranking import Ranking

Integers = npt.NDArray[np.integer]

LONGEST_BLOCK = 64
# Values that stay in a core's cache while they are sorted and counted.
SHARE = 2**17
# Values that are counted together: more would only take more memory.
TOGETHER = 2**20


def taus_a(x: Ranking, others: Sequence[Ranking]) -> list[float]:
    """Kendall's tau-a of one ranking with each of several.

    (concordant - discordant pairs) / all pairs; ties are neither. A discordant pair is an
    inversion: the ranks of y, read in the order of x, descend. Computed on the CPU, by
    `torch.get_num_threads()` threads.

    Args:
        x: ranking of m values, at least two.
        others: rankings of m other values.
    """
    n_values = len(x.order)
    n_pairs = n_values * (n_values - 1) // 2
    order = x.order.cpu().numpy()
    at_once = TOGETHER // n_values or 1
    found = []
    for start in range(0, len(others), at_once):
        some = others[start : start + at_once]
        sequences, n_joint_ties = zip(*(_in_order_of(x, order, y) for y in some))
        distinct = not any(y.n_tied_pairs for y in some)
        discordant = n_inversions(sequences, n_values - 1, distinct=distinct)
        for y, joint, n_discordant in zip(some, n_joint_ties, discordant):
            n_untied = n_pairs - x.n_tied_pairs - y.n_tied_pairs + joint
            found.append((n_untied - 2 * n_discordant) / n_pairs)
    return found


def n_inversions(
    sequences: Sequence[Integers], largest: int, *, distinct: bool = False
) -> list[int]:
    """How many pairs of each sequence stand in descending order: i < j with s[i] > s[j].

    Blocks of up to 64 are counted pair by pair. Then neighbouring runs are merged until one is
    left: the inversions between two runs follow from where the members of the right one end up.

    Args:
        sequences: integers from 0 on, (value,) each and all of one length.
        largest: none of them is larger.
        distinct: each sequence holds every integer up to `largest` once, which spares the last
            and longest merge.
    """
    n_sequences, n_values = len(sequences), len(sequences[0])
    n_doublings = ((n_values - 1) // LONGEST_BLOCK).bit_length()
    block = -(-n_values // 2**n_doublings)
    length = block << n_doublings
    # What is added stands last, ascends and is larger: it takes part in no inversion.
    end = largest + 1 + length - n_values
    dtype = np.int16 if end <= 2**14 else np.int32 if end <= 2**24 else np.int64
    doubled = np.empty((n_sequences, length), dtype=dtype)
    for row, sequence in zip(doubled, sequences, strict=True):
        row[:n_values] = sequence
    doubled[:, n_values:] = np.arange(largest + 1, end)
    merged, total = length, np.zeros(n_sequences, dtype=np.int64)
    if distinct and n_doublings:
        merged = length // 2
        # A value is its own place among all.
        total += _last_places(merged) - doubled[:, merged:].sum(1, dtype=np.int64)
    doubled *= 2
    part = merged
    while part > SHARE:
        part //= 2
    runs = doubled.reshape(-1, part)
    at_once = SHARE // part or 1
    shares = [runs[start : start + at_once] for start in range(0, len(runs), at_once)]
    total += _on_threads(partial(_sorting, block=block), shares).reshape(n_sequences, -1).sum(1)
    while part < merged:
        pairs = list(doubled.reshape(-1, 1, 2 * part))
        counts = _on_threads(partial(_merging, half=part), pairs)
        total += counts.reshape(n_sequences, -1).sum(1)
        part *= 2
    found: list[int] = total.tolist()
    return found


def _on_threads(work: Callable[[Integers], Integers], shares: Sequence[Integers]) -> Integers:
    """The counts of all shares, in order."""
    n_threads = min(torch.get_num_threads(), len(shares))
    if n_threads == 1:
        return np.concatenate([work(share) for share in shares])
    with ThreadPoolExecutor(n_threads) as threads:
        return np.concatenate(list(threads.map(work, shares)))


def _sorting(runs: Integers, block: int) -> Integers:
    """Inversions inside each of the runs (run, doubled value), which are sorted in place."""
    counts = _within_blocks(runs, block)
    half = block
    while half < runs.shape[1]:
        counts += _merging(runs, half)
        half *= 2
    return counts


def _within_blocks(runs: Integers, block: int) -> Integers:
    """Inversions inside each block, per run, from differences of place 1, 2, ..."""
    blocks = runs.reshape(-1, block)
    if runs.dtype == np.int16:
        columns = np.ascontiguousarray(blocks.T)
    else:
        # Members' positions in order of their values have as many, and fit into bytes.
        keys = blocks * LONGEST_BLOCK
        keys += np.arange(block, dtype=keys.dtype)
        keys.sort(axis=1)
        columns = np.ascontiguousarray((keys.astype(np.uint8) & (LONGEST_BLOCK - 1)).T)
    counts = np.zeros(columns.shape, dtype=np.uint8)
    for lag in range(1, block):
        later = counts[lag:]
        later += (columns[:-lag] > columns[lag:]).view(np.uint8)
    per_run: Integers = counts.sum(0, dtype=np.int64).reshape(len(runs), -1).sum(1)
    return per_run


def _merging(runs: Integers, half: int) -> Integers:
    """Inversions between neighbouring parts of length `half`, per run; both are sorted in place."""
    pairs = runs.reshape(len(runs), -1, 2 * half)
    # A right member goes behind the left ones of the same value: a tie is no inversion.
    pairs &= -2
    pairs[:, :, half:] += 1
    pairs.sort(axis=2)
    # Far fewer pairs than the type can count: no cast is needed, which would take longer.
    is_right = (pairs & 1).sum(1, dtype=runs.dtype)
    places = np.einsum("rp,p->r", is_right, np.arange(2 * half))
    counts: Integers = pairs.shape[1] * _last_places(half) - places
    return counts


def _last_places(half: int) -> int:
    """The sum of the right members' places in a pair of parts without inversions: the last ones."""
    return half * half + half * (half - 1) // 2


def _in_order_of(x: Ranking, order: Integers, y: Ranking) -> tuple[Integers, int]:
    """The lowest ranks of y in the order of x, ascending where x ties; and the joint ties."""
    sequence = y.lowest.cpu().numpy().take(order)
    if not x.n_tied_pairs:
        return sequence, 0
    keys = x.lowest[x.order].cpu().numpy() * np.int64(len(sequence)) + sequence
    keys.sort()
    sizes = np.diff(np.flatnonzero(np.r_[True, keys[1:] != keys[:-1], True]))
    return keys % len(sequence), int((sizes * (sizes - 1) // 2).sum())
