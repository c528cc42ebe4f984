"""The KubeRay manifests are what the generator writes, hold fields that KubeRay, Kubernetes and Ray have, and commands
that pinrank has.

KubeRay's own CRD files (1 MB each) are not kept here: the names below are those of its API types for version 1.6, as
read in November 2026. Pods are held against Kubernetes' own schemas, and each cluster is read by the code with which
Ray's autoscaler reads it. No cluster has taken the manifests yet.
"""

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import ray
import yaml
from jsonschema import Draft202012Validator

from pinrank.deploy import kuberay
from pinrank.pipeline import JobSettings, parse
from pipelines.daily import Daily
from pipelines.label_impressions import LabelImpressions
from pipelines.train_teacher import TrainTeacher
from serve_apps.rerank.settings import RerankSettings

KUBERNETES = "1.34"
FOLDER = Path("platform/deploy/kuberay")
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


POD = closed(("spec",), metadata=closed((), labels=TEXTS), spec={"type": "object"})
"""A pod's template; Kubernetes' own schema says what its spec may hold."""

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
            ("groupName", "minReplicas", "maxReplicas", "template"),
            groupName={"type": "string"},
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=TEXTS,
            resources=TEXTS,
            template=POD,
        ),
    },
)
JOB = closed(
    ("entrypoint", "rayClusterSpec"),
    entrypoint={"type": "string"},
    metadata=TEXTS,
    backoffLimit=COUNT,
    activeDeadlineSeconds=COUNT,
    shutdownAfterJobFinishes={"type": "boolean"},
    ttlSecondsAfterFinished=COUNT,
    runtimeEnvYAML={"type": "string"},
    rayClusterSpec=CLUSTER,
)
CRON = closed(("jobTemplate", "schedule"), schedule={"type": "string"}, suspend={"type": "boolean"}, jobTemplate=JOB)
SERVICE = closed(
    ("rayClusterConfig",),
    serveConfigV2={"type": "string"},
    excludeHeadPodFromServeSvc={"type": "boolean"},
    rayClusterConfig=CLUSTER,
)
SCHEMAS = {"RayCluster": CLUSTER, "RayJob": JOB, "RayCronJob": CRON, "RayService": SERVICE}

NAMES = ("cluster", "label_job", "train_job", "daily_job", "daily_cron", "service")


@pytest.fixture(scope="module")
def files(root: Path) -> dict[str, Any]:
    """Every manifest by its file's name, read once."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in (root / FOLDER).glob("*.yaml")}


@pytest.fixture
def manifests(files: dict[str, Any]) -> dict[str, Any]:
    """The manifests, for a test to change."""
    return copy.deepcopy(files)


def cluster_in(spec: dict[str, Any]) -> dict[str, Any]:
    """The cluster that a manifest's spec is or brings."""
    for name in ("jobTemplate", "rayClusterSpec", "rayClusterConfig"):
        spec = spec.get(name, spec)
    return spec


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates of a cluster."""
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def command_in(job: dict[str, Any]) -> list[str]:
    """What a job's shell runs at last."""
    shell = shlex.split(job["entrypoint"])
    assert shell[:2] == ["sh", "-c"]
    return shlex.split(shell[2].partition("exec ")[2])


def test_the_manifests_are_what_the_generator_writes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    written = {path.name: path.read_text() for path in FOLDER.glob("*.yaml")}
    assert written == kuberay.manifests(kuberay.Manifests()), "write them again: python -m pinrank.deploy.kuberay"


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_holds_fields_that_kuberay_has(name: str, manifests: dict[str, Any]) -> None:
    manifest = manifests[name]
    assert (manifest["apiVersion"], set(manifest)) == ("ray.io/v1", {"apiVersion", "kind", "metadata", "spec"})
    schema = Draft202012Validator(SCHEMAS[manifest["kind"]])
    assert [error.message for error in schema.iter_errors(manifest["spec"])] == []
    cluster_in(manifest["spec"])["headGroup"] = {}
    assert not schema.is_valid(manifest["spec"])


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_has_such_pods(name: str, manifests: dict[str, Any]) -> None:
    for template in pods(cluster_in(manifests[name]["spec"])):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        container = template["spec"]["containers"][0]
        assert (
            not container["securityContext"]["allowPrivilegeEscalation"]
            and template["spec"]["securityContext"]["runAsNonRoot"]
        )
        mounted = [mount["name"] for mount in container["volumeMounts"]]
        assert mounted == [volume["name"] for volume in template["spec"]["volumes"]]
        template["spec"]["container"] = []
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_rays_autoscaler_reads_the_launcher_files_node_types(name: str, manifests: dict[str, Any], root: Path) -> None:
    from ray.autoscaler._private.kuberay import autoscaling_config

    launcher = yaml.safe_load((root / "cluster.yaml").read_text())
    cluster = cluster_in(manifests[name]["spec"])
    resource = {"metadata": {"name": "pinrank", "namespace": "default"}, "spec": cluster}
    read = autoscaling_config._derive_autoscaling_config_from_ray_cr(resource)
    groups = read["available_node_types"]
    assert groups.pop(read["head_node_type"])["resources"]["CPU"] == 0
    assert read["idle_timeout_minutes"] == launcher["idle_timeout_minutes"]
    for group, found in groups.items():
        wanted = launcher["available_node_types"][group]
        assert found["max_workers"] == wanted["max_workers"]
        assert found["min_workers"] == (1 if name == "service" else 0)
        counted = {key: count for key, count in found["resources"].items() if key != "memory"}
        assert counted == wanted["resources"] | {"CPU": wanted["resources"]["CPU"] - 1}
    assert set(groups) == ({"cpu"} if name == "service" else set(launcher["available_node_types"]) - {"head"})


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_has_the_tested_ray_and_asks_for_a_token(name: str, manifests: dict[str, Any]) -> None:
    cluster = cluster_in(manifests[name]["spec"])
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_nightly_job_is_the_single_one(manifests: dict[str, Any]) -> None:
    assert manifests["daily_cron"]["spec"]["jobTemplate"] == manifests["daily_job"]["spec"]
    assert len(manifests["daily_cron"]["spec"]["schedule"].split()) == 5


def test_the_daily_command_is_one_that_the_loop_takes(manifests: dict[str, Any]) -> None:
    command = command_in(manifests["daily_job"]["spec"])
    assert command[:3] == ["python", "-m", "pipelines.daily"]
    settings = parse(Daily, command[3:])
    mounted = pods(cluster_in(manifests["daily_job"]["spec"]))[0]["spec"]["containers"][0]
    assert str(settings.root).startswith(mounted["volumeMounts"][0]["mountPath"])


@pytest.mark.parametrize(
    ("name", "settings"), [("label_job", LabelImpressions), ("train_job", TrainTeacher)], ids=("label", "train")
)
def test_a_jobs_command_names_a_pipeline_and_a_settings_file_that_it_takes(
    name: str, settings: type[JobSettings], manifests: dict[str, Any], root: Path
) -> None:
    spec = manifests[name]["spec"]
    python, dash_m, module, config, path = command_in(spec)
    pipeline = spec["metadata"]["pipeline"]
    assert (python, dash_m, module, config) == ("python", "-m", f"pipelines.{pipeline}", "--config")
    parse(settings, ["--config", str(root / "pipelines/configs/full" / Path(path).name)])


def test_the_service_is_one_that_serve_and_the_application_take(manifests: dict[str, Any]) -> None:
    from ray.serve.schema import ServeDeploySchema

    config = yaml.safe_load(manifests["service"]["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(config)
    settings = RerankSettings.model_validate(config["applications"][0]["args"])
    assert settings.registry == "/mnt/pinrank/releases"


def test_only_kubernetes_own_fields_close_the_pods_ports(manifests: dict[str, Any]) -> None:
    policy = manifests["network_policy"]
    kubernetes_validate.validate(policy, KUBERNETES, strict=True)
    for name in NAMES:
        for template in pods(cluster_in(manifests[name]["spec"])):
            chosen = policy["spec"]["podSelector"]["matchLabels"].items()
            assert chosen <= template["metadata"]["labels"].items()
    anybody = [rule for rule in policy["spec"]["ingress"] if {"namespaceSelector": {}} in rule["from"]]
    assert [rule["ports"] for rule in anybody] == [[{"protocol": "TCP", "port": 8000}]]


def test_an_own_image_and_folder_are_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    kuberay.main(parse(kuberay.Manifests, ["--image", "registry.example.com/pinrank:1", "--output", str(tmp_path)]))
    read = {path.stem: yaml.safe_load(path.read_text()) for path in tmp_path.glob("*.yaml")}
    assert set(NAMES) <= set(read)
    images = [pod["spec"]["containers"][0]["image"] for pod in pods(cluster_in(read["cluster"]["spec"]))]
    assert set(images) == {"registry.example.com/pinrank:1"}


def test_every_setting_is_documented(root: Path) -> None:
    page = (root / "docs/cluster.md").read_text().partition("\n## On Kubernetes\n")[2].partition("\n## ")[0]
    assert set(kuberay.Manifests.model_fields) <= set(re.findall(r"`(\w+)`", page))
