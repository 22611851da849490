"""`package:` names a file inside an installed package: nothing is imported, and nothing outside is reached."""

import sys
from pathlib import Path

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that may not be imported, with a package in it, and a secret beside it."""
    inner = tmp_path / "site" / "outer_of_test" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").write_text("raise RuntimeError('it was imported')")
        (folder / "w.pth").write_text("weights")
    (tmp_path / "site" / "secret").write_text("secret")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return inner.parent


def resolved(text: str) -> Path:
    return SweepPath.of(text, None).resolve()


def test_a_file_of_a_package_or_of_one_in_it_is_found_and_nothing_is_imported(package):
    assert resolved("package:outer_of_test/w.pth") == package / "w.pth"
    assert resolved("package:outer_of_test.inner/w.pth") == package / "inner" / "w.pth"
    assert resolved("package:outer_of_test/inner/../w.pth") == package / "w.pth"
    assert resolved("package:outer_of_test") == package
    assert not [name for name in sys.modules if name.startswith("outer_of_test")]


@pytest.mark.parametrize("rest", ["../secret", "inner/../../secret", "/etc/passwd", ".."])
def test_what_leads_out_of_a_package_is_refused(package, rest):
    with pytest.raises(
        BadInput, match="leads out of package 'outer_of_test'; name a file inside it"
    ):
        resolved(f"package:outer_of_test/{rest}")


@pytest.mark.parametrize("name", ["nowhere_of_test", "outer_of_test.absent", "outer_of_test.w",
                                  "..", "", "outer_of_test..inner", "json.decoder"])  # fmt: skip
def test_what_is_no_package_is_said(package, name):
    with pytest.raises(BadInput, match=r"is not installed; install it .* or correct the path"):
        resolved(f"package:{name}/w.pth")
