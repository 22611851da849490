"""Patience: what may pass is waited for while a sweep is planned, each time for longer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import sleep
from typing import TypeVar

from zoo_eval.errors import one_line
from zoo_eval.sweep.faults import NETWORK, PASSING, Passing, fault_of

T = TypeVar("T")
# A host is asked some times within seconds already, by whoever asks it.
WAITS_S = (5.0, 20.0, 60.0)


@dataclass
class Patience:
    """How long a plan waits for what is away: one for all that it asks for, by several threads.

    Once something was waited for to the end, and nothing went well meanwhile, nothing else is waited
    for: a hub that is away is away for two thousand models.

    Attributes:
        waits_s: seconds before each next try; none without any.
        say: is told what is waited for.
        in_vain: why nothing is waited for any more, if so.
    """

    waits_s: Sequence[float] = ()
    say: Callable[[str], None] | None = None
    in_vain: str | None = None
    _n_well: int = 0

    def waited(self, what: str, do: Callable[[], T]) -> T:
        """What `do` gives, tried again where what it raises may pass."""
        well_before = self._n_well
        for wait_s in (*self.waits_s, None):
            try:
                found = do()
            except Exception as error:
                if fault_of(error) not in PASSING or self.in_vain is not None:
                    raise
                said = one_line(error)
                if wait_s is None:
                    if self.waits_s and self._n_well == well_before:
                        self.in_vain = said
                    raise
            else:
                self._n_well += 1
                self.in_vain = None
                return found
            if self.say is not None:
                self.say(f"{what}: {said}; trying again in {wait_s:.0f} s")
            sleep(wait_s)
        raise AssertionError

    def asked(self, what: str, ask: Callable[[], T]) -> T:
        """`waited` for a host's answer; once it was waited for in vain, nobody is asked.

        Raises:
            Passing: nobody was asked.
        """
        if self.in_vain is not None:
            raise Passing(NETWORK, f"{what} was not asked for: {self.in_vain}")
        return self.waited(what, ask)
