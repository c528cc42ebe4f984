"""Grade sampled pairs with the teacher.

    python -m pipelines.label_impressions --config pipelines/configs/demo/label_impressions.yaml
    python -m pipelines.label_impressions --config pipelines/configs/demo/label_impressions.yaml --engine.dtype bfloat16
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
from pathlib import Path

from pydantic import Field

from pinrank import shard_folder
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.errors import ModelError
from pinrank.labeling import store
from pinrank.labeling.job import Job, WorkerSettings, grade
from pinrank.labeling.manifest import survey
from pinrank.labeling.shards import Grading, Order
from pinrank.labeling.work import Inputs, prepare
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.soft_labels import day_folder
from pinrank.teacher.export import read_card
from pinrank.teacher.score import EngineSettings

log = logging.getLogger(__name__)


class LabelImpressions(JobSettings):
    """Settings of the labelling job."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: sampled_pairs and pin_text")
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
    order: Order = Field("query", description="whose pairs lie together: those of a query, or of a pin")
    rows_per_shard: int = Field(2048, ge=1, description="pairs graded and committed as one unit")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="fail when more of the pairs cannot be graded")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")

    @property
    def folder(self) -> Path:
        """What this job fills."""
        return self.output / day_folder(self.date) if self.date else self.output


def main(settings: LabelImpressions) -> Summary:
    """Join, order and cut the pairs; grade and commit what is missing; write the manifest."""
    grading = grading_of(settings)
    folder = settings.folder
    with shard_folder.exclusive(folder):
        earlier = store.finished(earlier_folders(settings), folder, grading)
        inputs = Inputs(
            pairs=f"{settings.tables}/sampled_pairs",
            pin_text=f"{settings.tables}/pin_text",
            earlier=earlier,
            max_quarantined_share=settings.max_quarantined_share,
        )
        prepared = prepare(inputs, folder, grading)
        work = prepared.work
        done = shard_folder.committed(folder, work.shards, grading)
        log.info(
            "%d pairs in %d shards, %d of them done; %d pairs are graded already by %d earlier jobs",
            *(work.num_rows, len(work.shards), len(done), prepared.known, len(earlier)),
        )
        if len(done) < len(work.shards):
            connect(settings.cluster)
            job = Job(folder, str(settings.teacher.absolute()), settings.engine, grading)
            grade(job, work, done, settings.workers)
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


def grading_of(settings: LabelImpressions) -> Grading:
    """All that decides a grade; ModelError when the folder holds no teacher."""
    card = read_card(str(settings.teacher))
    return Grading(
        teacher=card.version,
        text=card.text,
        engine=settings.engine.name,
        dtype=settings.engine.dtype,
        order=settings.order,
        rows_per_shard=settings.rows_per_shard,
    )


def earlier_folders(settings: LabelImpressions) -> list[Path]:
    """Where earlier grades may lie: what the settings name, and the other days of a job that has a date."""
    return [*settings.reuse, *([settings.output] if settings.date else [])]


def refuse_bad_grades(quarantined: int, total: int, settings: LabelImpressions) -> None:
    """Raise ModelError when the teacher's logits are not finite for more than the allowed share of the pairs."""
    if quarantined > settings.max_quarantined_share * total:
        raise ModelError(
            f"{settings.teacher}: gives no finite grade to {quarantined} of {total} pairs, more than the allowed share "
            f"{settings.max_quarantined_share:g}; they are in {settings.folder / shard_folder.QUARANTINE}. Grade in "
            "float32 into another folder, or train the teacher again."
        )


if __name__ == "__main__":
    run(main, LabelImpressions)
