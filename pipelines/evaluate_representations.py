"""Measure a student's vectors on tasks that it was not trained for, beside the frozen encoder.

    python -m pipelines.evaluate_representations --config pipelines/configs/demo/evaluate_representations.yaml
    python -m pipelines.evaluate_representations --config ... --embeddings '{"graph": "runs/demo/graph_embedding"}'

in : pin_text/     pin_id, the text fields
     judgments/    query, pin_id, level, split: pins relevant for one query, queries that one pin is relevant for
     engagement/   user_hash, pin_id, action (save), board_title: pins of one board; may be missing
     student/      the folder that train_student wrote
out: OUTPUT/report-SPLIT.json .md .html    recall@k and nDCG@k of each task with 95% intervals, and the paired
                                           differences against the frozen encoder
docs/representations.md says what the tasks are, and what they do not show.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import Field

from pinrank import tables
from pinrank.cluster import ClusterSettings
from pinrank.datasets.world import MARK
from pinrank.durable import MountedFolder
from pinrank.embeddings.boards import BoardSettings, boards_of, saved
from pinrank.engagement.log_evidence import LogSettings, evidence_of_log
from pinrank.errors import TableError
from pinrank.evaluation.comparison import BootstrapSettings, Report, Section, against, section_of
from pinrank.evaluation.groupings import BOARDS, of_boards, of_judgments
from pinrank.evaluation.report_files import write_files
from pinrank.evaluation.representations import Grouping, Retrieval, measure, retrieval_of
from pinrank.evaluation.systems import FrozenSettings
from pinrank.evaluation.trial import GENERATED
from pinrank.evaluation.vectors import Encode, Texts, by_frozen, by_student, by_table
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run, versions
from pinrank.student.export import open_student

log = logging.getLogger(__name__)

STUDENT, FROZEN = "student", "frozen"
TITLES_READ = "Pins keep their board titles here, so that the boards' own names may tell which pins lie together."


class EvaluateRepresentations(JobSettings):
    """Settings of evaluate_representations."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments, pin_text, engagement")
    student: Path = Field(Path("runs/demo/student"), description="folder of the student")
    embeddings: dict[str, str] = Field({}, description="more rows: name → folder of a named external embedding")
    frozen: FrozenSettings = Field(FrozenSettings(), description="the encoder that all are held against")
    output: MountedFolder = Field(Path("runs/demo/representations"), description="folder of the report")
    split: Literal["dev", "test"] = Field("test", description="whose judgments say what belongs together")
    relevant_level: int = Field(4, ge=2, le=5, description="a pin is relevant for a query from this level on")
    without: tuple[Literal["board_titles", "query_tokens"], ...] = Field(
        ("board_titles", "query_tokens"), description="text fields, made of the log, that no encoder may read here"
    )
    boards: BoardSettings | None = Field(BoardSettings(), description="which boards are asked; null: none")
    log: LogSettings = Field(LogSettings(), description="the engagement log, for its boards, and how it is cut")
    max_groups: int = Field(500, ge=1, description="groups of a task, and so seeds: queries, pins or boards")
    max_candidates: int = Field(5_000, ge=2, description="items among which a seed's own are looked for")
    at: tuple[int, ...] = Field((10, 100), min_length=1, description="the k of recall@k and nDCG@k")
    bootstrap: BootstrapSettings = Field(BootstrapSettings(), description="how sure figures and differences are")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: EvaluateRepresentations) -> Summary:
    """Make the tasks, encode what they need, measure, write."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    limits = (settings.max_groups, settings.max_candidates)
    tasks = [task for each in asked(judgments, pin_text, settings) if (task := retrieval_of(each, *limits))]
    if not tasks:
        raise TableError(
            f"{settings.tables}: nothing belongs together: no query of {settings.split} has two relevant pins, and no "
            "board two pins. Judge more, or choose another --split."
        )
    systems = systems_of(Texts(judgments, pin_text, settings.without), settings)
    report = Report(
        f"Representations on {settings.split}",
        tuple(section(task, systems, settings) for task in tasks),
        {},
        notes_of(tasks, settings),
    )
    record = {"settings": settings.model_dump(mode="json"), "versions": versions()}
    files = write_files(report, record, settings.output, f"report-{settings.split}")
    seeds = sum(len(task.seeds_S) for task in tasks)
    return Summary(seeds, seeds, details={"tasks": [task.name for task in tasks], "report": files})


def asked(judgments: pa.Table, pin_text: pa.Table, settings: EvaluateRepresentations) -> Iterator[Grouping]:
    """What belongs together, by judgments and by boards."""
    yield from of_judgments(judgments, settings.split, settings.relevant_level)
    logged = settings.log.engagement or settings.log.aggregates or exists(f"{settings.tables}/engagement")
    if settings.boards and logged:
        quarantine = f"{settings.tables}/quarantine/representations_engagement"
        with evidence_of_log(settings.tables, settings.log, quarantine, settings.cluster) as evidence:
            edges = pa.concat_tables(evidence.each(saved))
        yield of_boards(boards_of(edges, pin_text["pin_id"].combine_chunks(), settings.boards))


def systems_of(texts: Texts, settings: EvaluateRepresentations) -> dict[str, Encode]:
    """Every row's way from ids to vectors; the frozen encoder comes last."""
    student = open_student(settings.student)
    tables_of = {name: by_table(folder) for name, folder in settings.embeddings.items()}
    return {STUDENT: by_student(student, texts), **tables_of, FROZEN: by_frozen(settings.frozen, texts)}


def section(task: Retrieval, systems: Mapping[str, Encode], settings: EvaluateRepresentations) -> Section:
    """One task: every row's figures, and what is gained over the frozen encoder."""
    log.info("%s: %d seeds, %d candidates", task.name, len(task.seeds_S), len(task.candidates))
    vectors = {name: encode(task.side, task.candidates) for name, encode in systems.items()}
    measures = measure(task, vectors, settings.at, settings.bootstrap)
    contrasts = {"Difference against": against(systems, FROZEN)}
    name = f"{task.name}, among {len(task.candidates):,}"
    counts = (task.num_relevant, len(task.seeds_S))
    return section_of(name, counts, measures, contrasts, counted=("sought items", "seeds"))


def notes_of(tasks: Sequence[Retrieval], settings: EvaluateRepresentations) -> tuple[str, ...]:
    """What a reader must know."""
    found = []
    if "board_titles" not in settings.without and any(task.name == BOARDS for task in tasks):
        found.append(TITLES_READ)
    if exists(f"{settings.tables}/{MARK}"):
        found.append(GENERATED)
    return tuple(found)


if __name__ == "__main__":
    run(main, EvaluateRepresentations)
