"""The KubeRay manifests hold fields that KubeRay has, and a command that pinrank has.

KubeRay's own CRD files (800 kB each) are not kept here: the names below are those of its API reference for version
1.6, and of the RayCronJob CRD in its repository, as read in November 2026; no cluster has taken the manifests yet. The
fields of pods are Kubernetes' own.
"""

import shlex
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import Draft202012Validator

from pinrank.pipeline import parse
from pipelines.daily import Daily

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """An object with these fields and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


CONTAINER = closed(
    ("name", "image", "resources"),
    name={"type": "string"},
    image={"type": "string"},
    env={"type": "array", "items": closed(("name", "value"), name={"type": "string"}, value={"type": "string"})},
    resources=closed((), requests=TEXTS, limits=TEXTS),
    volumeMounts={"type": "array", "items": TEXTS},
)
POD = closed(
    ("spec",),
    spec=closed(
        ("containers",),
        containers={"type": "array", "items": CONTAINER, "minItems": 1},
        volumes={"type": "array", "items": closed(("name",), name={"type": "string"}, persistentVolumeClaim=TEXTS)},
    ),
)
CLUSTER = closed(
    ("headGroupSpec",),
    rayVersion={"type": "string"},
    authOptions=closed((), mode={"enum": ["disabled", "token"]}, secretName={"type": "string"}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=closed((), idleTimeoutSeconds=COUNT, version={"enum": ["v1", "v2"]}),
    headGroupSpec=closed(("template",), rayStartParams=TEXTS, template=POD),
    workerGroupSpecs={
        "type": "array",
        "items": closed(
            ("groupName", "template"),
            groupName={"type": "string"},
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=TEXTS,
            template=POD,
        ),
    },
)
JOB = closed(
    ("entrypoint", "rayClusterSpec"),
    entrypoint={"type": "string"},
    backoffLimit=COUNT,
    activeDeadlineSeconds=COUNT,
    shutdownAfterJobFinishes={"type": "boolean"},
    ttlSecondsAfterFinished=COUNT,
    runtimeEnvYAML={"type": "string"},
    rayClusterSpec=CLUSTER,
)
CRON = closed(("jobTemplate", "schedule"), schedule={"type": "string"}, suspend={"type": "boolean"}, jobTemplate=JOB)


@pytest.fixture
def manifests(root: Path) -> dict[str, Any]:
    """The manifests by their kind."""
    read = [yaml.safe_load(path.read_text()) for path in (root / "platform/deploy/kuberay").glob("daily_*.yaml")]
    return {manifest["kind"]: manifest for manifest in read}


@pytest.mark.parametrize(("kind", "schema"), [("RayJob", JOB), ("RayCronJob", CRON)])
def test_a_manifest_holds_fields_that_kuberay_has(kind: str, schema: dict[str, Any], manifests: dict[str, Any]) -> None:
    manifest = manifests[kind]
    assert (manifest["apiVersion"], set(manifest)) == ("ray.io/v1", {"apiVersion", "kind", "metadata", "spec"})
    assert [error.message for error in Draft202012Validator(schema).iter_errors(manifest["spec"])] == []
    manifest["spec"]["schedul"] = "0 0 * * *"
    assert not Draft202012Validator(schema).is_valid(manifest["spec"])


def test_the_nightly_job_is_the_single_one(manifests: dict[str, Any]) -> None:
    assert manifests["RayCronJob"]["spec"]["jobTemplate"] == manifests["RayJob"]["spec"]
    assert len(manifests["RayCronJob"]["spec"]["schedule"].split()) == 5


def test_the_command_is_one_that_the_loop_takes(manifests: dict[str, Any]) -> None:
    shell = shlex.split(manifests["RayJob"]["spec"]["entrypoint"])
    assert shell[:2] == ["sh", "-c"]
    command = shlex.split(shell[2].partition("exec ")[2])
    assert command[:3] == ["python", "-m", "pipelines.daily"]
    settings = parse(Daily, command[3:])
    mounted = manifests["RayJob"]["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert str(settings.root).startswith(mounted["volumeMounts"][0]["mountPath"])


def test_the_cluster_has_the_tested_ray_asks_for_a_token_and_grows_from_nothing(manifests: dict[str, Any]) -> None:
    cluster = manifests["RayJob"]["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    assert [(group["groupName"], group["minReplicas"]) for group in cluster["workerGroupSpecs"]] == [
        ("cpu", 0),
        ("gpu", 0),
    ]


def test_every_pod_mounts_the_volumes_that_it_has(manifests: dict[str, Any]) -> None:
    cluster = manifests["RayJob"]["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = [mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]]
        assert mounted == [volume["name"] for volume in pod["volumes"]]
