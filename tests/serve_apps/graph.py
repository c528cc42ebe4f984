"""The fused graph in this process, without Serve."""

from dataclasses import dataclass
from typing import Any

from serve_apps.rerank.asked import Asked
from serve_apps.rerank.ingress import Rerank
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.shop import Shop


def graph(shop: Shop, version: str, **settings: Any) -> Rerank:
    """An ingress with all of its parts."""
    return Rerank(RerankSettings(student=str(shop.student), pin_store=str(shop.pin_store), **settings), version)


def asked(pin_ids: list[str | None], texts: list[str | None] | None = None, **more: Any) -> Asked:
    """A question about pins, texts or both."""
    return Asked(query="red wool sweater", ids=pin_ids, texts=texts or [None] * len(pin_ids), **more)


@dataclass
class Instead:
    """A part with some of its methods replaced."""

    part: Any
    methods: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.methods.get(name) or getattr(self.part, name)
