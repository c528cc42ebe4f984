"""The graph: Rerank asks QueryEncoder and PinEmbeddings at the same time and hands both to Ranker.

    serve run serve_apps/rerank/app.yaml
    serve run serve_apps.rerank.app:build student=runs/demo/student pin_store=runs/demo/pin_store

The first form listens and logs as its YAML says; the second is for trying another student, and stops at once when it
cannot start.
"""

from pathlib import Path

from ray import serve
from ray.serve import Application, Deployment

from pinrank.embeddings.store import read_manifest
from pinrank.errors import ModelError
from pinrank.student.export import CUT, read_card
from pinrank.student.features import FeatureSpec
from serve_apps.rerank.ingress import Rerank
from serve_apps.rerank.pin_embeddings import PinEmbeddings
from serve_apps.rerank.query_encoder import QueryEncoder
from serve_apps.rerank.ranker import Ranker
from serve_apps.rerank.settings import RerankSettings

CPUS = {"num_cpus": 0.25}
"""What a replica reserves: the four of them fit beside each other on one core of a small machine."""

INNER_ONGOING = 64
"""Requests that a replica takes at once. Serve's default of 5 would keep batches at 5 queries."""

DRAINED_CHECK_S = 0.2
"""How often a stopping replica looks whether its last request is answered; Serve's 2 s make every stop slow."""


def build(settings: RerankSettings) -> Application:
    """Bind the deployments; refuses a student and a pin store that do not belong together.

    Raises ModelError or StoreCorrupt when a folder cannot be opened, or when the store holds another student's rows.
    """
    settings = absolute(settings)
    version = require_one_student(settings)
    encoder, pins, ranker = (deployed(part).bind(settings, version) for part in (QueryEncoder, PinEmbeddings, Ranker))
    # More than max_in_flight, so that the ingress itself answers 429 in the service's own form.
    ingress = deployed(serve.ingress()(Rerank), max_ongoing_requests=2 * settings.max_in_flight)
    return ingress.bind(settings, version, FeatureSpec.open(Path(settings.student)), encoder, pins, ranker)


def deployed(part: type, max_ongoing_requests: int = INNER_ONGOING) -> Deployment:
    """A class as a deployment of one replica; app.yaml may say otherwise."""
    return serve.deployment(
        part,
        max_ongoing_requests=max_ongoing_requests,
        graceful_shutdown_wait_loop_s=DRAINED_CHECK_S,
        ray_actor_options=CPUS,
    )


def absolute(settings: RerankSettings) -> RerankSettings:
    """The settings with folders that mean the same in every process."""
    student, pin_store = Path(settings.student).resolve(), Path(settings.pin_store).resolve()
    return settings.model_copy(update={"student": str(student), "pin_store": str(pin_store)})


def require_one_student(settings: RerankSettings) -> str:
    """The version of the student whose rows the pin store holds, cut as they are; ModelError when it is another."""
    version = read_card(settings.student).version
    stored = read_manifest(settings.pin_store).student_version
    if stored.partition(CUT)[0] != version:
        raise ModelError(
            f"{settings.pin_store}: the pin store holds rows of student {stored}, but {settings.student} is {version}. "
            "Run embed_pins with this student, or give the folder of the other."
        )
    return stored
