"""The page of recordings shows what its commands print, line by line."""

import re
import shlex
import shutil
from itertools import pairwise

import pytest

from tests.docs import data_set_files, shell
from tests.docs.pages import ROOT, blocks_of
from zoo_eval import cli

PAGE = ROOT / "docs" / "recordings.md"
BLOCKS = blocks_of(PAGE, PAGE.read_text())
# A command, and what is printed below it.
SHOWN = [pair for pair in pairwise(BLOCKS) if pair[1].language == "text"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tvsd")
    data_set_files.tvsd(made / "tvsd")
    return made


@pytest.mark.parametrize(("command", "printed"), SHOWN, ids=lambda block: block.id)
def test_a_command_prints_what_is_shown_below_it(command, printed, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (words,) = shell.commands(command.text)
    assert words[:2] == ["zoo-eval", "recordings"]
    shutil.rmtree(folder / "it_monkeyF", ignore_errors=True)
    assert cli.main(words[1:]) == 0
    assert without_sizes(capsys.readouterr().out) == without_sizes(printed.text)


def without_sizes(text: str) -> str:
    """The text without sizes of Parquet files, which are not the same of every version of PyArrow."""
    return re.sub(r"(parquet: )[0-9.]+ [KMG]?i?B", r"\1", text)


def test_both_commands_are_shown():
    assert [shlex.split(command.text)[2] for command, _ in SHOWN] == ["inspect", "convert"]
