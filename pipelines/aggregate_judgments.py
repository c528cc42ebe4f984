"""Say how far annotators agree, join their grades to one a pair, and list the pairs that they disagree about.

    python -m pipelines.aggregate_judgments --config pipelines/configs/demo/aggregate_judgments.yaml
    python -m pipelines.aggregate_judgments --judgments runs/mine/tables/judgments --output runs/mine/joined \\
        --method dawid_skene --rows annotator

in : judgments/                    several rows a pair, each with its annotator_id
out: OUTPUT/judgments/             one row a pair, by the annotator "aggregate"; or, with --rows annotator, the usable
                                   rows as they were, from which the teacher learns their distribution
     OUTPUT/consensus/             one row a pair: the joined level, the probabilities behind it, who gave which level
     OUTPUT/disagreements/         the rows of consensus whose annotators are min_gap levels apart, furthest first
     OUTPUT/agreement.json .md     Krippendorff's alpha, kappas of two, each annotator beside the others
     OUTPUT/quarantine/judgments/  rows that could not be used
"""

import logging
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import Field

from pinrank import tables
from pinrank.annotators.aggregation import Method, aggregate
from pinrank.annotators.consensus import consensus_table, disagreeing, one_judgment_a_pair
from pinrank.annotators.dawid_skene import DawidSkeneSettings
from pinrank.annotators.ratings import UNNAMED, annotators_of, ordered, ratings, second_thoughts
from pinrank.annotators.report import AnnotatorReport, ReportSettings, sections, write_report
from pinrank.durable import MountedFolder
from pinrank.errors import JudgmentError, SettingsError
from pinrank.faults import refuse_too_many
from pinrank.pipeline import JobSettings, Summary, run, versions

log = logging.getLogger(__name__)


class AggregateJudgments(JobSettings):
    """Settings of aggregate_judgments."""

    judgments: str = Field("runs/demo/tables/judgments", description="the judgments, several rows a pair")
    output: MountedFolder = Field(Path("runs/demo/annotators"), description="everything that is written goes here")
    method: Method = Field("majority", description="majority | mean | dawid_skene")
    dawid_skene: DawidSkeneSettings = Field(DawidSkeneSettings(), description="of that method alone")
    rows: Literal["pair", "annotator"] = Field("pair", description="of the judgments written: one a pair | all usable")
    min_gap: int = Field(2, ge=1, le=4, description="levels between two annotators that make a pair worth a review")
    report: ReportSettings = Field(ReportSettings(), description="what is measured, and how sure")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of the judgments; more of them is an error")


def main(settings: AggregateJudgments) -> Summary:
    """Read, measure, join, write."""
    refuse_writing_over_input(settings)
    read = tables.read_columns(settings.judgments, tables.JUDGMENTS)
    judgments = usable(read, settings)
    graded = ratings(judgments)
    log.info("%d grades of %d pairs by %d annotators", judgments.num_rows, graded.num_pairs, len(graded.names))
    found = aggregate(graded, settings.method, settings.dawid_skene)
    consensus = consensus_table(judgments, graded, found)
    one_a_pair = one_judgment_a_pair(judgments, consensus, settings.method)
    written = one_a_pair if settings.rows == "pair" else judgments
    apart = disagreeing(consensus, settings.min_gap)
    for rows, name, table in (
        (written, "judgments", tables.JUDGMENTS),
        (consensus, "consensus", tables.CONSENSUS),
        (apart, "disagreements", tables.CONSENSUS),
    ):
        tables.write(rows, str(settings.output / name), table)
    report = AnnotatorReport(settings.method, sections(graded, settings.report), found, apart)
    files = write_report(
        report, {"settings": settings.model_dump(mode="json"), "versions": versions()}, settings.output
    )
    details = {
        "pairs": graded.num_pairs,
        "annotators": len(set(annotators_of(judgments).tolist()) - {UNNAMED}),
        "disagreeing_pairs": apart.num_rows,
        "alpha_ordinal": report.sections[0].alpha_ordinal.value,
        "report": files,
    }
    return Summary(read.num_rows, written.num_rows, read.num_rows - judgments.num_rows, details)


def refuse_writing_over_input(settings: AggregateJudgments) -> None:
    """Raise SettingsError when the joined judgments would take the place of the ones that they are made of."""
    if (
        "://" not in settings.judgments
        and Path(settings.judgments).resolve() == (settings.output / "judgments").resolve()
    ):
        raise SettingsError(
            f"output: {settings.output}/judgments is what is read, and the annotators' own grades would be lost. "
            "Choose another --output."
        )


def usable(judgments: pa.Table, settings: AggregateJudgments) -> pa.Table:
    """The judgments that keep every rule, ordered; the others go to quarantine.

    Raises JudgmentError when more than the allowed share of them do, or none is left.
    """
    found = tables.faults(judgments, tables.JUDGMENTS)
    found += second_thoughts(judgments, found)
    refuse_too_many(found, judgments.num_rows, settings.max_quarantined_share, settings.judgments, JudgmentError)
    folder = str(settings.output / "quarantine")
    kept = tables.quarantine(judgments, found, folder, "judgments", settings.judgments)
    if not kept.num_rows:
        raise JudgmentError(f"{settings.judgments}: holds no judgments. Import some: pipelines.import_judgments.")
    return ordered(kept)


if __name__ == "__main__":
    run(main, AggregateJudgments)
