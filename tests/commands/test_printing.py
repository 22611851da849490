"""What commands print can steer no terminal, whoever named it."""

import pytest

from zoo_eval import cli
from zoo_eval.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def test_trends_are_escaped_line_by_line(store, capsys, monkeypatch):
    monkeypatch.setattr("zoo_eval.trends.analysis.as_text", lambda found: "one \x1b[2J\ntwo \u202e")
    assert cli.main(["trends", "--store", store.uri]) == 0
    assert capsys.readouterr().out == "one \\x1b[2J\ntwo \\u202e\n"


def test_checks_are_escaped_line_by_line(store, capsys, monkeypatch):
    monkeypatch.setattr("zoo_eval.commands.doctor.checks", lambda store: [])
    monkeypatch.setattr("zoo_eval.commands.doctor.as_text", lambda checks: "a \x07\nb")
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out == "a \\x07\nb\n"


def test_errors_are_one_line_that_is_escaped(tmp_path, capsys):
    assert cli.main(["plan", str(tmp_path / "a\n\x1b[31m.toml")]) == 2
    said = capsys.readouterr().err
    assert "a\\n\\x1b[31m.toml" in said
    assert said.count("\n") == 1
