"""The served application under load from real clients, while releases change, processes die and too much is asked.

Small here; `PINRANK_LOAD=full` is the size of docs/benchmarks.md, whose figures -s prints;
`PINRANK_LOAD_TOPOLOGY=fused` the other shape; with Serve's variables for HAProxy that is what listens. No client asks
twice.
"""

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from pinrank import registry as bundles
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.load import FAILED, Answer, Load, Plan, failed, percentile_ms, statuses, under_load
from tests.serve_apps.served import (
    Service,
    golden_scores,
    proxies,
    publish_releases,
    replicas,
    second_node,
    some_bodies,
)
from tests.serve_apps.shop import Shop, free_port

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]

FULL = os.environ.get("PINRANK_LOAD") == "full"
TOPOLOGY = os.environ.get("PINRANK_LOAD_TOPOLOGY", "split")
PARTS = ("Rerank", "Ranker", "QueryEncoder", "PinEmbeddings") if TOPOLOGY == "split" else ("Rerank",)
NODES = 1 if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1" else 2
REPLICAS = dict.fromkeys(PARTS, 2) if FULL else dict.fromkeys(PARTS, 1) | {"Rerank": 2}
CLIENTS = 8 if FULL else 4
ROLLS = 20 if FULL else 2
AFTER_KILL_S = 10.0 if FULL else 1.0
AFTER_PROXY_S = 60.0 if FULL else 1.0
OVERLOAD_S = 60.0 if FULL else 3.0
MAX_FAILED = 0.001
at_full_size = pytest.mark.skipif(not FULL, reason="minutes of load: PINRANK_LOAD=full")
POLL_S = 0.2


@pytest.fixture(scope="module")
def service(ray_session: None, shop: Shop, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A graph on two nodes that listen on one port, and a registry with three releases, the last damaged."""
    from ray import serve

    from serve_apps.rerank.app import build

    folder = tmp_path_factory.mktemp("served")
    registry = folder / "registry"
    releases = publish_releases(registry, shop, 3, folder)
    bodies = some_bodies(shop)
    golden = {release: golden_scores(registry, release, bodies) for release in releases[1::-1]}
    damage(registry, releases[2])
    url = f"http://127.0.0.1:{(port := free_port())}"
    http = {"host": "127.0.0.1", "port": port, "request_timeout_s": 60}  # a machine busy with more than this
    settings = RerankSettings(
        registry=str(registry), registry_poll_s=POLL_S, topology=TOPOLOGY, deployments=deployments(root)
    )
    with second_node() if NODES == 2 else contextlib.nullcontext():
        serve.start(proxy_location="EveryNode", http_options=http)
        serve.run(build(settings), name="rerank", logging_config={"enable_access_log": False})
        wait_for(lambda: len(proxies()) == NODES)
        yield Service(url, registry, releases, bodies, golden)
        serve.shutdown()


def deployments(root: Path) -> dict[str, dict[str, Any]]:
    """The deployments as app.yaml has them, but for their number."""
    app = yaml.safe_load((root / "serve_apps/rerank/app.yaml").read_text())["applications"][0]
    variables = {name: value for name, value in app["runtime_env"]["env_vars"].items() if name != "PYTHONPATH"}
    actor = {"ray_actor_options": {"num_cpus": 0.1, "runtime_env": {"env_vars": variables}}}
    of_yaml = app["args"]["deployments"]
    return {part: of_yaml[part] | actor | {"num_replicas": number} for part, number in REPLICAS.items()}


def damage(registry: Path, release: str) -> None:
    """Flip the last bit of its pins."""
    path = max(bundles.bundle_path(registry, release).glob("pin_store/*.pins"))
    good = path.read_bytes()
    path.write_bytes(bytes([*good[:-1], good[-1] ^ 1]))


def serves(client: httpx.Client, release: str) -> bool:
    """Whether every replica that answers names a release, as far as some requests can tell."""
    return all(client.get("/v1/models").json()["data"][0]["id"] == release for _ in range(8))


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> float:
    """Seconds until a condition holds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + timeout_s, "it did not come to pass"
        time.sleep(0.1)
    return time.monotonic() - begun


def tell(name: str, answers: Sequence[Answer], **more: object) -> None:
    """One JSON line for docs/benchmarks.md."""
    lost = failed(answers)
    figures = {
        "requests": len(answers),
        "failed": len(lost),
        "statuses": statuses(answers),
        "p50_ms": round(percentile_ms(answers, 0.5), 1),
        "p99_ms": round(percentile_ms(answers, 0.99), 1),
        "slowest_ms": round(percentile_ms(answers, 1.0)),
        "degraded": sum(answer.degraded is not None for answer in answers),
        "told": sorted({f"{answer.status} {answer.wrong or answer.told}" for answer in lost})[:3],
    }
    print(json.dumps({"name": name, **figures, **more}), flush=True)


def test_releases_roll_through_replicas_without_a_failed_request(service: Service) -> None:
    with under_load(Plan(service.url, service.bodies, service.golden, CLIENTS)) as answers:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            for release in itertools.islice(itertools.cycle(service.releases[1::-1]), ROLLS):
                time.sleep(0.5)
                bundles.promote(service.registry, release, "rolls")
                wait_for(lambda: serves(client, release))  # noqa: B023
    tell("rolling_update", answers, rolls=ROLLS)
    assert {answer.model for answer in answers} == set(service.releases[:2])
    assert failed(answers) == []


def test_a_damaged_release_is_refused_under_load_and_the_old_one_goes_on(service: Service) -> None:
    before = bundles.current(service.registry)
    assert before is not None
    forced = before.model_copy(update={"bundle": service.releases[2], "number": 1 + before.number})
    with under_load(Plan(service.url, service.bodies, service.golden, CLIENTS)) as answers:
        (service.registry / bundles.CURRENT).write_text(forced.model_dump_json())
        time.sleep(5 * POLL_S + 1)
    bundles.promote(service.registry, before.bundle, "back")
    tell("damaged_release", answers)
    assert {answer.model for answer in answers} == {before.bundle}
    assert failed(answers) == []


@pytest.mark.parametrize("parts", [(part,) for part in PARTS] if FULL else [PARTS], ids="_".join)
def test_a_killed_replica_of_each_kind_costs_no_request(service: Service, parts: Sequence[str]) -> None:
    with under_load(Plan(service.url, service.bodies, service.golden, CLIENTS)) as answers:
        time.sleep(1)
        victims = {part: replicas(part)[0] for part in parts}
        for victim in victims.values():
            victim.kill()
        back_s = wait_for(lambda: all(len(set(replicas(part)) - {victims[part]}) >= REPLICAS[part] for part in parts))
        time.sleep(AFTER_KILL_S)
    tell(f"kill_{'_'.join(parts)}", answers, process_again_s=round(back_s, 1))
    assert len(failed(answers)) <= MAX_FAILED * len(answers), failed(answers)[:3]


def test_a_killed_proxy_costs_what_it_held_at_the_moment_and_no_more(service: Service) -> None:
    with under_load(Plan(service.url, service.bodies, service.golden, CLIENTS)) as answers:
        time.sleep(1)
        (victim, *others) = proxies()
        killed_s = time.time()
        victim.kill()
        back_s = wait_for(lambda: len(set(proxies()) - {victim}) > len(others))
        time.sleep(AFTER_PROXY_S)
    lost = failed(answers)
    tell("kill_proxy", answers, process_again_s=round(back_s, 1))
    assert all(answer.status == FAILED and answer.at_s < killed_s + 0.2 for answer in lost), lost[:3]
    assert len(lost) <= 2 * CLIENTS  # its request, and a new connection that the dead proxy's socket had still taken
    assert not FULL or len(lost) <= MAX_FAILED * len(answers)


def test_more_clients_than_can_be_served_are_answered_or_refused_and_nothing_grows(service: Service) -> None:
    served = 64 * REPLICAS["Rerank"]
    crowd = Plan(service.url, service.bodies, service.golden, connections=10 * served, seconds=OVERLOAD_S)
    grown, normal_s = overloaded(service, "overload_by_ids", crowd)
    assert not FULL or (grown <= 1.1 and normal_s <= 5), "a short overload on a busy machine says nothing of these"


@at_full_size
def test_ten_times_the_texts_that_can_be_encoded_are_answered_or_refused(service: Service, shop: Shop) -> None:
    titles = [pin["title"] for pin in shop.pins.values()][:200]
    bodies = [{"query": f"red shoes {number}", "documents": titles} for number in range(50)]
    most = Load(Plan(service.url, bodies, connections=4, seconds=OVERLOAD_S / 4)).wait()
    rate = 10 * sum(answer.status == 200 for answer in most) / (OVERLOAD_S / 4)
    plan = Plan(service.url, bodies, connections=2_000, rate_per_s=rate, seconds=OVERLOAD_S)
    grown, normal_s = overloaded(service, "overload_by_texts", plan)
    assert grown <= 1.1
    assert normal_s <= 5


def overloaded(service: Service, name: str, plan: Plan) -> tuple[float, float]:
    """Let too many ask; only 200, 429 and 503 with Retry-After may come.

    Returns the memory of the service's processes at its largest over that before, and the seconds until answers came
    as before.
    """
    calm = Plan(service.url, service.bodies, service.golden, CLIENTS, seconds=8.0 if FULL else 2.0)
    Load(replace(calm, connections=64, seconds=OVERLOAD_S / 4)).wait()  # as much as it can do
    before = Load(calm).wait()
    memory = [memory_mb()]
    parts_before = memory_by_part()
    load = Load(plan)
    begun = time.monotonic()
    while time.monotonic() < begun + (plan.seconds or 0):
        time.sleep(0.5)
        memory.append(memory_mb())
    answers = load.wait()
    ended_s = time.time()
    after = Load(calm).wait()
    normal_s = normal_again_s(before, after, ended_s)
    tell(
        name,
        answers,
        memory_mb=[round(memory[0]), round(max(memory)), round(memory_mb())],
        memory_mb_by_part={part: [round(parts_before[part]), round(now)] for part, now in memory_by_part().items()},
        p50_before_and_after_ms=[round(percentile_ms(each, 0.5), 1) for each in (before, after)],
        normal_again_s=normal_s,
    )
    assert set(statuses(answers)) <= {200, 429, 503}, statuses(answers)
    assert all(answer.retry_after for answer in answers if answer.status in (429, 503))
    assert not any(answer.wrong for answer in answers)
    return max(memory) / memory[0], normal_s


def normal_again_s(before: Sequence[Answer], after: Sequence[Answer], ended_s: float) -> float:
    """Seconds until all answers are 200 again, and their median of a second at most half more than before."""
    usual_ms = percentile_ms(before, 0.5)
    seconds: dict[int, list[Answer]] = {}
    for answer in after:
        seconds.setdefault(int(answer.at_s - ended_s), []).append(answer)
    strained = [
        second
        for second, answers in seconds.items()
        if failed(answers) or not percentile_ms(answers, 0.5) <= 1.5 * usual_ms
    ]
    return max(strained, default=-1) + 1


def memory_mb() -> float:
    """Memory that belongs to the replicas and proxies alone."""
    return sum(memory_by_part().values())


def memory_by_part() -> dict[str, float]:
    """The same, by deployment, and of the proxies."""
    found = {part: replicas(part) for part in PARTS} | {"proxies": proxies()}
    return {part: sum(map(_own_bytes, processes)) / 2**20 for part, processes in found.items()}


def _own_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


@at_full_size
def test_deployments_scale_apart_under_load_and_back_without_a_failed_request(service: Service) -> None:
    from ray import serve

    from serve_apps.rerank.app import build

    scaling = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 2, "upscale_delay_s": 0.5}
    scaling |= {"downscale_delay_s": 2.0, "look_back_period_s": 11.0}  # Ray wants it longer than ten seconds
    cpus = {"ray_actor_options": {"num_cpus": 0.1}}
    options = {"Rerank": cpus | {"autoscaling_config": scaling}, "QueryEncoder": cpus | {"num_replicas": 1}}
    settings = RerankSettings(registry=str(service.registry), topology="fused", fuse_encoder=False, deployments=options)
    serve.run(build(settings), name="scaled", route_prefix="/scaled")

    def num_replicas() -> tuple[int, int]:
        return len(replicas("Rerank", "scaled")), len(replicas("QueryEncoder", "scaled"))

    assert num_replicas() == (1, 1)
    url = f"{service.url}/scaled"
    with under_load(Plan(url, service.bodies, service.golden, connections=12)) as crowd:
        up_s = wait_for(lambda: num_replicas() == (2, 1))
        time.sleep(1)
    with under_load(Plan(url, service.bodies, service.golden, connections=1, pause_s=0.05)) as few:
        down_s = wait_for(lambda: num_replicas() == (1, 1))
    serve.delete("scaled")
    tell("autoscaling", [*crowd, *few], second_replica_s=round(up_s, 1), first_again_s=round(down_s, 1))
    assert failed([*crowd, *few]) == []


def test_failures_are_counted_by_the_clients_themselves() -> None:
    answers = Load(Plan(f"http://127.0.0.1:{free_port()}", [{}], connections=1, seconds=0.2, pause_s=0.05)).wait()
    assert set(statuses(answers)) == {FAILED}
    assert len(failed(answers)) == len(answers) > 0
