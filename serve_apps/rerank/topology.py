"""How the parts of the graph lie on replicas: each in deployments of its own, or in the ingress' replica."""

from functools import partial
from typing import Any, NamedTuple

from serve_apps.rerank.opened import Opened
from serve_apps.rerank.pin_embeddings import PinEmbeddings
from serve_apps.rerank.query_encoder import QueryEncoder
from serve_apps.rerank.ranker import Ranker
from serve_apps.rerank.releases import first_version, open_pins, open_spec, open_version
from serve_apps.rerank.remote import part
from serve_apps.rerank.settings import RerankSettings


class Parts(NamedTuple):
    """What the ingress asks, and the version that is open there."""

    version: str
    encoder: Any
    ranker: Any


def parts_of(settings: RerankSettings, bound: str, encoder: Any, ranker: Any) -> Parts:
    """The parts: those that were given no handle are built in this replica, where they share what they open."""
    if ranker is not None:
        is_followed = settings.registry is not None
        version = first_version(settings, bound, partial(open_spec, settings)) if is_followed else bound
        return Parts(version, part(encoder), part(ranker))
    students, stores = Opened(partial(open_version, settings)), Opened(partial(open_pins, settings))
    version = first_version(settings, bound, lambda version: (students.now(version), stores.now(version)))
    encoder = QueryEncoder(settings, version, students) if encoder is None else part(encoder)
    pins = PinEmbeddings(settings, version, stores)
    return Parts(version, encoder, Ranker(settings, version, encoder, pins, students))
