"""The lexical features of given candidates, beside a scan of the whole collection by bm25s.

    python -m benchmarks.lexical               # in about a minute, on one core
    python -m benchmarks.lexical --scale 0.01  # a hundredth of the pins: whether it runs, no figures

pairs_per_s           pairs/s of one query with 500 candidates whose terms are prepared, from the query's text to all
                      features
pairs_per_s_batch     the same of many pairs at once, 100 a query: how training reads them
pairs_per_s_texts     the same from the texts of queries and pins
vs_bm25s_scan         seconds of bm25s's `retrieve`, which scores all of 200,000 pins and returns the best 500, in the
                      column "all" alone, over ours for all features of 500 given pins
vs_bm25s_scores       the same with its `get_scores`, which adds up the weights that its index holds, and no more
vs_bm25s_columns      the same with `get_scores` of an index for each column that has text: as many BM25 as ours

Pins have 16 words on average, in title, description and board titles, drawn by Zipf's law from 30,000; queries have
2 to 6. The candidates are the 500 best of the scan, so that nearly all have words of the query. Each side answers all
queries, then the next one, ROUNDS times; counted are the CPU seconds of one thread, and ratios are medians over the
rounds. bm25s is given tokens, and computes with numpy.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bm25s
import numpy as np

from benchmarks.record import print_result
from pinrank import lexical

ROUNDS = 5
NUM_PINS = 200_000
NUM_QUERIES = 60
NUM_CANDIDATES = 500
NUM_WORDS = 30_000
FIELDS = ("title", "description", "board_titles")
BATCH_PAIRS = 20_000
PAIRS_A_QUERY = 100


@dataclass(frozen=True)
class Collection:
    """Pins, queries, bm25s's index of every column that has text, and each query's candidates with their terms."""

    rows: list[dict[str, str]]
    queries: list[str]
    pins: lexical.FieldTerms
    stats: lexical.LexicalStats
    indices: dict[str, Any]
    candidates: list[lexical.FieldTerms]


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0, help="share of the pins")
    built = build(max(round(NUM_PINS * parser.parse_args().scale), 4 * NUM_CANDIDATES))
    rounds = [one_round(built) for _ in range(ROUNDS + 1)][1:]
    print_result("lexical", {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}, ROUNDS)


def one_round(built: Collection) -> dict[str, float]:
    """Every ratio once."""
    asked = list(zip(built.queries, built.candidates, strict=True))
    words, index = [query.split() for query in built.queries], built.indices["all"]
    ours_s = seconds(lambda: [features(built, [query], pins) for query, pins in asked])
    scan_s = seconds(lambda: [index.retrieve([each], k=NUM_CANDIDATES, show_progress=False) for each in words])
    scores_s = seconds(lambda: [index.get_scores(each) for each in words])
    columns_s = seconds(lambda: [one.get_scores(each) for each in words for one in built.indices.values()])
    rows = built.rows[:BATCH_PAIRS]
    batch = built.pins.take(np.arange(len(rows)))
    queries = [built.queries[place % NUM_QUERIES] for place in range(-(-len(rows) // PAIRS_A_QUERY))]
    return {
        "pairs_per_s": NUM_QUERIES * NUM_CANDIDATES / ours_s,
        "pairs_per_s_batch": len(rows) / seconds(lambda: features(built, queries, batch)),
        "pairs_per_s_texts": len(rows) / seconds(lambda: features(built, queries, lexical.field_terms(rows))),
        "vs_bm25s_scan": scan_s / ours_s,
        "vs_bm25s_scores": scores_s / ours_s,
        "vs_bm25s_columns": columns_s / ours_s,
    }


def features(built: Collection, queries: list[str], pins: lexical.FieldTerms) -> np.ndarray:
    """All features of pins, which the queries share in equal parts."""
    asked = [lexical.query_terms(query) for query in queries]
    return lexical.features(asked, pins, built.stats, np.arange(len(pins)) * len(asked) // len(pins))


def build(num_pins: int) -> Collection:
    """Everything that is there before a query comes."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, NUM_WORDS + 1)
    shares /= shares.sum()

    def texts(sizes: np.ndarray) -> list[str]:
        words = [f"w{number}" for number in rng.choice(NUM_WORDS, sizes.sum(), p=shares).tolist()]
        ends = np.cumsum(sizes).tolist()
        return [" ".join(words[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True)]

    columns = [texts(rng.integers(3, 10, num_pins)), texts(rng.integers(0, 16, num_pins)), texts(np.full(num_pins, 3))]
    queries = [" ".join(dict.fromkeys(text.split())) for text in texts(rng.integers(2, 7, NUM_QUERIES))]
    rows = [{"locale": "en", **dict(zip(FIELDS, each, strict=True))} for each in zip(*columns, strict=True)]
    pins = lexical.field_terms(rows)
    by_name = dict(zip(FIELDS, columns, strict=True)) | {"all": [" ".join(each) for each in zip(*columns, strict=True)]}
    indices = {name: index_of(column) for name, column in by_name.items()}
    best = [np.argpartition(indices["all"].get_scores(query.split()), -NUM_CANDIDATES) for query in queries]
    candidates = [pins.take(each[-NUM_CANDIDATES:]) for each in best]
    return Collection(rows, queries, pins, lexical.fit(pins), indices, candidates)


def index_of(texts: list[str]) -> "bm25s.BM25":
    """bm25s's index of a column with our BM25."""
    index = bm25s.BM25(method="atire", idf_method="lucene", k1=lexical.K1, b=lexical.B)
    index.index([text.split() for text in texts], show_progress=False)
    return index


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds that a call takes of this thread; what else runs on the machine does not count."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


if __name__ == "__main__":
    main()
