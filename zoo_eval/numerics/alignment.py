"""Spearman correlation between what moves a model and where people look, image by image.

rho is Pearson's r of ranks (ties averaged). Ranks of the human maps, centred and of length 1, are
made once; then the rank correlations of all attributions with all maps are one matrix product.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Values = npt.NDArray[np.float64]


class DifferentSize(ValueError):
    """Attributions and maps are of different sizes."""


def abs_of_mean(attribution: Tensor) -> Tensor:
    """|mean over channels|: channels of opposite sign cancel (perturbations, Linsley et al. 2023)."""
    return attribution.double().mean(1).abs()


def abs_max(attribution: Tensor) -> Tensor:
    """Largest |value| over channels (gradients, Fel et al. 2022)."""
    return attribution.double().abs().amax(1)


def abs_of_max(attribution: Tensor) -> Tensor:
    """|largest signed value over channels|, which is small where all channels fall.

    What the code of the 2025 successor computes; to reproduce it, not to use it.
    """
    return attribution.double().amax(1).abs()


def l2(attribution: Tensor) -> Tensor:
    """Euclidean norm over channels."""
    norm: Tensor = attribution.double().norm(dim=1)
    return norm


# Each takes (image, channel, row, column) to float64 (image, row, column).
REDUCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"abs_of_mean": abs_of_mean, "abs_max": abs_max, "l2": l2, "abs_of_max": abs_of_max}
)


# Names that sweep files, methods of other packages and trials' identities know them by as well.
FORMER_NAMES: Mapping[str, str] = MappingProxyType({"abs_mean": "abs_of_mean"})


def renamed(reduction: str) -> str:
    """The present name of a channel reduction."""
    return FORMER_NAMES.get(reduction, reduction)


def former(reduction: str) -> str:
    """The first name of a channel reduction, by which a trial's identity knows it."""
    return next((old for old, new in FORMER_NAMES.items() if new == reduction), reduction)


@dataclass(frozen=True, eq=False)
class Ranks:
    """Standardised ranks float64 (image, pixel) of maps, and their size (row, column).

    Each row has mean 0 and length 1, so that the product of two is Spearman's rho. A map that is
    constant, or NaN or infinite somewhere, has a row of NaN; `undefined` (image,) says why.
    """

    standardised: Values
    size: tuple[int, int]
    undefined: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.standardised)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Agreement of each attribution with its own human map, and with those of other images.

    `spearman` and `null_mean` (image,) and `null` (image, map) are float64, NaN where undefined;
    `null` is NaN at the image's own map, and None unless asked for. `reasons` (image,) says why
    a `spearman` is NaN.
    """

    spearman: Tensor
    null_mean: Tensor
    null: Tensor | None
    reasons: tuple[str | None, ...]


def ranked(maps: Tensor) -> Ranks:
    """The ranks of maps (image, row, column), to be used for as many comparisons as there are."""
    values = maps.detach().cpu().numpy()
    n_images, rows, columns = values.shape
    standardised = np.empty((n_images, rows * columns))
    undefined: list[str | None] = []
    # One image at a time stays in the processor's cache, which is faster than all at once.
    for row, one in zip(standardised, values.reshape(n_images, rows * columns), strict=True):
        reason = _undefined(one)
        undefined.append(reason)
        if reason is None:
            _standardised_ranks(one, row)
        else:
            row.fill(np.nan)
    return Ranks(standardised, (rows, columns), tuple(undefined))


def align(
    attributions: Tensor, maps: Ranks, own: npt.ArrayLike, *, keep_null: bool = False
) -> Alignment:
    """Spearman's rho of each attribution with its image's map, and with all other images' maps.

    The null is the same attribution against every other map that is defined: what an attribution
    gets for where people look in any image, such as its centre.

    Args:
        attributions: (image, row, column), already one value per pixel (see REDUCTIONS).
        maps: ranks of the human maps, from `ranked`.
        own: for each attribution, the number of its image's map.
        keep_null: return the null distribution, not only its mean.

    Raises:
        DifferentSize: attributions and maps have different rows or columns.
        IndexError: a number in `own` is not that of a map.
    """
    size = (int(attributions.shape[-2]), int(attributions.shape[-1]))
    if size != maps.size:
        raise DifferentSize(
            f"attributions of {size[0]} x {size[1]} pixels, maps of {maps.size[0]} x {maps.size[1]}"
        )
    theirs = ranked(attributions)
    chosen = np.asarray(own, dtype=np.int64)
    spearman = paired(theirs, maps, chosen)
    rho = torch.from_numpy(theirs.standardised) @ torch.from_numpy(maps.standardised).T
    rho.clamp_(-1, 1)[torch.arange(len(theirs)), torch.from_numpy(chosen)] = torch.nan
    reasons = tuple(
        _reason(maps.undefined[c], why) for c, why in zip(chosen, theirs.undefined, strict=True)
    )
    return Alignment(spearman, rho.nanmean(1), rho if keep_null else None, reasons)


def paired(attributions: Ranks, maps: Ranks, own: npt.ArrayLike) -> Tensor:
    """Spearman's rho of each attribution with its image's map alone, float64 (image,).

    Args:
        attributions: their ranks, from `ranked`.
        maps: ranks of the human maps.
        own: for each attribution, the number of its image's map.
    """
    chosen = np.asarray(own, dtype=np.int64)
    # Row by row: choosing rows all at once would copy as many maps as there are attributions.
    rho = [
        np.einsum("p,p->", theirs, maps.standardised[number])
        for theirs, number in zip(attributions.standardised, chosen, strict=True)
    ]
    return torch.tensor(rho, dtype=torch.float64).clamp(-1, 1)


def _reason(of_map: str | None, of_attribution: str | None) -> str | None:
    if of_map is not None:
        return f"the human map {of_map}"
    return None if of_attribution is None else f"the attribution {of_attribution}"


def _undefined(values: npt.NDArray[np.floating]) -> str | None:
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return "is NaN or infinite somewhere"
    return "is constant" if low == high else None


def _standardised_ranks(values: npt.NDArray[np.floating], ranks: Values) -> None:
    """Fills `ranks` (pixel,) with the ranks of the values, ties averaged, centred, of length 1."""
    n = len(values)
    order = values.argsort()
    in_order = values[order]
    starts_group = np.ones(n, dtype=bool)
    np.not_equal(in_order[1:], in_order[:-1], out=starts_group[1:])
    starts = starts_group.nonzero()[0]
    sizes = np.diff(starts, append=n)
    # The mean of start ... start + size - 1, from which the mean of 0 ... n - 1 is taken.
    centred = starts + (sizes - n) / 2
    centred /= np.sqrt((centred * centred * sizes).sum())
    ranks[order] = centred.repeat(sizes)
