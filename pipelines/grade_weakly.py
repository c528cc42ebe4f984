"""Give sampled pairs the grades of a cheap ranker, from which the teacher learns first.

    python -m pipelines.grade_weakly --config pipelines/configs/demo/grade_weakly.yaml
    python -m pipelines.grade_weakly --tables runs/mine/tables --siblings_per_query 0

in : judgments/ (train only)  pin_text/  pins/ (which of them show the same image)  sampled_pairs/
out: weak_labels/  the sampled pairs, and for the judged queries pins in other languages that show what is near them; no
     judged pair, because a pair that the teacher has met already is learnt by heart when its judgment comes
The ranker is boosted trees on BM25, a pretrained encoder's cosine and word overlap, fitted on the train judgments.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow.compute as pc
from pydantic import Field

from pinrank.backbones import resolve
from pinrank.faults import refuse_unknown_pins
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.precision import Precision
from pinrank.student.encoder import TextEncoder
from pinrank.tables import JUDGMENTS, PIN_TEXT, PINS, SAMPLED_PAIRS, SOFT_LABELS, read, write
from pinrank.teacher.siblings import NEAR, SameImage, WeakPair, in_other_locales, without_known
from pinrank.teacher.weak_labels import PinRow, as_soft_labels, capped, fit, scores, weak_pairs
from pinrank.text import TextSettings, pin_text

log = logging.getLogger(__name__)


class GradeWeakly(JobSettings):
    """Settings of grade_weakly."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; weak_labels goes here")
    backbone: str = Field("all-MiniLM-L6-v2", description="a pretrained sentence encoder, whose cosine is one score")
    text: TextSettings = Field(TextSettings(), description="what of a pin the ranker reads")
    precision: Precision = Field(
        "auto",
        description="numbers of the forward passes: auto is bfloat16 where the device is fast at it, else float32",
    )
    siblings_per_query: int = Field(9, ge=0, le=NEAR, description="pins in other locales for a judged query, at most")
    max_pairs_per_source: int | None = Field(None, ge=1, description="cap on graded pairs of pins of one source")
    seed: int = Field(0, ge=0, description="another seed chooses other pins where chance decides")


def main(settings: GradeWeakly) -> Summary:
    """Read, fit to the judged, grade all, write."""
    judgments = read(f"{settings.tables}/judgments", JUDGMENTS).filter(pc.field("split") == "train")
    sampled = read(f"{settings.tables}/sampled_pairs", SAMPLED_PAIRS)
    catalogue = read(f"{settings.tables}/pin_text", PIN_TEXT).to_pylist()
    texts = {pin["pin_id"]: pin for pin in catalogue}
    pins = read(f"{settings.tables}/pins", PINS, ["pin_id", "locale", "image_url"]).to_pylist()
    same = SameImage.of([pin for pin in pins if pin["pin_id"] in texts])
    judged, asked = weak_pairs(judgments), weak_pairs(sampled)
    refuse_unknown_pins({pair.pin_id for pair in (*judged, *asked)} - texts.keys(), settings.tables)
    foreign = pairs_with_siblings(settings, judged, catalogue, same)
    pairs = without_known((*asked, *foreign), judged)
    sources = [texts[pair.pin_id]["source"] or "" for pair in pairs]
    pairs = capped(pairs, sources, settings.max_pairs_per_source, settings.seed)
    counts = (len(judged), len(asked), len(foreign), len(pairs))
    log.info("%d judged and %d sampled pairs, %d with siblings; grading %d", *counts)

    read_pins = [texts[pair.pin_id] for pair in judged] + [texts[same.read_for(pair)] for pair in pairs]
    read_pairs = list(zip((pair.query for pair in (*judged, *pairs)), read_pins, strict=True))
    sources_N = np.asarray([pin["source"] or "" for pin in read_pins], dtype=np.str_)
    scores_NF = scores(read_pairs, catalogue, settings.backbone, settings.text, settings.precision)
    to_fit, to_grade = slice(len(judged)), slice(len(judged), None)
    ranker = fit(scores_NF[to_fit], judgments["level"].to_numpy().astype(np.int64), sources_N[to_fit], settings.seed)
    graded_NL = ranker.probabilities(scores_NF[to_grade], sources_N[to_grade])

    labels = as_soft_labels(pairs, graded_NL, texts)
    write(labels, f"{settings.tables}/weak_labels", SOFT_LABELS)
    read_as_sibling = sum(same.read_for(pair) != pair.pin_id for pair in pairs)
    details = {
        "ranker": labels["teacher"][0].as_py(),
        "read_as_sibling": read_as_sibling,
        "pairs": dict(sorted(Counter(labels.column("source").to_pylist()).items())),
    }
    return Summary(rows_in=len(judged) + len(asked), rows_out=len(pairs), details=details)


def pairs_with_siblings(
    settings: GradeWeakly, judged: Sequence[WeakPair], catalogue: Sequence[PinRow], same: SameImage
) -> list[WeakPair]:
    """The judged queries with pins in other locales; reads the backbone only when some are wanted."""
    if not settings.siblings_per_query:
        return []
    encoder = TextEncoder.open(resolve(settings.backbone))
    encode = partial(encoder.encode, max_tokens=settings.text.max_tokens, precision=settings.precision)
    pins = {pin["pin_id"]: {"source": pin["source"] or "", "text": pin_text(pin, settings.text)} for pin in catalogue}
    return in_other_locales(judged, pins, same, encode, settings.siblings_per_query, settings.seed)


if __name__ == "__main__":
    run(main, GradeWeakly)
