"""Give queries, pins and boards the student's vectors, as tables and as a sentence-transformers folder.

    python -m pipelines.embed_texts --config pipelines/configs/demo/embed_texts.yaml
    python -m pipelines.embed_texts --tables runs/mine/tables --student runs/mine/student --output runs/mine/texts
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.embed_texts --config pipelines/configs/full/embed_texts.yaml

in : pin_text/     pin_id, the seven text fields, fingerprint
     judgments/    query; sampled_pairs/ query (may be missing): the queries that get a vector
     engagement/   user_hash, pin_id, action (save), board_title: the boards; may be missing
     student/      the folder that train_student wrote
out: OUTPUT/queries/ pins/ boards/          named external embeddings: name (the student), id, vector float16[D]
     OUTPUT/sentence_transformers/query/ pin/   the towers, as sentence-transformers opens them
     OUTPUT/card.json                       the student, counts and settings
     Beside the tables: quarantine/text_engagement/
docs/representations.md says what a board's vector is, and how far the vectors carry.
"""

import json
import logging
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pinrank import tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder, refuse_other_content, replace_folder, staging_of
from pinrank.embeddings.boards import Boards, BoardSettings, board_vectors, boards_of, saved, title_texts
from pinrank.embeddings.encode import EncodingSettings, embed, vectors_of
from pinrank.embeddings.external import PINS, QUERIES, table_of
from pinrank.embeddings.queries import embed_queries
from pinrank.engagement.log_evidence import LogSettings, evidence_of_log
from pinrank.model_card import CARD
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.sentence_transformers import refuse_foreign, write_sides
from pinrank.text import normalise_query

log = logging.getLogger(__name__)

BOARDS = "boards"
TOWERS = "sentence_transformers"


class EmbedTexts(JobSettings):
    """Settings of embed_texts."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables")
    student: MountedFolder = Field(Path("runs/demo/student"), description="folder of the student, seen by every node")
    output: MountedFolder = Field(Path("runs/demo/texts"), description="folder of the vectors; an older is replaced")
    boards: BoardSettings | None = Field(BoardSettings(), description="which boards get a vector; null: none")
    log: LogSettings = Field(LogSettings(), description="the engagement log, for its boards, and how it is cut")
    towers: bool = Field(True, description="write the towers as sentence-transformers folders too")
    encoding: EncodingSettings = Field(EncodingSettings(), description="actors and their arithmetic")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: EmbedTexts) -> Summary:
    """Read, embed, write all in one rename."""
    refuse_other_content(settings.output, CARD)
    student = open_student(settings.student)
    if settings.towers:
        refuse_foreign(student)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT).sort_by("pin_id")
    queries = queries_of(settings.tables)
    boards = read_boards(pin_text, settings)
    connect(settings.cluster)
    pins = embed(pin_text, str(settings.student), settings.encoding)
    vectors = {
        QUERIES: embed_queries(queries, str(settings.student), settings.encoding),
        PINS: table_of(student.version, pins["pin_id"].combine_chunks(), vectors_of(pins)),
    }
    if boards and boards.board_ids:
        titles = embed(title_texts(boards), str(settings.student), settings.encoding)
        vectors[BOARDS] = table_of(student.version, boards.board_ids, board_vectors(boards, titles, pins))
    counts = {name: table.num_rows for name, table in vectors.items()}
    write(vectors, counts, student, settings)
    total = sum(counts.values())
    return Summary(total, total, details={"student": student.version, **counts})


def queries_of(folder: str) -> dict[str, str]:
    """Normalised query → a spelling of it: all that were judged or sampled."""
    columns = [tables.read(f"{folder}/judgments", tables.JUDGMENTS, ["query"])["query"]]
    if exists(f"{folder}/sampled_pairs"):
        columns.append(tables.read(f"{folder}/sampled_pairs", tables.SAMPLED_PAIRS, ["query"])["query"])
    spelled = {query for column in columns for query in column.unique().to_pylist()}
    return {normal: query for query in sorted(spelled, reverse=True) if (normal := normalise_query(query))}


def read_boards(pin_text: pa.Table, settings: EmbedTexts) -> Boards | None:
    """The boards of the log; None where there is no log, or none are wanted."""
    logged = settings.log.engagement or settings.log.aggregates or exists(f"{settings.tables}/engagement")
    if settings.boards is None or not logged:
        return None
    quarantine = f"{settings.tables}/quarantine/text_engagement"
    with evidence_of_log(settings.tables, settings.log, quarantine, settings.cluster) as evidence:
        edges = pa.concat_tables(evidence.each(saved))
    return boards_of(edges, pin_text["pin_id"].combine_chunks(), settings.boards)


def write(vectors: dict[str, pa.Table], counts: dict[str, int], student: StudentBundle, settings: EmbedTexts) -> None:
    """Tables, towers and card, in one rename."""
    staging = staging_of(settings.output)
    for name, table in vectors.items():
        tables.write(table, str(staging / name), tables.EXTERNAL_EMBEDDINGS)
    if settings.towers:
        write_sides(student, staging / TOWERS)
    card = {"version": student.version, "vector_dim": student.vector_dim, "counts": counts}
    content = card | {"settings": settings.model_dump(mode="json")}
    (staging / CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    replace_folder(staging, settings.output)


if __name__ == "__main__":
    run(main, EmbedTexts)
