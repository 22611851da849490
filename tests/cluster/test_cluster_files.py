"""The cluster files: Ray's own validation, EC2's parameter shapes, and what security needs."""

import copy
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.deploy import dockerfile

ROOT = Path(__file__).parent.parent.parent


FILES = {"aws": "cluster.yaml", "gcp": "cluster.gcp.yaml"}


@pytest.fixture(params=FILES)
def cloud(request) -> str:
    return request.param


@pytest.fixture
def cluster(cloud) -> dict:
    return yaml.safe_load((ROOT / FILES[cloud]).read_text())


@pytest.fixture
def on_aws() -> dict:
    return yaml.safe_load((ROOT / FILES["aws"]).read_text())


@pytest.fixture
def on_gcp() -> dict:
    return yaml.safe_load((ROOT / FILES["gcp"]).read_text())


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


def test_ec2_accepts_every_node_config_and_refuses_a_misspelt_one(on_aws):
    for name, node in on_aws["available_node_types"].items():
        assert run_instances_errors(node["node_config"]) == "", name
        # What asks the metadata service must hold a session: a page that is made to ask holds none.
        assert node["node_config"]["MetadataOptions"] == {"HttpTokens": "required"}
        disks = node["node_config"]["BlockDeviceMappings"]
        assert all(disk["Ebs"]["Encrypted"] is True for disk in disks)
    head = on_aws["available_node_types"]["head"]["node_config"]
    assert "InstanceTyp" in run_instances_errors({**head, "InstanceTyp": "x"})


def test_the_cluster_is_not_open_to_the_world(cluster):
    assert "-e RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    (target,) = cluster["file_mounts"]
    assert f"-e RAY_AUTH_TOKEN_PATH={target}" in cluster["docker"]["run_options"]
    assert f"chmod 600 {target}" in cluster["setup_commands"]
    start = " ".join(cluster["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start


def test_its_machines_are_in_a_network_that_somebody_prepared(on_aws, on_gcp):
    # Without a name Ray makes a group on AWS, or takes a network of Google's, that is open to the world.
    assert set(on_aws["provider"]["security_group"]) == {"GroupName"}
    for node in on_gcp["available_node_types"].values():
        (interface,) = node["node_config"]["networkInterfaces"]
        assert interface["subnetwork"].endswith("/subnetworks/zoo-eval")


def test_its_paths_are_those_of_the_images_user(cluster):
    home = dockerfile.environment()["HOME"]
    assert all(target.startswith(f"{home}/") for target in cluster["file_mounts"])
    (user,) = [one.rest for one in dockerfile.read() if one.word == "USER"]
    uid, gid = user.split(":")
    (made,) = cluster["initialization_commands"]
    assert f"--owner={uid} --group={gid} --mode=0700 /mnt/weights" in made
    assert "-v /mnt/weights:/weights" in cluster["docker"]["run_options"]


def test_gpu_workers_scale_from_zero_spot_first_and_the_head_does_no_work(cluster):
    types = cluster["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    gpu = {name: node for name, node in types.items() if node["resources"].get("GPU")}
    assert set(gpu) == {"gpu_spot", "gpu_on_demand"}
    assert all(node["min_workers"] == 0 for node in gpu.values())
    assert gpu["gpu_spot"]["priority"] > gpu["gpu_on_demand"]["priority"]
    for name, node in types.items():
        assert is_spot(node["node_config"]) == (name == "gpu_spot"), name


def is_spot(config: dict) -> bool:
    market = config.get("InstanceMarketOptions", {}).get("MarketType")
    model = config.get("scheduling", {}).get("provisioningModel")
    return market == "spot" or model == "SPOT"


def test_workers_have_an_account_of_their_own_to_write_results_with(on_aws, on_gcp):
    # Ray gives a profile or an account to the head only.
    for node in on_aws["available_node_types"].values():
        assert node["node_config"]["IamInstanceProfile"]["Name"]
    for name, node in on_gcp["available_node_types"].items():
        if name != "head":
            (account,) = node["node_config"]["serviceAccounts"]
            (scope,) = account["scopes"]
            assert scope.endswith("/devstorage.read_write")
            # A machine with a GPU is ended, not moved; one that is taken away is not kept.
            assert node["node_config"]["scheduling"]["onHostMaintenance"] == "TERMINATE"
    spot = on_gcp["available_node_types"]["gpu_spot"]["node_config"]["scheduling"]
    assert spot["instanceTerminationAction"] == "DELETE"


def test_both_clouds_have_the_same_cluster(on_aws, on_gcp):
    own = {"provider", "available_node_types", "worker_start_ray_commands"}
    assert {k: v for k, v in on_aws.items() if k not in own} == {
        k: v for k, v in on_gcp.items() if k not in own
    }
