"""`zoo-eval attacks`: the list, and the conformance suite on any attack."""

import csv
import io
import json

import pytest

from zoo_eval import cli
from zoo_eval.commands import attacks
from zoo_eval.numerics.attacks import conformance
from zoo_eval.numerics.attacks.registry import ATTACKS, build, norms_of

OWN = """
import torch

from zoo_eval.numerics.attacks.ddn import DDN

NUMBER = 3


def ddn(logits, images, labels):
    return DDN().perturb(logits, images, labels)


def nothing(logits, images, labels):
    return images.clone()


class Lazy:
    def __init__(self, norm, steps=2):
        self.norm, self.steps = norm, steps

    batched, bound, blind_bound = True, 1.05, 1.05

    def perturb(self, logits, images, labels):
        return DDN(steps=self.steps).perturb(logits, images, labels)


class Half:
    def perturb(self, logits, images, labels):
        return images


class Broken:
    def __init__(self, steps):
        self.steps = steps
"""


ONE_SCALE = ("--scales", "1")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of own attacks, in the folder in which the command runs."""
    (tmp_path / "planted_attacks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)


def check(capsys, *arguments: str) -> tuple[int, list[dict[str, str]]]:
    code = cli.main(
        ["attacks", "check", *arguments, "--images", "2", *ONE_SCALE, "--format", "csv"]
    )
    captured = capsys.readouterr()
    return code, list(csv.DictReader(io.StringIO(captured.out)))


def refused(capsys, *arguments: str) -> str:
    assert cli.main(["attacks", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("zoo-eval: ")
    return line


def test_every_attack_is_listed_with_the_ratio_it_is_held_to(capsys):
    assert cli.main(["attacks", "--format", "json"]) == 0
    listed = {row["attack"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(ATTACKS)
    for name, row in listed.items():
        attack = build(name, {}, norms_of(name)[0])
        assert (row["bound"], row["bound_without_gradient"]) == (attack.bound, attack.blind_bound)
        assert row["passes_per_image"] == attack.passes_per_image()
        assert row["meaning"].endswith((".", ",", ":"))
    assert listed["ddn"]["norms"] == "l2"
    assert listed["ensemble"]["norms"] == "l2, linf, l1, l0_values, l0_pixels"


def test_a_registered_attack_passes_in_each_of_its_norms(capsys):
    code, rows = check(capsys, "deepfool")
    assert code == 0
    assert {row["norm"] for row in rows} == {"l2", "linf"}
    assert {row["passed"] for row in rows} == {"True"}
    assert [row["problem"] for row in rows if row["norm"] == "l2"] == [
        row.problem for row in conformance.check(build("deepfool", {}), scales=(1,), n_images=2)
    ]
    (_, one) = check(capsys, "deepfool", "--norm", "linf")
    assert {row["norm"] for row in one} == {"linf"}


def test_an_attack_that_fails_is_exit_code_1_with_the_reasons(capsys):
    code, rows = check(capsys, "foolbox:L2FMNAttack", "--options", '{"steps": 20}')
    assert code == 1
    failed = {row["problem"]: row["reason"] for row in rows if row["passed"] == "False"}
    assert failed["sum of ReLUs, all off"] == "solved 0% of the images"
    assert {row["norm"] for row in rows} == {"l2"}


def test_a_bound_may_be_stricter_than_the_stated_one(capsys):
    code, rows = check(capsys, "ddn", "--bound", "1.0000001")
    assert code == 1
    assert any("allowed 1" in row["reason"] for row in rows)


def test_own_functions_values_and_classes_are_checked(own, capsys):
    code, rows = check(capsys, "planted_attacks:ddn")
    assert code == 0
    assert {(row["attack"], row["norm"]) for row in rows} == {("planted_attacks:ddn", "l2")}
    code, rows = check(capsys, "planted_attacks:nothing", "--norm", "linf")
    assert code == 1
    assert {row["norm"] for row in rows} == {"linf"}
    assert check(capsys, "planted_attacks:Lazy")[0] == 1
    assert (
        check(capsys, "planted_attacks:Lazy", "--options", '{"steps": 100}', "--bound", "1.2")[0]
        == 0
    )


def test_wrong_names_norms_and_options_are_one_line_with_the_next_step(own, capsys):
    assert "unknown attack 'dddn'; nearest: ddn" in refused(capsys, "check", "dddn")
    assert "ddn has no linf form" in refused(capsys, "check", "ddn", "--norm", "linf")
    assert "unknown norm 'l7'" in refused(capsys, "check", "ddn", "--norm", "l7")
    assert "--options is not JSON" in refused(capsys, "check", "ddn", "--options", "steps=3")
    assert "not a JSON object" in refused(capsys, "check", "ddn", "--options", "3")
    assert "stepz" in refused(capsys, "check", "ddn", "--options", '{"stepz": 3}')
    assert "has no attack Nothing" in refused(capsys, "check", "foolbox:Nothing")
    assert "which attack?" in refused(capsys, "check")
    assert "cannot be imported" in refused(capsys, "check", "planted_attacks:absent")
    lacking = refused(capsys, "check", "planted_attacks:Half")
    assert "without batched, norm, bound, blind_bound" in lacking
    assert "is a int without" in refused(capsys, "check", "planted_attacks:NUMBER")
    assert "steps" in refused(capsys, "check", "planted_attacks:Broken")
    assert "takes no options" in refused(
        capsys, "check", "planted_attacks:ddn", "--options", '{"steps": 3}'
    )
    assert "must be above 0" in refused(capsys, "check", "ddn", "--scales", "0,1")
    assert "are not numbers" in refused(capsys, "check", "ddn", "--scales", "one")
    assert "at least one image" in refused(capsys, "check", "ddn", "--images", "0")


def test_the_suite_is_a_function_too():
    table = attacks.checks("fmn", attacks.Suite(scales=(10.0,), n_images=2), norms=["l2"])
    assert table.schema == attacks.CHECKED
    assert all(table["passed"].to_pylist())
    # Composition and determinism have scales of their own.
    assert set(table["logit_scale"].to_pylist()[:-2]) == {10.0}
