"""Drawn: a store's figure in Python, which shows itself in a notebook and saves itself as a file."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo_eval.errors import BadInput, nearest
from zoo_eval.figures.figure import Figure
from zoo_eval.figures.printed import FORMATS, Sheet, png, sized
from zoo_eval.files.names import printable
from zoo_eval.privacy import files as private

if TYPE_CHECKING:
    import altair

# As notebooks name what they can draw themselves.
VEGA_LITE = "application/vnd.vegalite.v6+json"
SHOWN = Sheet("two")


class Drawn:
    """One figure: `figure` holds its specification, data and notes; `altair` is a chart to restyle."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    @property
    def name(self) -> str:
        """What `zoo-eval figures` calls it."""
        return self.figure.name

    @property
    def altair(self) -> "altair.LayerChart":
        """An altair chart with the same data."""
        import altair

        chart: altair.LayerChart = altair.LayerChart.from_dict(sized(self.figure, SHOWN))
        return chart

    def save(
        self,
        path: str | PathLike[str],
        *,
        columns: Literal["one", "two"] = "one",
        theme: Literal["light", "dark"] = "light",
    ) -> Path:
        """Writes the figure, in the format that the path ends in; the path.

        Args:
            path: ends in .svg, .png, .pdf, .json (the Vega-Lite specification) or .csv (its rows).
            columns: 85 or 180 mm wide.
            theme: of the paper.

        Raises:
            BadInput: the path ends in nothing of that kind, or cannot be written.
        """
        out = Path(path)
        form = out.suffix.removeprefix(".").lower()
        if form not in FORMATS:
            raise BadInput(f"no format {form!r} of {out.name}; {nearest(form, FORMATS)}")
        data = FORMATS[form](self.figure, Sheet(columns, theme))
        try:
            private.make_folder(out.absolute().parent)
            with private.opened(out, "wb") as file:
                file.write(data)
        except OSError as error:
            raise BadInput(f"{out} cannot be written ({error})") from error
        return out

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """As a specification where the notebook draws it, else as a picture."""
        width = round(SHOWN.width_px)
        bundle = {
            VEGA_LITE: sized(self.figure, SHOWN),
            "image/png": png(self.figure, SHOWN),
            "text/plain": repr(self),
        }
        return bundle, {"image/png": {"width": width}}

    def __repr__(self) -> str:
        return f"Drawn({self.name}: {printable(self.figure.title)})"


class Drawings(Sequence[Drawn]):
    """The figures of a store, by place or by name; shows the list of them."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._drawn = [Drawn(figure) for figure in figures]

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, str):
            return self._drawn[which]
        for one in self._drawn:
            if one.name == which:
                return one
        raise BadInput(f"no figure {which!r} here; {nearest(which, [d.name for d in self])}")

    def __len__(self) -> int:
        return len(self._drawn)

    def __iter__(self) -> Iterator[Drawn]:
        return iter(self._drawn)

    def __repr__(self) -> str:
        if not self:
            return "no figures yet: they need accuracy and a neural fit, an attack or alignment"
        return "\n".join(f"{one.name}: {printable(one.figure.title)}" for one in self)
