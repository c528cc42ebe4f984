"""Pair judged queries with pins near them in meaning whose image has pins in other languages, for the teacher to grade.

    python -m pipelines.pair_near_pins --config pipelines/configs/demo/pair_near_pins.yaml
    python -m pipelines.pair_near_pins --tables runs/mine/tables --pairs_per_query 5
    python -m pipelines.label_impressions --tables T --pairs '["T/sampled_pairs", "T/near_pairs"]'
    python -m pipelines.share_grades --tables T --soft_labels T/../soft_labels

in : judgments/ (train only)  pin_text/  pins/ (which of them show the same image)  sampled_pairs/
out: near_pairs/  pairs of one language, none of them judged or sampled: graded, share_grades gives their grades to the
     pins of other languages
A log holds what a search found by its words. Few of its pairs cross languages, and without such pairs a student learns
that a pin in another language is never relevant.
"""

import logging
from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pinrank.backbones import resolve
from pinrank.faults import refuse_unknown_pins
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.precision import Precision
from pinrank.student.encoder import TextEncoder
from pinrank.tables import JUDGMENTS, PIN_TEXT, PINS, SAMPLED_PAIRS, read, write
from pinrank.teacher.siblings import NEAR, SameImage, with_siblings_abroad, without_known
from pinrank.teacher.weak_labels import weak_pairs
from pinrank.text import TextSettings, pair_key, pin_text

log = logging.getLogger(__name__)

STRATUM = "near"


class PairNearPins(JobSettings):
    """Settings of pair_near_pins."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; near_pairs goes here")
    backbone: str = Field(
        "all-MiniLM-L6-v2", description="a pretrained sentence encoder, whose cosine says what is near"
    )
    text: TextSettings = Field(TextSettings(), description="what of a pin the encoder reads")
    precision: Precision = Field(
        "auto",
        description="numbers of the forward passes: auto is bfloat16 where the device is fast at it, else float32",
    )
    pairs_per_query: int = Field(9, ge=1, le=NEAR, description="pins for a judged query, at most")
    seed: int = Field(0, ge=0, description="another seed chooses other pins where chance decides")


def main(settings: PairNearPins) -> Summary:
    """Read, choose, leave out what has a grade or gets one, write."""
    judgments = read(f"{settings.tables}/judgments", JUDGMENTS).filter(pc.field("split") == "train")
    sampled = read(f"{settings.tables}/sampled_pairs", SAMPLED_PAIRS, ["query", "query_locale", "pin_id"])
    catalogue = {pin["pin_id"]: pin for pin in read(f"{settings.tables}/pin_text", PIN_TEXT).to_pylist()}
    known_pins = read(f"{settings.tables}/pins", PINS, ["pin_id", "locale", "image_url"]).to_pylist()
    same = SameImage.of([pin for pin in known_pins if pin["pin_id"] in catalogue])
    pins = {
        pin_id: {"source": pin["source"] or "", "text": pin_text(pin, settings.text)}
        for pin_id, pin in catalogue.items()
    }
    encoder = TextEncoder.open(resolve(settings.backbone))
    encode = partial(encoder.encode, max_tokens=settings.text.max_tokens, precision=settings.precision)
    judged = weak_pairs(judgments)
    refuse_unknown_pins({pair.pin_id for pair in judged} - catalogue.keys(), settings.tables)
    near = with_siblings_abroad(judged, pins, same, encode, settings.pairs_per_query, settings.seed)
    pairs = without_known(near, (*judged, *weak_pairs(sampled)))
    log.info("%d near pairs, %d of them not judged or sampled", len(near), len(pairs))
    columns = {
        "pair_key": [pair_key(pair.query, pair.pin_id) for pair in pairs],
        "query": [pair.query for pair in pairs],
        "query_locale": [pair.query_locale for pair in pairs],
        "pin_id": [pair.pin_id for pair in pairs],
        "source": [catalogue[pair.pin_id]["source"] for pair in pairs],
        "stratum": [STRATUM] * len(pairs),
        "weight": [1.0] * len(pairs),
    }
    write(pa.table(columns, schema=SAMPLED_PAIRS.schema), f"{settings.tables}/near_pairs", SAMPLED_PAIRS)
    details = {"pairs": dict(sorted(Counter(columns["source"]).items(), key=str))}
    return Summary(rows_in=judgments.num_rows, rows_out=len(pairs), details=details)


if __name__ == "__main__":
    run(main, PairNearPins)
