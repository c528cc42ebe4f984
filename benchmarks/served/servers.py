"""Servers that a benchmark compares: all of them are up, and all but the one under load are stopped (SIGSTOP).

A Ray that waits still takes a tenth of a core, which another server would lack.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.served.shop import Shop
from serve_apps.rerank.once import APP, ROOT, refuse_taken, stop

START_TIMEOUT_S = 240.0
SETTLED_S = 0.3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
REPLICA: dict[str, Any] = {"max_ongoing_requests": 128, "ray_actor_options": {"num_cpus": 0.1}}
PARTS = ("Rerank", "QueryEncoder", "PinEmbeddings", "Ranker")


@dataclass(frozen=True)
class Server:
    """A process with all of its children, and where it answers."""

    name: str
    process: subprocess.Popen[bytes]
    url: str

    def everybody(self) -> list[psutil.Process]:
        """The process and all that it started."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def pause(self) -> None:
        """Stop it where it stands."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Let it run for a block."""
        self.resume()
        try:
            time.sleep(SETTLED_S)
            yield
        finally:
            self.pause()

    def _signal(self, number: int) -> None:
        for each in self.everybody():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)


@contextlib.contextmanager
def server(name: str, command: list[str], url: str, ready: list[str], more_env: Mapping[str, str]) -> Iterator[Server]:
    """Start a server, wait until all of the paths of `ready` answer 200, and end it with all of its children."""
    refuse_taken(url)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")])} | dict(more_env)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, env=environ)
    started = Server(name, process, url)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        for path in ready:
            while not _answers(url + path):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name}: ended with {process.poll()}, or did not answer {path} in time")
                time.sleep(0.5)
        yield started
    finally:
        if process.poll() is None:
            started.resume()
            children = started.everybody()[1:]
            stop(process)
            for each in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=5.0).status_code == httpx.codes.OK
    return False


def bare(shop: Shop, port: int) -> contextlib.AbstractContextManager[Server]:
    """The floor."""
    command = [sys.executable, "-m", "benchmarks.served.bare", "--port", str(port)]
    command += ["--student", str(shop.student), "--pin_store", str(shop.pin_store)]
    return server("bare", command, f"http://127.0.0.1:{port}", ["/ready"], ONE_THREAD)


def serve(shop: Shop, port: int, name: str, more_env: Mapping[str, str]) -> contextlib.AbstractContextManager[Server]:
    """One Ray with pinrank fused (at /) and split (/split), and graphs of both shapes that do nothing (/noop,
    /noop_split)."""
    config = yaml.safe_load(APP.read_text())
    config["http_options"]["port"] = port
    ours = config["applications"].pop()
    ours["runtime_env"]["env_vars"]["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    folders = {"student": str(shop.student), "pin_store": str(shop.pin_store)}
    for topology, prefix in (("fused", "/"), ("split", "/split")):
        args = ours["args"] | folders | {"topology": topology, "deployments": dict.fromkeys(PARTS, REPLICA)}
        config["applications"].append(ours | {"name": topology, "route_prefix": prefix, "args": args})
    for topology, prefix in (("fused", "/noop"), ("split", "/noop_split")):
        nothing = {"args": {"topology": topology, "options": REPLICA}, "import_path": "benchmarks.served.noop:build"}
        config["applications"].append(ours | nothing | {"name": prefix[1:], "route_prefix": prefix})
    path = shop.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [str(Path(sys.executable).with_name("serve")), "run", str(path)]
    ready = ["/ready", "/split/ready", "/noop/ready", "/noop_split/ready"]
    return server(name, command, f"http://127.0.0.1:{port}", ready, {"RAY_ADDRESS": "local", **more_env})


def haproxy_env(folder: Path, ports: tuple[int, int]) -> dict[str, str]:
    """Serve's HAProxy and throughput mode, beside others on this machine. It listens on all interfaces."""
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports[0]),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports[1]),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
    }
