"""The KubeRay job, field by field, and what it must hold to run at all.

RAYJOB_CRD=FILE checks it against KubeRay's own definition too (ray.io_rayjobs.yaml of a release).
"""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.rayjob_schema import RAYJOB, strict
from tests.docs.pages import ROOT

JOB, POLICY = yaml.safe_load_all((ROOT / "docs" / "kuberay-rayjob.yaml").read_text())
SPEC = JOB["spec"]
CLUSTER = SPEC["rayClusterSpec"]
HEAD = CLUSTER["headGroupSpec"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
PODS = [group["template"]["spec"] for group in (HEAD, WORKERS)]


def errors(job: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(job)]


def test_it_has_the_fields_of_a_rayjob():
    Draft202012Validator.check_schema(RAYJOB)
    assert errors(JOB, RAYJOB) == []


@pytest.mark.parametrize("damage", [
    lambda job: job["spec"].update(backofLimit=3),
    lambda job: job["spec"].update(backoffLimit="3"),
    lambda job: job["spec"].update(submissionMode="Sidecar"),
    lambda job: job["spec"]["rayClusterSpec"]["authOptions"].update(mode="Token"),
    lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"a": 0}),
    lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"].pop("spec"),
    lambda job: job["spec"].pop("entrypoint"),
])  # fmt: skip
def test_a_damaged_one_is_noticed(damage):
    job = copy.deepcopy(JOB)
    damage(job)
    assert errors(job, RAYJOB)


@pytest.mark.skipif("RAYJOB_CRD" not in os.environ, reason="RAYJOB_CRD names no definition")
def test_kuberays_own_definition_accepts_it():
    definition = yaml.safe_load(Path(os.environ["RAYJOB_CRD"]).read_text())
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    # The server adds these to every object.
    schema["properties"]["metadata"] = {"type": "object"}
    assert errors(JOB, schema) == []
    assert errors({**JOB, "spec": {**SPEC, "backofLimit": 3}}, schema)


def test_strict_refuses_what_a_definition_does_not_name():
    known = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    assert errors({"a": {"b": 1}}, strict(known)) == []
    assert errors({"a": {"c": 1}}, strict(known))
    free = {"properties": {"a": {"x-kubernetes-preserve-unknown-fields": True, "properties": {}}}}
    assert errors({"a": {"c": 1}}, strict(free)) == []


def test_nobody_is_root_and_shared_memory_is_memory():
    for pod in PODS:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
            shared = [m["name"] for m in container["volumeMounts"] if m["mountPath"] == "/dev/shm"]
            (volume,) = [v for v in pod["volumes"] if v["name"] in shared]
            assert volume["emptyDir"]["medium"] == "Memory"
    (weights,) = [v for v in PODS[1]["volumes"] if v["name"] == "weights"]
    assert "medium" not in weights["emptyDir"]


def test_a_worker_that_is_told_to_go_has_time_to_drain():
    # Ray drains for 30 s at SIGTERM, unless RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S says otherwise.
    assert PODS[1]["terminationGracePeriodSeconds"] > 30


def test_the_operator_can_ask_how_the_job_is_and_nobody_else():
    # On the loopback neither the operator nor a job's own submitter would reach it.
    assert "dashboard-host" not in HEAD["rayStartParams"]
    assert SPEC["submissionMode"] == "SidecarMode"
    labels = POLICY["spec"]["podSelector"]["matchLabels"]
    assert all(group["template"]["metadata"]["labels"] == labels for group in (HEAD, WORKERS))
    own, operator = POLICY["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {"matchLabels": labels}}]}
    (asker,) = operator["from"]
    assert asker["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "kuberay-operator"}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    assert POLICY["spec"]["policyTypes"] == ["Ingress"]
