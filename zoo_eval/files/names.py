"""Names as they may be shown: those of files and models can steer a terminal, or turn a line around."""

import html
import unicodedata

# Controls, formats (no width, direction), private and unassigned characters, separators of lines.
STEERING = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# It holds emoji and Indic letters together, and does nothing else.
JOINER = "\N{ZERO WIDTH JOINER}"


def printable(text: str) -> str:
    """Text for a terminal: characters that steer it, or turn its direction, are escaped."""
    return "".join(
        _escaped(one) if unicodedata.category(one) in STEERING and one != JOINER else one
        for one in text
    )


def in_html(text: str) -> str:
    """Text for a page, which is neither markup nor turns the page around."""
    return html.escape(printable(text))


def say(line: str) -> None:
    """Prints one line."""
    print(printable(line), flush=True)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
