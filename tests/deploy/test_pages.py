"""The pages of clusters: few enough commands, sums that are right, and what each must say."""

import re

import pytest

from tests.docs.pages import ROOT, blocks_of
from tests.docs.shell import commands

PAGES = sorted((ROOT / "docs" / "clusters").glob("*.md"))
MOST_COMMANDS = 10
SECTIONS = (
    "From nothing to the first table",
    "What it costs",
    "Watching it",
    "Stopping it",
    "The token",
)


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found


def test_every_place_has_one():
    assert [page.stem for page in PAGES] == ["aws", "gcp", "kubernetes", "slurm"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_from_nothing_to_the_first_table_in_ten_commands(page):
    (block,) = blocks_of(page, section(page.read_text(), SECTIONS[0]))
    given = list(commands(block.text))
    assert 1 < len(given) <= MOST_COMMANDS
    assert given[0] == ["make", "setup"]
    assert given[-1][:2] == ["zoo-eval", "sql"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_says_what_it_must(page):
    text = page.read_text()
    for title in SECTIONS:
        assert section(text, title).strip(), title
    watching = section(text, "Watching it")
    assert "`zoo-eval status`" in watching
    assert "`zoo-eval cancel`" in watching


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_sum_of_its_example_is_right_and_its_prices_are_said_to_be_made_up(page):
    text = " ".join(section(page.read_text(), "What it costs").split())
    assert re.search(r"made up \(20\d\d-\d\d-\d\d|\(20\d\d-\d\d-\d\d; the price is made up", text)
    (found,) = re.findall(r"((?:[\d.]+ [x/+] )+[\d.]+) = ([\d.]+\d)", text)
    terms = [
        eval(term.replace("x", "*"), {"__builtins__": {}})  # digits and signs alone, by the pattern
        for term in found[0].split(" + ")
    ]
    assert f"{sum(terms):.2f}" == found[1]
