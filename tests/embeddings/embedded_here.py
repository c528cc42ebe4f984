"""embed_pins without Ray and without a tower: vectors that follow from the text, encoded in this process."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from pinrank import tables
from pinrank.embeddings.job import encode_here
from pinrank.embeddings.work import Prepared
from pinrank.pipeline import Summary
from pinrank.student.export import StudentBundle, open_student
from pinrank.tables import PIN_TEXT
from pinrank.text import FIELDS, fingerprint
from pipelines.embed_pins import EmbedPins, job_of, main


class ByHash:
    """Texts to vectors of length 1 that follow from their hashes."""

    def __init__(self, vector_dim: int) -> None:
        self.vector_dim = vector_dim
        self.encoded = 0

    def encode(self, texts: Sequence[str], max_tokens: int, precision: str = "float32") -> np.ndarray:
        self.encoded += len(texts)
        seeds = [xxhash.xxh3_64_intdigest(text.encode()) for text in texts]
        rows = [np.random.default_rng(seed).normal(size=self.vector_dim) for seed in seeds]
        vectors = np.asarray(rows, dtype=np.float32).reshape(-1, self.vector_dim)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_hash(student: Path) -> StudentBundle:
    """A student with such an encoder."""
    opened = open_student(student)
    tower = ByHash(opened.vector_dim)
    return opened.with_encoders(tower, tower)


def by_hash_here(prepared: Prepared, settings: EmbedPins) -> None:
    """What the actors do, in this process."""
    encode_here(job_of(settings), prepared, by_hash(settings.student))


def embed(folder: Path, **changes: object) -> Summary:
    """Run the pipeline on FOLDER/tables with FOLDER/student."""
    return main(settings_of(folder, **changes), by_hash_here)


def settings_of(folder: Path, **changes: object) -> EmbedPins:
    """Its settings; shards of 8 texts."""
    known = {"tables": str(folder / "tables"), "student": folder / "student", "output": folder / "store"}
    return EmbedPins(**{**known, "rows_per_shard": 8, "num_shards": 2, **changes})  # type: ignore[arg-type]


def write_pins(folder: Path, titles: dict[str, str], locale: str = "en") -> None:
    """Write pin_text with a title a pin."""
    rows = [dict.fromkeys(FIELDS, "") | {"title": title} for title in titles.values()]
    named = zip(titles, rows, strict=True)
    made = [{"pin_id": pin_id, "locale": locale, **row, "fingerprint": fingerprint(row)} for pin_id, row in named]
    tables.write(pa.Table.from_pylist(made, schema=PIN_TEXT.schema), f"{folder}/tables/pin_text", PIN_TEXT)
