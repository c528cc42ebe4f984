"""The chosen pairs as tasks, with everything that a reviewer sees and that brings the answer back to its pair."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pinrank.levels import most_likely_level
from pinrank.review.candidates import Candidates
from pinrank.review.choice import Disagreement
from pinrank.review.label_studio import prediction, task
from pinrank.review.voices import Voice
from pinrank.text import FIELDS

NAMING = ("pair_key", "query", "query_id", "query_locale", "pin_id", "source")
"""What of a task's data brings its answer back to the pair; '' stands for null."""


def tasks_of(
    rows: Iterable[int],
    found: Candidates,
    apart: Disagreement,
    voices: Sequence[Voice],
    pin_text: pa.Table,
    image_urls: Mapping[str, str],
) -> list[dict[str, Any]]:
    """One task for each of the rows, in their order; a model that says nothing of a pair predicts nothing.

    pin_text: rows of PIN_TEXT, every pin of a row among them. What annotators said is not in a task: a reviewer judges
    the pair, not their colleagues.
    """
    fields = {row["pin_id"]: {name: row[name] or "" for name in FIELDS} for row in pin_text.to_pylist()}
    strata = found.strata
    tasks = []
    for row in rows:
        named = {name: value or "" for name, value in found.pairs.slice(row, 1).to_pylist()[0].items()}
        data = {
            **named,
            **fields[named["pin_id"]],
            "image_url": image_urls.get(named["pin_id"], ""),
            "stratum": str(strata[row]),
            "gap": round(float(apart.gap_P[row]), 3),
            "between": str(apart.between_P[row]),
        }
        tasks.append(task(data, [each for voice in voices for each in _prediction(voice, row)]))
    return tasks


def _prediction(voice: Voice, row: int) -> list[dict[str, Any]]:
    probabilities_L = voice.probabilities_PL[row]
    if voice.version is None or np.isnan(probabilities_L).any():
        return []
    level = int(most_likely_level(probabilities_L))
    return [prediction(f"{voice.name} {voice.version}", level, float(probabilities_L[level - 1]))]
