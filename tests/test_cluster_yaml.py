"""cluster.yaml is what Ray's launcher accepts, and grows from nothing."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError

from pinrank.cluster import SOURCE_ROOT

CLUSTER = SOURCE_ROOT.parent / "cluster.yaml"


@pytest.fixture
def cluster() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())
    return content


def check(cluster: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` checks before it asks the cloud: defaults filled in, then Ray's schema and Ray's own rules."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def test_rays_launcher_accepts_it(cluster: dict[str, Any]) -> None:
    assert check(cluster)["provider"]["type"] == "aws"


def test_a_misspelt_key_is_refused(cluster: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="idle_timeout_minute"):
        check(cluster | {"idle_timeout_minute": 5})
    cluster["available_node_types"]["gpu_worker"]["min_worker"] = 0
    with pytest.raises(ValidationError, match="min_worker"):
        check(cluster)


def test_workers_start_from_zero_and_the_head_takes_no_work(cluster: dict[str, Any]) -> None:
    groups = check(cluster)["available_node_types"]
    head = groups.pop(cluster["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert {name: group["min_workers"] for name, group in groups.items()} == {"cpu_worker": 0, "gpu_worker": 0}
    assert sum(group["max_workers"] for group in groups.values()) <= cluster["max_workers"]
    assert 0 < cluster["idle_timeout_minutes"] <= 15


def test_authentication_is_on_and_the_dashboard_stays_on_loopback(cluster: dict[str, Any]) -> None:
    start = " ".join(cluster["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start
    assert any("RAY_AUTH_MODE=token" in command for command in cluster["setup_commands"])
    assert any(target.endswith(".ray/auth_token") for target in cluster["file_mounts"])


def test_it_names_no_account_and_no_image_that_ages(cluster: dict[str, Any]) -> None:
    for group in cluster["available_node_types"].values():
        assert group["node_config"]["ImageId"].startswith("resolve:ssm:/aws/service/")
        assert not {"SubnetIds", "SecurityGroupIds", "KeyName", "IamInstanceProfile"} & set(group["node_config"])


def test_the_package_sent_to_a_cluster_leaves_out_what_is_large(root: Path) -> None:
    excluded = yaml.safe_load((root / "runtime_env.yaml").read_text())["excludes"]
    assert {".git", ".venv", "runs"} <= set(excluded)
