"""Bring every pin to its seven text fields, ready for the models, with a fingerprint of them.

    python -m pipelines.build_pin_text --config pipelines/configs/demo/build_pin_text.yaml
    python -m pipelines.build_pin_text --tables runs/mine/tables --engagement LOG --words.min_users 5

in : pins/  judgments/ (only to know the queries that must stay unseen)  engagement/ (where there is one)
out: pin_text/  quarantine/engagement/ (log rows that could not be used)
Without an engagement log the pins' own board titles and link texts are used, and there are no query tokens.
"""

import logging

import pyarrow as pa
from pydantic import Field

from pinrank.engagement import EngagementSettings, pin_text
from pinrank.faults import refuse_too_many
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.sampling import held_out_queries
from pinrank.tables import ENGAGEMENT, JUDGMENTS, PIN_TEXT, PINS, faults, quarantine, read, read_columns, write
from pinrank.text import FIELDS

log = logging.getLogger(__name__)


class BuildPinText(JobSettings):
    """Settings of build_pin_text."""

    tables: str = Field(
        "runs/demo/tables", description="folder of pinrank's tables: pins, judgments; pin_text goes here"
    )
    engagement: str | None = Field(None, description="the engagement log; null: the pins' own board titles and links")
    words: EngagementSettings = Field(EngagementSettings(), description="what of the log becomes text")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of the log's rows; more of them is an error")


def main(settings: BuildPinText) -> Summary:
    """Read, turn engagement into words, write."""
    pins = read(f"{settings.tables}/pins", PINS)
    held_out = held_out_queries(read(f"{settings.tables}/judgments", JUDGMENTS, ["query", "split"]))
    engagement, quarantined = _usable_log(settings)
    log.info("%d pins, %d logged actions", pins.num_rows, engagement.num_rows if engagement else 0)
    texts = pin_text(pins, engagement, held_out, settings.words)
    write(texts, f"{settings.tables}/pin_text", PIN_TEXT)
    filled = {name: sum(map(bool, texts.column(name).to_pylist())) for name in FIELDS}
    details = {"pins_with": filled, "engagement_rows": engagement.num_rows if engagement else 0}
    return Summary(rows_in=pins.num_rows, rows_out=texts.num_rows, quarantined=quarantined, details=details)


def _usable_log(settings: BuildPinText) -> tuple[pa.Table | None, int]:
    path = settings.engagement or f"{settings.tables}/engagement"
    if settings.engagement is None and not exists(path):
        return None, 0
    logged = read_columns(path, ENGAGEMENT)
    found = faults(logged, ENGAGEMENT)
    refuse_too_many(found, logged.num_rows, settings.max_quarantined_share, path)
    usable = quarantine(logged, found, f"{settings.tables}/quarantine", "engagement", path)
    return usable, logged.num_rows - usable.num_rows


if __name__ == "__main__":
    run(main, BuildPinText)
