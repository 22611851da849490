"""Slots: processes that each run one model at a time, and what they ask of a cluster."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo_eval.errors import BadInput

# Ray's own label of a node, by its GPUs.
LABEL = "ray.io/accelerator-type"


@dataclass(frozen=True)
class SlotShape:
    """What a slot, one process that runs one model at a time, asks of the cluster.

    `gpu_class` is the label of the GPUs that it must be on; None where any will do.
    """

    num_gpus: float
    num_cpus: float
    gpu_class: str | None = None

    @property
    def selector(self) -> dict[str, Any]:
        """The option by which Ray finds a node with such GPUs; none where any will do."""
        return {} if self.gpu_class is None else {"label_selector": {LABEL: self.gpu_class}}


@dataclass(frozen=True)
class GpuClass:
    """GPUs of one kind: how many there are, the memory of each, and how fast beside the others.

    `n_bytes` is None until it is known: then such a GPU is taken to hold whatever there is.
    """

    name: str | None
    n_gpus: float
    n_bytes: int | None = None
    speed: float = 1.0


# Memory in GiB, and float32 TFLOP/s, as published, by Ray's label. Of an A100 or a V100 the label
# does not tell which of two memories it has. They order and divide work; no result rests on them.
PUBLISHED: dict[str, tuple[int | None, float]] = {
    "T4": (15, 8.1), "P100": (16, 9.3), "V100": (None, 15.7), "A10G": (22, 31.2), "L4": (22, 30.3),
    "L40S": (44, 91.6), "A100": (None, 19.5), "A100-40G": (39, 19.5), "A100-80G": (79, 19.5),
    "H100": (79, 67.0), "H200": (139, 67.0),
}  # fmt: skip


def gpu_class(label: str, n_gpus: float) -> GpuClass:
    """So many GPUs of the kind that Ray labels so, with what is published of it."""
    gib, tflops = PUBLISHED.get(label, (None, PUBLISHED["A100"][1]))
    n_bytes = None if gib is None else gib * 2**30
    return GpuClass(label, n_gpus, n_bytes, tflops / PUBLISHED["A100"][1])


@dataclass(frozen=True)
class Capacity:
    """What a cluster has in all; its GPUs by class too, where each of them has a label."""

    num_gpus: float
    num_cpus: float
    classes: tuple[GpuClass, ...] = ()

    @classmethod
    def of(cls, nodes: Iterable[Mapping[str, Any]]) -> "Capacity":
        """What the nodes have together, as Ray describes them."""
        num_cpus, gpus = 0.0, Counter[str]()
        for node in nodes:
            if not node["Alive"]:
                continue
            num_cpus += node["Resources"].get("CPU", 0)
            if n_gpus := node["Resources"].get("GPU", 0):
                gpus[node["Labels"].get(LABEL, "")] += n_gpus
        classes = () if "" in gpus else tuple(gpu_class(*one) for one in sorted(gpus.items()))
        return cls(sum(gpus.values()), num_cpus, classes)


@dataclass
class Taken:
    """What the slots there are take together."""

    n_slots: int = 0
    num_gpus: float = 0.0
    num_cpus: float = 0.0
    by_class: Counter[str | None] = field(default_factory=Counter)
    gpus_by_class: dict[str | None, float] = field(default_factory=dict)

    def add(self, shape: SlotShape, sign: int = 1) -> None:
        """One more of the shape; with sign -1, one less."""
        self.n_slots += sign
        self.num_gpus += sign * shape.num_gpus
        self.num_cpus += sign * shape.num_cpus
        self.by_class[shape.gpu_class] += sign
        gpus = self.gpus_by_class.get(shape.gpu_class, 0.0)
        self.gpus_by_class[shape.gpu_class] = gpus + sign * shape.num_gpus


@dataclass(frozen=True)
class SlotInfo:
    """A slot that is up: its device, and the memory of the GPU that it shares."""

    device: str
    gpu_bytes: int | None


@dataclass(frozen=True)
class Slots:
    """How slots are cut: a whole one's shape, whether work may share a GPU, and how many at most."""

    shape: SlotShape
    shares: bool = False
    at_most: int | None = None

    def fit(self, taken: Taken, wanted: SlotShape, capacity: Capacity) -> bool:
        """Whether there is room for one more; the first is asked for whatever there is.

        A cluster that has nothing yet is scaled up by what is asked of it.
        """
        if self.at_most is not None and taken.n_slots >= self.at_most:
            return False
        if not taken.n_slots:
            return True
        if wanted.gpu_class is not None:
            there = sum(one.n_gpus for one in capacity.classes if one.name == wanted.gpu_class)
            if taken.gpus_by_class.get(wanted.gpu_class, 0.0) + wanted.num_gpus > there:
                return False
        if self.at_most is not None:
            return True
        if wanted.num_gpus:
            return taken.num_gpus + wanted.num_gpus <= capacity.num_gpus
        return taken.num_cpus + wanted.num_cpus <= capacity.num_cpus

    def check_fits(self, capacity: Capacity) -> None:
        """Refuses slots that a machine, which nothing is added to, can never have.

        Raises:
            BadInput: one needs more than there is.
        """
        wanted = self.shape
        if wanted.num_gpus > capacity.num_gpus or wanted.num_cpus > capacity.num_cpus:
            raise BadInput(
                f"a slot needs {wanted.num_gpus:g} GPUs and {wanted.num_cpus:g} CPUs, this machine has "
                f"{capacity.num_gpus:g} and {capacity.num_cpus:g}; change gpus_per_model"
            )
