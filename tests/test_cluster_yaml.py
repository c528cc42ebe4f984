"""The launcher files are what Ray's launcher accepts, and grow from nothing behind closed doors."""

import copy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from jsonschema import ValidationError
from moto import mock_aws

FILES = ("cluster.yaml", "platform/deploy/clusters/gcp.yaml", "platform/deploy/clusters/onprem.yaml")
REGION = "us-west-2"


def read(root: Path, file: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((root / file).read_text())
    return content


@pytest.fixture
def cluster(root: Path) -> dict[str, Any]:
    """The launcher file for AWS."""
    return read(root, "cluster.yaml")


def check(cluster: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` checks before it asks the cloud: defaults filled in, then Ray's schema and Ray's own rules."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("file", FILES)
def test_rays_launcher_accepts_it(root: Path, file: str) -> None:
    assert check(read(root, file))["cluster_name"] == "pinrank"


@pytest.mark.parametrize("file", FILES)
def test_a_misspelt_key_is_refused(root: Path, file: str) -> None:
    with pytest.raises(ValidationError, match="idle_timeout_minute"):
        check(read(root, file) | {"idle_timeout_minute": 5})


def test_a_misspelt_key_of_a_node_type_is_refused(cluster: dict[str, Any]) -> None:
    cluster["available_node_types"]["l40s"]["min_worker"] = 0
    with pytest.raises(ValidationError, match="min_worker"):
        check(cluster)


@pytest.mark.parametrize("file", ("cluster.yaml", "platform/deploy/clusters/gcp.yaml"))
def test_workers_start_from_zero_and_the_head_takes_no_work(root: Path, file: str) -> None:
    cluster = read(root, file)
    groups = check(cluster)["available_node_types"]
    head = groups.pop(cluster["head_node_type"])
    assert head["resources"]["CPU"] == 0
    assert {group["min_workers"] for group in groups.values()} == {0}
    assert sum(group["max_workers"] for group in groups.values()) <= cluster["max_workers"]
    assert 0 < cluster["idle_timeout_minutes"] <= 15


@pytest.mark.parametrize("file", FILES)
def test_authentication_is_on_and_the_dashboard_stays_on_loopback(root: Path, file: str) -> None:
    cluster = read(root, file)
    assert "--dashboard-host=127.0.0.1" in " ".join(cluster["head_start_ray_commands"])
    assert any("RAY_AUTH_MODE=token" in command for command in cluster["setup_commands"])
    assert any(target.endswith(".ray/auth_token") for target in cluster["file_mounts"])


def commands_of(cluster: dict[str, Any]) -> dict[str, list[str]]:
    """By node type, all that is run to set a node up, as Ray's updater puts it together."""
    prepared = check(cluster)
    head, workers = prepared["head_setup_commands"], prepared["worker_setup_commands"]
    groups = prepared["available_node_types"].items()
    return {
        name: head if name == prepared["head_node_type"] else group.get("worker_setup_commands", workers)
        for name, group in groups
    } | {"any worker": workers}


@pytest.mark.parametrize("file", FILES)
def test_every_node_gets_the_token_and_is_installed_by_nothing_but_a_lock(root: Path, file: str) -> None:
    for name, commands in commands_of(read(root, file)).items():
        fetched, path, installed = commands
        assert "astral.sh/uv/0." in fetched and "RAY_AUTH_MODE=token" in path, name
        program, *locks = installed.split()
        assert program.endswith("/platform/deploy/install.sh")
        assert all(lock == "auto" or (root / f"requirements/{lock}.txt").is_file() for lock in locks)


@pytest.mark.parametrize("file", ("cluster.yaml", "platform/deploy/clusters/gcp.yaml"))
def test_nodes_with_gpus_get_the_gpu_lock(root: Path, file: str) -> None:
    cluster = read(root, file)
    commands = commands_of(cluster)
    for name, group in cluster["available_node_types"].items():
        assert commands[name][-1].split()[1] == ("gpu" if group["resources"].get("GPU") else "cpu")


def test_it_names_no_account_and_no_image_that_ages(cluster: dict[str, Any]) -> None:
    for group in cluster["available_node_types"].values():
        assert group["node_config"]["ImageId"].startswith("resolve:ssm:/aws/service/")
        assert not {"SubnetIds", "SecurityGroupIds", "KeyName"} & set(group["node_config"])


def test_the_package_sent_to_a_cluster_leaves_out_what_is_large(root: Path) -> None:
    excluded = yaml.safe_load((root / "runtime_env.yaml").read_text())["excludes"]
    assert {".git", ".venv", "runs"} <= set(excluded)


@pytest.mark.parametrize(
    ("asked", "driver", "locks"),
    [("cpu", True, ["cpu"]), ("auto", False, ["cpu"]), ("auto", True, ["gpu"]), ("cpu gcp", False, ["cpu", "gcp"])],
)
def test_a_nodes_environment_is_made_of_the_locks_that_it_is_asked_for(
    root: Path, tmp_path: Path, asked: str, driver: bool, locks: list[str]
) -> None:
    program = tmp_path / ".local/bin/uv"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    if driver:
        (program.parent / "nvidia-smi").symlink_to("/bin/true")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run([root / "platform/deploy/install.sh", *asked.split()], env=environment, check=True)
    made, installed, itself = (tmp_path / "asked").read_text().splitlines()
    words = installed.split()
    read = [words[place + 1] for place, word in enumerate(words) if word == "--requirements"]
    assert read == [str(root / f"requirements/{lock}.txt") for lock in locks]
    assert ("--torch-backend cpu" in installed) == ("cpu" in locks)
    assert f"{tmp_path}/pinrank-env" in made and itself.endswith(f"--editable {root}")


@pytest.fixture
def account(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An AWS account as moto plays it, with the group and the profiles of account.yaml; yields its EC2 client."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray puts the key pair into ~/.ssh
    made = read(root, "platform/deploy/aws/account.yaml")["Resources"]
    with mock_aws():
        ec2, iam = boto3.client("ec2", REGION), boto3.client("iam", REGION)
        group = made["Group"]["Properties"]
        id_ = ec2.create_security_group(
            GroupName=group["GroupName"],
            Description=group["GroupDescription"],
            VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        )["GroupId"]
        rules = [each["Properties"] for each in made.values() if each["Type"] == "AWS::EC2::SecurityGroupIngress"]
        for rule in rules:
            assert rule["SourceSecurityGroupId"] == rule["GroupId"] == {"Fn::GetAtt": ["Group", "GroupId"]}
            inside = {"IpProtocol": rule["IpProtocol"], "UserIdGroupPairs": [{"GroupId": id_}]}
            ec2.authorize_security_group_ingress(GroupId=id_, IpPermissions=[inside])
        for profile in (each for each in made.values() if each["Type"] == "AWS::IAM::InstanceProfile"):
            iam.create_instance_profile(InstanceProfileName=profile["Properties"]["InstanceProfileName"])
        yield ec2


def test_on_an_account_made_ready_it_resolves_to_nodes_that_nobody_else_reaches(
    account: Any, cluster: dict[str, Any]
) -> None:
    from ray.autoscaler._private.commands import _bootstrap_config

    resolved = _bootstrap_config(cluster, no_config_cache=True)
    groups = {
        id_ for node in resolved["available_node_types"].values() for id_ in node["node_config"]["SecurityGroupIds"]
    }
    found = account.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    assert [group["GroupName"] for group in found] == ["pinrank"]
    (rule,) = found[0]["IpPermissions"]
    assert rule["IpRanges"] == rule["Ipv6Ranges"] == rule["PrefixListIds"] == []
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == list(groups)
    assert resolved["provider"]["use_internal_ips"] and "ssm start-session" in resolved["auth"]["ssh_proxy_command"]
    profiles = {
        name: node["node_config"]["IamInstanceProfile"] for name, node in resolved["available_node_types"].items()
    }
    assert profiles.pop("head") == {"Name": "pinrank-head"}
    assert all(profile == {"Name": "pinrank-worker"} for profile in profiles.values())


def test_a_node_type_has_what_ec2_says_of_its_instance(account: Any, cluster: dict[str, Any]) -> None:
    groups = cluster["available_node_types"]
    groups.pop("head")
    for group in groups.values():
        (found,) = account.describe_instance_types(InstanceTypes=[group["node_config"]["InstanceType"]])[
            "InstanceTypes"
        ]
        (gpus,) = found.get("GpuInfo", {}).get("Gpus", [{"Count": 0}])
        said = {"CPU": found["VCpuInfo"]["DefaultVCpus"]}
        said |= {"GPU": gpus["Count"], f"accelerator_type:{gpus['Name']}": 1} if gpus["Count"] else {}
        assert group["resources"] == said


def test_a_spot_launch_that_aws_refuses_is_made_on_demand(account: Any, cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.commands import _bootstrap_config

    from pinrank.deploy.spot import AwsSpotFirst

    resolved = _bootstrap_config(cluster, no_config_cache=True)
    provider = AwsSpotFirst(resolved["provider"], resolved["cluster_name"])
    asked = refuse_spot(provider.ec2_fail_fast.meta.client)
    node_config = resolved["available_node_types"]["l40s"]["node_config"] | {"ImageId": "ami-12c6146b"}
    provider.create_node_with_resources_and_labels(node_config, {"ray-node-type": "worker"}, 2, {}, {})
    instances = [each for answer in account.describe_instances()["Reservations"] for each in answer["Instances"]]
    assert {each["InstanceType"] for each in instances} == {"g6e.4xlarge"}
    assert asked[0] == "spot" and asked[-1] == "on demand"


def refuse_spot(client: Any) -> list[str]:
    """Let a client's spot launches fail as EC2 fails them; returns the list of the markets that are asked."""
    from botocore.exceptions import ClientError

    asked = []

    def answer(params: dict[str, Any], **_: Any) -> None:
        asked.append("spot" if any(key.startswith("InstanceMarketOptions") for key in params["body"]) else "on demand")
        if asked[-1] == "spot":
            error = {"Error": {"Code": "InsufficientInstanceCapacity", "Message": "there is no Spot capacity"}}
            raise ClientError(error, "RunInstances")

    client.meta.events.register("before-call.ec2.RunInstances", answer)
    return asked
