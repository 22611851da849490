"""The study's protocol and the released code's, loop by loop with NumPy, SciPy and scikit-learn.

Written from what the released code does (serre-lab/neural_harmonizer), in float64 and with PLS run to
convergence; nothing of the product is used.
"""

import numpy as np
from scipy.stats import spearmanr

from tests.numerics.regression import exact_pls


def pixels(images, mean, std, *, by_mean):
    """Normalised photos (image, row, column, RGB), of the size that the network sees."""
    unit = np.stack(images).astype(np.float64) / 255
    return (unit - mean) / (mean if by_mean else std)


def interpolated(one, side):
    """Bilinear with half-pixel centres, place by place (row, column, feature)."""
    size = one.shape[0]
    found = np.zeros((side, side, one.shape[2]))
    for a in range(side):
        for b in range(side):
            y, x = ((k + 0.5) * size / side - 0.5 for k in (a, b))
            y, x = min(max(y, 0), size - 1), min(max(x, 0), size - 1)
            top, left = int(np.floor(y)), int(np.floor(x))
            bottom, right = min(top + 1, size - 1), min(left + 1, size - 1)
            v, h = y - top, x - left
            found[a, b] = (
                (1 - v) * (1 - h) * one[top, left]
                + (1 - v) * h * one[top, right]
                + v * (1 - h) * one[bottom, left]
                + v * h * one[bottom, right]
            )
    return found


def blocks(one, side):
    """Means of blocks (row, column, feature)."""
    block = np.ceil(np.arange(1, one.shape[0] + 1) * side / one.shape[0]).astype(int) - 1
    found = np.zeros((side, side, one.shape[2]))
    for a in range(side):
        for b in range(side):
            found[a, b] = one[block == a][:, block == b].mean((0, 1))
    return found


def features(activation, side, defects):
    """Of activations (image, row, column, feature), at the grid."""
    if "features_averaged" in defects and activation.shape[-1] > 600:
        size = 3 if activation.shape[-1] % 3 == 0 else 4
        groups = range(0, activation.shape[-1], size)
        means = [activation[..., first : first + size].mean(-1) for first in groups]
        activation = np.stack(means, -1)
    found = np.zeros((len(activation), side, side, activation.shape[-1]))
    for image, one in enumerate(activation):
        if one.shape[0] > side:
            found[image] = blocks(one, side)
        elif "last_feature_zeroed" in defects:
            whole = interpolated(one, side)
            for first in range(one.shape[-1] - 3):
                found[image, :, :, first : first + 3] = whole[:, :, first : first + 3]
        else:
            found[image] = interpolated(one, side)
    if "image_rescaled" in defects:
        low, high = found.min((1, 2, 3), keepdims=True), found.max((1, 2, 3), keepdims=True)
        found = (found - low) / (high - low)
    return found


def correlation(x, y):
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())


def fitted(x, y, held_out, n_components, defects):
    """Predictions (image held out -> (position, channel)) of a fit to the other images."""
    rest = [image for image in range(len(x)) if image not in held_out]
    flat = lambda maps: maps.reshape(-1, maps.shape[-1])  # noqa: E731
    model = exact_pls(flat(x[rest]), flat(y[rest]), n_components)
    if "uncentred_prediction" in defects:
        return {image: flat(x[image]) @ model.coef_.T for image in held_out}
    return {image: model.predict(flat(x[image])) for image in held_out}


def median_r(predicted, observed):
    found = [correlation(p, o) for p, o in zip(predicted.T, observed.T, strict=True)]
    return float(np.median(found)), found


def quarter(one, defects):
    side = int(one.shape[0] / 4)
    resized = interpolated if "quarter_sampled" in defects else blocks
    return resized(one[..., None], side)[..., 0]


def rho(first, second):
    # What interpolation repeats is tied, however a product has rounded it.
    first, second = (np.round(one.ravel() / np.ptp(one), 8) for one in (first, second))
    return spearmanr(first, second).statistic


def ceiling(maps, image, defects):
    """Of one image's maps (row, column, channel)."""
    one, n = maps[image], maps.shape[-1]
    low, high = maps.min(), maps.max()
    if "ceiling_slipped_scale" in defects:
        one = one - low / (high - low)
    else:
        one = (one - low) / (high - low)
    last = n - 1 if "ceiling_skips_channel" in defects else n
    found = [0.0] if "ceiling_skips_channel" in defects else []
    for i in range(last):
        for j in range(i + 1, last):
            if "ceiling_by_rows" in defects:
                rows = zip(one[..., i], one[..., j], strict=True)
                found.append(float(np.mean([correlation(a, b) for a, b in rows])))
            else:
                found.append(correlation(one[..., i].ravel(), one[..., j].ravel()))
    return max(found)


def rows(activation, maps, n_components, defects):
    """What `spatial_scores` should hold of one layer, image by image."""
    side, n_images = maps.shape[1], len(maps)
    x = features(activation, side, defects)
    found = []
    for image in range(n_images):
        predicted = fitted(x, maps, [image], n_components, defects)[image]
        observed = maps[image].reshape(side * side, -1)
        score, r = median_r(predicted, observed)
        both = [one.mean(1).reshape(side, side) for one in (predicted, observed)]
        found.append(
            {
                "score": score,
                "r": r,
                "predicted": both[0],
                "map_spearman_full": rho(*both),
                "map_spearman_quarter": rho(*(quarter(one, defects) for one in both)),
                "ceiling": ceiling(maps, image, defects),
            }
        )
    return found


def selection(activation, maps, n_components):
    """By held-out image, the mean score of the others, one fit for each pair."""
    side, n_images = maps.shape[1], len(maps)
    x, found = features(activation, side, ()), []
    for image in range(n_images):
        scores = []
        for other in range(n_images):
            if other != image:
                predicted = fitted(x, maps, [image, other], n_components, ())[other]
                scores.append(median_r(predicted, maps[other].reshape(side * side, -1))[0])
        found.append(np.mean(scores))
    return found
