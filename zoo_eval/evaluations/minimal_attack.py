"""The smallest perturbation that changes each image's decision, in [0, 1] pixels."""

from collections.abc import Generator, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from zoo_eval.errors import BadInput, nearest
from zoo_eval.evaluations.alignment_rows import (
    STANDARD,
    ChannelReductions,
    SeenMaps,
)
from zoo_eval.evaluations.attack_protocols import PROTOCOLS, AttackProtocol
from zoo_eval.evaluations.attack_run import (
    CHECKS_PER_IMAGE,
    AttackOutcome,
    AttackRun,
    Decided,
    Stimulus,
)
from zoo_eval.evaluations.evaluation import (
    Candidate,
    Passed,
    Result,
    Workbench,
    imagenet_labelled,
)
from zoo_eval.evaluations.regions import PlacedSection, canvas_px
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import OpenModel
from zoo_eval.numerics.attacks import registry
from zoo_eval.numerics.attacks.attack import Attack
from zoo_eval.numerics.attacks.decisions import Argmax, Targeted, TopK, animate
from zoo_eval.numerics.attacks.foolbox_adapter import PREFIX, FoolboxAttack
from zoo_eval.numerics.attacks.norms import Norm
from zoo_eval.numerics.attacks.procedures import Corrected
from zoo_eval.pictures import levels, png
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.trial import Trial
from zoo_eval.views.views import Views

# Whatever the sweep file chooses, stored and measured as it should be.
CORRECTED = "corrected"
# What a published protocol decides itself.
DECIDED = frozenset({"attacks", "norm", "decision", "top_k", "target", "canvas", "options"})
# The channel reduction of Linsley et al. 2023, for what no published protocol decides.
PUBLISHED_REDUCTION = "abs_of_mean"
# In Foolbox 3.3.4; by name they are for `attacks check` and for the protocol that they were used in.
BROKEN = frozenset({f"{PREFIX}L2FMNAttack"})


class MinimalAttack(PlacedSection):
    """Minimal attacks on the images that the model classifies correctly.

    `attacks` are names of the registry, or `foolbox:NAME` for any of Foolbox's. `canvas` is "own"
    (what the model sees: its own resize and crop come first) or the side in pixels of a common
    square canvas, with the model's resize inside the attack. `decision` is what must change: the
    class, whether it is animate, whether the label is among the first `top_k`, or ("target") the
    class to `target`, a class index or "least_likely".

    With a published `protocol` the attack, its decision and its canvas are the protocol's. A row's
    `distance` is then what that code reports, while its lengths and its success are those of the
    stored perturbation in pixels, and an image that the code leaves out is a row with its status.

    With `importance`, human maps of these stimuli, rows of `alignment` are written with the attack,
    over the pixels of a canvas that `region` names, as in `human_alignment`.
    """

    kind: Literal["minimal_attack"] = "minimal_attack"
    stimuli: str
    protocol: str = CORRECTED
    attacks: Annotated[tuple[str, ...], Field(min_length=1)] = ("ddn", "deepfool")
    norm: Norm = "l2"
    decision: Literal["argmax", "animate", "top_k", "target"] = "argmax"
    top_k: Annotated[int, Field(ge=1, lt=1000)] = 5
    target: Annotated[int, Field(ge=0, lt=1000)] | Literal["least_likely"] | None = None
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    save_perturbations: bool = False
    importance: str | None = None

    version: ClassVar[int] = 5
    needs_model: ClassVar[bool] = True
    shares_work: ClassVar[bool] = False

    @model_validator(mode="after")
    def _region_is_of_maps(self) -> "MinimalAttack":
        if self.region != "seen" and self.importance is None:
            raise ValueError("`region` is of alignment, which needs `importance`; give both")
        return self

    @model_validator(mode="after")
    def _known(self) -> "MinimalAttack":
        if self.protocol != CORRECTED:
            if self.protocol not in PROTOCOLS:
                known = (CORRECTED, *PROTOCOLS)
                raise ValueError(
                    f"unknown protocol {self.protocol!r}; {nearest(self.protocol, known)}"
                )
            if said := sorted(self.model_fields_set & DECIDED):
                raise ValueError(
                    f"protocol {self.protocol} decides `{said[0]}` itself; leave `{said[0]}` out, or "
                    'choose protocol = "corrected"'
                )
            return self
        if (self.decision == "target") != (self.target is not None):
            raise ValueError(
                'decision = "target" and `target` (a class index or "least_likely") go together; '
                "give both or neither"
            )
        for name in (*self.attacks, *self.options):
            try:
                registry.check(name)
            except BadInput as error:
                raise ValueError(str(error)) from error
        for name in set(self.attacks) & BROKEN:
            raise ValueError(
                f"{name} ignores its own radius, and its distances are artefacts of its step size; "
                'use fmn, or protocol = "feng2025_release", which says so in its rows'
            )
        # Options stay where they are while `attacks` is narrowed for a while.
        for name in (*self.attacks, *self.options):
            try:
                self._attack(name)
            except (TypeError, ValueError) as error:
                raise ValueError(f"options of {name}: {error}") from error
        return self

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = imagenet_labelled(candidate, inputs, self.stimuli)
        looked_at = self._looked_at(candidate, inputs, stimuli)
        _, blueprint = candidate.known()
        if self.canvas != "own":
            blueprint.transform.check_gradient()
        about_maps: dict[str, Any] = {}
        if looked_at is not None:
            place = self.place(blueprint.transform, inputs)
            about_maps = {"importance": looked_at.key, **place.parameters}
        return [
            Trial(
                self.kind,
                self.version,
                self.protocol,
                attack=name,
                parameters={
                    "norm": self.norm,
                    "canvas": self.canvas,
                    "decision": self._decided,
                    "options": options,
                    "save_perturbations": self.save_perturbations,
                    **about_maps,
                },
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                importance=None if looked_at is None else looked_at.name,
                importance_digest=None if looked_at is None else looked_at.digest,
                seed=seed,
                **candidate.identity,
            )
            for name, options in self._chosen()
        ]

    def _looked_at(
        self, candidate: Candidate, inputs: Inputs, stimuli: StimulusSet
    ) -> ImportanceMaps | None:
        """The human maps, refused where they do not cover what is attacked."""
        if self.importance is None:
            return None
        _, blueprint = candidate.known()
        maps = inputs.maps(self.importance, stimuli)
        maps.check_view(self.place(blueprint.transform, inputs).transform, stimuli)
        return maps

    @property
    def published(self) -> AttackProtocol | None:
        """The published protocol; None for `corrected`."""
        return PROTOCOLS.get(self.protocol)

    def _chosen(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and options of the attacks that are run."""
        if self.published is not None:
            yield self.published.attack_name, dict(vars(self.published.attack))
            return
        for name in self.attacks:
            attack = self._attack(name)
            options = dict(vars(attack))
            if self._draws_by_trial(name, attack):
                del options["seed"]
            yield name, options

    def _attack(self, name: str, **more: Any) -> Attack:
        return registry.build(name, {**self.options.get(name, {}), **more}, self.norm)

    def _draws_by_trial(self, name: str, attack: Attack) -> bool:
        """Whether the attack has a seed that the sweep file leaves to the trial."""
        return "seed" in vars(attack) and "seed" not in self.options.get(name, {})

    @property
    def _decided(self) -> str:
        if self.published is not None:
            return self.published.decision
        if self.decision == "target":
            return f"target_{self.target}"
        return f"top_{self.top_k}" if self.decision == "top_k" else self.decision

    def _decide(self, clean: Tensor, labels: Tensor) -> Decided:
        """The decision, given logits of the unperturbed images (image, class) and their labels."""
        if self.decision == "target":
            least = clean.argmin(1)
            targets = torch.full_like(least, self.target) if isinstance(self.target, int) else least
            return Decided(Targeted(targets), targets)
        if self._decided == "animate":
            return Decided(animate())
        return Decided(TopK(self.top_k) if self.decision == "top_k" else Argmax())

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return len(inputs.stimulus_set(self.stimuli)) * sum(map(self._passes_per_image, trials))

    def _passes_per_image(self, trial: Trial) -> int:
        if self.published:
            return self.published.passes_per_image() + CHECKS_PER_IMAGE
        own = Corrected(self._attack(str(trial.attack))).passes_per_image()
        return own + CHECKS_PER_IMAGE

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        model, _ = bench.opened()
        stimuli, labels = bench.inputs.labelled(self.stimuli)
        views = model.views(stimuli, canvas_px(self.canvas))
        shown = self._stimuli(model, views, labels)
        maps = self._looked_at(bench.candidate, bench.inputs, stimuli)
        seen = None
        if maps is not None:
            seen = SeenMaps.at(self.place(model.transform, bench.inputs), maps, stimuli)
        for trial in trials:
            attack_run = self._attack_run(trial, model, views)
            attacked = yield from self._attacked(trial, attack_run, shown, bench)
            tables = self._tables(trial, stimuli.ids, attacked)
            for stored in tables.get("perturbations", ()):
                number = stimuli.ids.index(stored["stimulus_id"])
                photo = attack_run.shown([shown[number]])[0].permute(1, 2, 0)
                stored["photo"] = png(levels(photo.cpu().numpy()))
                stored["human_map"] = (
                    None if seen is None else png(levels(seen.map(number).numpy()))
                )
            if seen is not None:
                tables["alignment"] = [
                    {"method": trial.attack, **row}
                    for row in seen.of_attack(attacked, self._reductions)
                ]
            yield Result(trial, tables)

    def _attacked(
        self, trial: Trial, attack_run: AttackRun, shown: Sequence[Stimulus], bench: Workbench
    ) -> Generator[Passed, None, list[AttackOutcome]]:
        """One outcome for each image, those of finished parts as they were."""
        model, _ = bench.opened()
        begun, n_each = bench.begun(trial), self._passes_per_image(trial)
        at_most = model.at_a_time(n_each)
        keep_all = self.save_perturbations or self.importance is not None

        def attack(batch: Sequence[Stimulus]) -> list[AttackOutcome]:
            # Of what is drawn, nothing hangs on the batches before this one, or on a failed try.
            torch.manual_seed(trial.random_seed + batch[0].number)
            return attack_run.on(batch)

        yield from bench.passed(n_each * at_most)
        # A batch too large for the GPU is attacked again from its start, in halves.
        for part in model.in_batches(shown[begun.n_done :], attack, at_most=at_most):
            begun.add([one.as_row(whole=keep_all) for one in part], len(part))
            yield from bench.passed(n_each * at_most)
        return [AttackOutcome.of(row) for row in begun.rows]

    @property
    def _reductions(self) -> ChannelReductions:
        """How perturbations become maps: the usual ways, and that of a published protocol."""
        own = PUBLISHED_REDUCTION if self.published is None else self.published.channel_reduction
        return ChannelReductions(tuple(dict.fromkeys((*STANDARD, own))), own)

    def _stimuli(self, model: OpenModel, views: Views, labels: Sequence[int]) -> list[Stimulus]:
        rescaling = self.published.rescaling if self.published else None
        if rescaling is None:
            return [Stimulus(number, label) for number, label in enumerate(labels)]
        bounds = rescaling.bounds(model, views)
        numbered = enumerate(zip(labels, bounds, strict=True))
        return [Stimulus(number, label, both) for number, (label, both) in numbered]

    def _attack_run(self, trial: Trial, model: OpenModel, views: Views) -> AttackRun:
        published = self.published
        if published is not None:
            return AttackRun(
                published.procedure(model),
                model.logits,
                lambda batch: published.shown(
                    model, views[[one.number for one in batch]], [one.bounds for one in batch]
                ),
                self._decide,
                defects=published.defects,
                left_out=published.left_out,
                seed=trial.random_seed,
            )
        name = str(trial.attack)
        attack = self._attack(name)
        if self._draws_by_trial(name, attack):
            attack = self._attack(name, seed=trial.random_seed)
        return AttackRun(
            Corrected(attack),
            model.logits if self.canvas == "own" else model,
            lambda batch: views[[one.number for one in batch]],
            self._decide,
            needs_gradient=not (isinstance(attack, FoolboxAttack) and attack.gradient_free),
            seed=trial.random_seed,
        )

    def _tables(
        self, trial: Trial, stimulus_ids: Sequence[str], attacked: Sequence[AttackOutcome]
    ) -> dict[str, list[dict[str, Any]]]:
        attacks: list[dict[str, Any]] = []
        perturbations: list[dict[str, Any]] = []
        for stimulus_id, one in zip(stimulus_ids, attacked, strict=True):
            key = {
                "stimulus_id": stimulus_id,
                "attack": trial.attack,
            }
            attacks.append({**key, **one.row})
            if self.save_perturbations and one.perturbation is not None:
                perturbations.append(
                    {
                        **key,
                        "shape": list(one.perturbation.shape),
                        "perturbation": one.perturbation.flatten().numpy(),
                    }
                )
        tables = {"attacks": attacks}
        return {**tables, "perturbations": perturbations} if perturbations else tables
