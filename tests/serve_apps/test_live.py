"""Releases that change under a running graph, in this process."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from ray.exceptions import RayActorError

from pinrank import registry as bundles
from pinrank.embeddings import store
from pinrank.errors import ModelError
from pinrank.lexical import field_terms
from pinrank.release import folders_of, publish
from pinrank.student.export import open_student
from pinrank.student.features import FeatureSpec
from pinrank.traffic import Share, set_canary, set_shadow
from serve_apps.rerank.app import require_one_student
from serve_apps.rerank.ingress import Rerank
from serve_apps.rerank.live import Live
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.pin_embeddings import PinEmbeddings
from serve_apps.rerank.problems import Problem
from serve_apps.rerank.query_encoder import QueryEncoder
from serve_apps.rerank.ranker import Ranker
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.graph import Instead, asked
from tests.serve_apps.shop import Shop

PINS = ["pin-0", "pin-1", "pin-2"]


@pytest.fixture
def registry(shop: Shop, tmp_path: Path) -> Path:
    """Two releases of one student: all pins, which is current, and three of them in other rows."""
    registry = tmp_path / "registry"
    bundles.promote(registry, publish(registry, shop.student, shop.pin_store).version, "first")
    student = open_student(shop.student)
    pins = [shop.pins[pin_id] for pin_id in PINS]
    rows = student.pin_rows(student.encode_pins(student.pin_texts(pins[::-1])), shop.tables.pins(PINS))
    store.build(tmp_path / "fewer", PINS, rows, field_terms(pins, student.stats.words), student.version)
    publish(registry, shop.student, tmp_path / "fewer")
    return registry


def versions(registry: Path) -> tuple[str, str]:
    """The current release and the other."""
    current = bundles.current(registry).bundle
    (other,) = {path.name for path in (registry / "bundles").iterdir()} - {current}
    return current, other


def graph(registry: Path) -> Rerank:
    settings = RerankSettings(registry=str(registry), registry_poll_s=60)
    return Rerank(settings, require_one_student(settings))


async def model_of(rerank: Rerank, query: str = "red shoes") -> str:
    return (await rerank.rank(asked(PINS))).model


def test_a_promoted_release_answers_and_a_rollback_brings_the_old_one_back(registry: Path) -> None:
    first, second = versions(registry)

    async def story() -> None:
        rerank = graph(registry)
        one = await rerank.rank(asked(PINS))
        bundles.promote(registry, second, "better")
        assert await model_of(rerank) == first, "nothing changes before the registry is looked at"
        await rerank.live.look()
        two = await rerank.rank(asked(PINS))
        assert (one.model, two.model) == (first, second)
        assert abs(one.graded.probabilities_NL - two.graded.probabilities_NL).max() > 1e-3
        bundles.rollback(registry, "clicks fell")
        await rerank.live.look()
        assert await model_of(rerank) == first

    asyncio.run(story())


@pytest.mark.parametrize("part", ["student/ranker.safetensors", "pin_store/*.pins"])
def test_a_corrupt_release_is_refused_and_the_old_one_goes_on(registry: Path, part: str) -> None:
    first, second = versions(registry)
    bundles.promote(registry, second, "better")
    bundles.rollback(registry, "no")
    path = max(bundles.bundle_path(registry, second).glob(part))
    good = path.read_bytes()

    async def story() -> None:
        rerank = graph(registry)
        path.write_bytes(bytes([*good[:-1], good[-1] ^ 1]))
        with pytest.raises(ModelError, match="not as it was added"):
            bundles.promote(registry, second, "again")
        forced = bundles.current(registry).model_copy(update={"bundle": second, "number": 9})
        (registry / "current.json").write_text(forced.model_dump_json())
        await rerank.live.look()
        assert await model_of(rerank) == first
        assert await rerank.require_ready() == first

    asyncio.run(story())


def test_a_canary_answers_its_share_of_queries_and_names_itself(registry: Path) -> None:
    first, second = versions(registry)

    async def story() -> None:
        rerank = graph(registry)
        set_canary(registry, Share(version=second, share=0.25))
        await rerank.live.look()
        chosen = [rerank.live.choose(f"query {number}") for number in range(2_000)]
        assert 0.2 < chosen.count((second, "canary")) / len(chosen) < 0.3
        assert chosen == [rerank.live.choose(f"query {number}") for number in range(2_000)]
        assert rerank.models() == [first, second]
        set_canary(registry, Share(version=second, share=1.0))
        await rerank.live.look()
        assert await model_of(rerank) == second
        set_canary(registry, None)
        await rerank.live.look()
        assert await model_of(rerank) == first

    asyncio.run(story())


def test_shares_of_two_releases_are_as_large_as_said_and_independent() -> None:
    queries = [f"query {number}" for number in range(20_000)]
    canary, shadow = Share(version="a@1", share=0.1), Share(version="b@2", share=0.1)
    assert abs(sum(map(canary.has, queries)) / len(queries) - 0.1) < 0.01
    assert abs(sum(canary.has(query) and shadow.has(query) for query in queries) / len(queries) - 0.01) < 0.003
    more = canary.model_copy(update={"share": 0.2})
    assert all(more.has(query) for query in queries if canary.has(query))


def test_a_shadow_grades_along_and_is_seen_only_in_its_agreement(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = versions(registry)
    seen: list[float] = []
    monkeypatch.setattr("serve_apps.rerank.shadow.count_overlap", seen.append)

    async def story() -> None:
        rerank = graph(registry)
        set_shadow(registry, Share(version=second, share=1.0))
        await rerank.live.look()
        assert await model_of(rerank) == first
        await rerank.shadow._under_way
        assert seen == [1.0], "all three pins are among the best ten of both"

    asyncio.run(story())


@pytest.mark.parametrize("cause", [Problem(422, "invalid_request", "no such feature"), ModelError("damaged")])
def test_a_shadow_that_cannot_be_asked_costs_no_answer(registry: Path, cause: Exception) -> None:
    first, second = versions(registry)

    async def story() -> None:
        rerank = graph(registry)
        set_shadow(registry, Share(version=second, share=1.0))
        await rerank.live.look()
        open_spec = rerank.specs.get

        async def specs_of(version: str) -> FeatureSpec:
            if version == second:
                raise cause
            return await open_spec(version)

        rerank.specs = Instead(rerank.specs, {"get": specs_of})
        assert await model_of(rerank) == first
        await rerank.shadow._under_way

    asyncio.run(story())


def test_a_part_that_is_gone_for_a_moment_does_not_condemn_the_release(registry: Path) -> None:
    first, second = versions(registry)
    gone = [RayActorError()]

    async def prepare(version: str) -> None:
        if gone:
            raise gone.pop()

    async def story() -> None:
        live = Live(str(registry), first, 60, prepare)
        bundles.promote(registry, second, "better")
        with pytest.raises(RayActorError):
            await live.look()
        assert live.current == first
        await live.look()
        assert live.current == second

    asyncio.run(story())


def test_a_release_that_was_refused_is_tried_again_once_it_is_put_there_anew(registry: Path) -> None:
    first, second = versions(registry)
    tried: list[str] = []

    async def prepare(version: str) -> None:
        tried.append(version)
        raise ModelError("damaged")

    async def story() -> None:
        live = Live(str(registry), first, 60, prepare)
        bundles.promote(registry, second, "better")
        for _ in range(3):
            await live.look()
        assert (tried, live.current) == ([second], first)
        os.utime(bundles.bundle_path(registry, second) / bundles.BUNDLE)
        await live.look()
        assert tried == [second] * 2

    asyncio.run(story())


def test_the_releases_of_every_role_are_held_at_once(registry: Path) -> None:
    opened: list[str] = []
    held: Opened[str] = Opened(lambda version: opened.append(version) or version)
    for version in ("before", "current", "canary", "shadow", "tried") * 3:
        held.now(version)
    assert opened == ["before", "current", "canary", "shadow", "tried"]


def test_nothing_current_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no release is current"):
        require_one_student(RerankSettings(registry=str(tmp_path)))


def test_a_replica_that_starts_later_opens_what_is_current_by_then(registry: Path) -> None:
    first, second = versions(registry)
    settings = RerankSettings(registry=str(registry))
    bound = require_one_student(settings)
    bundles.promote(registry, second, "better")
    assert asyncio.run(model_of(Rerank(settings, bound))) == second
    shutil.rmtree(folders_of(registry, second)[1])
    assert asyncio.run(model_of(Rerank(settings, bound))) == first


def test_an_ingress_that_starts_before_others_could_open_the_release_finds_one_that_they_open(registry: Path) -> None:
    first, second = versions(registry)
    settings = RerankSettings(registry=str(registry), registry_poll_s=60)
    encoder = QueryEncoder(settings, first)
    ranker = Ranker(settings, first, encoder, PinEmbeddings(settings, first))
    bundles.promote(registry, second, "better")
    shutil.rmtree(folders_of(registry, second)[1])

    async def story() -> None:
        rerank = Rerank(settings, first, encoder, ranker)
        assert rerank.live.current == second, "whose specification is whole"
        with pytest.raises(Problem) as refused:
            await rerank.require_ready()
        assert refused.value.status == 503
        await rerank.live.look()
        assert await model_of(rerank) == await rerank.require_ready() == first

    asyncio.run(story())
