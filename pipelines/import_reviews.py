"""Read what reviewers answered in Label Studio back as judgments.

    python -m pipelines.import_reviews --config pipelines/configs/demo/import_reviews.yaml --export project-1.json
    python -m pipelines.import_reviews --export project-1.json --tables runs/mine/tables --output runs/mine/tables

in : the project's export, as JSON; tables/ judgments, pins
out: OUTPUT/reviews/     the answers as judgments, one row a reviewer and pair
     OUTPUT/judgments/   the known judgments and the reviews; import an export again and it replaces itself
     OUTPUT/quarantine/reviews/   answers that could not be used
"""

import logging

from pydantic import Field

from pinrank import tables
from pinrank.errors import JudgmentError
from pinrank.faults import refuse_too_many
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.review.answers import read_export
from pinrank.review.reviews import answer_faults, as_judgments, merged, overtaken

log = logging.getLogger(__name__)


class ImportReviews(JobSettings):
    """Settings of import_reviews."""

    export: str = Field("runs/demo/review/export.json", description="Label Studio's export of the project, as JSON")
    tables: str = Field("runs/demo/tables", description="folder of the tables that the queue was made of")
    output: str = Field("runs/demo/reviewed", description="reviews and judgments go here; may be the same folder")
    annotator_prefix: str = Field(
        "label-studio-", description="before a reviewer's number, to tell installations apart"
    )
    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="of the answers; more of them is an error")


def main(settings: ImportReviews) -> Summary:
    """Read the answers, find their queries and splits, put them among the judgments."""
    export = read_export(settings.export)
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    pin_ids = tables.read(f"{settings.tables}/pins", tables.PINS, ["pin_id"]).column("pin_id")
    found = answer_faults(export.answers, pin_ids)
    answered = export.answers.num_rows
    refuse_too_many(found, answered, settings.max_quarantined_share, settings.export, JudgmentError)
    folder = f"{settings.output}/quarantine"
    found += (changed := overtaken(export.answers, found))
    answers = tables.quarantine(export.answers, found, folder, "reviews", settings.export)
    reviews = as_judgments(answers, judgments, settings.annotator_prefix)
    everything = merged(judgments, reviews)
    if broken := tables.faults(everything.judgments, tables.JUDGMENTS):
        raise JudgmentError(f"{settings.export}: with the judgments: {' '.join(map(str, broken))}")
    tables.write(reviews, f"{settings.output}/reviews", tables.JUDGMENTS)
    tables.write(everything.judgments, f"{settings.output}/judgments", tables.JUDGMENTS)
    details = {
        "skipped": export.num_skipped,
        "empty": export.num_empty,
        "tasks_without_annotation": export.num_unanswered,
        "reviewers": len(set(reviews.column("annotator_id").to_pylist())),
        "overtaken": sum(len(each.rows) for each in changed),
        "replaced": everything.num_replaced,
        "judgments": everything.judgments.num_rows,
    }
    return Summary(answered, reviews.num_rows, answered - reviews.num_rows, details)


if __name__ == "__main__":
    run(main, ImportReviews)
