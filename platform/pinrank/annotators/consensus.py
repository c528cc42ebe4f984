"""The grades that annotators make together, as tables: one row a pair, and the pairs that they disagree about.

Shape letters: P pairs, L = 5 levels.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.annotators.aggregation import Consensus, Method
from pinrank.annotators.ratings import PAIR, Ratings
from pinrank.datasets.relevance import AGGREGATE
from pinrank.evaluation.task import one_row_a_pair
from pinrank.levels import NUM_LEVELS, score
from pinrank.tables import CONSENSUS, JUDGMENTS


def consensus_table(ordered_judgments: pa.Table, ratings: Ratings, found: Consensus) -> pa.Table:
    """CONSENSUS: every pair with all that was said of it. `ratings` are those of `ordered_judgments`."""
    first_P = np.searchsorted(ratings.pairs_N, np.arange(ratings.num_pairs))
    pairs = ordered_judgments.take(pa.array(first_P, pa.int64()))
    starts = pa.array(np.r_[first_P, len(ratings.pairs_N)], pa.int32())
    levels_N = ordered_judgments.column("level").combine_chunks()
    lowest_P, highest_P = (extreme.reduceat(ratings.levels_N, first_P) for extreme in (np.minimum, np.maximum))
    flat = pa.array(found.probabilities_PL.ravel(), pa.float32())
    made = {
        "level": pa.array(found.levels_P, pa.int8()),
        "probabilities": pa.FixedSizeListArray.from_arrays(flat, NUM_LEVELS),
        "levels": pa.ListArray.from_arrays(starts, levels_N),
        "annotator_ids": pa.ListArray.from_arrays(starts, ordered_judgments.column("annotator_id").combine_chunks()),
        "gap": pa.array(highest_P - lowest_P, pa.int8()),
    }
    chosen = [made[name] if name in made else pairs.column(name) for name in CONSENSUS.schema.names]
    return pa.table(chosen, schema=CONSENSUS.schema)


def one_judgment_a_pair(ordered_judgments: pa.Table, consensus: pa.Table, method: Method) -> pa.Table:
    """JUDGMENTS with the level of each row of CONSENSUS, by the annotator "aggregate", under the first row's id.

    The relevance is the mean of the annotators'; for dawid_skene it is the score of the probabilities.
    """
    joined = one_row_a_pair(ordered_judgments)
    columns = {
        "level": consensus.column("level"),
        "annotator_id": pa.repeat(pa.scalar(AGGREGATE), consensus.num_rows),
    }
    if method == "dawid_skene":
        flat = consensus.column("probabilities").combine_chunks().flatten().to_numpy()
        scores_P = score(flat.astype(np.float64).reshape(-1, NUM_LEVELS))
        columns["relevance"] = pa.array(scores_P, pa.float32())
    chosen = [columns[name] if name in columns else joined.column(name) for name in JUDGMENTS.schema.names]
    return pa.table(chosen, schema=JUDGMENTS.schema)


def disagreeing(consensus: pa.Table, min_gap: int) -> pa.Table:
    """The rows of CONSENSUS in which two annotators are min_gap levels apart or more, the furthest apart first."""
    apart = consensus.filter(pc.greater_equal(consensus.column("gap"), min_gap))
    return apart.sort_by([("gap", "descending"), *((name, "ascending") for name in PAIR)])
