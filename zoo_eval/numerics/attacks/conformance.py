"""Whether an attack finds minima that are known exactly; any attack can be checked.

Linear, ReLU and quadratic classifiers at four logit scales, far from the box and at its bounds; no
gradient at the image or one that is not finite, no boundary at all, images already wrong; and two
things no classifier shows: that an image is attacked alike alone and in company, and alike each time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.attack import Checkable
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import DENSE, Norm, length, per_image, steepest
from zoo_eval.numerics.attacks.problems import (
    Ellipsoid,
    Linear,
    Problem,
    Rooted,
    SumOfReLUs,
    classifier,
    interior,
    saturated,
)
from zoo_eval.numerics.attacks.tighten import Minimal, tighten

SCALES = (0.1, 1.0, 10.0, 100.0)
TWO_CLASS_BOUND = 1.05
# float16 storage, the last bisection and float32 logits place a boundary no better than this.
BELOW = 1e-3
ROUNDING = 2e-6
# Not bit for bit: a matrix product rounds differently in another shape.
IN_COMPANY = 5e-3
N_VALUES = 192
# Of the sphere whose centre has no gradient: at 0.5 one value is at the box, and a count needs several.
SPHERES: Mapping[Norm, float] = {
    "l2": 0.5, "linf": 0.5, "l1": 0.45, "l0_values": 0.9, "l0_pixels": 0.9,
}  # fmt: skip
SHELL = 0.05


MEMBERS = ("batched", "norm", "bound", "blind_bound", "perturb")


class Draw(Protocol):
    """Images (image, 3, 8, 8) by their number and a seed."""

    def __call__(self, n_images: int, *, seed: int) -> Tensor: ...


@dataclass(frozen=True)
class Row:
    """What an attack made of one problem at one logit scale.

    `worst_ratio` is the largest distance over the exact minimum among the solved images, NaN where
    that says nothing. `reason` is empty where the attack passed.
    """

    problem: str
    scale: float
    n_images: int
    solved_share: float
    worst_ratio: float
    reason: str = ""

    @property
    def passed(self) -> bool:
        return not self.reason


def check(
    attack: Checkable,
    *,
    scales: Sequence[float] = SCALES,
    bound: float | None = None,
    n_images: int = 8,
    seed: int = 0,
) -> list[Row]:
    """One row for each problem and scale, then composition and determinism.

    An attack passes a problem if it solves every image that can be solved, stays in [0, 1], is
    nowhere below the exact minimum, and is within `bound` of it; with two linear classes, within
    `TWO_CLASS_BOUND` or `bound`, whichever is smaller.

    Args:
        attack: runs as in a trial: on the whole batch, or image by image where it says so.
        scales: factors of the logits.
        bound: None for those that the attack states (`attack.bound`, and `attack.blind_bound` where
            the images have no gradient).
        n_images: images in each problem.
        seed: of the problems, and of an attack's own draws.
    """
    rows = [
        judged(attack, problem, scale, _limit(attack, problem, bound), seed=seed)
        for scale in scales
        for problem in problems(attack, scale, n_images=n_images, seed=seed)
    ]
    return [*rows, in_company(attack, seed=seed), repeated(attack, seed=seed)]


def _limit(attack: Checkable, problem: Problem, bound: float | None) -> float:
    stated = attack.blind_bound if problem.blind else attack.bound
    limit = stated if bound is None else bound
    return min(limit, TWO_CLASS_BOUND) if problem.name.startswith("two linear classes") else limit


def judged(
    attack: Checkable, problem: Problem, scale: float, bound: float, *, seed: int = 0
) -> Row:
    """How the attack does on one problem."""
    torch.manual_seed(seed)
    minimal = attacked(attack, problem.logits, problem.images, problem.labels)
    minimum = problem.minimum
    possible = minimum.isfinite()
    distance = length(minimal.perturbation.double(), attack.norm)
    ratios = (distance / minimum)[minimal.found & possible & (minimum > 0)]
    solved = float(minimal.found[possible].double().mean()) if possible.any() else float("nan")
    worst = float(ratios.max()) if len(ratios) else float("nan")
    perturbed = problem.images + minimal.perturbation.float()
    reason = ""
    if not minimal.perturbation.isfinite().all() or perturbed.min() < 0 or perturbed.max() > 1:
        reason = "left [0, 1] or gave a value that is not finite"
    elif minimal.found[~possible].any():
        reason = "claims a success where no perturbation is enough"
    elif solved < 1:
        reason = f"solved {solved:.0%} of the images"
    elif (distance[minimum == 0] > ROUNDING).any():
        reason = "moved an image that was wrong already"
    elif len(ratios) and ratios.min() < 1 - BELOW:
        reason = f"{ratios.min():.4f} of the exact minimum: one of the two is wrong"
    elif worst > bound:
        reason = f"{worst:.4f} times the exact minimum, allowed {bound:g}"
    return Row(problem.name, scale, len(minimum), solved, worst, reason)


def attacked(attack: Checkable, logits: Logits, images: Tensor, labels: Tensor) -> Minimal:
    """What a trial stores of the attack: run, then tightened, one by one where it says so."""
    everyone = torch.arange(len(images))
    parts = []
    for rows in [everyone] if attack.batched else everyone[:, None].unbind():
        some, classes = images[rows], labels[rows]
        candidates = attack.perturb(logits, some, classes)
        parts.append(tighten(logits, some, candidates, classes, attack.norm))
    return Minimal(
        torch.cat([part.perturbation for part in parts]),
        torch.cat([part.found for part in parts]),
        torch.cat([part.prediction for part in parts]),
    )


def problems(
    attack: Checkable, scale: float, *, n_images: int = 8, seed: int = 0
) -> Iterator[Problem]:
    """The suite's problems at one logit scale, in the attack's norm."""
    drawn = _Drawn(attack.norm, scale, n_images, seed)
    linear = drawn.linear
    two = linear("two linear classes", 2, interior)
    yield two
    yield _close_by(two, attack.norm)
    yield linear("two linear classes at the box", 2, saturated)
    for n_classes in (3, 10, 100):
        yield linear(f"{n_classes} linear classes", n_classes, interior)
    yield linear("10 linear classes at the box", 10, saturated)
    yield _rooted(linear("a gradient that is not finite", 2, interior), attack.norm)
    yield from drawn.sums_of_relus()
    yield from drawn.ellipsoids()
    wrong = linear("already wrong", 10, interior)
    labels = (wrong.labels + 1) % 10
    yield replace(wrong, labels=labels, minimum=torch.zeros_like(wrong.minimum))
    flat = Linear(torch.zeros(3, 192), torch.tensor([1.0, 0.0, 0.0]), scale)
    yield Problem(
        "no boundary",
        flat,
        wrong.images,
        torch.zeros_like(labels),
        torch.full_like(wrong.minimum, torch.inf),
    )


@dataclass(frozen=True)
class _Drawn:
    """What the problems of one run share: norm, scale of the logits, number of images, seed."""

    norm: Norm
    scale: float
    n_images: int
    seed: int

    def linear(self, name: str, n_classes: int, draw: Draw) -> Problem:
        """Random linear classes on images that are drawn so."""
        images = draw(2 * self.n_images, seed=self.seed)
        model = classifier(n_classes, images, scale=self.scale, seed=self.seed)
        labels = model(images).argmax(1)
        minimum = model.minimum(images, labels, self.norm)
        return _farthest(Problem(name, model, images, labels, minimum), self.n_images)

    def sums_of_relus(self) -> Iterator[Problem]:
        """Four units that point much the same way: some of them on at the image, none, some at the box."""
        generator = torch.Generator().manual_seed(self.seed)
        common, *own = unit_rows(torch.randn(5, N_VALUES, generator=generator))
        weights = unit_rows(common + 0.6 * torch.stack(own))
        for name, on, threshold, draw in (
            ("sum of ReLUs", 0.1, 0.9, interior),
            ("sum of ReLUs, all off", -0.35, 0.4, interior),
            ("sum of ReLUs at the box", 0.1, 2.5, saturated),
        ):
            images = draw(4 * self.n_images, seed=self.seed)
            bias = on - (images.flatten(1) @ weights.T).mean(0)
            model = SumOfReLUs(weights, bias, threshold=threshold, scale=self.scale)
            labels = model(images).argmax(1)
            minimum = model.minimum(images, self.norm)
            some_on = (images.flatten(1) @ weights.T + bias > 0).any(1)
            keep = (labels == 0) & (some_on == (on > 0))
            problem = Problem(name, model, images[keep], labels[keep], minimum[keep], blind=on < 0)
            yield _farthest(problem, self.n_images)

    def ellipsoids(self) -> Iterator[Problem]:
        """Seen from inside and from outside, and a sphere from where every direction is as good."""
        generator = torch.Generator().manual_seed(self.seed)
        centre = torch.full((N_VALUES,), 0.5)
        curvature = (torch.rand(N_VALUES, generator=generator) * 2 - 1).mul(0.7).exp()
        images = interior(self.n_images, seed=self.seed)
        for name, radius in (("ellipsoid from inside", 1.6), ("ellipsoid from outside", 0.9)):
            model = Ellipsoid(centre, curvature, radius, self.scale)
            if self.norm == "l1" and "inside" in name:
                images = _on_shell(images, model)
            labels = model(images).argmax(1)
            yield Problem(name, model, images, labels, model.minimum(images, self.norm))
        # Some of its centre's values are outside the box: bounds that images are at stay in the way.
        beyond = torch.rand(N_VALUES, generator=generator) * 1.6 - 0.3
        images = saturated(self.n_images, seed=self.seed)
        nearest = float(((images.flatten(1) - beyond).square() @ curvature).min())
        model = Ellipsoid(beyond, curvature, 0.9 * nearest**0.5, self.scale)
        labels, minimum = model(images).argmax(1), model.minimum(images, self.norm)
        yield Problem("ellipsoid from outside, at the box", model, images, labels, minimum)
        radius = SPHERES[self.norm]
        sphere = Ellipsoid(centre, torch.ones(N_VALUES), radius, self.scale)
        middle = torch.full_like(images, 0.5)
        way = sphere.minimum(middle, self.norm)
        if self.norm in DENSE:
            way = torch.full_like(way, radius if self.norm == "l2" else radius / N_VALUES**0.5)
        # The gradient is zero at the centre, and every direction is as good as any other (in l2).
        yield Problem(
            "sphere from its centre",
            sphere,
            middle,
            torch.zeros(self.n_images, dtype=torch.int64),
            way,
            blind=True,
        )


def _on_shell(images: Tensor, model: Ellipsoid) -> Tensor:
    """The images moved away from the ellipsoid's centre, all equally near to its surface.

    So near that the one value which moves does not reach the box.
    """
    offset = images - model.centre.reshape(images.shape[1:])
    value = offset.flatten(1).square() @ model.curvature
    wanted = model.radius**2 - SHELL
    return model.centre.reshape(images.shape[1:]) + offset * per_image((wanted / value).sqrt())


def _farthest(problem: Problem, n_images: int) -> Problem:
    """The images with the largest minima: the others' are too near for float32 logits to tell."""
    index = problem.minimum.topk(n_images).indices.sort().values
    return replace(
        problem,
        images=problem.images[index],
        labels=problem.labels[index],
        minimum=problem.minimum[index],
    )


def _close_by(problem: Problem, norm: Norm) -> Problem:
    """The images moved to a fiftieth of the way: an attack that ignores the radius is coarse here."""
    model, labels = cast(Linear, problem.logits), problem.labels
    normal = (model.weights[labels] - model.weights[1 - labels]).reshape(problem.images.shape)
    # A sparse way would leave the box, or be a single step.
    straight: Norm = norm if norm in DENSE else "l2"
    far = problem.minimum if norm in DENSE else model.minimum(problem.images, labels, "l2")
    way = per_image(0.98 * far.float()) * steepest(normal, straight)
    images = problem.images - way
    minimum = model.minimum(images, labels, norm)
    return Problem("two linear classes, close by", model, images, labels, minimum)


def _rooted(problem: Problem, norm: Norm) -> Problem:
    """The same classes, but for the first value, which is 0 and has no finite gradient."""
    linear = cast(Linear, problem.logits)
    images, weights = problem.images.clone(), linear.weights.clone()
    images[:, 0, 0, 0] = 0
    weights[:, 0] = 0
    linear = replace(linear, weights=weights)
    labels = linear(images).argmax(1)
    minimum = linear.minimum(images, labels, norm)
    return replace(problem, logits=Rooted(linear), images=images, labels=labels, minimum=minimum)


def unit_rows(vectors: Tensor) -> Tensor:
    rows: Tensor = vectors / vectors.norm(dim=1, keepdim=True)
    return rows


def in_company(attack: Checkable, *, seed: int = 0, n_images: int = 4) -> Row:
    """Whether an image's distance depends on who else is in the batch."""
    shown = _Drawn(attack.norm, 10, n_images, seed).linear("alone and in company", 5, interior)
    torch.manual_seed(seed)
    together = attacked(attack, shown.logits, shown.images, shown.labels)
    alone = []
    for place in range(n_images):
        torch.manual_seed(seed)
        image, label = shown.images[place : place + 1], shown.labels[place : place + 1]
        alone.append(attacked(attack, shown.logits, image, label).perturbation)
    distance = length(together.perturbation.double(), attack.norm)
    other = length(torch.cat(alone).double(), attack.norm)
    apart = float(((distance - other).abs() / other).max())
    reason = f"distances differ by {apart:.2%}" if not apart <= IN_COMPANY else ""
    return Row(shown.name, 10, n_images, float(together.found.double().mean()), 1 + apart, reason)


def repeated(attack: Checkable, *, seed: int = 0, n_images: int = 4) -> Row:
    """Whether the same seed gives the same perturbations, where draws matter: without a gradient."""
    problem = list(_Drawn(attack.norm, 1, n_images, seed).sums_of_relus())[1]
    runs = []
    for _ in range(2):
        torch.manual_seed(seed)
        runs.append(attacked(attack, problem.logits, problem.images, problem.labels))
    equal = torch.equal(runs[0].perturbation, runs[1].perturbation)
    solved = float(runs[0].found.double().mean())
    reason = "" if equal else "two runs with one seed differ"
    return Row("the same seed twice", 1, n_images, solved, float("nan"), reason)
