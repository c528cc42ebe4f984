"""Grade sampled pairs with the teacher.

    python -m pipelines.label_impressions --config pipelines/configs/demo/label_impressions.yaml
    python -m pipelines.label_impressions --config pipelines/configs/demo/label_impressions.yaml --engine.dtype bfloat16
    python -m pipelines.label_impressions --config pipelines/configs/full/label_impressions.yaml --plan
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.label_impressions --config pipelines/configs/full/label_impressions.yaml

in : sampled_pairs/  pair_key, query, query_locale, pin_id, source, weight
     pin_text/       pin_id, the seven text fields, fingerprint
     teacher/        the folder that train_teacher wrote
     soft_labels/    of earlier jobs: what they graded is not graded again
out: soft_labels/    shard-HASH.parquet: the pairs with logits float32[5] (L1..L5), num_tokens, teacher, fingerprint;
                     quarantine/ with what could not be graded; manifest.json, last; with --date, all in date=DAY/

Safe to kill at any point: the same command goes on where it stopped, and ends in the same bytes.
"""

import datetime
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from pinrank import shard_folder
from pinrank.cluster import ClusterSettings, connect, in_a_task
from pinrank.durable import MountedFolder
from pinrank.errors import ModelError
from pinrank.labeling import store
from pinrank.labeling.job import TEACHER, Job, Opening, WorkerSettings, grade, task_options
from pinrank.labeling.manifest import survey
from pinrank.labeling.parity import ParitySettings, needs_probe, pairs_to_grade, probe_of
from pinrank.labeling.plan import EstimateSettings, measure, pairs_left, plan_of, read_cluster
from pinrank.labeling.shards import Grading, Order
from pinrank.labeling.work import Inputs, Prepared, prepare
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.soft_labels import day_folder
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings

log = logging.getLogger(__name__)


class LabelImpressions(JobSettings):
    """Settings of the labelling job."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: sampled_pairs and pin_text")
    pairs: tuple[str, ...] = Field(
        (), description="tables of sampled pairs, each pair in one; none: tables/sampled_pairs"
    )
    teacher: Path = Field(Path("runs/demo/teacher"), description="folder of the trained teacher")
    output: MountedFolder = Field(Path("runs/demo/soft_labels"), description="soft_labels grows here, for every node")
    date: datetime.date | None = Field(
        None, description="day of the pairs: the labels go to output/date=DAY, beside other days; null: to output"
    )
    reuse: tuple[MountedFolder, ...] = Field(
        (), description="finished soft_labels, or folders of days, whose grades are taken; with a date, output's are"
    )
    engine: EngineSettings = Field(EngineSettings(), description="which engine grades, and how")
    workers: WorkerSettings = Field(WorkerSettings(), description="engine actors and what they take")
    parity: ParitySettings = Field(ParitySettings(), description="the engine's comparison with the reference")
    order: Order | None = Field(
        None, description="whose pairs lie together: query or pin; null: of what the teacher reads first"
    )
    rows_per_shard: int = Field(2048, ge=1, description="pairs graded and committed as one unit")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="fail when more of the pairs cannot be graded")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")
    plan: bool = Field(False, description="only say how many pairs are left, and what hours and dollars they take")
    estimate: EstimateSettings = Field(EstimateSettings(), description="what plan reckons with")

    @property
    def folder(self) -> Path:
        """What this job fills."""
        return self.output / day_folder(self.date) if self.date else self.output


def main(settings: LabelImpressions, opening: Opening = TEACHER) -> Summary:
    """Join, order and cut the pairs; grade and commit what is missing; write the manifest."""
    grading = grading_of(settings)
    folder = settings.folder
    if settings.plan:
        return plan(settings, grading, opening)
    with shard_folder.exclusive(folder):
        inputs = inputs_of(settings, grading)
        prepared = prepare(inputs, folder, grading)
        work = prepared.work
        done = shard_folder.committed(folder, work.shards, grading)
        log.info(
            "%d pairs in %d shards, %d of them done; %d pairs are graded already by %d earlier jobs",
            *(work.num_rows, len(work.shards), len(done), prepared.known, len(inputs.earlier)),
        )
        if len(done) < len(work.shards):
            connect(settings.cluster)
            grade(job_of(settings, grading, prepared, opening), work, done, settings.workers)
        manifest = survey(folder, work.shards, grading)
        refuse_bad_grades(work.num_rows - manifest.rows, work.num_rows, settings)
        shard_folder.publish(folder, manifest)
    details = {
        "teacher": grading.teacher,
        "shards": len(work.shards),
        "resumed_shards": len(done),
        "reused_pairs": prepared.known,
        "settings": grading.hash,
    }
    return Summary(prepared.rows_in, manifest.rows, prepared.rows_in - manifest.rows, details)


def plan(settings: LabelImpressions, grading: Grading, opening: Opening) -> Summary:
    """Say what the job would take; nothing is written but a temporary work file."""
    with tempfile.TemporaryDirectory(prefix="pinrank-plan-") as folder:
        prepared = prepare(inputs_of(settings, grading), Path(folder), grading)
        done = shard_folder.committed(settings.folder, prepared.work.shards, grading)
        pairs = pairs_left(prepared.work, done)
        some = pairs_to_grade(prepared.work, settings.estimate.pairs)
    read_cluster(settings.estimate)
    if not some:
        return Summary(prepared.rows_in, 0, details={"pairs": 0, "reused_pairs": prepared.known})
    connect(settings.cluster)
    job = Job(settings.folder, str(settings.teacher.absolute()), settings.engine, grading, opening=opening)
    speed = in_a_task(measure, job, some, **task_options(settings.workers))
    planned = plan_of(pairs, speed, settings.workers.concurrency[1], settings.estimate)
    log.info("%s", planned)
    details = {"reused_pairs": prepared.known, **asdict(planned), "measured": asdict(speed)}
    return Summary(prepared.rows_in, 0, details=details)


def inputs_of(settings: LabelImpressions, grading: Grading) -> Inputs:
    """What goes in: the two tables, and the jobs whose grades can be taken."""
    return Inputs(
        pairs=settings.pairs or (f"{settings.tables}/sampled_pairs",),
        pin_text=f"{settings.tables}/pin_text",
        earlier=store.finished(earlier_folders(settings), settings.folder, grading),
        max_quarantined_share=settings.max_quarantined_share,
    )


def grading_of(settings: LabelImpressions) -> Grading:
    """All that decides a grade; ModelError when the folder holds no teacher."""
    card = read_card(str(settings.teacher))
    return Grading(
        teacher=card.version,
        text=card.text,
        engine=settings.engine.name,
        dtype=settings.engine.dtype,
        order=settings.order or card.text.first,
        rows_per_shard=settings.rows_per_shard,
    )


def job_of(settings: LabelImpressions, grading: Grading, prepared: Prepared, opening: Opening) -> Job:
    """The job, with the reference's grades of a few pairs; needs a Ray session."""
    teacher = str(settings.teacher.absolute())
    to_grade = prepared.work.num_rows - prepared.known
    kind = read_card(teacher).kind
    probe = None
    if to_grade and needs_probe(kind, settings.engine, settings.parity):
        pairs = pairs_to_grade(prepared.work, settings.parity.pairs)
        probe = in_a_task(probe_of, teacher, pairs, settings.engine.dtype, settings.parity, max_calls=1)
    return Job(settings.folder, teacher, settings.engine, grading, to_grade, probe, opening)


def earlier_folders(settings: LabelImpressions) -> list[Path]:
    """Where earlier grades may lie: what the settings name, and the other days of a job that has a date."""
    days = settings.date and settings.output.is_dir()
    return [*settings.reuse, *([settings.output] if days else [])]


def refuse_bad_grades(quarantined: int, total: int, settings: LabelImpressions) -> None:
    """Raise ModelError when more than the allowed share of the pairs got no grade, or none that is finite."""
    if quarantined > settings.max_quarantined_share * total:
        raise ModelError(
            f"{settings.teacher}: {quarantined} of {total} pairs got no grade, more than the allowed share "
            f"{settings.max_quarantined_share:g}; {settings.folder / shard_folder.QUARANTINE} has them with their "
            "reasons. Where grades were not finite, grade in float32 into another folder, or train the teacher again; "
            "where pairs ended the engine, mend their texts, or allow a larger --max_quarantined_share."
        )


if __name__ == "__main__":
    run(main, LabelImpressions)
