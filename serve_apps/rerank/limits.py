"""What a request may ask for, by the settings."""

from serve_apps.rerank.asked import Asked
from serve_apps.rerank.problems import Problem
from serve_apps.rerank.settings import RerankSettings


def require_within_limits(asked: Asked, settings: RerankSettings) -> None:
    """Raise Problem 422 for more documents, more texts or a longer query than the settings allow."""
    if len(asked) > settings.max_documents:
        message = f"documents: {len(asked)} are too many, the limit is {settings.max_documents}"
        raise Problem(422, "too_many_documents", message)
    texts = sum(pin_id is None for pin_id in asked.ids)
    if texts > settings.max_texts:
        message = f"documents: {texts} come as text, the limit is {settings.max_texts}; send ids of embedded pins"
        raise Problem(422, "too_many_documents", message)
    if len(asked.query) > settings.max_query_chars:
        message = f"query: {len(asked.query)} characters are too many, the limit is {settings.max_query_chars}"
        raise Problem(422, "invalid_request", message)
