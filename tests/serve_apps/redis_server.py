"""Debian's redis-server in a process of its own, on a free port of loopback."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.debian import program
from tests.serve_apps.shop import free_port

START_TIMEOUT_S = 30.0


@dataclass
class RedisServer:
    """A running server; `pause` makes it answer nothing while its port still takes connections."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.port)

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(folder: Path, port: int | None = None) -> Iterator[RedisServer]:
    port = port or free_port()
    command = [
        program("redis-server", "redis-server"),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    server = RedisServer(process, port)
    try:
        wait_until_it_answers(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.go_on()
        server.kill()


def wait_until_it_answers(server: RedisServer) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with server.client as client:
                client.ping()
            return
        except redis.ConnectionError:
            if server.process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.02)
