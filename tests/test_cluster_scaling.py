"""cluster.yaml's node types, run: nodes come from zero when a job asks for them, and go when it is done.

Real are the head, its autoscaler, Ray's nodes with their processes, the job and its labels. Faked are the machines
(every node is a set of processes on this one, with at most two CPUs), the GPUs (a number that Ray counts; the engine is
a tiny model on the CPU), the spot market (which has nothing to sell), and time (idle nodes go after seconds).
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pinrank import tables
from tests.labeling.rows import pin_texts, sampled
from tests.running_head import Head, running_head, submit

pytestmark = [pytest.mark.ray, pytest.mark.slow]

IDLE_MINUTES = 0.05
GONE_DEADLINE_S = 60


def on_one_machine(cluster: dict[str, Any], launches: Path, gcs: str) -> dict[str, Any]:
    """The launcher file with its node types, for Ray's fake provider."""
    groups = cluster["available_node_types"]
    for group in groups.values():
        group.pop("worker_setup_commands", None)
        group["resources"]["CPU"] = min(group["resources"]["CPU"], 2)
        group["resources"]["object_store_memory"] = 100 * 2**20
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return cluster | {
        "idle_timeout_minutes": IDLE_MINUTES,
        "provider": {
            "type": "external",
            "module": "tests.scarce_spot.SpotFirstOnOneMachine",
            "launches": str(launches),
            "gcs_address": gcs,
            "use_node_id_as_ip": True,  # all nodes have one address
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "auth": {},
        "file_mounts": {},
        **{f"{name}_commands": [] for name in commands},
    }


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the provider writes down what it was asked for: node type, instance type, market."""
    return tmp_path_factory.mktemp("launches") / "launches.jsonl"


@pytest.fixture(scope="module")
def head(root: Path, launches: Path) -> Iterator[Head]:
    """A head without CPUs, whose autoscaler follows cluster.yaml."""
    cluster = yaml.safe_load((root / "cluster.yaml").read_text())
    environment = {
        "PYTHONPATH": f"{root}:{root / 'platform'}",
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    with running_head(0, lambda gcs: on_one_machine(cluster, launches, gcs), environment) as head:
        yield head


def test_a_job_gets_gpu_nodes_from_zero_on_demand_where_spot_has_none_and_idle_nodes_go(
    head: Head, launches: Path, root: Path, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    pins = {f"p{number}": f"pin number {number}" for number in range(20)}
    pairs = [(f"query {number}", pin_id) for number in range(5) for pin_id in pins]
    tables.write(sampled(*pairs), str(tmp_path / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**pins), str(tmp_path / "pin_text"), tables.PIN_TEXT)
    wait_for_nodes(head, 1)

    done = submit(
        head,
        root,
        *("python", "-m", "pipelines.label_impressions", "--teacher", str(tiny_teacher_dir)),
        *("--tables", str(tmp_path), "--output", f"{tmp_path}/soft_labels", "--engine.name", "transformers"),
        *("--workers.engine_gpus", "1", "--workers.accelerator_type", "L40S"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert tables.read(str(tmp_path / "soft_labels"), tables.SOFT_LABELS).num_rows == 100

    asked = [json.loads(line) for line in launches.read_text().splitlines()]
    gpu = [launch for launch in asked if launch[0] != "cpu"]
    assert gpu == [["l40s", "g6e.4xlarge", "spot"], ["l40s", "g6e.4xlarge", "on demand"]]

    wait_for_nodes(head, 1)
    (alive,) = head.nodes()
    gone = head.nodes("DEAD")
    assert alive["is_head_node"]
    assert len(gone) == sum(market == "on demand" for _, _, market in asked)
    assert sum("GPU" in node["resources_total"] for node in gone) == 1


def wait_for_nodes(head: Head, count: int) -> None:
    """Until so many nodes are alive."""
    deadline = time.monotonic() + GONE_DEADLINE_S
    while len(nodes := head.nodes()) != count:
        assert time.monotonic() < deadline, f"{len(nodes)} nodes are alive, not {count}:\n{head.autoscaler_log()}"
        time.sleep(0.5)
