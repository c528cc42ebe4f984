"""Pins and words to PIN_TEXT: the seven fields, steady while little changes, with a fingerprint."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.dirt import EARLIEST
from pinrank.engagement.evidence import evidence_of
from pinrank.engagement.links import Boilerplate, boilerplate, cleaned, parts_of
from pinrank.engagement.settings import EngagementSettings
from pinrank.engagement.words import board_titles, long_clicked, query_tokens
from pinrank.tables import PIN_TEXT
from pinrank.text import FIELDS, LIST_SEPARATOR, fingerprint, join_list, normalise_query, tidy
from pinrank.unseen import NOTHING, Unseen

SEPARATORS = {"board_titles": LIST_SEPARATOR, "query_tokens": " "}
"""The fields that come from the log, and what stands between their entries."""


@dataclass(frozen=True)
class Log:
    """What the log says about some pins: EVIDENCE, the log's last day, and what of it must not be seen."""

    evidence: pa.Table
    last_day: datetime.date
    forbidden: Unseen = NOTHING


def pin_text(pins: pa.Table, engagement: pa.Table | None, forbidden: Unseen, settings: EngagementSettings) -> pa.Table:
    """PINS (and usable ENGAGEMENT, all in memory) → PIN_TEXT, in the order of the pins; see `texts_of`."""
    known = boilerplate(parts_of(pins), settings.boilerplate)
    if engagement is None:
        return texts_of(pins, None, known, settings)
    evidence = evidence_of(engagement, settings.min_dwell_s)
    last_day = pc.max(evidence.column("last_day")).as_py() or EARLIEST.date()
    return texts_of(pins, Log(evidence, last_day, forbidden), known, settings)


def texts_of(
    pins: pa.Table, log: Log | None, known: Boilerplate, settings: EngagementSettings, before: pa.Table | None = None
) -> pa.Table:
    """PINS → PIN_TEXT, in the order of the pins, every field tidied and never null.

    With a log, board titles and query tokens come from it alone, and link text stays only where people stayed on the
    link. Without one, the pins' own board titles and link text are used, and there are no query tokens. before:
    an earlier PIN_TEXT of these pins, whose board titles and tokens stay where they hardly changed (`steady`).
    """
    fields: dict[str, Sequence[str]] = {name: _tidied(pins, name) for name in ("title", "description", "caption")}
    worth_reading = [True] * pins.num_rows
    if log is None:
        fields["board_titles"] = [join_list(titles) for titles in pins.column("board_titles").to_pylist()]
        fields["query_tokens"] = [""] * pins.num_rows
    else:
        words = {
            "board_titles": board_titles(log.evidence, settings),
            "query_tokens": query_tokens(log.evidence, log.forbidden, log.last_day, settings),
        }
        fields |= {name: _aligned(pins, found) for name, found in words.items()}
        worth_reading = pc.is_in(pins.column("pin_id"), long_clicked(log.evidence, log.forbidden, settings)).to_pylist()
    fields["link_title"], fields["link_description"] = cleaned(pins, known, worth_reading)
    if before is not None:
        fields |= _kept(pins, fields, before, settings.steady_share)
    rows = zip(*(fields[name] for name in FIELDS), strict=True)
    fingerprints = [fingerprint(dict(zip(FIELDS, row, strict=True))) for row in rows]
    columns = {name: pins.column(name) for name in ("pin_id", "source", "locale")} | fields
    return pa.table({**columns, "fingerprint": fingerprints}, schema=PIN_TEXT.schema)


def steady(now: str, before: str, separator: str, share: float) -> str:
    """The earlier entries of a field while less than this share of all entries, old and new, is in only one of them.

    Order and spelling alone change nothing. The comparison is always with the text that was kept, so that small changes
    add up to a large one.
    """
    new, old = ({normalise_query(entry) for entry in text.split(separator) if entry} for text in (now, before))
    changed, all_entries = len(new ^ old), len(new | old)
    return before if changed == 0 or changed < share * all_entries else now


def _kept(pins: pa.Table, fields: dict[str, Sequence[str]], before: pa.Table, share: float) -> dict[str, Sequence[str]]:
    row = pc.index_in(pins.column("pin_id"), before.column("pin_id").combine_chunks())
    kept: dict[str, Sequence[str]] = {}
    for name, separator in SEPARATORS.items():
        earlier = before.column(name).take(row).to_pylist()
        pairs = zip(fields[name], earlier, strict=True)
        kept[name] = [now if old is None or old == now else steady(now, old, separator, share) for now, old in pairs]
    return kept


def _aligned(pins: pa.Table, words: pa.Table) -> list[str]:
    row = pc.index_in(pins.column("pin_id"), words.column("pin_id").combine_chunks())
    return list(pc.fill_null(words.column("text").take(row), "").to_pylist())


def _tidied(pins: pa.Table, name: str) -> list[str]:
    return [tidy(text) for text in pins.column(name).to_pylist()]
