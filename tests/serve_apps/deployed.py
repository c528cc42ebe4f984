"""Deploy the re-ranking app on a running cluster and leave it there.

RAY_ADDRESS=127.0.0.1:PORT python -m tests.serve_apps.deployed STUDENT PIN_STORE HTTP_HOST HTTP_PORT
"""

import os
import sys

import ray
from ray import serve

from serve_apps.rerank.app import build
from serve_apps.rerank.settings import RerankSettings


def main(student: str, pin_store: str, host: str, port: str) -> None:
    """Serve a student at an address."""
    ray.init(runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}})
    serve.start(http_options={"host": host, "port": int(port)})
    settings = RerankSettings(student=student, pin_store=pin_store)
    serve.run(build(settings), name="rerank", logging_config={"enable_access_log": False})


if __name__ == "__main__":
    main(*sys.argv[1:])
