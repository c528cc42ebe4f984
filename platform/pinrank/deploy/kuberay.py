"""KubeRay manifests of cluster.yaml's node types, runtime_env.yaml's environment and app.yaml's settings.

    python -m pinrank.deploy.kuberay                                                  # writes platform/deploy/kuberay/
    python -m pinrank.deploy.kuberay --image registry.example.com/pinrank:0.1.0-gpu --output my-manifests

A cluster that stays, jobs that bring their own (labelling, training, the daily loop, once and every night), the
service, and the rule that closes the pods' ports.
"""

import importlib.metadata
import math
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from pinrank.deploy.nodes import ACCELERATOR, NodeType, read_nodes
from pinrank.durable import write_text
from pinrank.errors import PinrankError
from pinrank.pipeline import JobSettings, parse

ROOT = "/opt/pinrank"
"""Where the image holds the repository (platform/deploy/docker/)."""

MOUNT = "/mnt/pinrank"
"""Where every pod has the shared volume."""

PART_OF = {"app.kubernetes.io/part-of": "pinrank"}
SERVING = {"app.kubernetes.io/component": "serving"}
SERVE_PORT = 8000

PROXIES = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_apps.rerank.front:middlewares",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
}
"""What docs/serve.md wants of the processes that Ray starts."""

GPU_PRODUCTS = {
    "L4": "NVIDIA-L4",
    "L40S": "NVIDIA-L40S",
    "A100": "NVIDIA-A100-SXM4-80GB",
    "H100": "NVIDIA-H100-80GB-HBM3",
}
"""From Ray's name of an accelerator to what NVIDIA's feature discovery labels a node with."""


class Manifests(JobSettings):
    """Settings of the generator."""

    cluster_file: Path = Field(Path("cluster.yaml"), description="Ray's launcher file with the node types")
    runtime_env: Path = Field(Path("runtime_env.yaml"), description="the environment of a job")
    serve_config: Path = Field(Path("serve_apps/rerank/app.yaml"), description="the service's settings")
    image: str = Field("pinrank:0.1.0-gpu", description="of every pod; platform/deploy/docker builds it")
    claim: str = Field("pinrank", description="the volume claim that all pods write (ReadWriteMany)")
    head_cpus: int = Field(4, ge=1, description="CPUs of a head: drivers of jobs, the autoscaler, the dashboard")
    gib_per_cpu: float = Field(
        3.5, gt=0, description="memory of a pod; nodes have 4 GiB a CPU, and need some themselves"
    )
    cpus_kept: int = Field(1, ge=0, description="CPUs of a node that its own pods keep")
    serve_replicas: int = Field(8, ge=1, description="replicas of Rerank, at most")
    output: Path = Field(Path("platform/deploy/kuberay"), description="folder of the manifests")


def manifests(settings: Manifests) -> dict[str, str]:
    """Name of each file, and its text."""
    nodes = read_nodes(settings.cluster_file)
    label = job(settings, "label_impressions", f"{MOUNT}/configs/label_impressions.yaml", days=2)
    train = job(settings, "train_teacher", f"{MOUNT}/configs/train_teacher.yaml", days=1)
    daily = job(settings, "daily", None, days=1, arguments=f"--root {MOUNT}/loop --configs {MOUNT}/configs")
    cron = {"schedule": "30 2 * * *", "suspend": False, "jobTemplate": daily}
    ray = cluster(settings, list(nodes.workers))
    return {
        "cluster.yaml": text("RayCluster", "pinrank", ray, "A cluster that stays; jobs come by pinrank submit."),
        "label_job.yaml": text("RayJob", "pinrank-label", label, "Labelling, on a cluster of its own."),
        "train_job.yaml": text("RayJob", "pinrank-train", train, "The teacher's training, on a cluster of its own."),
        "daily_job.yaml": text("RayJob", "pinrank-daily", daily, "One run of the daily loop, on a cluster of its own."),
        "daily_cron.yaml": text("RayCronJob", "pinrank-daily", cron, CRON_NOTE),
        "service.yaml": text("RayService", "pinrank-rerank", service(settings), SERVICE_NOTE),
        "network_policy.yaml": text("NetworkPolicy", "pinrank", network_policy(), NETWORK_NOTE),
    }


CRON_NOTE = """The daily loop every night, in the operator's time zone, usually UTC. Needs KubeRay 1.6, with the feature
RayCronJob switched on. The root's lock keeps two runs apart: the second leaves with an error.
kubectl patch raycronjob pinrank-daily --type=merge -p '{"spec": {"suspend": true}}' pauses it."""

SERVICE_NOTE = """The re-ranking service. It follows the registry: a promoted release is taken over within seconds,
without new pods. A changed manifest brings a new cluster beside the old one, which goes when the new one answers."""

NETWORK_NOTE = """Who reaches pinrank's pods: those of its own namespace, KubeRay's operator, and, at the service's port
only, every pod. What reaches a head's dashboard runs code there, if it has the token."""


def job(settings: Manifests, pipeline: str, config: str | None, days: int, arguments: str = "") -> dict[str, Any]:
    """The spec of a RayJob: a retry gets a new cluster, and goes on where the last one stopped."""
    told = " ".join(filter(None, [config and f"--config {config}", arguments]))
    return {
        # exec: a signal reaches the job.
        "entrypoint": f"sh -c 'cd {ROOT} && exec python -m pipelines.{pipeline} {told}'",
        "metadata": {"pipeline": pipeline},
        "backoffLimit": 2,
        "activeDeadlineSeconds": days * 24 * 3600,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
        "rayClusterSpec": cluster(settings, list(read_nodes(settings.cluster_file).workers)),
    }


def service(settings: Manifests) -> dict[str, Any]:
    """The spec of the RayService: app.yaml with replicas that come and go, on CPU nodes."""
    config: dict[str, Any] = yaml.safe_load(settings.serve_config.read_text())
    config |= {"proxy_location": "EveryNode", "http_options": config["http_options"] | {"host": "0.0.0.0"}}
    application = config["applications"][0]
    arguments = application["args"]
    for place in ("student", "pin_store"):
        del arguments[place]
    arguments["registry"] = f"{MOUNT}/releases"
    rerank = arguments["deployments"]["Rerank"]
    del rerank["num_replicas"]
    rerank["autoscaling_config"] = {
        "min_replicas": 2,
        "max_replicas": settings.serve_replicas,
        "target_ongoing_requests": 2,
        "downscale_delay_s": 300,
    }
    for deployment in arguments["deployments"].values():
        deployment["ray_actor_options"] = {"num_cpus": 1}
    application["runtime_env"]["env_vars"]["PYTHONPATH"] = f"{ROOT}:{ROOT}/platform"
    ray = cluster(settings, ["cpu"], SERVING)
    ray["workerGroupSpecs"][0] |= {"replicas": 1, "minReplicas": 1}
    return {
        "serveConfigV2": yaml.safe_dump(config, sort_keys=False, width=120),
        "excludeHeadPodFromServeSvc": True,
        "rayClusterConfig": ray,
    }


def cluster(settings: Manifests, groups: list[str], labels: dict[str, str] | None = None) -> dict[str, Any]:
    """The spec of a RayCluster: a head that takes no work, and groups of workers from zero."""
    nodes = read_nodes(settings.cluster_file)
    head = NodeType(resources={"CPU": settings.head_cpus})
    return {
        "rayVersion": importlib.metadata.version("ray"),
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"idleTimeoutSeconds": round(nodes.idle_timeout_minutes * 60)},
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0"},
            "template": pod(settings, "ray-head", head, settings.head_cpus, labels or {}),
        },
        "workerGroupSpecs": [group(settings, name, nodes.workers[name], labels or {}) for name in groups],
    }


def group(settings: Manifests, name: str, node: NodeType, labels: dict[str, str]) -> dict[str, Any]:
    """Workers of a node type. resources: what Ray counts beside the pod's own, so that zero pods are known by them."""
    counted = {} if node.accelerator is None else {"resources": {f"{ACCELERATOR}{node.accelerator}": "1"}}
    return {
        "groupName": name,
        "replicas": node.min_workers,
        "minReplicas": node.min_workers,
        "maxReplicas": node.max_workers,
        "rayStartParams": {},
        **counted,
        "template": pod(settings, "ray-worker", node, node.cpus - settings.cpus_kept, labels),
    }


def pod(settings: Manifests, name: str, node: NodeType, cpus: int, labels: dict[str, str]) -> dict[str, Any]:
    """A pod's template: one container without rights of its own, the shared volume, and a node with such a GPU."""
    memory = f"{math.floor(cpus * settings.gib_per_cpu)}Gi"
    gpus = {"nvidia.com/gpu": str(node.gpus)} if node.gpus else {}
    container = {
        "name": name,
        "image": settings.image,
        "env": environment(settings),
        "resources": {"requests": {"cpu": str(cpus), "memory": memory, **gpus}, "limits": {"memory": memory, **gpus}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "pinrank", "mountPath": MOUNT}],
    }
    wanted: dict[str, Any] = {}
    if node.accelerator is not None:
        wanted["nodeSelector"] = {"nvidia.com/gpu.product": GPU_PRODUCTS[node.accelerator]}
        wanted["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {
        "metadata": {"labels": PART_OF | labels},
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **wanted,
            "volumes": [{"name": "pinrank", "persistentVolumeClaim": {"claimName": settings.claim}}],
        },
    }


def environment(settings: Manifests) -> list[dict[str, str]]:
    """runtime_env.yaml's variables, the image's repository to import from, and what Serve's proxies do."""
    variables = yaml.safe_load(settings.runtime_env.read_text())["env_vars"]
    known = variables | {"PYTHONPATH": f"{ROOT}:{ROOT}/platform"} | PROXIES
    return [{"name": name, "value": value} for name, value in known.items()]


def network_policy() -> dict[str, Any]:
    """The spec of the NetworkPolicy of all pods."""
    operator = {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}}
    return {
        "podSelector": {"matchLabels": PART_OF},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": {}}, {"namespaceSelector": {}, "podSelector": operator}]},
            {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": SERVE_PORT}]},
        ],
    }


def text(kind: str, name: str, spec: dict[str, Any], note: str) -> str:
    """A manifest with a note on top, which says where it comes from and what it needs."""
    version = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "ray.io/v1"
    whole = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": PART_OF}, "spec": spec}
    notes = [*note.splitlines(), "", "Written by python -m pinrank.deploy.kuberay; docs/cluster.md says what it needs."]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in notes)
    return comment + yaml.dump(whole, Dumper=Plain, sort_keys=False, width=120)


class Plain(yaml.SafeDumper):
    """YAML without anchors, and with texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write again what was written before."""
        return True


def _text(dumper: yaml.SafeDumper, content: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", content, style="|" if "\n" in content else None)


Plain.add_representer(str, _text)


def main(settings: Manifests) -> None:
    """Write every manifest."""
    settings.output.mkdir(parents=True, exist_ok=True)
    for name, content in manifests(settings).items():
        write_text(settings.output / name, content)
        print(settings.output / name)


if __name__ == "__main__":
    try:
        main(parse(Manifests, sys.argv[1:]))
    except PinrankError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
