"""What a section may ask of its sweep, where there is one stimulus set and one model."""

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.queries import connection
from zoo_eval.recordings.recording import Recording
from zoo_eval.stimuli.stimulus_set import LayerIdentity, StimulusSet

MODEL, LAYER = "local/planted", "blocks.1"


class Mates:
    memory_budget_bytes = 2**31

    def __init__(self, shown: StimulusSet) -> None:
        self.shown = shown
        self.recordings: dict[str, Recording] = {}

    def stimuli(self, name: str) -> StimulusSet:
        assert name == self.shown.name
        return self.shown

    def images_with(self, importance: str) -> StimulusSet:
        raise BadInput(f"no importance {importance!r}")

    def is_whole(self, stimuli: str) -> bool:
        return True

    def recording(self, name: str) -> Recording:
        return self.recordings[name]

    def select(self, table: pa.Table, condition: str | None, option: str) -> pa.Table:
        return connection.select(table, condition, option)

    def layer(self, model: str, layer: str) -> LayerIdentity:
        if model != MODEL:
            raise BadInput(f"model {model!r} is not in the sweep; nearest: {MODEL}")
        assert layer == LAYER
        return LayerIdentity("w", {"input_px": 8})
