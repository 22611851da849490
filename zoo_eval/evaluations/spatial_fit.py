"""How well a layer's maps over positions tell recorded maps of activity, image by image."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from zoo_eval.errors import BadInput, nearest
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import Candidate, Evaluation, Passed, Result, Workbench
from zoo_eval.evaluations.layer_choice import LayeredSection
from zoo_eval.evaluations.spatial_protocols import CORRECTED, PROTOCOLS, SpatialProtocol
from zoo_eval.evaluations.spatial_scores import MapScores, without_each, without_pairs
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import OpenModel
from zoo_eval.networks.positions import Layout
from zoo_eval.numerics.image_pls import fit_bytes
from zoo_eval.pictures import levels, png
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import Request
from zoo_eval.representations.grams import NonFinite
from zoo_eval.representations.position_maps import MapsRequest, PositionMaps, layouts
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform
from zoo_eval.trial import Trial
from zoo_eval.views.views import Views

# So many are needed to hold two out and train on one.
FEWEST_IMAGES = 3
# Whose pairs are 4,950 further fits.
MOST_SELECTING = 100


def _known(protocol: str) -> str:
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; {nearest(protocol, PROTOCOLS)}")
    return protocol


class SpatialFit(LayeredSection):
    """Every layer against a recording of maps: PLS over image x position, each image held out once.

    A layer's maps are brought to the recording's grid, features predict channels at each position, and
    r is over the positions of the held-out image. With `resize = "squash"` images are resized to the
    model's input whole, as the study did; `"own"` is the model's own transform, which may crop.
    `selection` also leaves out pairs of images, so that a layer can be chosen without the scored image;
    it costs half as many further fits as there are pairs. `keep_maps` stores neural and predicted maps.
    """

    kind: Literal["spatial_fit"] = "spatial_fit"
    recording: str
    protocol: Annotated[str, AfterValidator(_known)] = CORRECTED
    n_components: Annotated[int, Field(ge=1)] = 25
    resize: Literal["squash", "own"] = "squash"
    selection: bool = True
    keep_maps: bool = False

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    @property
    def _protocol(self) -> SpatialProtocol:
        return PROTOCOLS[self.protocol]

    @property
    def _selects(self) -> bool:
        return self.selection and not self._protocol.has("layer_on_test")

    def companions(self, inputs: Inputs) -> Iterable[Evaluation]:
        return [Ceilings(recording=self.recording)]

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        recording, stimuli = self._recorded(inputs)
        card, plan = candidate.known()
        self._protocol.check(card.name, plan.transform)
        parameters: dict[str, Any] = {
            "n_components": self.n_components,
            "resize": self.resize,
            "selection": self._selects,
        }
        if self.keep_maps:
            parameters["keep_maps"] = True
        return [
            Trial(
                self.kind,
                self.version,
                self.protocol,
                parameters=parameters,
                layer=layer,
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
                **candidate.identity,
            )
            for layer in layouts(plan, self.chosen(candidate))
        ]

    def _recorded(self, inputs: Inputs) -> tuple[Recording, StimulusSet]:
        """The recording, fit to be predicted, and its images.

        Raises:
            BadInput: it has no maps, or too few images or positions for the folds and components.
        """
        recording = inputs.recording(self.recording)
        n_rows, n_columns, _ = recording.spatial_shape
        stimuli = inputs.stimulus_set(recording.stimuli)
        recording.check(stimuli)
        if self._selects and recording.n_stimuli > MOST_SELECTING:
            raise BadInput(
                f"spatial_fit of recording {recording.name!r}: to choose a layer without the scored image "
                f"takes a fit for each pair of {recording.n_stimuli} images; set selection = false, or "
                f"use at most {MOST_SELECTING}"
            )
        n_held_out = 2 if self._selects else 1
        n_training = (recording.n_stimuli - n_held_out) * n_rows * n_columns
        if recording.n_stimuli < FEWEST_IMAGES or self.n_components >= n_training:
            raise BadInput(
                f"spatial_fit of recording {recording.name!r}: {recording.n_stimuli} images at {n_rows} x "
                f"{n_columns} positions leave {n_training} rows to fit {self.n_components} components "
                "to; lower n_components"
            )
        return recording, stimuli

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Iterable[Request]:
        recording, _ = self._recorded(inputs)
        n_rows, n_columns, n_channels = recording.spatial_shape
        _, plan = candidate.known()
        found = layouts(plan, [str(trial.layer) for trial in trials])
        n_images = recording.n_stimuli
        most_features = max(one.n_features for one in found.values())
        folds = [without_each(n_images), *([without_pairs(n_images)] if self._selects else [])]
        # At most: predictions of the first folds are there while others are fitted, to the same features.
        after = sum(
            fit_bytes(training, n_rows * n_columns, most_features, n_channels, self.n_components)
            for training in folds
        )
        return [MapsRequest(found, n_images, (n_rows, n_columns), after)]

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        model, _ = bench.opened()
        recording = bench.inputs.recording(self.recording)
        stimuli = bench.inputs.stimulus_set(recording.stimuli)
        if not (trials := (yield from bench.taken_over(trials))):
            return
        layers = [str(trial.layer) for trial in trials]
        shown, found, broken = self._shown(model, layers, recording.spatial_shape[:2])
        kept = yield from bench.told(shown.showing(stimuli, found))
        photos = self._photos(model, stimuli) if self.keep_maps else ()
        # Fits are float64, which not every accelerator has.
        device = model.device if model.device.type == "cuda" else torch.device("cpu")
        scores = MapScores(
            recording.spatial(), self._protocol, self.n_components, self._selects, device
        )
        for trial, layer in zip(trials, layers, strict=True):
            # One layer's failure is its own: the others go on.
            try:
                if layer in broken:
                    raise broken[layer]
                maps = kept[layer].read(f"layer {layer} of {model.card.name}")
                if isinstance(maps, NonFinite):
                    raise maps
                yield bench.made(trial, partial(self._fitted, trial, scores, maps, photos))
            except Exception as error:  # noqa: BLE001
                yield Result(trial, error=error)

    def _transform(self, model: OpenModel) -> Transform:
        return model.transform.squashed() if self.resize == "squash" else model.transform

    def _shown(
        self, model: OpenModel, layers: Sequence[str], grid: tuple[int, int]
    ) -> tuple[PositionMaps, Mapping[str, Layout], Mapping[str, Exception]]:
        """What shows images, the layers that it is for, and why not the others."""
        protocol = self._protocol
        found = layouts(model.blueprint, layers)
        broken: dict[str, Exception] = {}
        for layer, one in list(found.items()):
            try:
                protocol.check_features(one.n_features)
            except ValueError as error:
                broken[layer] = error
                del found[layer]
        shown = PositionMaps(
            model,
            self._transform(model),
            partial(protocol.on_grid, grid=grid),
            partial(protocol.shown, model),
        )
        return shown, found, broken

    def _photos(self, model: OpenModel, stimuli: StimulusSet) -> list[bytes]:
        """PNG of what the model sees of each image."""
        views = Views(stimuli, self._transform(model), model.device, model.folder)
        seen = (views[[place]][0].permute(1, 2, 0).cpu().numpy() for place in range(len(stimuli)))
        return [png(levels(one)) for one in seen]

    def _fitted(
        self, trial: Trial, scored: MapScores, layer_maps: Tensor, photos: Sequence[bytes]
    ) -> dict[str, list[dict[str, Any]]]:
        rows = scored.rows(layer_maps)
        described = {
            "trial_id": trial.id,
            "model": trial.model,
            "recording": self.recording,
            "layer": trial.layer,
            "protocol": trial.protocol,
        }
        scores = [
            described | {key: value for key, value in row.items() if key != "maps"} for row in rows
        ]
        if not self.keep_maps:
            return {"spatial_scores": scores}
        maps = [
            {
                **{key: described[key] for key in ("trial_id", "model", "recording", "layer")},
                "stimulus_id": row["stimulus_id"],
                "n_rows": row["maps"].shape[1],
                "n_columns": row["maps"].shape[2],
                "predicted": row["maps"][0].flatten().tolist(),
                "neural": row["maps"][1].flatten().tolist(),
                "photo": photo,
            }
            for row, photo in zip(rows, photos, strict=True)
        ]
        return {"spatial_scores": scores, "spatial_maps": maps}
