"""How the parts of the graph lie on replicas: each in deployments of its own, or in the ingress' replica."""

from functools import partial
from typing import Any

from serve_apps.rerank.opened import Opened
from serve_apps.rerank.pin_embeddings import PinEmbeddings
from serve_apps.rerank.query_encoder import QueryEncoder
from serve_apps.rerank.ranker import Ranker
from serve_apps.rerank.releases import open_version
from serve_apps.rerank.remote import part
from serve_apps.rerank.settings import RerankSettings


def parts_of(settings: RerankSettings, version: str, encoder: Any, ranker: Any) -> tuple[Any, Any]:
    """The encoder and the ranker that the ingress asks; those that were given no handle are built in this replica.

    What shares a replica shares the opened students, too.
    """
    if ranker is not None:
        return part(encoder), part(ranker)
    students = Opened(partial(open_version, settings))
    encoder = QueryEncoder(settings, version, students) if encoder is None else part(encoder)
    return encoder, Ranker(settings, version, encoder, PinEmbeddings(settings, version), students)
