"""Logs of libraries that name addresses in them: what is secret is taken out of each line."""

import logging
import sys
import traceback
from types import TracebackType

from zoo_eval.privacy.addresses import in_text


class _Hiding(logging.Filter):
    """Rewrites a line before anything shows or keeps it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = in_text(record.getMessage()), ()
        return True


def hide_secrets(*loggers: str) -> None:
    """Takes what is secret out of the lines of these loggers; once is enough."""
    for name in loggers:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Hiding) for one in logger.filters):
            logger.addFilter(_Hiding())


def say_traceback(
    kind: type[BaseException], error: BaseException, at: TracebackType | None
) -> None:
    """A program's `sys.excepthook`: what libraries quote in their messages may be secret."""
    sys.stderr.write(in_text("".join(traceback.format_exception(kind, error, at))))
