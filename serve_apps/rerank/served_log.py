"""A share of the lists that were shown, logged for the teacher to grade offline. Off unless the settings name a folder.

The only place where the service writes queries down. Files are readable by their owner alone and removed after
keep_days; queries and pin ids stand in them, no text of a document, no address, no key of who asked.

Requests only append to memory. A thread writes once in flush_s, and syncs: a replica that is killed loses that much.
"""

import contextlib
import json
import logging
import os
import random
import shutil
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from pinrank.durable import sync
from pinrank.levels import most_likely_level
from pinrank.served.lists import FINISHED, OPEN, ServedList, day_of
from serve_apps.rerank.answer import ranking
from serve_apps.rerank.counts import count_served, set_drift
from serve_apps.rerank.served_settings import ServedLogSettings

if TYPE_CHECKING:
    from serve_apps.rerank.asked import Asked, Ranked
    from serve_apps.rerank.live import Role

log = logging.getLogger("ray.serve")

DRIFT_EVERY_S = 60.0

MOST_WAITING = 10_000
"""Lists in memory; where the disk is slower than that, further ones are let go and counted."""


class ServedLog:
    """Writes lists to files; what goes wrong with the disk is logged and counted, and no request knows of it."""

    def __init__(self, settings: ServedLogSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self.folder = Path(settings.folder)
        self._now = now
        self._random = random.Random()
        self._waiting: deque[ServedList] = deque()
        self._file: IO[bytes] | None = None
        self._path = Path()
        self._day = date.min
        self._opened_s = 0.0
        self._next_drift_s = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self, asked: "Asked", ranked: "Ranked", role: "Role") -> None:
        """Log a list, if chance says so; takes microseconds of the caller's thread."""
        if self._random.random() >= self.settings.share:
            return
        if len(self._waiting) >= MOST_WAITING:
            count_served("dropped")
            return
        try:
            shown = shown_list(asked, ranked, role, self._now(), self.settings.most_pins)
        except ValueError as cause:  # its request is answered all the same, and no message holds its query
            log.error("a list cannot be logged (%s)", type(cause).__name__)
            count_served("failed")
            return
        if shown is None:
            return
        self._waiting.append(shown)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_on, name="served-log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, and finish the file."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.flush(finish=True)

    def flush(self, finish: bool = False) -> None:
        """Write what waits to the file of today, a new one where the last is old enough."""
        lists = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if self._file is not None and self._is_over():
                self._finish()
            if lists:
                self._append(lists)
            if finish:
                self._finish()
        except OSError as cause:
            log.error("lists cannot be logged in %s: %s", self.folder, cause)
            count_served("failed", len(lists))
            self._give_up()

    def _write_on(self) -> None:
        while not self._ended.wait(self.settings.flush_s):
            self.flush()
            self._tell_drift()

    def _tell_drift(self) -> None:
        if self.settings.report is None or time.monotonic() < self._next_drift_s:
            return
        self._next_drift_s = time.monotonic() + DRIFT_EVERY_S
        if (drift := drift_in(Path(self.settings.report))) is not None:
            set_drift(drift)

    def _append(self, lists: list[ServedList]) -> None:
        file = self._file or self._open()
        file.write(b"".join(each.model_dump_json().encode() + b"\n" for each in lists))
        file.flush()
        os.fsync(file.fileno())
        count_served("logged", len(lists))

    def _give_up(self) -> None:
        """Leave a file that cannot be written as it is; the next lists try another."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _is_over(self) -> bool:
        return self._now().date() != self._day or time.monotonic() - self._opened_s >= self.settings.rotate_s

    def _open(self) -> IO[bytes]:
        now = self._now()
        self._day, self._opened_s = now.date(), time.monotonic()
        folder = day_of(self.folder, self._day)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_before(self.folder, self._day - timedelta(days=self.settings.keep_days))
        name = f"served-{socket.gethostname()}-{os.getpid()}-{now:%H%M%S%f}{OPEN}"
        self._path = folder / name
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        sync(folder)
        return self._file

    def _finish(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        self._path.rename(self._path.with_name(self._path.name.removesuffix(OPEN) + FINISHED))
        sync(self._path.parent)


def shown_list(asked: "Asked", ranked: "Ranked", role: "Role", now: datetime, most_pins: int) -> ServedList | None:
    """The pins of an answer that the client saw, in its order; None where it saw none."""
    graded = ranked.graded
    order = ranking(graded)[: asked.top_n]
    places = [place for place, position in enumerate(order.tolist()) if graded.found[position]][:most_pins]
    if not places:
        return None
    positions_P = order[places]
    levels_P = most_likely_level(graded.probabilities_NL[positions_P])
    was_graded_P = graded.graded_N[positions_P]
    return ServedList(
        list_id=uuid.uuid4().hex,
        ts=now,
        query=writable(asked.query),
        query_locale=writable(asked.query_locale or "") or None,
        version=ranked.model,
        role=role,
        degraded=ranked.degraded,
        pin_ids=tuple(str(asked.ids[position]) for position in positions_P.tolist()),
        positions=tuple(places),
        scores=tuple(np.asarray(graded.scores[positions_P], dtype=np.float64).tolist()),
        levels=tuple(int(level) if known else None for level, known in zip(levels_P, was_graded_P, strict=True)),
    )


def writable(text: str) -> str:
    """A text as UTF-8 can hold it: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def drift_in(report: Path) -> float | None:
    """How far the student is from the teacher, in levels, as the last report has it; None where there is none."""
    try:
        found = json.loads(report.read_text())["today"]["drift_levels"]["value"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as cause:
        log.warning("%s: no report of grade_served (%r)", report, cause)
        return None
    return None if found is None else float(found)


def remove_before(folder: Path, first: date) -> None:
    """Remove the folders of days before the first one to keep; what is no day's folder stays."""
    for path in folder.iterdir():
        try:
            day = date.fromisoformat(path.name)
        except ValueError:
            continue
        if day < first:
            shutil.rmtree(path, ignore_errors=True)
