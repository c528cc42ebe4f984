"""A closed loop of keep-alive clients in one process, lean enough to leave the cores to the server.

    echo '{"url": ..., "bodies": [...], "clients": 8, "seconds": 2}' | python -m benchmarks.served.load

Each client sends the next body as soon as its last answer is whole. Prints one JSON line, see Load. Sockets and epoll
alone: a request costs this process some 50 microseconds, which Load.client_share tells.
"""

import json
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

CHUNK = 1 << 18
HEADERS = "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """Answers a second over all clients, the median and the 99th percentile of their milliseconds, how many were no
    200, and the share of one core that the clients took."""

    rps: float
    p50_ms: float
    p99_ms: float
    failed: int
    client_share: float


def load(url: str, bodies: Sequence[bytes], clients: int, seconds: float, least: int = 0) -> Load:
    """Put load on a server from a process of its own, for so long and until so many requests were sent."""
    asked: dict[str, object] = {
        "url": url,
        "bodies": [body.decode() for body in bodies],
        "clients": clients,
        "seconds": seconds,
    }
    asked["least"] = least
    command = [sys.executable, "-m", "benchmarks.served.load"]
    done = subprocess.run(command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True)
    return Load(**json.loads(done.stdout))


class Client:
    """A connection with one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0
        self.received = bytearray()
        self.size: int | None = None
        self.status = b""

    def send(self, request: bytes) -> None:
        self.received.clear()
        self.size = None
        self.started = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read what has come; whether the answer is whole. Raises ConnectionError when the server hung up."""
        part = self.socket.recv(CHUNK)
        if not part:
            raise ConnectionError("the server closed a connection that was to be kept alive")
        self.received += part
        if self.size is None:
            head, end, _ = self.received.partition(b"\r\n\r\n")
            if not end:
                return False
            self.size = len(head) + len(end) + content_length(bytes(head))
            self.status = bytes(head[9:12])
        return len(self.received) >= self.size


def content_length(head: bytes) -> int:
    """Of an answer, which must say it."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError(f"the answer does not say its length: {head.decode()}")


def run(url: str, bodies: Sequence[str], clients: int, seconds: float, least: int) -> Load:
    """Put load on a server from this process."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    path = f"{parts.path}?{parts.query}"
    requests = [
        HEADERS.format(path=path, host=parts.netloc, size=len(body.encode())).encode() + body.encode()
        for body in bodies
    ]
    open_now = {each.socket.fileno(): each for each in (Client((parts.hostname, parts.port)) for _ in range(clients))}
    epoll = select.epoll()
    took: list[float] = []
    failed, number = 0, 0
    for client in open_now.values():
        epoll.register(client.socket.fileno(), select.EPOLLIN)
    begun, cpu = time.perf_counter(), _cpu_s()
    for client in open_now.values():
        client.send(requests[number % len(requests)])
        number += 1
    until = begun + seconds
    while open_now:
        for fileno, _ in epoll.poll():
            client = open_now[fileno]
            if not client.receive():
                continue
            now = time.perf_counter()
            took.append(now - client.started)
            failed += client.status != b"200"
            if now < until or number < least:
                client.send(requests[number % len(requests)])
                number += 1
            else:
                epoll.unregister(fileno)
                open_now.pop(fileno).socket.close()
    wall_s = time.perf_counter() - begun
    took.sort()
    return Load(
        rps=len(took) / wall_s,
        p50_ms=1000 * statistics.median(took),
        p99_ms=1000 * took[int(0.99 * (len(took) - 1))],
        failed=failed,
        client_share=(_cpu_s() - cpu) / wall_s,
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(asdict(run(**json.load(sys.stdin)))))
