"""The cluster files: Ray's own validation, EC2's parameter shapes, and what security needs."""

import copy
import subprocess
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def cluster() -> dict:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


def validate(cluster: dict) -> None:
    validate_config(prepare_config(copy.deepcopy(cluster)))


def run_instances_errors(node_config: dict) -> str:
    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    counts = {"MinCount": 1, "MaxCount": 1}
    return ParamValidator().validate({**counts, **node_config}, shape).generate_report()


def test_ray_accepts_the_cluster_file(cluster):
    validate(cluster)


@pytest.mark.parametrize("damage", [
    lambda c: c.update(max_wrkers=3),
    lambda c: c.update(head_node_type="haed"),
    lambda c: c["available_node_types"]["gpu_spot"].update(min_workers=99),
    lambda c: c["docker"].pop("container_name"),
])  # fmt: skip
def test_ray_refuses_a_damaged_one(cluster, damage):
    damage(cluster)
    with pytest.raises(Exception):  # noqa: B017, PT011 - Ray raises several classes
        validate(cluster)


def test_ec2_accepts_every_node_config_and_refuses_a_misspelt_one(cluster):
    for name, node in cluster["available_node_types"].items():
        assert run_instances_errors(node["node_config"]) == "", name
    head = cluster["available_node_types"]["head"]["node_config"]
    assert "InstanceTyp" in run_instances_errors({**head, "InstanceTyp": "x"})


def test_the_cluster_is_not_open_to_the_world(cluster):
    assert "-e RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert any("auth_token" in target for target in cluster["file_mounts"])
    assert cluster["provider"]["security_group"]["GroupName"]
    start = " ".join(cluster["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in (ROOT / "cluster.yaml").read_text()


def test_gpu_workers_scale_from_zero_spot_first_and_the_head_does_no_work(cluster):
    types = cluster["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    gpu = {name: node for name, node in types.items() if node["resources"].get("GPU")}
    assert set(gpu) == {"gpu_spot", "gpu_on_demand"}
    assert all(node["min_workers"] == 0 for node in gpu.values())
    assert gpu["gpu_spot"]["priority"] > gpu["gpu_on_demand"]["priority"]
    market = gpu["gpu_spot"]["node_config"]["InstanceMarketOptions"]["MarketType"]
    assert market == "spot"
    assert "InstanceMarketOptions" not in gpu["gpu_on_demand"]["node_config"]
    # Ray gives an instance profile to the head only; workers write results too.
    assert all("IamInstanceProfile" in node["node_config"] for node in types.values())


def test_the_kuberay_job_retries_and_authenticates():
    job = yaml.safe_load((ROOT / "docs" / "kuberay-rayjob.yaml").read_text())
    spec = job["spec"]
    assert job["kind"] == "RayJob"
    assert spec["backoffLimit"] >= 1
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    groups = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    for group in groups:
        for container in group["template"]["spec"]["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_slurm_script_is_valid_shell():
    script = ROOT / "docs" / "slurm.sbatch"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "RAY_AUTH_MODE=token" in script.read_text()
