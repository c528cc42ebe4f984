"""A student of MiniLM's size with random weights, a pin store of its rows, and requests for both.

Speed does not depend on what the weights are: vectors of pins are random, those of queries the towers' own.
Letters: P pins, D vector, W words, K text fields.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.backbones import resolve
from pinrank.embeddings.batch import Batch
from pinrank.embeddings.manifest import Shape
from pinrank.embeddings.snapshot import Made, build_from
from pinrank.lexical import FieldTerms
from pinrank.text import FIELDS

BACKBONE = "all-MiniLM-L6-v2"
FITTED_PINS = 20_000
BATCH = 50_000
SIZES = {"title": (4, 10), "description": (0, 17), "board_titles": (2, 7), "query_tokens": (0, 5)}
"""Words of a pin's fields, from and below: 22 on average."""

QUERY_WORDS = (2, 7)


@dataclass(frozen=True)
class Shop:
    """Folders of a student and of its store of num_pins pins, which Words says all about."""

    folder: Path
    num_pins: int

    @property
    def student(self) -> Path:
        return self.folder / "student"

    @property
    def pin_store(self) -> Path:
        return self.folder / "pin_store"


@dataclass(frozen=True)
class Request:
    """A query with pins by id, and their texts."""

    query: str
    pin_ids: list[str]
    texts: list[str]

    @property
    def by_ids(self) -> bytes:
        """The body of POST /v1/rank."""
        return json.dumps({"query": self.query, "pin_ids": self.pin_ids}).encode()

    @property
    def by_texts(self) -> bytes:
        """The same with texts, as every rerank server reads it."""
        return json.dumps({"model": "m", "query": self.query, "documents": self.texts}).encode()


class Words:
    """English words, which the backbone knows as one token each, by Zipf's law; a pin's are decided by its number."""

    @cached_property
    def words(self) -> list[str]:
        vocabulary = (Path(resolve(BACKBONE)) / "vocab.txt").read_text().splitlines()
        return [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2]

    @cached_property
    def terms(self) -> NDArray[np.uint64]:
        return lexical.field_terms([{"locale": "en", "title": " ".join(self.words)}]).terms

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Numbers of so many words."""
        shares = 1 / np.arange(1, len(self.words) + 1)
        return rng.choice(len(self.words), count, p=shares / shares.sum())

    def pins(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """sizes_PK and, one after the other, the numbers of the words of the BATCH pins from `start` on."""
        rng = np.random.default_rng(start)
        sizes_PK = np.zeros((BATCH, len(FIELDS)), dtype=np.int64)
        for name, (least, below) in SIZES.items():
            sizes_PK[:, FIELDS.index(name)] = rng.integers(least, below, BATCH)
        return sizes_PK, self.draw(rng, int(sizes_PK.sum()))

    def rows(self, start: int) -> Iterator[dict[str, str]]:
        """The same pins as rows of pin_text."""
        sizes_PK, drawn = self.pins(start)
        offsets = lexical.starts_of(sizes_PK).tolist()
        for place in range(BATCH):
            cells = range(place * len(FIELDS), (place + 1) * len(FIELDS))
            texts = [" ".join(self.words[n] for n in drawn[offsets[cell] : offsets[cell + 1]]) for cell in cells]
            yield {"pin_id": name_of(start + place), "locale": "en", **dict(zip(FIELDS, texts, strict=True))}


def build(folder: Path, num_pins: int) -> Shop:
    """Write both, unless they are there already."""
    shop = Shop(folder, -(-num_pins // BATCH) * BATCH)
    if not (shop.pin_store / "manifest.json").exists():
        words = Words()
        version = write_student(shop.student, words)
        write_store(shop, words, version)
    return shop


def write_student(folder: Path, words: Words) -> str:
    """An untrained student whose MLP has random weights; its version."""
    import pyarrow as pa
    import torch
    from transformers import AutoTokenizer

    from pinrank.student.declaration import read_declaration
    from pinrank.student.examples import EXAMPLES
    from pinrank.student.fit import fit
    from pinrank.student.model import build_student
    from pinrank.student.publish import save_student
    from pinrank.student.settings import StudentSettings

    rows = [row for row, _ in zip(words.rows(0), range(FITTED_PINS), strict=False)]
    rng = np.random.default_rng(0)
    queries = queries_of(words, rng, len(rows))
    known = {"query_locale": None, "source": "s", "target": [0.0, 0.0, 0.0, 0.5, 0.5], "temperature": 1.0}
    known |= {"weight": 1.0, "grade": None}
    examples = pa.Table.from_pylist(
        [{"query": query, **row, **known} for query, row in zip(queries, rows, strict=True)], schema=EXAMPLES
    )
    stats = lexical.fit(lexical.field_terms(rows))
    settings = StudentSettings(backbone=BACKBONE)
    torch.manual_seed(0)
    spec = fit(read_declaration(), examples, stats)
    student = build_student(settings, spec)
    ranker = student.ranker
    for weight in (ranker.layers[-1].get_parameter("weight"), ranker.shortcut.weight):
        torch.nn.init.normal_(weight, std=0.1)
    card = save_student(
        student,
        AutoTokenizer.from_pretrained(resolve(BACKBONE)),
        spec,
        stats,
        folder,
        name="random",
        backbone=BACKBONE,
        text=settings.text,
        metrics={},
        lineage={},
    )
    return card.version


def write_store(shop: Shop, words: Words, version: str) -> None:
    """The store of all pins."""
    from pinrank.student.export import open_student

    bundle = open_student(shop.student)
    width = bundle.vector_dim + bundle.hidden

    def batches() -> Iterator[Batch]:
        for start in range(0, shop.num_pins, BATCH):
            sizes_PK, drawn = words.pins(start)
            rng = np.random.default_rng(start)
            vectors_PD = rng.standard_normal((BATCH, bundle.vector_dim), dtype=np.float32)
            vectors_PD /= np.linalg.norm(vectors_PD, axis=1, keepdims=True)
            english = np.full(BATCH, lexical.field_terms([{"locale": "en"}]).languages[0])
            terms = FieldTerms(words.terms[drawn], lexical.starts_of(sizes_PK), english)
            ids = [name_of(number) for number in range(start, start + BATCH)]
            yield Batch(ids, bundle.pin_rows(vectors_PD), terms)

    build_from(shop.pin_store, batches, Made(version, Shape(row_width=width, num_fields=len(FIELDS), parts=(width,))))


def requests(shop: Shop, num_documents: int, count: int, with_texts: bool = False) -> list[Request]:
    """Requests for random pins, each with its own query."""
    words, rng = Words(), np.random.default_rng(num_documents)
    queries = queries_of(words, rng, count)
    wanted = [rng.integers(0, shop.num_pins, num_documents) for _ in range(count)]
    texts = texts_of(words, np.unique(np.concatenate(wanted))) if with_texts else {}
    return [
        Request(query, [name_of(n) for n in pins], [texts.get(n, "") for n in pins])
        for query, pins in zip(queries, (each.tolist() for each in wanted), strict=True)
    ]


def texts_of(words: Words, pins_P: NDArray[np.int64]) -> dict[int, str]:
    """All words of some pins, by their number."""
    found = {}
    for start in np.unique(pins_P // BATCH * BATCH).tolist():
        sizes_PK, drawn = words.pins(start)
        offsets = lexical.starts_of(sizes_PK.sum(axis=1))
        for pin in pins_P[(pins_P >= start) & (pins_P < start + BATCH)].tolist():
            place = pin - start
            found[pin] = " ".join(words.words[n] for n in drawn[offsets[place] : offsets[place + 1]])
    return found


def queries_of(words: Words, rng: np.random.Generator, count: int) -> list[str]:
    """Queries of 2 to 6 words."""
    sizes = rng.integers(*QUERY_WORDS, count).tolist()
    return [" ".join(words.words[n] for n in words.draw(rng, size)) for size in sizes]


def name_of(number: int) -> str:
    """The id of a pin: as long as ids are that come from a hash."""
    return f"pin-{number:016x}"
