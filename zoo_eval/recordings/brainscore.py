"""A recording in Brain-Score's assembly: netCDF-4 of presentation, neuroid and time bin."""

from typing import ClassVar, Literal

from zoo_eval.paths import SweepPath
from zoo_eval.recordings.netcdf_responses import Layout, NetcdfFile
from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.presented import PresentedSection

LAYOUT = Layout(
    rows=("presentation",),
    target="neuroid",
    ids=("stimulus_id", "image_id"),
    target_ids=("neuroid_id", "neuroid"),
    time="time_bin",
)


class BrainscoreSection(PresentedSection):
    """An assembly file such as assy_dicarlo_MajajHong2015_public.nc, read without Brain-Score or xarray.

    Everything that it says of neuroids (region, animal, ...) may stand in `targets`. Of several time bins,
    those within `window_ms` are averaged. `variable` names the responses where several fit.
    """

    kind: Literal["brainscore"] = "brainscore"
    names: ClassVar[tuple[str, ...]] = ("assy_*.nc",)

    path: SweepPath
    variable: str | None = None
    window_ms: tuple[float, float] | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation each, in the order of the file.

        Raises:
            BadInput: the file cannot be read, or has not these dimensions, their names or the window.
        """
        path = self.path.resolve()
        return NetcdfFile(where, path, self.variable, LAYOUT, self.window_ms).presentations(
            most_bytes
        )
