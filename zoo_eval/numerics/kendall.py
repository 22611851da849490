"""Kendall's tau-a of two rankings, exact, in O(m log m) for m values."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from zoo_eval.numerics.ranking import Ranking

Integers = npt.NDArray[np.integer]

LONGEST_BLOCK = 64
# Below this many values per thread, starting the threads costs more than they save.
SMALLEST_SHARE = 2**17


def tau_a(x: Ranking, y: Ranking) -> float:
    """Kendall's tau-a: (concordant - discordant pairs) / all pairs; ties are neither.

    A discordant pair is an inversion: the ranks of y, read in the order of x, descend. Computed on
    the CPU, by `torch.get_num_threads()` threads.

    Args:
        x: ranking of m values, at least two.
        y: ranking of m other values.
    """
    n_values = len(x.order)
    n_pairs = n_values * (n_values - 1) // 2
    sequence, n_joint_ties = _in_order_of(x, y)
    n_untied = n_pairs - x.n_tied_pairs - y.n_tied_pairs + n_joint_ties
    return (n_untied - 2 * n_inversions(sequence)) / n_pairs


def n_inversions(sequence: Integers) -> int:
    """How many pairs stand in descending order: i < j with sequence[i] > sequence[j].

    Blocks of up to 64 are counted pair by pair. Then neighbouring runs are merged until one is
    left: the inversions between two runs follow from where the members of the right one end up.

    Args:
        sequence: integers (value,) in 0 ... m - 1.
    """
    n_values = len(sequence)
    n_doublings = ((n_values - 1) // LONGEST_BLOCK).bit_length()
    block = -(-n_values // 2**n_doublings)
    dtype = np.int32 if n_values * LONGEST_BLOCK < 2**31 else np.int64
    # What is added stands last and is the largest: it takes part in no inversion.
    padded = np.full(block << n_doublings, n_values, dtype=dtype)
    padded[:n_values] = sequence
    most = min(torch.get_num_threads(), n_values // SMALLEST_SHARE)
    n_shares = 1 << (most.bit_length() - 1) if most > 1 else 1
    shares = padded.reshape(n_shares, -1)
    if n_shares == 1:
        return _sorting(padded, block)
    with ThreadPoolExecutor(n_shares) as threads:
        count = sum(threads.map(lambda share: _sorting(share, block), shares))
    return count + _between_runs(padded, shares.shape[1])


def _sorting(run: Integers, block: int) -> int:
    """Inversions inside the run, which is sorted in place."""
    return _within_blocks(run, block) + _between_runs(run, block)


def _within_blocks(run: Integers, block: int) -> int:
    """Inversions inside each block: those of its members' positions, in order of their values."""
    keys = run.reshape(-1, block) * LONGEST_BLOCK + np.arange(block, dtype=run.dtype)
    keys.sort(axis=1)
    positions = np.ascontiguousarray((keys % LONGEST_BLOCK).astype(np.uint8).T)
    return sum(int(np.count_nonzero(positions[:k] > positions[k])) for k in range(1, block))


def _between_runs(run: Integers, half: int) -> int:
    """Inversions between parts of length `half` (each sorted or not); the run is sorted in place."""
    count = 0
    while 2 * half <= len(run):
        pairs = run.reshape(-1, 2 * half)
        pairs *= 2
        # A right member goes behind the left ones of the same value: a tie is no inversion.
        pairs[:, half:] += 1
        pairs.sort(axis=1)
        is_right = (pairs & 1).sum(0, dtype=np.int32)
        pairs >>= 1
        # Without inversions the right members would be the last ones of each row.
        last = half * half + half * (half - 1) // 2
        count += len(pairs) * last - int(is_right @ np.arange(2 * half))
        half *= 2
    return count


def _in_order_of(x: Ranking, y: Ranking) -> tuple[Integers, int]:
    """The lowest ranks of y in the order of x, ascending where x ties; and the joint ties."""
    sequence = y.lowest[x.order].cpu().numpy()
    if not x.n_tied_pairs:
        return sequence, 0
    keys = x.lowest[x.order].cpu().numpy() * len(sequence) + sequence
    keys.sort()
    sizes = np.diff(np.flatnonzero(np.r_[True, keys[1:] != keys[:-1], True]))
    return keys % len(sequence), int((sizes * (sizes - 1) // 2).sum())
