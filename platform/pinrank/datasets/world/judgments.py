"""The generated world's human grades: a few pins a query, mostly near it, graded with a little noise."""

import numpy as np
import pyarrow as pa

from pinrank.datasets.query_groups import splits_by_text
from pinrank.datasets.world.catalogue import Catalogue
from pinrank.datasets.world.columns import numbered, taken
from pinrank.datasets.world.settings import rng_of
from pinrank.datasets.world.things import SOURCES, Ints, shown_pins, true_levels
from pinrank.datasets.world.words import LOCALES
from pinrank.tables import JUDGMENTS

NOISE = 0.1
"""Share of the human grades that are one level off."""


def judgments_table(catalogue: Catalogue) -> pa.Table:
    """JUDGMENTS of every query; relevance is the true level on 0..1, level a grade of it with noise."""
    rng = rng_of(catalogue.settings.seed, "judgments")
    of_query, of_pin = _judged_pairs(rng, catalogue)
    queries, texts = catalogue.queries, catalogue.texts_Q
    truth = true_levels(queries, of_query, catalogue.pins, of_pin)
    slips = rng.choice([-1, 0, 1], size=len(truth), p=[NOISE / 2, 1 - NOISE, NOISE / 2])
    split = splits_by_text(texts.to_pylist())
    columns = {
        "judgment_id": numbered("judgment:", of_query, ":", of_pin),
        "query_id": numbered("query:", of_query),
        "query": taken(texts, of_query),
        "query_locale": taken(LOCALES, queries.locale[of_query]),
        "pin_id": numbered("pin:", of_pin),
        "level": np.clip(truth + slips, 1, 5).astype(np.int8),
        "relevance": ((truth - 1) / 4).astype(np.float32),
        "annotator_id": pa.repeat("aggregate", len(truth)),
        "source": taken(SOURCES, queries.source[of_query]),
        "pair_type": pa.repeat("", len(truth)),
        "split": taken(split, of_query),
    }
    return pa.table(columns, schema=JUDGMENTS.schema)


def _judged_pairs(rng: np.random.Generator, catalogue: Catalogue) -> tuple[Ints, Ints]:
    of_query = np.repeat(np.arange(len(catalogue.queries)), catalogue.settings.judged_per_query)
    of_pin = shown_pins(rng, catalogue.queries, of_query, catalogue.shelves)
    of_query, of_pin = np.unique(np.stack([of_query, of_pin]), axis=1)
    return of_query, of_pin
