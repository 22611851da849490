"""Attributions equal closed forms and autograd written out; integrals are complete; seeds decide."""

import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from numpy.testing import assert_allclose
from torch import nn

from tests.rounding import float32_network, float32_products
from zoo_eval.numerics.alignment import REDUCTIONS
from zoo_eval.numerics.saliency.input_gradient import InputGradient
from zoo_eval.numerics.saliency.integrated_gradients import IntegratedGradients
from zoo_eval.numerics.saliency.method import NotAttributable
from zoo_eval.numerics.saliency.registry import METHODS
from zoo_eval.numerics.saliency.smooth_grad import SmoothGrad

SHAPE = (3, 6, 5)
N_CLASSES = 4
LABELS = torch.tensor([0, 3, 1])
SEEDS = [11, 12, 13]


def images(n: int = 3) -> torch.Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(0))


def weights(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


WEIGHT = weights(N_CLASSES, *SHAPE)
CURVATURE = weights(N_CLASSES, *SHAPE, seed=2)


def linear(pixels: torch.Tensor) -> torch.Tensor:
    """w_c . x."""
    return torch.einsum("nijk,cijk->nc", pixels, WEIGHT)


def quadratic(pixels: torch.Tensor) -> torch.Tensor:
    """w_c . x + sum a_c x^2 / 2, whose gradient is w_c + a_c x."""
    return linear(pixels) + torch.einsum("nijk,cijk->nc", pixels**2, CURVATURE) / 2


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Softplus(), nn.Flatten())
    return nn.Sequential(features, nn.Linear(8 * 30, N_CLASSES)).eval().requires_grad_(False)


def test_on_a_linear_model_every_method_gives_its_weights():
    pixels = images()
    expected = WEIGHT[LABELS]
    assert_allclose(InputGradient().attribute(linear, pixels, LABELS, SEEDS), expected, rtol=0)
    found = SmoothGrad(5).attribute(linear, pixels, LABELS, SEEDS)
    assert_allclose(found, expected, rtol=float32_products(5))
    for baseline in (0.0, 0.5):
        found = IntegratedGradients(3, baseline).attribute(linear, pixels, LABELS, SEEDS)
        assert_allclose(found, expected * (pixels - baseline), rtol=2 * float32_products(5))


def test_on_a_quadratic_model_gradients_are_known():
    pixels = images()
    gradient = WEIGHT[LABELS] + CURVATURE[LABELS] * pixels
    found = InputGradient().attribute(quadratic, pixels, LABELS, SEEDS)
    size = WEIGHT.abs().max() + CURVATURE.abs().max()
    assert_allclose(found, gradient, rtol=0, atol=float32_products(4, size))
    # The gradient's integral along a line is its value in the middle.
    middle = WEIGHT[LABELS] + CURVATURE[LABELS] * (pixels + 0.2) / 2
    found = IntegratedGradients(2, baseline=0.2).attribute(quadratic, pixels, LABELS, SEEDS)
    assert_allclose(found, middle * (pixels - 0.2), rtol=0, atol=float32_products(8, size))


def test_on_a_quadratic_model_smoothgrad_adds_the_mean_noise():
    pixels, n_samples, noise = images(), 400, 0.3
    found = SmoothGrad(n_samples, noise).attribute(quadratic, pixels, LABELS, SEEDS)
    gradient = WEIGHT[LABELS] + CURVATURE[LABELS] * pixels
    mean_noise = ((found - gradient) / CURVATURE[LABELS]).numpy()
    # Means of 400 draws: standard deviation 0.3 / 20, over 90 values per image; five errors of it.
    assert_allclose(mean_noise.std(), noise / n_samples**0.5, rtol=5 / (2 * 270) ** 0.5)
    assert abs(mean_noise.mean()) < 4 * noise / (n_samples * mean_noise.size) ** 0.5
    assert abs(np.corrcoef(mean_noise.reshape(3, -1))[0, 1]) < 0.4


def test_on_a_network_the_gradient_is_autograds(net):
    pixels = images().requires_grad_()
    for i, label in enumerate(LABELS):
        (expected,) = torch.autograd.grad(net(pixels[i : i + 1])[0, label], pixels)
        found = InputGradient().attribute(net, pixels, LABELS, SEEDS)
        assert_allclose(
            found[i], expected[i], rtol=0, atol=float32_network(net, expected.abs().max())
        )
    assert pixels.grad is None


def test_on_a_network_integrated_gradients_are_a_sum_written_out(net):
    pixels, n = images(), 2000
    total = torch.zeros_like(pixels)
    for step in range(n):
        at = (pixels * ((step + 0.5) / n)).requires_grad_()
        chosen = net(at).gather(1, LABELS[:, None]).sum()
        total += torch.autograd.grad(chosen, at)[0]
    found, coarser = (
        IntegratedGradients(steps).attribute(net, pixels, LABELS, SEEDS) for steps in (30, 15)
    )
    # Half as many points are farther from the integral.
    far = float((found - coarser).abs().max())
    size = float(found.abs().max())
    rounding = float32_network(net, size) + float32_products(n, size)
    assert_allclose(found, pixels * total / n, rtol=0, atol=far + rounding)
    assert far < 1e-3 * size


@pytest.mark.parametrize("baseline", [0.0, 0.5, 1.0])
def test_integrated_gradients_are_complete(net, baseline):
    pixels = images()
    found, coarser = (
        IntegratedGradients(steps, baseline).attribute(net, pixels, LABELS, SEEDS)
        for steps in (40, 20)
    )
    change = net(pixels) - net(torch.full_like(pixels, baseline))
    expected = change.gather(1, LABELS[:, None])[:, 0]
    assert expected.abs().min() > 1e-3
    # Half as many points are farther from the integral.
    far = float((found - coarser).sum((1, 2, 3)).abs().max())
    rounding = float32_network(net, net(pixels).abs().max()) + float32_products(
        90, found.abs().sum((1, 2, 3)).max()
    )
    assert_allclose(found.sum((1, 2, 3)), expected, rtol=0, atol=far + rounding)
    assert far < 1e-2 * expected.abs().min()


def test_on_a_wave_smoothgrad_is_the_damped_gradient_as_for_captums_noise_tunnel():
    """The mean of cos(4 (x + noise z)) over normal z is cos(4 x) exp(-8 noise^2)."""

    def wave(pixels: torch.Tensor) -> torch.Tensor:
        return linear(torch.sin(4 * pixels))

    pixels, noise, n_samples = images(), 0.3, 2000
    expected = 4 * WEIGHT[LABELS] * torch.cos(4 * pixels) * np.exp(-8 * noise**2)
    ours = SmoothGrad(n_samples, noise).attribute(wave, pixels, LABELS, SEEDS)
    torch.manual_seed(5)
    captums = NoiseTunnel(Saliency(wave)).attribute(
        pixels.clone().requires_grad_(), nt_samples=n_samples, nt_samples_batch_size=500,
        stdevs=noise, target=LABELS, abs=False,
    )  # fmt: skip
    for found in (ours, captums):
        assert (found - expected).norm() < 0.06 * expected.norm()
    plain = InputGradient().attribute(wave, pixels, LABELS, SEEDS)
    assert (plain - expected).norm() > 0.9 * expected.norm()


def test_without_noise_smoothgrad_is_the_gradient(net):
    smooth = SmoothGrad(3, noise=0.0).attribute(net, images(), LABELS, SEEDS)
    plain = InputGradient().attribute(net, images(), LABELS, SEEDS)
    assert_allclose(smooth, plain, rtol=0, atol=float32_network(net, plain.abs().max()))


def test_every_method_of_the_room_is_there_with_a_reduction_that_exists():
    assert list(METHODS) == ["input_gradient", "integrated_gradients", "smooth_grad"]
    assert {METHODS.get(name).published_reduction for name in METHODS} <= REDUCTIONS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_an_image_gets_the_same_in_any_batch_and_from_the_same_seed(net, name):
    method, pixels = METHODS.get(name)(), images()
    together = method.attribute(net, pixels, LABELS, SEEDS)
    assert together.dtype == torch.float32
    assert not together.requires_grad
    for order in ([2], [1, 0], [2, 1, 0]):
        found = method.attribute(net, pixels[order], LABELS[order], [SEEDS[i] for i in order])
        bound = float32_network(net, together.abs().max())
        assert_allclose(found, together[order], rtol=0, atol=bound)


def test_only_smoothgrad_depends_on_the_seed_and_nothing_on_the_global_generator(net):
    for name, build in METHODS.things().items():
        torch.manual_seed(1)
        first = build().attribute(net, images(), LABELS, SEEDS)
        torch.manual_seed(2)
        again = build().attribute(net, images(), LABELS, SEEDS)
        other = build().attribute(net, images(), LABELS, [1, 2, 3])
        assert torch.equal(first, again)
        assert torch.equal(first, other) == (name != "smooth_grad")


@pytest.mark.parametrize("name", METHODS)
def test_the_number_of_passes_is_counted_right_and_the_batch_never_grows(name):
    sizes = []

    def counting(pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return quadratic(pixels)

    method = METHODS.get(name)()
    method.attribute(counting, images(), LABELS, SEEDS)
    assert max(sizes) == 3
    assert sum(sizes) == 3 * method.n_passes


@pytest.mark.parametrize("name", METHODS)
def test_a_model_without_a_gradient_is_refused(name):
    for flat in (lambda x: linear(x).detach(), lambda x: torch.zeros(len(x), N_CLASSES)):
        with pytest.raises(NotAttributable, match="no gradient with respect to the image"):
            METHODS.get(name)().attribute(flat, images(), LABELS, SEEDS)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("label", [-1, N_CLASSES])
def test_a_label_outside_the_head_is_refused(name, label):
    with pytest.raises(NotAttributable, match="the model has 4 classes"):
        METHODS.get(name)().attribute(linear, images(), torch.tensor([0, 1, label]), SEEDS)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SmoothGrad(0),
        lambda: SmoothGrad(noise=-1.0),
        lambda: SmoothGrad(noise=float("nan")),
        lambda: IntegratedGradients(0),
        lambda: IntegratedGradients(baseline=1.5),
    ],
)
def test_choices_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="needs n_s"):
        wrong()
