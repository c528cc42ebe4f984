"""Caption the pictures of pins with an image-to-text model.

    python -m pipelines.caption_images --config pipelines/configs/demo/caption_images.yaml
    python -m pipelines.caption_images --tables runs/mine/tables --output runs/mine/captions \\
        --merge_into runs/mine/tables/pins --captions.model Salesforce/blip-image-captioning-large@COMMIT
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.caption_images --config pipelines/configs/full/caption_images.yaml

in : pins/        pin_id, image_url, caption
out: captions/    shard-HASH.parquet: pin_id, caption, model, image_hash; quarantine/ with the pictures that have none,
                  and why; manifest.json, last
     merge_into   the pins, captions filled in where they had none

Safe to kill at any point: the same command goes on where it stopped.
"""

import logging
from pathlib import Path

from pydantic import Field

from pinrank import shard_folder, tables
from pinrank.captions.images import ImageSettings
from pinrank.captions.job import Job, WorkerSettings, caption
from pinrank.captions.model import CaptionSettings, model_version
from pinrank.captions.work import PICTURES, Captioning, committed_captions, merged, survey, to_caption
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.errors import TableError
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.shard_work import write_work

log = logging.getLogger(__name__)


class CaptionImages(JobSettings):
    """Settings of caption_images."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: pins")
    output: MountedFolder = Field(Path("runs/demo/captions"), description="captions grow here, for every node")
    captions: CaptionSettings = Field(CaptionSettings(), description="which model captions, and how")
    images: ImageSettings = Field(
        ImageSettings(), description="where pictures may come from, and how large they may be"
    )
    workers: WorkerSettings = Field(WorkerSettings(), description="model actors and what they take")
    only_missing: bool = Field(True, description="leave out pins that have a caption")
    merge_into: str | None = Field(
        None, description="write the pins here with the captions; may be the pins themselves"
    )
    rows_per_shard: int = Field(64, ge=1, description="pictures fetched, captioned and committed as one unit")
    max_quarantined_share: float = Field(0.1, ge=0, le=1, description="fail when more of the pictures have no caption")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: CaptionImages) -> Summary:
    """Read and cut the pins; fetch, caption and commit what is missing; write the manifest; merge."""
    captioning = terms(settings)
    with shard_folder.exclusive(settings.output):
        pins = tables.read(f"{settings.tables}/pins", tables.PINS)
        todo = to_caption(pins, committed_captions(settings.output), settings.only_missing)
        if not (total := todo.pictures.num_rows):
            raise TableError(f"{settings.tables}/pins: no pin has an image_url and lacks a caption: {todo.left_out}.")
        work = write_work(settings.output, [todo.pictures], PICTURES.names, settings.rows_per_shard, captioning)
        done = shard_folder.committed(settings.output, work.shards, captioning)
        log.info("%d pictures in %d shards, %d of them done", total, len(work.shards), len(done))
        if len(done) < len(work.shards):
            connect(settings.cluster)
            job = Job(settings.output, settings.captions, images(settings), captioning, settings.workers.fetch_threads)
            caption(job, work, done, settings.workers)
        manifest = survey(settings.output, work.shards, captioning)
        refuse_too_few(manifest.rows, total, settings)
        shard_folder.publish(settings.output, manifest)
        if settings.merge_into:
            tables.write(merged(pins, committed_captions(settings.output)), settings.merge_into, tables.PINS)
    details = {"model": captioning.model, "shards": len(work.shards), "resumed_shards": len(done), **todo.left_out}
    return Summary(total, manifest.rows, total - manifest.rows, details)


def terms(settings: CaptionImages) -> Captioning:
    """All that decides a caption; ModelError when the model cannot be opened or trusted."""
    shared = {name: getattr(settings.captions, name) for name in ("dtype", "max_new_tokens", "num_beams", "batch_size")}
    limits = {name: getattr(settings.images, name) for name in ("max_bytes", "max_pixels", "min_side")}
    version = model_version(settings.captions.model)
    return Captioning(model=version, rows_per_shard=settings.rows_per_shard, **shared, **limits)


def images(settings: CaptionImages) -> ImageSettings:
    """The settings of images with an absolute root: a worker has a working directory of its own."""
    root = settings.images.root
    return settings.images if "://" in root else settings.images.model_copy(update={"root": str(Path(root).absolute())})


def refuse_too_few(captioned: int, total: int, settings: CaptionImages) -> None:
    """Raise TableError when more than the allowed share of the pictures has no caption."""
    if total - captioned > settings.max_quarantined_share * total:
        aside = settings.output / shard_folder.QUARANTINE
        raise TableError(
            f"{settings.tables}/pins: {total - captioned} of {total} pictures have no caption, more than the allowed "
            f"share {settings.max_quarantined_share:g}; the reasons are in {aside}. "
            "Mend the pictures and remove the output, or allow a larger --max_quarantined_share: nothing is done twice."
        )


if __name__ == "__main__":
    run(main, CaptionImages)
