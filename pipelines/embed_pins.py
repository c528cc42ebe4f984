"""Embed the pins whose text or encoder changed, and bring the pin store that serving reads up to date.

    python -m pipelines.embed_pins --config pipelines/configs/demo/embed_pins.yaml
    python -m pipelines.embed_pins --config pipelines/configs/demo/embed_pins.yaml --encoding.concurrency 2
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.embed_pins --config pipelines/configs/full/embed_pins.yaml

in : pin_text/        pin_id, locale, the seven text fields, fingerprint
     student/         the folder that train_student wrote
     pin_features/, external_embeddings/   beside pin_text, as far as the student reads them
     pin_embeddings/  of the last run: what has the same fingerprint and encoder is not encoded again
out: pin_embeddings/  beside pin_text: pin_id, vector float16[D], fingerprint, encoder: the record
     pin_store/       the record as serving reads it, with each pin's side of the MLP and its terms; manifest.json last

Safe to kill at any point: the same command goes on where it stopped. Without changes nothing is written.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pinrank import shard_folder, tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.embeddings.encode import EncodingSettings
from pinrank.embeddings.manifest import RowType
from pinrank.embeddings.record import rewrite
from pinrank.embeddings.refresh import Refreshed, Sources, refresh
from pinrank.embeddings.snapshot import Merging, refuse_other_content
from pinrank.embeddings.texts import Texts, read_record, read_texts
from pinrank.embeddings.work import Encoding, EngineName, Prepared, prepare
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.student.export import open_student, read_card
from pinrank.student.feature_tables import pin_tables_of

if TYPE_CHECKING:
    from pinrank.embeddings.job import Job

log = logging.getLogger(__name__)


class EmbedPins(JobSettings):
    """Settings of embed_pins."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; pin_embeddings goes here")
    student: MountedFolder = Field(Path("runs/demo/student"), description="folder of the student, seen by every node")
    output: MountedFolder = Field(Path("runs/demo/pin_store"), description="the pin store; an older one is replaced")
    work: MountedFolder | None = Field(
        None, description="folder in which vectors grow until all are there, for every node; null: OUTPUT.work"
    )
    vector_dim: int | None = Field(
        None, ge=1, description="cut the store's vectors to a width that the student was trained for; null: whole"
    )
    num_shards: int = Field(4, ge=1, description="parts by key that a replica may hold alone, each a file a segment")
    dtype: RowType = Field("float16", description="of the store's rows: float16, or int8 with a scale for each part")
    merging: Merging = Field(Merging(), description="when the store's increments are merged")
    engine: EngineName = Field("transformers", description="transformers, or onnx where the student's bundle holds it")
    encoding: EncodingSettings = Field(EncodingSettings(), description="actors and their arithmetic")
    rows_per_shard: int = Field(2048, ge=1, description="texts encoded and committed as one unit")
    texts_without_ray: int = Field(
        1000, ge=0, description="so few texts are encoded in this process, unless on a GPU; no session is started"
    )
    stall_timeout_s: float = Field(1800, gt=0, description="end the job when no shard moves for this long")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")

    @property
    def work_folder(self) -> Path:
        """Where vectors grow."""
        return self.work or self.output.with_name(f"{self.output.name}.work")

    @property
    def pin_text(self) -> str:
        """The table of texts."""
        return f"{self.tables}/{tables.PIN_TEXT.name}"

    @property
    def record(self) -> str:
        """The table of vectors."""
        return f"{self.tables}/{tables.PIN_EMBEDDINGS.name}"


Encode = Callable[[Prepared, EmbedPins], None]


def main(settings: EmbedPins, encode: Encode | None = None) -> Summary:
    """Compare texts and record; encode what is missing; write the record; bring the store up to it.

    encode: does the shards of the work that are not done; None: on Ray.
    """
    refuse_other_content(settings.output)
    folder, encoder = settings.work_folder, read_card(settings.student).version
    with shard_folder.exclusive(folder):
        texts, recorded = read_texts(settings.pin_text), read_record(settings.record, encoder)
        prepared = prepare(settings.pin_text, texts, recorded, folder, encoding_of(settings, encoder))
        (encode or encode_missing)(prepared, settings)
        if not recorded.is_of(texts):
            rewrite(settings.pin_text, settings.record, encoder, len(texts.keys_P), (folder, prepared.names))
        refreshed = refresh_store(settings, folder)
        for shard in folder.glob("shard-*.parquet"):
            shard.unlink()
    return summary_of(texts, prepared, refreshed)


def encoding_of(settings: EmbedPins, encoder: str) -> Encoding:
    """All that decides a vector."""
    precision, rows = settings.encoding.precision, settings.rows_per_shard
    return Encoding(encoder=encoder, engine=settings.engine, precision=precision, rows_per_shard=rows)


def encode_missing(prepared: Prepared, settings: EmbedPins) -> None:
    """Encode the shards that are not done: on Ray, or few of them here."""
    shards, done = len(prepared.work.shards), len(prepared.done)
    log.info("%d texts to encode in %d shards, %d of them done", prepared.work.num_rows, shards, done)
    if done == shards:
        return
    from pinrank.embeddings.job import encode, encode_here, open_encoder

    job = job_of(settings)
    if prepared.num_left <= settings.texts_without_ray and not settings.encoding.gpus_per_actor:
        encode_here(job, prepared, open_encoder(job.student, job.encoding, settings.encoding.threads_per_actor))
    else:
        connect(settings.cluster)
        encode(job, prepared, settings.stall_timeout_s)


def job_of(settings: EmbedPins) -> "Job":
    """What every stage has to know."""
    from pinrank.embeddings.job import Job

    encoding = encoding_of(settings, read_card(settings.student).version)
    return Job(settings.work_folder, str(settings.student), encoding, settings.encoding)


def refresh_store(settings: EmbedPins, folder: Path) -> Refreshed:
    """Bring the store up to the record."""
    whole = open_student(settings.student)
    student = whole.cut(settings.vector_dim) if settings.vector_dim else whole
    features = pin_tables_of(student.spec, settings.tables)
    spilling = folder / shard_folder.SPILL
    shutil.rmtree(spilling, ignore_errors=True)
    spilling.mkdir()
    sources = Sources(settings.pin_text, settings.record, student, features)
    return refresh(settings.output, sources, settings.dtype, settings.num_shards, settings.merging, spilling)


def summary_of(texts: Texts, prepared: Prepared, refreshed: Refreshed) -> Summary:
    """What was done."""
    manifest = refreshed.manifest
    details = {
        "student": manifest.student_version,
        "snapshot": manifest.snapshot,
        "store": refreshed.how,
        "encoded_texts": prepared.work.num_rows,
        "shards": len(prepared.work.shards),
        "resumed_shards": len(prepared.done) + len(prepared.earlier),
        "changed_pins": refreshed.changed,
        "deleted_pins": refreshed.deleted,
    }
    return Summary(rows_in=len(texts.keys_P), rows_out=manifest.num_pins, details=details)


if __name__ == "__main__":
    run(main, EmbedPins)
