"""Names as they may be shown: those of files and models can steer a terminal, or turn a line around."""

import html
import unicodedata

from zoo_eval.privacy.addresses import in_text

# Controls, formats (no width, direction), private and unassigned characters, separators of lines.
STEERING = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# It holds emoji and Indic letters together; after any other character it shows nothing.
JOINER = "\N{ZERO WIDTH JOINER}"
JOINED = frozenset({"So", "Sk", "Mn", "Mc"})


def printable(text: str) -> str:
    """Text for a terminal: characters that steer it, or turn its direction, are escaped."""
    if text.isprintable():
        return text
    before = zip(f" {text}", text)
    return "".join(_escaped(one) if _steers(one, last) else one for last, one in before)


def in_html(text: str) -> str:
    """Text for a page, which is neither markup nor turns the page around, and holds no key."""
    return html.escape(printable(in_text(text)))


def say(line: str) -> None:
    """Prints one line."""
    print(printable(in_text(line)), flush=True)


def _steers(character: str, before: str) -> bool:
    if character == JOINER:
        return unicodedata.category(before) not in JOINED
    return unicodedata.category(character) in STEERING


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
