"""The graph: Rerank asks Ranker, which asks QueryEncoder and PinEmbeddings at the same time.

    python -m serve_apps.rerank.run serve_apps/rerank/app.yaml
    serve run serve_apps.rerank.app:build student=runs/demo/student pin_store=runs/demo/pin_store topology=split

The first form listens and logs as its YAML says; the second is for trying another student, and ends under its requests.
"""

from pathlib import Path
from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment

from pinrank import registry as bundles
from pinrank.embeddings.store import read_manifest
from pinrank.errors import ModelError
from pinrank.release import folders_of, require_of_one_student
from pinrank.student.export import read_card
from serve_apps.rerank.api_keys import read_hashes
from serve_apps.rerank.ingress import Rerank
from serve_apps.rerank.pin_embeddings import PinEmbeddings
from serve_apps.rerank.query_encoder import QueryEncoder
from serve_apps.rerank.ranker import Ranker
from serve_apps.rerank.settings import Part, RerankSettings

CPUS = {"num_cpus": 0.25}
"""What a replica reserves: the four of them fit beside each other on one core of a small machine."""

INNER_ONGOING = 64
"""Requests that a replica takes at once. Serve's default of 5 would keep batches at 5 queries."""

DRAINED_CHECK_S = 0.2
"""How often a stopping replica looks whether its last request is answered; Serve's 2 s make every stop slow."""


def build(settings: RerankSettings) -> Application:
    """Bind the deployments of the topology; refuses a student and a pin store that do not belong together.

    Raises ModelError or StoreCorrupt when a folder cannot be opened, or when the store holds another student's rows,
    and SettingsError for a file of API keys that is none.
    """
    settings = absolute(settings)
    version = require_one_student(settings)
    if settings.api_keys is not None:
        read_hashes(Path(settings.api_keys))
    # More than max_in_flight, so that the ingress itself answers 429 in the service's own form.
    ingress = deployed(serve.ingress()(Rerank), settings, max_ongoing_requests=4 * settings.max_in_flight)
    alone = settings.topology == "split" or not settings.fuse_encoder
    encoder = deployed(QueryEncoder, settings).bind(settings, version) if alone else None
    if settings.topology == "fused":
        return ingress.bind(settings, version, encoder)
    pins = deployed(PinEmbeddings, settings).bind(settings, version)
    ranker = deployed(Ranker, settings).bind(settings, version, encoder, pins)
    return ingress.bind(settings, version, encoder, ranker)


def deployed(part: type, settings: RerankSettings, max_ongoing_requests: int = INNER_ONGOING) -> Deployment:
    """A class as a deployment of one replica, or as the settings say for its name."""
    usual: dict[str, Any] = {
        "max_ongoing_requests": max_ongoing_requests,
        "graceful_shutdown_wait_loop_s": DRAINED_CHECK_S,
        "ray_actor_options": CPUS,
    }
    own = settings.deployments.get(cast(Part, part.__name__), {})
    return serve.deployment(part, **(usual | own))


def absolute(settings: RerankSettings) -> RerankSettings:
    """The settings with paths that mean the same in every process."""
    paths = {name: getattr(settings, name) for name in ("student", "pin_store", "registry", "api_keys")}
    resolved = {name: str(Path(path).resolve()) for name, path in paths.items() if path is not None}
    return settings.model_copy(update=resolved | {"served_log": settings.served_log and settings.served_log.absolute()})


def require_one_student(settings: RerankSettings) -> str:
    """The version to serve: the registry's current release, or the student whose rows the pin store holds, cut as they
    are; ModelError when it is another, or nothing is current."""
    if settings.registry is not None:
        return require_release(Path(settings.registry))
    stored = read_manifest(settings.pin_store).student_version
    student = read_card(settings.student).version
    require_of_one_student(student, stored, Path(settings.student), Path(settings.pin_store))
    return stored


def require_release(registry: Path) -> str:
    """The current release of a registry. Raises ModelError when there is none, or its parts do not belong together."""
    current = bundles.current(registry)
    if current is None:
        raise ModelError(f"{registry}: no release is current. Publish one: pinrank publish --promote.")
    student, pin_store = folders_of(registry, current.bundle)
    stored = read_manifest(pin_store).student_version
    require_of_one_student(read_card(student).version, stored, student, pin_store)
    return current.bundle
