"""Embed every pin with the student's pin tower and build the pin store that serving reads.

    python -m pipelines.embed_pins --config pipelines/configs/demo/embed_pins.yaml
    python -m pipelines.embed_pins --config pipelines/configs/demo/embed_pins.yaml --encoding.concurrency 2
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.embed_pins --config pipelines/configs/full/embed_pins.yaml

in : pin_text/        pin_id, the seven text fields, fingerprint
     student/         the folder that train_student wrote
     pin_features/, external_embeddings/   beside pin_text, as far as the student reads them
out: pin_embeddings/  beside pin_text: pin_id, vector float16[D], fingerprint, encoder: the record
     pin_store/       the record as serving reads it, with each pin's side of the MLP and its terms; manifest.json last
"""

import logging
from pathlib import Path

from pydantic import Field

from pinrank import lexical, tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.embeddings import store
from pinrank.embeddings.encode import EncodingSettings, embed, vectors_of
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.student.export import open_student
from pinrank.student.feature_tables import pin_tables_of

log = logging.getLogger(__name__)


class EmbedPins(JobSettings):
    """Settings of embed_pins."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; pin_embeddings goes here")
    student: MountedFolder = Field(Path("runs/demo/student"), description="folder of the student, seen by every node")
    output: MountedFolder = Field(Path("runs/demo/pin_store"), description="the pin store; an older one is replaced")
    vector_dim: int | None = Field(
        None, ge=1, description="cut the store's vectors to a width that the student was trained for; null: whole"
    )
    num_shards: int = Field(4, ge=1, description="files that the store is cut into")
    encoding: EncodingSettings = Field(EncodingSettings(), description="actors and their arithmetic")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: EmbedPins) -> Summary:
    """Read, embed, record, build the store from the record."""
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT).sort_by("pin_id")
    whole = open_student(settings.student)
    student = whole.cut(settings.vector_dim) if settings.vector_dim else whole
    features = pin_tables_of(student.spec, settings.tables)
    connect(settings.cluster)
    embeddings = embed(pin_text, str(settings.student), settings.encoding)
    tables.write(embeddings, f"{settings.tables}/pin_embeddings", tables.PIN_EMBEDDINGS)
    pin_ids = embeddings["pin_id"].to_pylist()
    store.build(
        settings.output,
        pin_ids,
        student.pin_rows(vectors_of(embeddings), features.pins(pin_ids)),
        lexical.field_terms(pin_text.select(list(lexical.READ)).to_pylist(), student.stats.words),
        student.version,
        settings.num_shards,
    )
    log.info("built %s for %s", settings.output, student.version)
    return Summary(rows_in=pin_text.num_rows, rows_out=embeddings.num_rows, details={"student": student.version})


if __name__ == "__main__":
    run(main, EmbedPins)
