"""Every snippet of the README and of docs/ runs: a new one is tested without being listed here."""

import importlib.util
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from subprocess import CalledProcessError
from types import ModuleType
from typing import Any

import pytest
import torch
from click import UsageError

from tests.docs import shell
from tests.docs.pages import BLOCKS, PAGES, ROOT, Block, blocks_of, outside_of_blocks
from tests.docs.readers_folder import furnish
from tests.docs.sweep_fragments import ONLY_SMALL, SECTIONS, completed, is_card_file
from zoo_eval import cli
from zoo_eval.catalog import Catalog
from zoo_eval.harmonizer import run_file
from zoo_eval.models.open_model import open_model
from zoo_eval.queries.connection import connect
from zoo_eval.sources import registry
from zoo_eval.store import Ledger, Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import toml
from zoo_eval.sweep.cards import CardFile, ModelsSection, roster
from zoo_eval.sweep.load import read_inputs
from zoo_eval.sweep.plan import Settled, plan

# A drawing, or what a command prints, is no snippet; only these pages may have one.
DRAWN = {"architecture.md", "recordings.md", "watching.md"}


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory) -> Path:
    """The folder of someone who reads the pages."""
    made = tmp_path_factory.mktemp("reader") / "project"
    shutil.copytree(finished, made)
    furnish(made)
    return made


@pytest.fixture
def here(folder, monkeypatch) -> Path:
    """The same as the current folder, with no hub to ask."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def written_in(*languages: str) -> pytest.MarkDecorator:
    """A test for every block in a language."""
    found = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", found, ids=lambda block: block.id)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_only_blocks_that_are_tested(page):
    for block in blocks_of(page, page.read_text()):
        drawn = block.language == "text" and page.name in DRAWN
        assert drawn or block.language in {"sh", "toml", "python", "sql"}, block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_no_code_outside_of_fences(page):
    # Markdown takes a line after an empty one for code where it is indented by four.
    lines = ["", *outside_of_blocks(page.read_text())]
    assert not [b for a, b in pairwise(lines) if not a.strip() and b.startswith("    ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_link_to_a_file_leads_there(page):
    links = re.findall(r"\]\(([^)#]+)", "\n".join(outside_of_blocks(page.read_text())))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_a_fence_is_found_wherever_it_stands():
    text = "a\n```sh\nls\n```\n- b\n\n  ~~~ python\n  if x:\n      y\n  ~~~\n```toml\n"
    with pytest.raises(ValueError, match="line 11"):
        blocks_of(Path("x.md"), text)
    first, second = blocks_of(Path("x.md"), text.removesuffix("```toml\n"))
    assert (first.language, first.text, first.line) == ("sh", "ls\n", 3)
    assert (second.language, second.text, second.line) == ("python", "if x:\n    y\n", 8)


@written_in("sh")
def test_a_command_runs(block, here, monkeypatch):
    for words in shell.commands(block.text):
        shell.do(words, monkeypatch)


def test_what_is_not_run_is_on_a_page():
    said = {words[0] for block in BLOCKS if block.language == "sh"
            for words in shell.commands(block.text)}  # fmt: skip
    assert said <= set(shell.DOERS) | set(shell.NOT_RUN)
    assert set(shell.NOT_RUN) <= said


@pytest.mark.parametrize(("wrong", "error"), [
    ("zoo-eval sql 'SELECT modle FROM models' --store results/demo", AssertionError),
    ("zoo-eval plan sweeps/none.toml", AssertionError),
    ("zoo-eval plan sweeps/demo.toml --modles x", SystemExit),
    ("python -m benchmarks.rsa --qiuck", SystemExit),
    ("python -m benchmarks.none", ImportError),
    ("python -m jobs.gallery results/none gallery.html", AssertionError),
    ("ray start --haed", UsageError),
    ("ray job sumbit -- python jobs/sweep_zoo.py SWEEP.toml", UsageError),
    ("ray job submit -- python jobs/sweep_zoo.py SWEEP.toml --stroe x", AssertionError),
    ("make dmeo", CalledProcessError),
    ("export ray_auth token", AssertionError),
    ("unheard of", KeyError),
])  # fmt: skip
def test_a_wrong_command_is_noticed(wrong, error, here, monkeypatch):
    (words,) = shell.commands(wrong)
    with pytest.raises(error):
        shell.do(words, monkeypatch)


@written_in("sql")
def test_a_question_has_an_answer(block, here):
    found = connect(Store("results/demo")).query(block.text).num_rows
    # Of its questions some need what a small store lacks: a second recording, a failure.
    assert found or block.page.name == "questions.md"


@written_in("toml")
def test_a_sweep_or_card_file_is_right_and_can_be_planned(block, here, tmp_path):
    content = tomllib.loads(block.text)
    if is_card_file(content):
        file = tmp_path / "cards.toml"
        file.write_text(block.text)
        models = toml.read(file, CardFile, here).models
        assert len(models) == len(content["models"])
        return
    if "harmonize" in content:
        file = tmp_path / "RUN.toml"
        file.write_text(block.text)
        assert run_file.read(file, here).harmonize.name
        return
    assert set(content) <= SECTIONS
    sweep = sweep_file.parsed(completed(content), here)
    models = roster(sweep.models)
    assert models.cards
    assert not [card.unavailable for card in models.cards if card.unavailable]
    assert_planned(sweep)


def assert_planned(sweep: sweep_file.Sweep) -> None:
    """Every evaluation of a sweep has trials of one small model, and none is refused."""
    small = ModelsSection.model_validate(ONLY_SMALL)
    sweep = sweep.model_copy(update={"models": small})
    models = roster(small)
    inputs = read_inputs(sweep, models, "streamed")
    settled = Settled(Ledger({}, {}), retry_failed=False)
    found = plan(sweep, models.cards, inputs, settled, weights={})
    assert not [refused.reason for refused in found.refused]
    planned = {trial.evaluation for work in found.work for g in work.groups for trial in g.trials}
    assert {evaluation.kind for evaluation in sweep.evaluations} <= planned


def test_every_pattern_fits_a_model(here):
    """Each by itself: one that fits nothing must not hide among others that do."""
    for block in BLOCKS:
        if block.language != "toml" or is_card_file(content := tomllib.loads(block.text)):
            continue
        section = ModelsSection.model_validate(completed(content)["models"])
        catalog = Catalog([*section.own(), *registry.cards(section.include)])
        for pattern in section.include:
            assert catalog.select([pattern]), f"{block.id}: {pattern}"


@written_in("python")
def test_a_python_snippet_runs(block, here, session):
    session(block)


@pytest.fixture(scope="module")
def session() -> Callable[[Block], None]:
    """Runs a page's Python from its first block to the one asked for, each block once.

    As a reader would: a block knows what those above it defined. The page is the module, so that
    whoever asks for the source of what a block defines is shown it.
    """
    pages: dict[Path, Session] = {}

    def run(block: Block) -> None:
        if block.page not in pages:
            pages[block.page] = Session(block.page)
        pages[block.page].run(block)

    return run


class Session:
    """The Python of one page, as one module."""

    def __init__(self, page: Path) -> None:
        self.module = ModuleType(f"page_{page.stem}")
        self.module.__file__ = str(Path(f"{self.module.__name__}.py").resolve())
        self.blocks = [b for b in BLOCKS if b.page == page and b.language == "python"]
        self.n_run = 0
        Path(self.module.__file__).write_text(self._source())
        sys.modules[self.module.__name__] = self.module

    def _source(self) -> str:
        """The page's Python, each line at its number in the page."""
        lines: list[str] = []
        for block in self.blocks:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
        return "\n".join(lines) + "\n"

    def run(self, block: Block) -> None:
        """Runs what was not run yet of the blocks up to this one."""
        while self.n_run <= self.blocks.index(block):
            one = self.blocks[self.n_run]
            self.n_run += 1
            source = "\n" * (one.line - 1) + one.text
            exec(compile(source, str(self.module.__file__), "exec"), self.module.__dict__)


def factories() -> list[tuple[Block, dict[str, Any]]]:
    """The models of the pages that are a function, with the Python block that defines it."""
    found = []
    for block in BLOCKS:
        if block.language == "toml":
            models = tomllib.loads(block.text).get("models", {})
            own = models if isinstance(models, list) else models.get("local", [])
            found += [(_defining(block.page, one), one) for one in own if "factory" in one]
    return found


def _defining(page: Path, model: dict[str, Any]) -> Block:
    start = f"def {model['factory'].partition(':')[2]}("
    (found,) = [b for b in BLOCKS if b.page == page and b.language == "python" and start in b.text]
    return found


@pytest.mark.parametrize(("block", "model"), factories(), ids=lambda v: getattr(v, "id", ""))
def test_a_function_of_a_page_builds_a_network_that_opens(block, model, here, monkeypatch):
    module = model["factory"].partition(":")[0]
    file = here / f"{module.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(block.text)
    monkeypatch.syspath_prepend(str(here))
    importlib.invalidate_caches()
    # A checkpoint with an address would be asked for: the function's own weights do.
    at_hand = {key: value for key, value in model.items() if key not in {"checkpoint", "sha256"}}
    section = ModelsSection.model_validate({"include": ["local/*"], "local": [at_hand]})
    (card,) = roster(section).cards
    model = open_model(card, torch.device("cpu"))
    assert model.logits(torch.zeros(1, 3, 224, 224)).shape[0] == 1


def named_commands() -> list[tuple[str, str]]:
    """Commands of ours that a page names within a sentence or a table, with the page's name."""
    return [
        (page.stem, said)
        for page in PAGES
        for line in outside_of_blocks(page.read_text())
        for said in re.findall(r"`((?:zoo-eval|python -m|sbatch) [^`]+)`", line)
    ]


@pytest.mark.parametrize(("page", "said"), named_commands())
def test_a_command_named_in_a_sentence_has_these_options(page, said):
    words = said.replace("[", "").replace("]", "").split()
    if words[0] == "zoo-eval":
        known = options_of(words[1])
        assert {word for word in words if word.startswith("--")} <= known, said
    elif words[0] == "python":
        assert importlib.util.find_spec(words[2]), said
    else:
        assert (ROOT / words[1]).exists(), said


def options_of(command: str) -> set[str]:
    """The options of one of our commands."""
    own = cli.Parser()
    (found,) = [one for one in cli.COMMANDS if one.name == command]
    found.take(own)
    return set(own._option_string_actions) | {"--debug"}
