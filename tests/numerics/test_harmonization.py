"""The harmonization loss against an independent reference: NumPy in float64, finite differences."""

import numpy as np
import pytest
import timm
import torch
from scipy.signal import correlate2d
from torch import nn

from zoo_eval.numerics.harmonization import (
    Mismatch,
    mismatch,
    pyramid,
    true_logit_gradient,
)

SIDE, N = 16, 3


def reference(gradient, human, flags, how):
    """The published formulas, image by image and pixel by pixel."""
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    total = np.zeros(how.levels)
    for g, phi, t in zip(gradient, human, flags, strict=True):
        s = g.mean(0) if how.saliency == "signed_mean" else np.abs(g).max(0)
        if how.standard == "z_relu":
            s, phi = (np.maximum((m - m.mean()) / (m.std() + 1e-5), 0) for m in (s, phi))
        else:
            s, phi = ((m - m.min()) / (m.max() - m.min() + 1e-6) for m in (s, phi))
        phi = phi / (phi.max() + 1e-6) * (s.max() + 1e-6)
        for level in range(how.levels):
            total[level] += t * ((s - phi) ** 2).mean() / len(flags)
            s, phi = (halved(m, kernel) for m in (s, phi))
    return total.mean()


def of_variants(gradient, human, flags, how):
    """The cosine and contrastive losses as published, each level of each map by itself."""
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    ones = [np.abs(g).max(0) for g in gradient]
    sides = [[(m - m.min()) / (m.max() - m.min() + 1e-6) for m in maps] for maps in (ones, human)]
    found = []
    for _ in range(how.levels):
        seen = sides if how.pyramid == "binomial" else [[disc(m) for m in maps] for maps in sides]
        vectors = [[m.ravel() / np.linalg.norm(m) for m in maps] for maps in seen]
        kept = [(a, b) for a, b, t in zip(*vectors, flags, strict=True) if t]
        if how.loss == "cosine":
            found.append(np.mean([1 - a @ b for a, b in kept]))
        else:
            logits = np.array([[a @ b for _, b in kept] for a, _ in kept]) / how.temperature
            own = np.diag(logits)
            found += [np.mean(np.log(np.exp(one).sum(1)) - own) for one in (logits, logits.T)]
        sides = (
            [[halved(m, kernel) for m in maps] for maps in seen]
            if how.pyramid == "binomial"
            else [[by_means(m) for m in maps] for maps in seen]
        )
    return np.mean(found)


def disc(one):
    """Blurred by a flat disc of 21 pixels, within zeros."""
    y, x = np.mgrid[-10:11, -10:11]
    inside = (y**2 + x**2 <= 100).astype(float)
    return correlate2d(one, inside / inside.sum(), mode="same")


def by_means(one):
    rows, columns = (n // 2 for n in one.shape)
    return one[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3))


def halved(one, kernel):
    # What TensorFlow calls SAME: a border so wide that ceil(n / 2) pixels are left.
    before = [(3 + n % 2) // 2 for n in one.shape]
    behind = [3 + n % 2 - b for n, b in zip(one.shape, before, strict=True)]
    padded = np.pad(one, list(zip(before, behind, strict=True)))
    return correlate2d(padded, kernel, mode="valid")[::2, ::2]


class Convolutions(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1), nn.Softplus(), nn.AvgPool2d(4), nn.Flatten(),
            nn.Linear(4 * (SIDE // 4) ** 2, 5),
        )  # fmt: skip


def networks():
    torch.manual_seed(0)
    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=SIDE, patch_size=4, embed_dim=24, depth=1, num_heads=2,
        num_classes=5,
    )  # fmt: skip
    return {"cnn": Convolutions().double(), "vit": vit.double().eval()}


def batch():
    rng = np.random.default_rng(1)
    pixels = torch.tensor(rng.uniform(0, 1, (N, 3, SIDE, SIDE)))
    human = torch.tensor(rng.uniform(0, 1, (N, SIDE, SIDE)))
    return pixels, human, torch.tensor([1, 4, 0])


def numerical_gradient(net, pixels, labels):
    """Of the true logit to the pixels, by central differences, float64 (image, RGB, row, column)."""
    step, found = 1e-5, np.zeros(pixels.shape)
    with torch.no_grad():
        for image in range(len(pixels)):
            flat = torch.eye(pixels[0].numel(), dtype=torch.float64).reshape(-1, *pixels.shape[1:])
            for some in range(0, len(flat), 512):
                up = net(pixels[image] + step * flat[some : some + 512])[:, labels[image]]
                down = net(pixels[image] - step * flat[some : some + 512])[:, labels[image]]
                found[image].reshape(-1)[some : some + 512] = ((up - down) / (2 * step)).numpy()
    return found


@pytest.mark.parametrize("flags", [(1, 1, 0), (0, 0, 0)], ids=["with_maps", "without"])
@pytest.mark.parametrize("levels", [5, 6])
@pytest.mark.parametrize("name", ["cnn", "vit"])
def test_the_loss_equals_an_independent_reference(name, levels, flags):
    net = networks()[name]
    pixels, human, labels = batch()
    shown, has_map = pixels.clone().requires_grad_(), torch.tensor(flags)
    how = Mismatch(levels=levels)
    gradient = true_logit_gradient(net(shown), shown, labels)
    found = mismatch(gradient, human, has_map, how)
    expected = reference(numerical_gradient(net, pixels, labels), human.numpy(), flags, how)
    assert found.item() == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert (expected > 0) == any(flags)


@pytest.mark.parametrize("saliency", ["signed_mean", "abs_max"])
@pytest.mark.parametrize("standard", ["z_relu", "min_max"])
@pytest.mark.parametrize("side", [224, 31])
def test_every_choice_equals_the_reference(saliency, standard, side):
    rng = np.random.default_rng(2)
    gradient, human = rng.normal(size=(2, 3, side, side)), rng.uniform(size=(2, side, side))
    how = Mismatch(saliency, standard, 6)
    found = mismatch(torch.tensor(gradient), torch.tensor(human), torch.tensor([1, 1]), how)
    assert found.item() == pytest.approx(reference(gradient, human, (1, 1), how), rel=1e-9)


VARIANTS = [
    ("cosine", "binomial", 5, 1.0), ("cosine", "disc", 3, 1.0), ("contrastive", "binomial", 1, 1.0),
    ("contrastive", "disc", 2, 1.0), ("contrastive", "binomial", 5, 0.1),
]  # fmt: skip


@pytest.mark.parametrize("side", [64, 53])
@pytest.mark.parametrize(("loss", "shape", "levels", "temperature"), VARIANTS)
def test_variants_equal_their_published_formulas(loss, shape, levels, temperature, side):
    rng = np.random.default_rng(4)
    gradient, human = rng.normal(size=(4, 3, side, side)), rng.uniform(size=(4, side, side))
    flags, how = (1, 0, 1, 1), Mismatch("abs_max", "min_max", levels, loss, shape, temperature)
    found = mismatch(torch.tensor(gradient), torch.tensor(human), torch.tensor(flags), how)
    assert found.item() == pytest.approx(of_variants(gradient, human, flags, how), rel=1e-9)


@pytest.mark.parametrize("name", ["cnn", "vit"])
@pytest.mark.parametrize(("loss", "shape", "levels", "temperature"), VARIANTS[:3:2])
def test_gradients_of_variants_to_the_weights_equal_finite_differences(
    name, loss, shape, levels, temperature
):
    from zoo_eval.harmonizer import double_backward

    net = networks()[name]
    pixels, human, labels = batch()
    flags, how = (1, 1, 1), Mismatch("abs_max", "min_max", levels, loss, shape, temperature)
    running = double_backward.of(net, pixels.clone())

    def gradient():
        shown = pixels.clone().requires_grad_()
        with running.running():
            return true_logit_gradient(net(shown), shown, labels)

    def reckoned():
        return of_variants(gradient().detach().numpy(), human.numpy(), flags, how)

    loss_found = mismatch(gradient(), human, torch.tensor(flags), how)
    assert loss_found.item() == pytest.approx(reckoned(), rel=1e-9)
    net.zero_grad()
    loss_found.backward()
    # The weight of each tensor that moves the loss furthest: of most it hardly moves at all.
    steep = sorted(
        (one for one in net.parameters() if one.grad is not None),
        key=lambda one: -one.grad.abs().max().item(),
    )
    for weights in steep[:4]:
        index = np.unravel_index(int(weights.grad.abs().argmax()), weights.shape)
        with torch.no_grad():
            before, step, ends = weights[index].item(), 1e-6, []
            for moved in (before + step, before - step):
                weights[index] = moved
                with torch.enable_grad():
                    ends.append(reckoned())
            weights[index] = before
        expected = (ends[0] - ends[1]) / (2 * step)
        assert weights.grad[index].item() == pytest.approx(expected, abs=1e-5, rel=1e-3)
    assert steep[0].grad.abs().max() > 1e-4


@pytest.mark.parametrize("loss", ["cosine", "contrastive"])
def test_variants_without_maps_are_0_and_have_a_finite_gradient(loss):
    for flags in ((0, 0), (1, 0)):
        gradient = torch.zeros(2, 3, 32, 32, requires_grad=True)
        how = Mismatch("abs_max", "min_max", 2, loss)
        found = mismatch(gradient, torch.rand(2, 32, 32), torch.tensor(flags), how)
        found.backward()
        assert gradient.grad.isfinite().all()
        assert found.item() == (1.0 if loss == "cosine" and any(flags) else 0.0)


@pytest.mark.parametrize("name", ["cnn", "vit"])
def test_its_gradient_to_the_weights_equals_finite_differences(name):
    from zoo_eval.harmonizer import double_backward

    net = networks()[name]
    pixels, human, labels = batch()
    flags, how = torch.tensor([1, 0, 1]), Mismatch()
    running = double_backward.of(net, pixels.clone())

    def scale():
        """The model's largest value, which the loss takes as a constant."""
        shown = pixels.clone().requires_grad_()
        with running.running():
            return true_logit_gradient(net(shown), shown, labels)

    fixed = scale().detach()
    best = torch.relu((s := fixed.mean(1)) - s.mean((1, 2), keepdim=True)) / (
        s.std((1, 2), correction=0, keepdim=True) + 1e-5
    )
    target = torch.relu(human - human.mean((1, 2), keepdim=True)) / (
        human.std((1, 2), correction=0, keepdim=True) + 1e-5
    )
    target = target / (target.amax((1, 2), keepdim=True) + 1e-6)
    target = target * (best.amax((1, 2), keepdim=True) + 1e-6)

    def held():
        """The same loss by its formula, with the human maps at that fixed scale."""
        s = scale().detach().mean(1)
        z = torch.relu(s - s.mean((1, 2), keepdim=True))
        z = z / (s.std((1, 2), correction=0, keepdim=True) + 1e-5)
        levels = pyramid(z - target, how.levels)
        return sum((one**2 * flags[:, None, None]).mean() for one in levels) / how.levels

    loss = mismatch(scale(), human, flags, how)
    assert loss.item() == pytest.approx(held().item(), rel=1e-9)
    net.zero_grad()
    loss.backward()
    rng = np.random.default_rng(3)
    n_seen = 0
    for weights in [one for one in net.parameters() if one.grad is not None]:
        index = tuple(int(rng.integers(n)) for n in weights.shape)
        with torch.no_grad():
            before, step = weights[index].item(), 1e-5
            ends = []
            for moved in (before + step, before - step):
                weights[index] = moved
                with torch.enable_grad():
                    ends.append(held().item())
            weights[index] = before
        expected = (ends[0] - ends[1]) / (2 * step)
        assert weights.grad[index].item() == pytest.approx(expected, abs=1e-5, rel=1e-4)
        n_seen += abs(expected) > 1e-4
    assert n_seen >= 2


def test_a_constant_saliency_has_a_finite_gradient():
    gradient = torch.zeros(1, 3, 16, 16, requires_grad=True)
    loss = mismatch(gradient, torch.rand(1, 16, 16), torch.tensor([1]), Mismatch(levels=2))
    loss.backward()
    assert gradient.grad.isfinite().all()
