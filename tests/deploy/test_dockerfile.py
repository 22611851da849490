"""The Dockerfile, without building it: what it is given, what it pins, whom it runs as."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy import dockerfile, image
from tests.docs.pages import ROOT
from zoo_eval import __version__
from zoo_eval.runners import provenance

TEXT = dockerfile.FILE.read_text()
READ = dockerfile.read()


def test_it_is_read_as_docker_reads_it():
    text = "# a\nFROM x:1\nRUN a \\\n    && b\n\n# c\nENV A=1 \\\n    B='2 3'\nUSER 1\n"
    found = dockerfile.instructions(text)
    assert [(one.word, one.line) for one in found] == [
        ("FROM", 2), ("RUN", 3), ("ENV", 7), ("USER", 9),
    ]  # fmt: skip
    assert found[1].rest.split() == ["a", "&&", "b"]
    assert found[2].assigned == {"A": "1", "B": "2 3"}
    with pytest.raises(ValueError, match="line 1: VOLUME"):
        dockerfile.instructions("VOLUME /x")


def test_the_base_is_pinned_and_of_a_suite_that_can_be_made():
    (base,) = [one.rest for one in READ if one.word == "FROM"]
    name, tag = base.split(":")
    assert "latest" not in tag
    assert re.fullmatch(r"\d+\.\d+-slim", tag)
    assert tag.split(".")[0] in image.SUITES
    assert "/" not in name


def test_everything_copied_is_tracked_and_let_through():
    given = dockerfile.context()
    for sources, _ in dockerfile.copies():
        for source in sources:
            assert [one for one in given if one == source or one.startswith(f"{source}/")], source


def test_nothing_else_enters_the_build():
    copied = {source for sources, _ in dockerfile.copies() for source in sources}
    assert {one.split("/")[0] for one in dockerfile.context()} == copied
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    for path in (
        ".git/config",
        "results/x",
        ".venv/bin/python",
        ".env",
        "zoo_eval/__pycache__/x.pyc",
    ):
        assert dockerfile.ignored(path, [line for line in rules if line and line[0] != "#"]), path


def test_what_is_installed_has_hashes():
    locks = {one for sources, _ in dockerfile.copies() for one in sources if one.endswith(".lock")}
    assert locks == {"requirements.lock", "requirements.gcp.lock"}
    for one in READ:
        if one.word == "RUN" and re.search(r"pip install(?!.*--no-build-isolation)", one.rest):
            assert one.rest.count("--require-hashes") == one.rest.count("pip install")
            assert all(f"/src/{lock}" in one.rest for lock in locks)


def test_the_two_locks_agree():
    def pinned(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))

    first, second = pinned("requirements.lock"), pinned("requirements.gcp.lock")
    both = first.keys() & second.keys()
    assert len(both) > 5
    assert {name: second[name] for name in both} == {name: first[name] for name in both}
    assert "google-api-python-client" in second.keys() - first.keys()


def test_it_runs_as_nobody_in_particular():
    assert [one.rest for one in READ if one.word == "USER"] == ["1000:1000"]
    last = max(n for n, one in enumerate(READ) if one.word in {"RUN", "COPY"})
    (user,) = [n for n, one in enumerate(READ) if one.word == "USER"]
    assert user > last


def test_what_its_processes_find_set():
    found = dockerfile.environment()
    assert found["HOME"] == "/home/zoo"
    assert found["RAY_AUTH_MODE"] == "token"
    assert found["RAY_USAGE_STATS_ENABLED"] == found["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"
    assert found["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert found["HF_HOME"].startswith("/weights/")
    # Neither a secret nor an argument that would be one.
    set_here = {name for one in READ if one.word in {"ENV", "ARG"} for name in one.assigned}
    assert not {name for name in set_here if re.search(r"TOKEN|SECRET|KEY|PASSWORD", name)}
    assert "/dev/shm" in TEXT


def test_its_name_is_the_packages_version():
    for file in ("Dockerfile", "cluster.yaml", "cluster.gcp.yaml", "docs/kuberay-rayjob.yaml"):
        tags = set(re.findall(r"zoo-eval:([\w.]+)", (ROOT / file).read_text()))
        assert tags == {__version__}, file


@pytest.fixture
def installed(tmp_path) -> Path:
    """The file that asks, as if it were in a package installed below another project's checkout."""
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "theirs"]):
        who = ["-c", "user.name=planted", "-c", "user.email=planted@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True)
    file = tmp_path / "site-packages" / "zoo_eval" / "runners" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    return file


def test_a_package_in_another_projects_folder_is_not_of_its_revision(installed):
    assert provenance.revision_of(installed) == __version__


@pytest.mark.parametrize(("written", "said"), [("0123abc\n", "0123abc"), ("", __version__)])
def test_an_image_says_what_it_was_built_from(installed, written, said):
    (installed.parents[1] / provenance.BUILT_FROM).write_text(written)
    assert provenance.revision_of(installed) == said
    assert f'"{provenance.BUILT_FROM}"' in TEXT


def test_a_checkout_says_its_commit():
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert provenance.revision_of(Path(provenance.__file__)).removesuffix("+") == head
