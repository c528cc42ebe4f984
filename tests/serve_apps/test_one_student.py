"""A graph serves one student."""

from types import SimpleNamespace

import pytest

from pinrank.errors import ModelError
from serve_apps.rerank.pin_embeddings import PinEmbeddings
from serve_apps.rerank.ranker import Ranker
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.shop import Shop

PART = SimpleNamespace()


@pytest.mark.parametrize(("part", "parts_behind"), [(Ranker, (PART, PART)), (PinEmbeddings, ())])
def test_a_replica_that_finds_another_student_than_was_deployed_does_not_start(
    shop: Shop, part: type, parts_behind: tuple[object, ...]
):
    settings = RerankSettings(student=str(shop.student), pin_store=str(shop.pin_store))
    with pytest.raises(ModelError, match="the application was deployed with student@00000000"):
        part(settings, "student@00000000", *parts_behind)
