"""Labels: names of models beside their points, as many as fit and the most telling first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoo_eval.figures.looks import HEIGHT_PX
from zoo_eval.files.names import printable

# The plot's own width in a narrow column and in wider ones; what fits a narrow one fits all wider.
WIDTHS_PX = (230, 400, 620)
PLOT_HEIGHT_PX = HEIGHT_PX - 100
FONT_PX = 9
# Mean width of a letter of the font, in its size; a few names are wider by their m and w.
LETTER = 0.58
LONGEST = 26
GAP_PX = 6
POINT_PX = 8
MOST = 40
# Right, left, above, below, and the corners: direction of the label from its point.
SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
ALIGN = {1: "left", 0: "center", -1: "right"}
BASELINE = {1: "top", 0: "middle", -1: "bottom"}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Named:
    """A point that may get its name: `x` and `y` are shares of the plot, from its lower left.

    `bars` are lines that are drawn of it: left, lower, right and upper end, as shares too.
    """

    model: str
    x: float
    y: float
    bars: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Label:
    """A name with its place, in pixels from its point; it fits where the plot is `from_width` wide."""

    model: str
    text: str
    side: tuple[int, int]
    from_width: int


def said(model: str) -> str:
    """A model's name without its source, shortened in the middle if it is long."""
    text = printable(model.partition("/")[2] or model)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}…{text[-8:]}"


def placed(points: Sequence[Named], first: Sequence[str], lines: Sequence[Box] = ()) -> list[Label]:
    """Labels that cover neither points, lines nor each other, those of the models `first` tried first.

    `lines` are shares of the plot: left, lower, right and upper end. The same points get the same labels, in whatever order they come.
    """
    order = {model: place for place, model in enumerate(first)}
    wanted = sorted(points, key=lambda one: (order.get(one.model, len(order)), one.model))[:200]
    labels: list[Label] = []
    for width in WIDTHS_PX:
        covered = _Covered(width)
        for point in points:
            covered.add(_around(point, width))
        for line in [*lines, *(bar for point in points for bar in point.bars)]:
            covered.add(_line(line, width))
        done = {label.model: label for label in labels}
        for point in wanted:
            if label := done.get(point.model):
                covered.add(_box(point, label.text, label.side, width))
        for point in wanted:
            if len(labels) < MOST and point.model not in done:
                labels += _fitting(point, covered, width)
    return labels


def _fitting(point: Named, covered: "_Covered", width: int) -> Iterator[Label]:
    text = said(point.model)
    for side in SIDES:
        box = _box(point, text, side, width)
        if covered.takes(box):
            covered.add(box)
            yield Label(point.model, text, side, width)
            return


def _box(point: Named, text: str, side: tuple[int, int], width: int) -> Box:
    across, down = side
    x, y = point.x * width + GAP_PX * across, (1 - point.y) * PLOT_HEIGHT_PX + GAP_PX * down
    long, tall = len(text) * LETTER * FONT_PX, FONT_PX + 1
    left = x - long * (1 - across) / 2
    top = y - tall * (1 - down) / 2
    return left, top, left + long, top + tall


def _around(point: Named, width: int) -> Box:
    x, y = point.x * width, (1 - point.y) * PLOT_HEIGHT_PX
    return x - POINT_PX / 2, y - POINT_PX / 2, x + POINT_PX / 2, y + POINT_PX / 2


def _line(shares: Box, width: int) -> Box:
    left, low, right, high = shares
    return left * width, (1 - high) * PLOT_HEIGHT_PX, right * width, (1 - low) * PLOT_HEIGHT_PX


class _Covered:
    """What of a plot is covered by points and labels, looked up by cells."""

    CELL_PX = 16

    def __init__(self, width: int) -> None:
        self._width = width
        self._cells: dict[tuple[int, int], list[Box]] = {}

    def _keys(self, box: Box) -> Iterator[tuple[int, int]]:
        left, top, right, bottom = (int(value // self.CELL_PX) for value in box)
        return ((x, y) for x in range(left, right + 1) for y in range(top, bottom + 1))

    def add(self, box: Box) -> None:
        for key in self._keys(box):
            self._cells.setdefault(key, []).append(box)

    def takes(self, box: Box) -> bool:
        """Whether it is inside the plot and covers nothing."""
        left, top, right, bottom = box
        if left < 0 or top < 0 or right > self._width or bottom > PLOT_HEIGHT_PX:
            return False
        others = (other for key in self._keys(box) for other in self._cells.get(key, ()))
        return not any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
            for other in others
        )
