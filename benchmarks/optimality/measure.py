"""How near an attack comes to the best that anyone found: the measure of AttackBench.

Cina, Rony, Pintor et al., "AttackBench: evaluating gradient-based attacks for adversarial examples",
AAAI 2025, arXiv 2404.19460, section 2: robust accuracy at eps is the share of images whose distance is
above eps, its area up to the largest of the least distances is compared with that of the envelope, the
best of all attacks image by image.

Distances are (image,), float64, infinite where an attack found nothing and 0 where the network is wrong
without one. `least` are those of an envelope.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Distances = npt.NDArray[np.float64]


def curve(distances: Distances, radii: Distances) -> Distances:
    """Robust accuracy: the share of images with a distance above each radius (radius,)."""
    above: Distances = (distances[None, :] > radii[:, None]).mean(1)
    return above


def envelope(found: Mapping[str, Distances], without: Collection[str] = ()) -> Distances:
    """The least distance of each image (image,) over all attacks but those named in `without`.

    Raises:
        ValueError: no attack is left.
    """
    kept = [distances for name, distances in found.items() if name not in without]
    if not kept:
        raise ValueError("an envelope needs at least one attack")
    least: Distances = np.minimum.reduce(kept)
    return least


def farthest(least: Distances) -> float:
    """The largest of the finite least distances, up to which areas are taken; NaN where there is none.

    An image that no attack solved stays in every curve, the envelope's too, up to there and beyond.
    """
    finite = least[np.isfinite(least)]
    return float(finite.max()) if len(finite) else float("nan")


def optimality(distances: Distances, least: Distances) -> float:
    """Local optimality: 1 for the envelope itself, 0 for an attack that finds nothing up to `farthest`.

    1 - (A - A*) / (rho(0) m - A*), where m is `farthest`, rho(0) the accuracy without an attack and
    A = mean(min(d, m)) the exact area under a curve. Above 1 where an attack is nearer than an envelope
    that it is left out of; NaN where the envelope leaves nothing to lose (all its distances equal).
    """
    most = farthest(least)
    best = float(np.minimum(least, most).mean())
    room = float((least > 0).mean()) * most - best
    lost = float(np.minimum(distances, most).mean()) - best
    return 1 - lost / room if room > 0 else float("nan")


def by_trapezoids(distances: Distances, least: Distances) -> float:
    """Local optimality from areas of trapezoids, the form that the published figures were computed in.

    A curve's points are joined by straight lines, each distance with the share beyond it, from radius
    0 on. On few images the lines cut off much of a step, and a worse attack may come above 1.
    """
    most = farthest(least)
    best = _trapezoids(np.minimum(least, most))
    room = float((least > 0).mean()) * most - best
    return 1 - (_trapezoids(np.minimum(distances, most)) - best) / room if room else float("nan")


def _trapezoids(distances: Distances) -> float:
    radii = np.unique(np.append(distances, 0.0))
    return float(np.trapezoid(curve(distances, radii), radii))


def global_optimality(local: Sequence[float]) -> float:
    """The mean over models of the local optimality."""
    return float(np.mean(local))


def mean_ratio(distances: Distances, least: Distances) -> float:
    """The geometric mean of an attack's distances over the least, over images that anyone changed.

    Infinite where the attack failed on one of them.
    """
    told = np.isfinite(least) & (least > 0)
    return (
        float(np.exp(np.log(distances[told] / least[told]).mean())) if told.any() else float("nan")
    )


def worst(distances: Distances, least: Distances) -> tuple[int, float]:
    """The image on which an attack is farthest from the least distance, and that ratio.

    (-1, NaN) where nobody changed any image.
    """
    told = np.isfinite(least) & (least > 0)
    if not told.any():
        return -1, float("nan")
    ratios = np.where(told, distances / np.where(told, least, 1), -np.inf)
    place = int(ratios.argmax())
    return place, float(ratios[place])
