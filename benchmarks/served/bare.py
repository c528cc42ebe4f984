"""The floor: a bare uvicorn app that answers POST /v1/rank from the same student and store, without Ray or FastAPI.

    python -m benchmarks.served.bare --student runs/demo/student --pin_store runs/demo/pin_store --port 8001

It reads and answers the same JSON by pinrank's own code and keeps queries' vectors; it has no limits, deadlines,
versions, counters or fallbacks: what is asked by id is graded, in one process on one thread.
"""

import argparse
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from pydantic_core import to_json

from pinrank.embeddings.store import PinStore
from pinrank.student.export import StudentBundle, open_student
from serve_apps.rerank.answer import GradedGroup, join
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.bodies import parse
from serve_apps.rerank.by_ids import RankRequest, rank_answer
from serve_apps.rerank.grading import grade
from serve_apps.rerank.pin_embeddings import lookup

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Bare:
    """An ASGI app."""

    def __init__(self, bundle: StudentBundle, pins: PinStore) -> None:
        self.bundle, self.pins = bundle, pins
        self.vectors: dict[str, np.ndarray] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        answered = self.answered(body) if scope["path"] == "/v1/rank" else b"{}"
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answered)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answered})

    def answered(self, body: bytes) -> bytes:
        """The answer to a request by ids."""
        asked = parse(body, RankRequest)
        if asked.query not in self.vectors:
            self.vectors[asked.query] = self.bundle.encode_queries([asked.query])[0]
        candidates = lookup(self.pins, asked.pin_ids)
        grades_NL = grade(self.bundle, asked.query, self.vectors[asked.query], candidates)
        group = GradedGroup(np.arange(len(asked.pin_ids)), grades_NL, candidates.found_N, looked_up=True)
        ranked = Ranked(join([group], len(asked.pin_ids)), self.bundle.version, {})
        return to_json(rank_answer(asked, ranked, uuid.uuid4().hex))


def main() -> None:
    """Serve until the process is stopped."""
    import torch
    import uvicorn

    parser = argparse.ArgumentParser()
    for name in ("student", "pin_store"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    bundle, pins = open_student(given.student), PinStore.open(given.pin_store)
    pins.warm()
    bundle.encode_queries(["warm up"])
    uvicorn.run(
        Bare(bundle, pins),
        port=given.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


if __name__ == "__main__":
    main()
