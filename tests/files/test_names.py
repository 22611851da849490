"""Names that steer a terminal or turn a line around are shown escaped; all others as they are."""

import pytest

from zoo_eval.files.names import in_html, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("photo_1.png", "photo_1.png"),
        ("naïve 写真 فیلم", "naïve 写真 فیلم"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\u200bb\u2028c", r"a\u200bb\u2028c"),
        ("line\nbreak\ttab", r"line\nbreak\ttab"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("👩🏽\u200d🔬 ❤️\u200d🔥 क्\u200dष", "👩🏽\u200d🔬 ❤️\u200d🔥 क्\u200dष"),
        ("a\u200db", r"a\u200db"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_characters_that_steer_are_escaped(text, shown):
    assert printable(text) == shown


def test_a_page_has_neither_markup_nor_turns():
    assert in_html("<b>\u202e&") == "&lt;b&gt;\\u202e&amp;"
