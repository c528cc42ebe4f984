"""What a cluster of ours opens to its network, asked from a second network namespace."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.debian import program
from tests.serve_apps.conftest import shop
from tests.serve_apps.shop import Shop

__all__ = ["shop"]

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ADDRESS, NEIGHBOUR = "10.213.77.1", "10.213.77.2"
SERVICE = 8000

REACH = """
import socket, sys
for port in range(1, 65536):
    with socket.socket() as asking:
        asking.settimeout(2)
        if asking.connect_ex((sys.argv[1], port)) == 0:
            print(port)
"""


@dataclass(frozen=True)
class Namespaces:
    """Two network namespaces with a wire between them: the cluster's, and a neighbour's."""

    ip: str
    cluster: str
    neighbour: str

    def command(self, namespace: str, *command: str) -> list[str]:
        """A command inside one of them."""
        return [self.ip, "netns", "exec", namespace, *command]


@contextmanager
def wired(ip: str) -> Iterator[Namespaces]:
    """Two namespaces of this test alone; gone afterwards, with all that still runs in them."""
    name = uuid.uuid4().hex[:6]
    spaces = Namespaces(ip, f"pinrank-{name}-c", f"pinrank-{name}-n")

    def do(*arguments: str) -> None:
        subprocess.run([ip, *arguments], check=True, capture_output=True, text=True)

    try:
        ends = ((spaces.cluster, f"c{name}", ADDRESS), (spaces.neighbour, f"n{name}", NEIGHBOUR))
        for space, _, _ in ends:
            do("netns", "add", space)
        do("link", "add", f"c{name}", "type", "veth", "peer", "name", f"n{name}")
        for space, end, address in ends:
            do("link", "set", end, "netns", space)
            do("-n", space, "addr", "add", f"{address}/30", "dev", end)
            do("-n", space, "link", "set", end, "up")
            do("-n", space, "link", "set", "lo", "up")
        do("-n", spaces.cluster, "route", "add", "default", "via", NEIGHBOUR)  # so that Ray takes it for its address
        yield spaces
    finally:
        for space in (spaces.cluster, spaces.neighbour):
            subprocess.run([ip, "netns", "del", space], check=False, capture_output=True)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Namespaces]:
    ip = program("ip", "iproute2")
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true", "network namespaces need root"
        pytest.skip("network namespaces need root")
    with wired(ip) as spaces:
        yield spaces


@pytest.fixture(scope="module")
def jobs_api(namespaces: Namespaces, shop: Shop, root: Path) -> Iterator[list[int]]:
    """A cluster that serves, with no firewall yet: its Jobs API's answers with no token, a wrong one, the right one."""
    command = (sys.executable, "-m", "tests.exposed_cluster", str(shop.student), str(shop.pin_store), str(SERVICE))
    process = subprocess.Popen(
        namespaces.command(namespaces.cluster, *command),
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "platform"), str(root)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield list(json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def reached(namespaces: Namespaces) -> list[int]:
    """The ports of the cluster's machine that answer its neighbour."""
    asked = namespaces.command(namespaces.neighbour, sys.executable, "-c", REACH, ADDRESS)
    said = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=True)
    return [int(port) for port in said.stdout.split()]


def test_behind_our_firewall_the_neighbour_reaches_the_service_and_no_port_of_rays(
    namespaces: Namespaces, jobs_api: list[int], root: Path
) -> None:
    before = reached(namespaces)
    assert SERVICE in before and len(before) > 1, "Ray is open by itself, or the firewall would prove nothing"
    nft = program("nft", "nftables")
    rules = str(root / "platform/deploy/firewall/pinrank.nft")
    for _ in range(2):  # it can be loaded again
        subprocess.run(namespaces.command(namespaces.cluster, nft, "-f", rules), check=True)
    assert reached(namespaces) == [SERVICE]


def test_the_jobs_api_is_closed_without_its_token(jobs_api: list[int]) -> None:
    without, wrong, right = jobs_api
    assert (without, right) == (401, 200) and wrong in (401, 403)
