"""Reviewers' answers as judgments: each finds its query, its pair and its split again.

A reviewed query keeps the query_id and the split that it has; a query that nobody has judged before gets a split by the
hash of its text, as a generated world does.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.query_groups import splits_by_text
from pinrank.faults import SPLITS, Fault, empty_rows, fault
from pinrank.levels import LEVELS
from pinrank.review.candidates import REVIEW
from pinrank.tables import JUDGMENTS
from pinrank.text import normalise_query, tidy


@dataclass(frozen=True)
class Merged:
    """Judgments with reviews among them."""

    judgments: pa.Table
    num_replaced: int  # earlier reviews of the same pair by the same person


def answer_faults(answers: pa.Table, pin_ids: pa.ChunkedArray) -> list[Fault]:
    """The answers (ANSWERS) that are no judgment: no pair, an unknown pin, no level."""
    levels = pa.array([str(level) for level in LEVELS])
    outside = pc.invert(pc.is_in(answers.column("choice"), levels))
    unknown = pc.invert(pc.is_in(answers.column("pin_id"), pin_ids.combine_chunks()))
    held = pc.and_(unknown, pc.not_equal(pc.fill_null(answers.column("pin_id"), ""), ""))
    return [
        *(each for name in ("query", "pin_id", "source") for each in empty_rows(answers, name)),
        *fault("pin_id", "names a pin that the table pins lacks", "Import the reviews into the same tables.", held),
        *fault("choice", "is outside 1..5", "Label with the label_config.xml that lies beside the tasks.", outside),
    ]


def overtaken(answers: pa.Table, found: Sequence[Fault]) -> list[Fault]:
    """The answers after which the same reviewer gave another one of the same pair; answers at fault do not count.

    The one that was changed last stands, and the one with the larger annotation_id where that is a tie.
    """
    at_fault = {row for each in found for row in each.rows.tolist()}
    rows = [row | {"row": number} for number, row in enumerate(answers.to_pylist()) if number not in at_fault]
    last: dict[tuple[str, ...], int] = {}
    earlier_N = np.zeros(answers.num_rows, dtype=bool)
    for row in sorted(rows, key=_age):
        if row["annotator_id"] is not None:
            pair = (row["source"], normalise_query(row["query"]), row["pin_id"], row["annotator_id"])
            if pair in last:
                earlier_N[last[pair]] = True
            last[pair] = row["row"]
    return fault("annotation_id", "was followed by another answer of its reviewer", "Nothing is to be done.", earlier_N)


def as_judgments(answers: pa.Table, judgments: pa.Table, annotator_prefix: str) -> pa.Table:
    """Answers without a fault as JUDGMENTS; `judgments` are those that are known already.

    The id of a review is the same whenever it is imported: it is made of the pair and the reviewer.
    """
    known = _Known(judgments)
    rows = answers.to_pylist()
    new = [row["query"] for row in rows if known.split(row["query"]) is None]
    split_of = dict(zip(map(normalise_query, new), splits_by_text(new), strict=True))
    return pa.Table.from_pylist([_judgment(row, known, split_of, annotator_prefix) for row in rows], JUDGMENTS.schema)


def merged(judgments: pa.Table, reviews: pa.Table) -> Merged:
    """All judgments; a review takes the place of what the same reviewer said of the pair in an earlier import."""
    replaced = pc.is_in(judgments.column("judgment_id"), reviews.column("judgment_id").combine_chunks())
    kept = judgments.filter(pc.invert(replaced))
    return Merged(pa.concat_tables([kept, reviews]), judgments.num_rows - kept.num_rows)


class _Known:
    """What the judgments say of a query, whatever its spelling."""

    def __init__(self, judgments: pa.Table) -> None:
        self.queries: dict[tuple[str, str], dict[str, Any]] = {}
        self.splits: dict[str, str] = {}
        self.pair_types: dict[tuple[str, str, str], str] = {}
        for row in judgments.to_pylist():
            normal = normalise_query(row["query"])
            self.queries.setdefault((row["source"], row["query_id"]), row)
            self.queries.setdefault((row["source"], f"\x1f{normal}"), row)
            self.splits[normal] = max(self.splits.get(normal, SPLITS[0]), row["split"], key=SPLITS.index)
            self.pair_types[row["source"], row["query_id"], row["pin_id"]] = row["pair_type"]

    def split(self, query: str) -> str | None:
        return self.splits.get(normalise_query(query))

    def query(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        """A judgment of the answer's query: the one that the task names, or one of the source with the same text."""
        normal = normalise_query(answer["query"])
        named = self.queries.get((answer["source"], answer["query_id"]))
        if named and normalise_query(named["query"]) == normal:
            return named
        return self.queries.get((answer["source"], f"\x1f{normal}"))


def _judgment(answer: dict[str, Any], known: _Known, split_of: dict[str, str], prefix: str) -> dict[str, Any]:
    normal = normalise_query(answer["query"])
    before = known.query(answer) or {}
    query_id = before.get("query_id") or f"query-{_hash(normal)}"
    who = None if answer["annotator_id"] is None else f"{prefix}{answer['annotator_id']}"
    pair = (answer["source"], query_id, answer["pin_id"])
    level = int(answer["choice"])
    return {
        "judgment_id": f"{REVIEW}{_hash(*pair, who or answer['annotation_id'] or '')}",
        "query_id": query_id,
        "query": before.get("query") or tidy(answer["query"]),
        "query_locale": before.get("query_locale") or answer["query_locale"] or None,
        "pin_id": answer["pin_id"],
        "level": level,
        "relevance": (level - 1) / (len(LEVELS) - 1),
        "annotator_id": who,
        "source": answer["source"],
        "pair_type": known.pair_types.get(pair, ""),
        "split": known.split(answer["query"]) or split_of[normal],
    }


def _age(row: dict[str, Any]) -> tuple[str, int, str]:
    number = row["annotation_id"] or ""
    return row["updated_at"] or "", len(number), number


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()
