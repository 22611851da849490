"""Metrics: what a driver counts of its sweep, for Prometheus by way of Ray; no label is a model's name.

Ray exports each as `ray_NAME`, a counter as `ray_NAME_total`, on the driver's own node.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo_eval.runners.progress import Progress

EVERY_S = 2.0


@dataclass(frozen=True)
class Metric:
    """A counter or a gauge of the driver's."""

    name: str
    description: str
    is_counter: bool = False
    labels: Sequence[str] = ()

    @property
    def exported(self) -> str:
        """Its name as Prometheus has it."""
        return f"ray_{self.name}{'_total' if self.is_counter else ''}"


TRIALS = Metric("zoo_trials", "Trials, by how they ended", True, ("evaluation", "status"))
FAILURES = Metric(
    "zoo_failures", "Trials that failed or were refused, by class", True, ("failure_class",)
)
PASSES = Metric("zoo_image_passes", "Image passes, forward and backward", True)
PENDING = Metric("zoo_trials_pending", "Trials that are left")
MODELS = Metric("zoo_models_pending", "Models of which something is left")
SLOTS = Metric("zoo_slots_at_work", "Slots at work")
LEFT = Metric("zoo_eta_seconds", "Seconds left, as far as is known")
METRICS = (TRIALS, FAILURES, PASSES, PENDING, MODELS, SLOTS, LEFT)


class Metrics:
    """The metrics of one sweep, made by `library`, which has a Counter and a Gauge as Ray's has."""

    def __init__(self, library: Any) -> None:
        self._made = {
            one.name: (library.Counter if one.is_counter else library.Gauge)(
                one.name, description=one.description, tag_keys=tuple(one.labels)
            )
            for one in METRICS
        }
        self._counted: dict[tuple[str, tuple[str, ...]], float] = {}
        self._shown = float("-inf")

    def show(self, progress: Progress) -> None:
        """Has them say how a sweep goes, unless they just did."""
        now, is_over = time.monotonic(), progress.n_done >= progress.n_trials
        if now - self._shown < EVERY_S and not is_over:
            return
        self._shown = now
        for (evaluation, status), n in list(progress.counted.items()):
            self._count(TRIALS, n, {"evaluation": evaluation, "status": status})
        for failure_class, n in list(progress.failures.items()):
            self._count(FAILURES, n, {"failure_class": failure_class})
        self._count(PASSES, progress.passes_run, {})
        gauges = {
            PENDING: progress.n_trials - progress.n_done,
            MODELS: progress.n_models - len(progress.models_done),
            SLOTS: len(progress.at_work),
            LEFT: progress.eta_s or 0.0,
        }
        for metric, value in gauges.items():
            self._made[metric.name].set(value)

    def _count(self, metric: Metric, n: float, labels: Mapping[str, str]) -> None:
        """Has a counter reach `n`: what it is told is by how much."""
        key = metric.name, tuple(labels.values())
        more = n - self._counted.get(key, 0)
        if more > 0:
            self._made[metric.name].inc(more, tags=dict(labels))
            self._counted[key] = n
