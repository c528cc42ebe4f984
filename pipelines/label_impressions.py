"""Grade sampled pairs with the teacher.

    python -m pipelines.label_impressions --config pipelines/configs/demo/label_impressions.yaml
    python -m pipelines.label_impressions --config pipelines/configs/demo/label_impressions.yaml --engine.dtype bfloat16
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.label_impressions --config pipelines/configs/full/label_impressions.yaml

in : sampled_pairs/  pair_key, query, query_locale, pin_id, source, weight
     pin_text/       pin_id, the seven text fields, fingerprint
     teacher/        the folder that train_teacher wrote
out: soft_labels/    shard-HASH.parquet: the pairs with logits float32[5] (L1..L5), num_tokens, teacher, fingerprint;
                     quarantine/ with what could not be graded; manifest.json, last

Safe to kill at any point: the same command goes on where it stopped, and ends in the same bytes.
"""

import logging
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pinrank import shard_folder, tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.errors import ModelError, TableError
from pinrank.faults import refuse_too_many
from pinrank.labeling import shards
from pinrank.labeling.job import Job, WorkerSettings, grade
from pinrank.labeling.manifest import survey
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings
from pinrank.text import TextSettings

log = logging.getLogger(__name__)


class LabelImpressions(JobSettings):
    """Settings of the labelling job."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: sampled_pairs and pin_text")
    teacher: Path = Field(Path("runs/demo/teacher"), description="folder of the trained teacher")
    output: MountedFolder = Field(Path("runs/demo/soft_labels"), description="soft_labels grows here, for every node")
    engine: EngineSettings = Field(EngineSettings(), description="which engine grades, and how")
    workers: WorkerSettings = Field(WorkerSettings(), description="engine actors and what they take")
    rows_per_shard: int = Field(2048, ge=1, description="pairs graded and committed as one unit")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="fail when more of the pairs cannot be graded")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: LabelImpressions) -> Summary:
    """Read, order and cut the pairs; grade and commit what is missing; write the manifest."""
    card = read_card(str(settings.teacher))
    grading = shards.Grading(
        teacher=card.version,
        text=card.text,
        engine=settings.engine.name,
        dtype=settings.engine.dtype,
        rows_per_shard=settings.rows_per_shard,
    )
    with shard_folder.exclusive(settings.output):
        sampled = tables.read_columns(f"{settings.tables}/sampled_pairs", tables.SAMPLED_PAIRS)
        pairs = read_pairs(settings, sampled, card.text)
        work = shards.cut(pairs, grading)
        done = shard_folder.committed(settings.output, work, grading)
        log.info("%d pairs in %d shards, %d of them done", pairs.num_rows, len(work), len(done))
        if len(done) < len(work):
            connect(settings.cluster)
            job = Job(settings.output, str(settings.teacher.absolute()), settings.engine, grading)
            grade(job, pairs, work, done, settings.workers)
        manifest = survey(settings.output, work, grading)
        refuse_bad_grades(pairs.num_rows - manifest.rows, pairs.num_rows, settings)
        shard_folder.publish(settings.output, manifest)
    details = {"teacher": card.version, "shards": len(work), "resumed_shards": len(done), "settings": grading.hash}
    return Summary(sampled.num_rows, manifest.rows, sampled.num_rows - manifest.rows, details)


def read_pairs(settings: LabelImpressions, sampled: pa.Table, text: TextSettings) -> pa.Table:
    """The gradable pairs with their pin's text, in their fixed order; the others go to quarantine."""
    where = f"{settings.tables}/sampled_pairs"
    pins = shards.rendered(tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT), sampled.column("pin_id"), text)
    found = [*tables.faults(sampled, tables.SAMPLED_PAIRS), *shards.ungradable(sampled, pins)]
    folder = str(settings.output / shard_folder.QUARANTINE)
    kept = tables.quarantine(sampled, found, folder, "sampled_pairs", where)
    refuse_too_many(found, sampled.num_rows, settings.max_quarantined_share, where)
    if not kept.num_rows:
        raise TableError(f"{where}: holds no pairs to grade. Run sample_impressions with more impressions.")
    return shards.ordered(kept, pins)


def refuse_bad_grades(quarantined: int, total: int, settings: LabelImpressions) -> None:
    """Raise ModelError when the teacher's logits are not finite for more than the allowed share of the pairs."""
    if quarantined > settings.max_quarantined_share * total:
        raise ModelError(
            f"{settings.teacher}: gives no finite grade to {quarantined} of {total} pairs, more than the allowed share "
            f"{settings.max_quarantined_share:g}; they are in {settings.output / shard_folder.QUARANTINE}. Grade in "
            "float32 into another folder, or train the teacher again."
        )


if __name__ == "__main__":
    run(main, LabelImpressions)
