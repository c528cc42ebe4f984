"""The served application on a real local Ray."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serve_apps.shop import Shop, free_port, make_shop
from tests.student.featured import declaration


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_bert_dir: Path) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"), tiny_bert_dir, declaration())


@pytest.fixture(scope="module")
def client(ray_session: None, shop: Shop) -> Iterator[httpx.Client]:
    """A client of the served application, which gives its CPU back after the tests of serving."""
    from ray import serve

    from serve_apps.rerank.app import build
    from serve_apps.rerank.settings import RerankSettings

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    settings = RerankSettings(student=str(shop.student), pin_store=str(shop.pin_store), max_documents=1_000)
    serve.run(build(settings), name="rerank", route_prefix="/", logging_config={"enable_access_log": False})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    serve.shutdown()
