"""Serve a run's student for a moment: start the app as a user would, ask it one real query, and shut it down."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from rich.console import Console
from rich.table import Table

from pinrank import tables
from pinrank.errors import PinrankError
from pinrank.student.export import read_card
from pinrank.text import FIELDS, pin_text
from serve_apps.rerank.settings import RerankSettings

APP = Path(__file__).with_name("app.yaml")
ROOT = APP.parents[2]
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 30.0
MOST_DOCUMENTS = 20


@dataclass(frozen=True)
class Question:
    """One judged query with its pins: ids, texts and the human levels, in one order."""

    query: str
    query_locale: str
    pin_ids: list[str]
    texts: list[str]
    levels: list[int]


@dataclass(frozen=True)
class Answer:
    """A request, the response to it and how long it took on a warm app."""

    request: dict[str, Any]
    response: dict[str, Any]
    latency_ms: float


@dataclass(frozen=True)
class Served:
    """The same question asked by pin ids and by texts."""

    question: Question
    by_ids: Answer
    by_texts: Answer

    def as_json(self) -> dict[str, Any]:
        """request, response and latency_ms of the ranking by ids, and by_texts with the same three."""
        return {**vars(self.by_ids), "by_texts": vars(self.by_texts)}

    def show(self, console: Console) -> None:
        """Print the ranking by ids beside the human levels."""
        title = f"POST /v2/rerank  “{self.question.query}”  {self.by_ids.latency_ms:.0f} ms by ids, "
        table = Table(title=title + f"{self.by_texts.latency_ms:.0f} ms by texts")
        for column in ("rank", "pin", "text", "score", "level", "human level"):
            table.add_column(column, justify="left" if column in ("pin", "text") else "right")
        for rank, result in enumerate(self.by_ids.response["results"], start=1):
            index = result["index"]
            table.add_row(
                str(rank),
                self.question.pin_ids[index],
                self.question.texts[index][:60],
                f"{result['relevance_score']:.3f}",
                f"L{result['level']}",
                f"L{self.question.levels[index]}",
            )
        console.print(table)


def serve_once(run: Path, judgments: pa.Table, port: int) -> Served:
    """Serve `run`/student with `run`/pin_store on loopback, rank one test query's pins by ids and by texts.

    Raises PinrankError when the app does not come up or refuses the question.
    """
    from serve_apps.rerank.app import require_one_student

    require_one_student(RerankSettings(student=str(run / "student"), pin_store=str(run / "pin_store")))
    question = choose_question(
        judgments, tables.read(str(run / "tables/pin_text"), tables.PIN_TEXT), str(run / "student")
    )
    with serving(run, port) as url, httpx.Client(base_url=url, timeout=REQUEST_TIMEOUT_S) as client:
        return Served(
            question,
            by_ids=ask(client, question, [{"id": pin_id} for pin_id in question.pin_ids]),
            by_texts=ask(client, question, [{"text": text} for text in question.texts]),
        )


def choose_question(judgments: pa.Table, pin_text_rows: pa.Table, student: str) -> Question:
    """The test query whose judged pins show the most levels, then the most pins; the first by name of equal ones."""
    judged: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in judgments.filter(pc.field("split") == "test").to_pylist():
        judged.setdefault((row["query_id"], row["query"]), []).append(row)
    if not judged:
        raise PinrankError("judgments: no row has split 'test', so there is no query to show")
    (_, query), rows = min(
        judged.items(), key=lambda item: (-len({row["level"] for row in item[1]}), -len(item[1]), item[0])
    )
    rows = rows[:MOST_DOCUMENTS]
    settings = read_card(student).text
    fields = {row["pin_id"]: row for row in pin_text_rows.select(["pin_id", *FIELDS]).to_pylist()}
    return Question(
        query=query,
        query_locale=rows[0]["query_locale"] or "",
        pin_ids=[row["pin_id"] for row in rows],
        texts=[pin_text(fields[row["pin_id"]], settings) for row in rows],
        levels=[row["level"] for row in rows],
    )


@contextlib.contextmanager
def serving(run: Path, port: int) -> Iterator[str]:
    """Run `serve run` on the app's own YAML, with the folders of `run`, until the block ends; yields the URL."""
    config = yaml.safe_load(APP.read_text())
    config["http_options"]["port"] = port
    app = config["applications"][0]
    app["args"] |= {"student": str(run / "student"), "pin_store": str(run / "pin_store")}
    app["runtime_env"]["env_vars"]["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    path = run / "app.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    url = f"http://127.0.0.1:{port}"
    refuse_taken(url)
    command = [str(Path(sys.executable).with_name("serve")), "run", str(path)]
    own_cluster = os.environ | {"RAY_ADDRESS": "local"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, env=own_cluster)
    try:
        wait_until_ready(url, process)
        yield url
    finally:
        stop(process)


def refuse_taken(url: str) -> None:
    """Raise PinrankError when something answers there already: it would be asked in place of our app."""
    with contextlib.suppress(httpx.TransportError):
        httpx.get(url, timeout=2.0)
        raise PinrankError(f"{url} is taken by another program. Stop it, or give another --port.")


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for 200 from /ready; PinrankError when the app ends or takes longer than START_TIMEOUT_S."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PinrankError(f"serve run ended with exit code {process.returncode}; its message stands above")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=5.0).status_code == httpx.codes.OK:
                return
        time.sleep(0.5)
    raise PinrankError(f"{url}/ready did not answer 200 within {START_TIMEOUT_S:.0f} s")


def ask(client: httpx.Client, question: Question, documents: list[dict[str, str]]) -> Answer:
    """Rank documents; the same documents go first under another query, so that a warm app is timed."""
    request = {
        "query": question.query,
        "query_locale": question.query_locale,
        "documents": documents,
        "return_levels": True,
    }
    client.post("/v2/rerank", json=request | {"query": f"not {question.query}"})
    started = time.perf_counter()
    response = client.post("/v2/rerank", json=request)
    latency_ms = (time.perf_counter() - started) * 1000
    if response.status_code != httpx.codes.OK:
        raise PinrankError(f"POST /v2/rerank answered {response.status_code}: {response.text[:300]}")
    return Answer(request, response.json(), round(latency_ms, 2))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the app, as a user at the keyboard does, and make sure that nothing of it stays behind."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
