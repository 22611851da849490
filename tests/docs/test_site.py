"""The site has every page, every link in it leads somewhere, and it loads nothing from elsewhere."""

import importlib.util
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT, blocks_of

DOCS = ROOT / "docs"
# What of a page is loaded with it; links are only followed.
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src")}


class Found(HTMLParser):
    """What a page loads and links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.linked: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif (tag, name) in LOADED:
                self.loaded.add(value)
            elif (tag, name) == ("a", "href"):
                self.linked.add(value)


def configuration():
    spec = importlib.util.spec_from_file_location("site_configuration", DOCS / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", DOCS, out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.fixture(scope="module")
def built(site) -> dict[Path, Found]:
    return {path.resolve(): Found(path.read_text()) for path in site.rglob("*.html")}


def test_every_page_of_docs_is_there_and_reached_from_the_first(site, built):
    names = {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")}
    assert len(names) > 20
    expected = {(site / f"{name}.html").resolve() for name in [*names, "index", "first_steps"]}
    assert expected <= built.keys()
    first = (site / "index.html").resolve()
    reached, waiting = set(), [first]
    while waiting:
        path = waiting.pop()
        if path in built and path not in reached:
            reached.add(path)
            waiting += [
                (path.parent / urlsplit(link).path).resolve() for link in built[path].linked
            ]
    assert expected <= reached


def test_every_link_within_the_site_leads_to_a_page_and_a_place_in_it(built):
    wrong = []
    for page, found in built.items():
        for link in found.linked:
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            there = target.is_file()
            if there and parts.fragment and target in built:
                there = unquote(parts.fragment) in built[target].anchors
            if not there:
                wrong.append((page.name, link))
    assert wrong == []


def test_the_site_loads_nothing_from_elsewhere(site, built):
    for page, found in built.items():
        assert not [one for one in found.loaded if urlsplit(one).netloc], page
    for style in site.rglob("*.css"):
        text = style.read_text()
        assert "@import" not in text
        assert "url(http" not in text.replace('"', "").replace("'", "")
        assert "url(//" not in text.replace('"', "").replace("'", "")


def test_pages_from_the_folder_above_are_whole(site):
    module = configuration()
    for name, file in module.ABOVE.items():
        text = module.from_above(name, (DOCS / f"{name}.md").read_text())
        above = (ROOT / file).read_text()
        assert [b.text for b in blocks_of(Path(), text)] == [
            b.text for b in blocks_of(Path(), above)
        ]
        assert len(text.splitlines()) == len(above.splitlines())
        assert text.splitlines()[0] == (DOCS / f"{name}.md").read_text().splitlines()[0]


def test_a_page_that_the_index_does_not_name_is_added_to_it():
    module = configuration()
    shown = module.with_others((DOCS / "index.rst").read_text())
    assert module.OTHERS not in shown
    named = [line.strip() for line in shown.splitlines() if line.startswith("   ")]
    for page in set(module.pages()) - {"index"}:
        assert named.count(page) == 1, page


def test_the_notebook_is_shown_with_what_it_printed():
    shown = configuration().markdown((DOCS / "first_steps.ipynb").read_text())
    languages = [block.language for block in blocks_of(Path(), shown)]
    assert {"python", "text"} == set(languages)
    assert "39 trials run: 39 ok" in shown


def test_the_nouns_are_those_of_the_sentence():
    import re

    page = (DOCS / "nouns.md").read_text()
    (sentence,) = re.findall(r"^> A \*\*runner\*\*(?:.*\n>)*.*", page, re.MULTILINE)
    nouns = [
        one.removesuffix("s") for one in re.findall(r"\*\*(.+?)\*\*", sentence.replace("\n> ", " "))
    ]
    rows = re.findall(r"^\| ([a-z ]+?) \| ", page, re.MULTILINE)
    explained = {row.removesuffix("s") for row in rows} - {"noun"}
    plural = {"querie": "query"}
    assert {plural.get(one, one) for one in nouns} == {plural.get(one, one) for one in explained}
    assert sentence in (ROOT / "README.md").read_text()
