"""What a request may ask for, by the settings."""

from collections.abc import Sequence

from serve_apps.rerank.asked import Asked
from serve_apps.rerank.problems import Problem
from serve_apps.rerank.settings import RerankSettings


def require_within_limits(asked: Asked, settings: RerankSettings) -> None:
    """Raise Problem 422 for more documents, more texts or a longer query than the settings allow."""
    if len(asked) > settings.max_documents:
        message = f"documents: {len(asked)} are too many, the limit is {settings.max_documents}"
        raise Problem(422, "too_many_documents", message)
    texts = asked.num_texts
    if texts > settings.max_texts:
        message = f"documents: {texts} come as text, the limit is {settings.max_texts}; send ids of embedded pins"
        raise Problem(422, "too_many_documents", message)
    require_short_query(asked.query, "query", settings)


def require_few_texts(texts: Sequence[str], kind: str, settings: RerankSettings) -> None:
    """Raise Problem 422 for more texts to embed, or a longer query among them, than the settings allow."""
    if len(texts) > settings.max_texts:
        message = f"input: {len(texts)} texts are too many, the limit is {settings.max_texts}"
        raise Problem(422, "too_many_documents", message)
    if kind == "query":
        for place, query in enumerate(texts):
            require_short_query(query, f"input[{place}]", settings)


def require_short_query(query: str, where: str, settings: RerankSettings) -> None:
    """Raise Problem 422 for a longer query than the settings allow."""
    if len(query) > settings.max_query_chars:
        message = f"{where}: {len(query)} characters are too many, the limit is {settings.max_query_chars}"
        raise Problem(422, "invalid_request", message)
