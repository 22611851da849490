"""Which records of a collection are taken, decided by label and count before they are decoded."""

from dataclasses import dataclass, field

from zoo_eval.errors import BadInput


@dataclass(frozen=True)
class Selection:
    """The first `limit` records, or of each class the first `per_class`; None takes all.

    One per class of the ClickMe test set is what Linsley et al. 2023 attacked.

    Raises:
        BadInput: a number below 1.
    """

    limit: int | None = None
    per_class: int | None = None

    def __post_init__(self) -> None:
        for part, value in vars(self).items():
            if value is not None and value < 1:
                raise BadInput(f"selection of records: {part} is {value}; give 1 or more")

    def begin(self) -> "Choice":
        """A count that starts at nothing."""
        return Choice(self)


ALL = Selection()


@dataclass
class Choice:
    """A selection in progress over records in order."""

    selection: Selection
    n_taken: int = 0
    n_of_class: dict[int, int] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether no further record can be taken."""
        return self.selection.limit is not None and self.n_taken >= self.selection.limit

    def takes(self, label: int) -> bool:
        """Whether the next record, of this class, is taken; it is counted if so."""
        of_class = self.n_of_class.get(label, 0)
        most = self.selection.per_class
        if self.is_full or (most is not None and of_class >= most):
            return False
        self.n_taken += 1
        self.n_of_class[label] = of_class + 1
        return True
