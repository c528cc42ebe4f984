"""A served application with releases to change, as tests of load and faults need it, and its processes."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pinrank import registry as bundles
from pinrank.embeddings import store
from pinrank.lexical import field_terms
from pinrank.release import publish
from pinrank.student.export import open_student
from serve_apps.rerank.ingress import Rerank
from serve_apps.rerank.messages import RerankRequest
from serve_apps.rerank.routes import asked_of
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.shop import QUERIES, Shop

NUM_DOCUMENTS = 60


@dataclass(frozen=True)
class Service:
    """Where an application answers, its registry with releases, and requests whose scores in them are known."""

    url: str
    registry: Path
    releases: Sequence[str]
    bodies: list[dict[str, Any]]
    golden: dict[str, list[list[float]]]


def publish_releases(registry: Path, shop: Shop, number: int, folder: Path) -> list[str]:
    """So many releases of one student: every pin has its own row in the first, and another's in the others."""
    student = open_student(shop.student)
    pins = list(shop.pins.values())
    rows_PR = student.pin_rows(student.encode_pins(student.pin_texts(pins)), shop.tables.pins(list(shop.pins)))
    terms = field_terms(pins, student.stats.words)
    versions = []
    for place in range(number):
        moved_PR = rows_PR[[*range(place, len(pins)), *range(place)]]
        store.build(folder / f"store-{place}", list(shop.pins), moved_PR, terms, student.version)
        versions.append(publish(registry, shop.student, folder / f"store-{place}").version)
    bundles.promote(registry, versions[0], "first")
    return versions


def some_bodies(shop: Shop) -> list[dict[str, Any]]:
    """Requests by id, each of another query and other pins."""
    pin_ids = list(shop.pins)
    starts = range(0, len(pin_ids) - NUM_DOCUMENTS, 5)
    return [
        {"query": query, "documents": [{"id": pin_id} for pin_id in pin_ids[start : start + NUM_DOCUMENTS]]}
        for query, start in zip(QUERIES, starts, strict=False)
    ]


def golden_scores(registry: Path, release: str, bodies: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """The scores of each request's documents in the order asked, by a graph in this process; promotes the release."""
    bundles.promote(registry, release, "to know its scores")
    rerank = Rerank(RerankSettings(registry=str(registry)), release)

    async def ranked() -> list[list[float]]:
        asked = [asked_of(RerankRequest.model_validate(body), max_explained=0) for body in bodies]
        return [(await rerank.rank(each)).graded.scores.tolist() for each in asked]

    return asyncio.run(ranked())


@contextlib.contextmanager
def second_node(num_cpus: int = 1) -> Iterator[None]:
    """One more Ray node on this machine, whose proxy listens on the same port (SO_REUSEPORT)."""
    import ray

    address = ray.get_runtime_context().gcs_address
    ray_command = str(Path(sys.executable).with_name("ray"))
    command = [ray_command, "start", f"--address={address}", f"--num-cpus={num_cpus}", "--block"]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while sum(each["Alive"] for each in ray.nodes()) < 2:
            assert node.poll() is None, "the second node ended"
            time.sleep(0.2)
        yield
    finally:
        node.terminate()
        node.wait(30)


def replicas(part: str, app: str = "rerank") -> list[psutil.Process]:
    """The processes of a deployment, of the Ray that this process started."""
    return _actors(f"ServeReplica:{app}:{part}")


def proxies() -> list[psutil.Process]:
    """The processes that listen: Serve's own, or HAProxy."""
    found = psutil.Process(os.getpid()).children(recursive=True)
    return [process for process in found if _name(process) == "haproxy"] or _actors("ProxyActor")


def _actors(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            title = process.cmdline()[:1]
        except psutil.Error:
            continue
        if title and re.match(f"ray::{re.escape(name)}(?![^. ])", title[0]):  # a method may stand behind it
            found.append(process)
    return found


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""
