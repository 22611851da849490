"""What a store knows of its models and sources beside the values that are drawn."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from zoo_eval.figures.figure import Row
from zoo_eval.queries.connection import Connection
from zoo_eval.trends.comparisons import VIEWS, Comparison, comparisons

ERROR_KEY = (
    "recording_digest", "stimuli_digest", "readout", "protocol", "parameters", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What is compared, models by kind, planted sources and standard errors, each asked for once."""

    connection: Connection

    def asked(self, name: str) -> list[Row]:
        """The rows of one of the queries that figures ship."""
        sql = files("zoo_eval.queries").joinpath(f"figures/{name}.sql").read_text(encoding="utf-8")
        return self.connection.rows(sql)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All that the store compares, view by view; what is reckoned of one is kept with it."""
        return tuple(one for trend in VIEWS for one in comparisons(self.connection, trend))

    @cached_property
    def layer_profiles(self) -> list[Row]:
        """The score of every layer, panel by panel and model by model."""
        return self.asked("layer_profiles")

    @cached_property
    def _kinds(self) -> dict[str, Row]:
        return {row["model"]: row for row in self.asked("kinds")}

    @cached_property
    def _planted(self) -> set[str]:
        return {row["digest"] for row in self.asked("planted")}

    @cached_property
    def _errors(self) -> dict[tuple[Any, ...], Row]:
        rows = self.asked("standard_errors")
        return {(row["model"], *(row[name] for name in ERROR_KEY)): row for row in rows}

    def kind(self, model: str) -> Row:
        """`kind`, `base` and `control` of a model; one without a card is trained, for all we know."""
        found = self._kinds.get(model, {})
        known = {name: found.get(name) for name in ("base", "control")}
        return {"kind": found.get("kind", "trained"), **known}

    def planted(self, *digests: str | None) -> bool:
        """Whether a recording or maps of one of these digests were planted."""
        return not self._planted.isdisjoint(digests)

    def standard_error(self, row: Row) -> float | None:
        """Of the row's `value`, which is its score or that over a ceiling; None where there is none."""
        found = self._errors.get((row["model"], *(row.get(name) for name in ERROR_KEY)))
        if found is None or not found["score"]:
            return None
        error: float = found["standard_error"] * abs(row["value"] / found["score"])
        return error
