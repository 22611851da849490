"""Command: one of the commands of `zoo-eval`, as a value; and what its arguments are read by."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from zoo_eval.files.names import printable
from zoo_eval.privacy.addresses import in_text

OK, INCOMPLETE, BAD = 0, 1, 2
Options = argparse.Namespace


class Parser(argparse.ArgumentParser):
    """A parser whose complaints cannot steer the terminal either, and quote no key."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(in_text(message)))


@dataclass(frozen=True)
class Command:
    """One of the commands: what it takes and what it does; it returns an exit code.

    What a command needs is imported when it runs: `zoo-eval --help` waits for no library.
    """

    name: str
    help: str
    example: str
    take: Callable[[Parser], None]
    run: Callable[[Options], int]
