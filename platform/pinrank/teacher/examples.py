"""From judgments and pin text to what the teacher trains on. Letters: N pairs, L = 5 levels."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.distinct import distinct
from pinrank.errors import JudgmentError, TableError
from pinrank.faults import refuse_unknown_pins
from pinrank.levels import NUM_LEVELS, most_likely_level, probabilities
from pinrank.sampling.by_source import capped_by_source
from pinrank.soft_labels import logits_of
from pinrank.teacher import targets as distributions
from pinrank.teacher.settings import Targets
from pinrank.teacher.tokens import PairTokenizer, Prompt
from pinrank.text import FIELDS, TextSettings, packed
from pinrank.unseen import of_queries

EXAMPLES = pa.schema(
    [
        ("query_id", pa.string()),
        ("query", pa.string()),
        ("query_locale", pa.string()),
        ("pin_id", pa.string()),
        ("pin", pa.string()),
        ("level", pa.int8()),
        ("relevance", pa.float32()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("target", pa.list_(pa.float32(), NUM_LEVELS)),  # P(level 1..5) to learn where no human judged; else null
    ]
)
"""A pair with the pin as packed text; several rows of a judged pair are its several annotators.

Its split is train or dev where a human judged it, and WEAK where it has a target instead.
"""

SPLITS = ("train", "dev")
WEAK = "weak"


@dataclass(frozen=True)
class Tokenised:
    """The examples of one split: prompts with levels 1..5, what to learn, grades in [0, 1], sources and locales."""

    prompts: list[Prompt]
    levels_N: NDArray[np.int64]
    targets_NL: NDArray[np.float64]
    grades_N: NDArray[np.float64]
    sources_N: NDArray[np.str_]
    locales_N: NDArray[np.str_]

    def lengths(self) -> list[int]:
        """Tokens of every prompt."""
        return [len(prompt.token_ids) for prompt in self.prompts]

    def take(self, rows: NDArray[np.int64]) -> "Tokenised":
        """Some of the pairs."""
        return Tokenised(
            [self.prompts[row] for row in rows],
            self.levels_N[rows],
            self.targets_NL[rows],
            self.grades_N[rows],
            self.sources_N[rows],
            self.locales_N[rows],
        )


def judged_examples(
    judgments: pa.Table,
    pin_text_rows: pa.Table,
    text: TextSettings,
    max_pairs_per_source: int | None = None,
    max_dev_pairs_per_source: int | None = None,
) -> pa.Table:
    """The train and dev judgments as EXAMPLES; never a test row.

    The limits hold for each source of a split (pinrank.sampling.capped_by_source). Raises JudgmentError when a pin has
    no text row or a split is empty.
    """
    limits = dict(zip(SPLITS, (max_pairs_per_source, max_dev_pairs_per_source), strict=True))
    learning, dev = (
        capped_by_source(judgments.filter(pc.field("split") == split), limit) for split, limit in limits.items()
    )
    for split, of_split in zip(SPLITS, (learning, dev), strict=True):
        if not of_split.num_rows:
            raise JudgmentError(f"judgments: no row has split '{split}'; training needs both {' and '.join(SPLITS)}.")
    rows = [*learning.to_pylist(), *dev.to_pylist()]
    pins = {row["pin_id"]: packed(row, text) for row in pin_text_rows.select(["pin_id", *FIELDS]).to_pylist()}
    refuse_unknown_pins({row["pin_id"] for row in rows} - pins.keys(), "judgments", "judged pins", JudgmentError)
    examples = [{**row, "pin": pins[row["pin_id"]]} for row in rows]
    return pa.Table.from_pylist(examples, schema=EXAMPLES)


def weak_examples(
    weak_labels: pa.Table, pin_text_rows: pa.Table, text: TextSettings, held_out: frozenset[str] = frozenset()
) -> pa.Table:
    """Soft labels of any ranker (SOFT_LABELS) as EXAMPLES whose target is their softmax.

    held_out: normalised queries whose labels are left out (`unseen.held_out_queries`). Raises TableError when a pin has
    no text row, or another text than the one that was graded.
    """
    weak_labels = weak_labels.filter(pa.array(~of_queries(weak_labels["query"], held_out)))
    fingerprints = dict(
        zip(*(pin_text_rows.column(name).to_pylist() for name in ("pin_id", "fingerprint")), strict=True)
    )
    rows = weak_labels.select(["query", "query_locale", "pin_id", "source", "fingerprint"]).to_pylist()
    refuse_unknown_pins({row["pin_id"] for row in rows} - fingerprints.keys(), "weak_labels")
    changed = sum(row["fingerprint"] != fingerprints[row["pin_id"]] for row in rows)
    if changed:
        raise TableError(
            f"weak_labels: {changed} rows grade another text of their pin than pin_text has today. Run the "
            "job again that wrote them: grade_weakly, or label_impressions of another teacher."
        )
    targets_NL = probabilities(logits_of(weak_labels))
    shown = pa.array({row["pin_id"] for row in rows}, pa.string())
    wanted = pin_text_rows.filter(pc.is_in(pin_text_rows.column("pin_id"), shown))
    pins = {row["pin_id"]: packed(row, text) for row in wanted.select(["pin_id", *FIELDS]).to_pylist()}
    examples = [
        {**row, "query_id": row["query"], "pin": pins[row["pin_id"]], "split": WEAK, "level": level, "target": target}
        for row, level, target in zip(rows, most_likely_level(targets_NL).tolist(), list(targets_NL), strict=True)
    ]
    return pa.Table.from_pylist(examples, schema=EXAMPLES)


def tokenised(examples: pa.Table, split: str, tokenizer: PairTokenizer, targets: Targets) -> Tokenised:
    """Tokenise one split of EXAMPLES; `targets` says what to learn of a judgment, a weak row has its own target.

    A grade is the relevance where it is known, else (level - 1) / 4.
    """
    rows = examples.filter(pc.field("split") == split)
    levels_N = rows["level"].to_numpy().astype(np.int64)
    relevance_N = rows["relevance"].to_numpy().astype(np.float64)
    sources_N, locales_N = (
        np.asarray(pc.fill_null(rows[name], "").to_pylist(), dtype=np.str_) for name in ("source", "query_locale")
    )
    return Tokenised(
        prompts=tokenizer.prompts(list(zip(rows["query"].to_pylist(), rows["pin"].to_pylist(), strict=True))),
        levels_N=levels_N,
        targets_NL=_targets(rows, targets, levels_N, relevance_N, sources_N),
        grades_N=np.where(np.isnan(relevance_N), (levels_N - 1) / (NUM_LEVELS - 1), relevance_N),
        sources_N=sources_N,
        locales_N=locales_N,
    )


def _targets(
    rows: pa.Table,
    kind: Targets,
    levels_N: NDArray[np.int64],
    relevance_N: NDArray[np.float64],
    sources_N: NDArray[np.str_],
) -> NDArray[np.float64]:
    if len(rows) and rows["target"].null_count == 0:
        return np.asarray(rows["target"].combine_chunks().flatten(), dtype=np.float64).reshape(-1, NUM_LEVELS)
    if kind == "level":
        return distributions.of_levels(levels_N)
    if kind == "relevance":
        return distributions.of_relevance(levels_N, relevance_N, sources_N)
    pairs = zip(sources_N, *(rows[name].to_pylist() for name in ("query_id", "pin_id")), strict=True)
    _, pairs_N = distinct(pairs)  # two sources may give one id to different queries
    return distributions.of_annotators(levels_N, pairs_N)
