"""A recording that xarray saved: netCDF-4 of stimulus, repetition and target, or presentation and target."""

from typing import ClassVar, Literal

from zoo_eval.paths import SweepPath
from zoo_eval.recordings.netcdf_responses import Layout, NetcdfFile
from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.presented import PresentedSection


class NetcdfSection(PresentedSection):
    """Responses of any order of dimensions, which are named here where they are called otherwise.

    `stimulus` may be of stimuli, with `repetition` beside it or without, or of presentations; its
    coordinate, or one called stimulus_id, says which stimulus. The coordinates of `target` are what is
    known of targets; its own, or one called target_id, names them. NaN and _FillValue are missing.
    """

    kind: Literal["netcdf"] = "netcdf"
    names: ClassVar[tuple[str, ...]] = ("*.nc",)

    path: SweepPath
    variable: str | None = None
    stimulus: str = "stimulus"
    repetition: str = "repetition"
    target: str = "target"
    time: str | None = None
    window_ms: tuple[float, float] | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation for each stimulus and repetition, in the order of the file.

        Raises:
            BadInput: the file cannot be read, or has not these dimensions, their names or the window.
        """
        layout = Layout(
            rows=(self.stimulus, self.repetition),
            target=self.target,
            ids=("stimulus_id", self.stimulus),
            target_ids=("target_id", self.target),
            time=self.time,
        )
        path = self.path.resolve()
        return NetcdfFile(where, path, self.variable, layout, self.window_ms).presentations(
            most_bytes
        )
