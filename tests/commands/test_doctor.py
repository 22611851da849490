"""The doctor names what is missing, with the next step."""

from importlib.metadata import PackageNotFoundError

import pytest

from zoo_eval.commands import doctor
from zoo_eval.store import Store


def by_name(found: list[doctor.Check]) -> dict[str, doctor.Check]:
    return {check.name: check for check in found}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_this_machine_has_what_the_tests_need():
    found = by_name(doctor.checks())
    for name in ("Python", "ray", *doctor.LIBRARIES):
        assert found[name].status == "ok", found[name]


def test_every_problem_comes_with_a_fix(monkeypatch):
    def absent(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", absent)
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    found = by_name(doctor.checks())
    assert {found[name].status for name in ("ray", *doctor.LIBRARIES)} == {"missing"}
    assert found["RAY_ADDRESS"].status == "missing"
    assert found["RAY_AUTH_MODE"].status == "warn"
    assert "export RAY_AUTH_MODE=token" in found["RAY_AUTH_MODE"].fix
    assert all(check.fix for check in found.values() if check.status != "ok")


def test_an_old_ray_is_not_enough(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda package: "2.58.1")
    assert by_name(doctor.checks())["ray"].status == "missing"


def test_little_memory_and_an_unreachable_hub_are_warnings(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text(str(2**30))
    monkeypatch.setattr(doctor, "CGROUP_MEMORY", limit)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = by_name(doctor.checks())
    assert found["memory"] == doctor.Check(
        "memory", "warn", "1.0 GiB", "lower [run] memory_budget and --max-slots"
    )
    assert found["model hub"].status == "warn"


def test_the_store_is_looked_at_when_named(tmp_path):
    assert by_name(doctor.checks(str(tmp_path / "none")))["store"].status == "missing"
    Store(str(tmp_path / "store"), create=True)
    assert by_name(doctor.checks(str(tmp_path / "store")))["store"].status == "ok"
    assert "0 trials" in doctor.as_text(doctor.checks(str(tmp_path / "store")))
