"""Learn two towers from what people engaged with after a query: a baseline, and a named embedding for the student.

    python -m pipelines.train_search_embedding --config pipelines/configs/demo/train_search_embedding.yaml
    python -m pipelines.train_search_embedding --tables runs/mine/tables --output runs/mine/search_embedding \\
        --embedding.output_dim 64 --embedding.batch_size 256
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.train_search_embedding --config pipelines/configs/full/train_search_embedding.yaml

in : engagement/    ts, user_hash, query, pin_id, action, dwell_s
     pin_text/      pin_id, the text fields
     judgments/     query, pin_id, split: queries of dev and test, and judged pairs, are not learnt from
     sampled_pairs/ only to embed its queries; may be missing
out: search_embedding/  query/ (and pin/) towers, card.json with recall and lineage; pins/ and queries/:
                    the vectors as a named external embedding. Beside the tables: quarantine/search_engagement/
Safe to kill at any point: the same command goes on where it stopped. docs/embeddings.md says what it is worth.
"""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pinrank import tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.embeddings.encode import EncodingSettings
from pinrank.embeddings.external import PINS, QUERIES
from pinrank.engagement.log_evidence import LogSettings
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.search_embedding.encode import encode
from pinrank.search_embedding.engaged import read_engaged
from pinrank.search_embedding.pairs import candidates, examples, texts_of
from pinrank.search_embedding.settings import PairSettings, SearchEmbeddingSettings
from pinrank.search_embedding.train import train
from pinrank.text import normalise_query
from pinrank.tracking import TrackingSettings

log = logging.getLogger(__name__)


class TrainSearchEmbedding(JobSettings):
    """Settings of train_search_embedding."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: engagement, pin_text, judgments")
    output: MountedFolder = Field(
        Path("runs/demo/search_embedding"), description="the embedding's folder; an older is replaced"
    )
    name: str = Field("search_embedding", description="the embedding's name; its version is NAME@HASH")
    log: LogSettings = Field(LogSettings(), description="the engagement log, and how it is cut")
    pairs: PairSettings = Field(PairSettings(), description="which pairs are learnt, and which measure recall")
    embedding: SearchEmbeddingSettings = Field(
        SearchEmbeddingSettings(), description="what the towers are and how they are trained"
    )
    encoding: EncodingSettings = Field(EncodingSettings(), description="how pins and queries are embedded afterwards")
    tracking: TrackingSettings = Field(TrackingSettings(), description="where the course of the training is kept")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: TrainSearchEmbedding) -> Summary:
    """Read what people did, learn from it, embed pins and queries."""
    engaged, report = read_engaged(settings.tables, settings.log, settings.pairs, "search_engagement", settings.cluster)
    texts = texts_of(tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT), settings.embedding.text)
    pairs = examples(engaged, texts, settings.pairs, settings.embedding.seed)
    among = candidates(pairs, texts, settings.pairs, settings.embedding.seed)
    counts = {
        "engaged_pairs": engaged.num_rows,
        "judged_pairs": pc.sum(engaged["judged"]).as_py() or 0,
        "pairs_without_text": engaged.num_rows - pc.sum(pc.is_in(engaged["pin_id"], pa.array(list(texts)))).as_py(),
        "pairs": pairs.num_rows,
        "held_out_pairs": pc.sum(pairs["held_out"]).as_py() or 0,
        "candidates": among.num_rows,
    }
    log.info("learning from %s", counts)
    connect(settings.cluster)
    output = str(settings.output)
    lineage = {"engagement": settings.log.model_dump(mode="json"), "tables": settings.tables, **counts}
    card = train(pairs, among, settings.embedding, settings.pairs, settings.name, output, lineage, settings.tracking)
    queries = queries_of(settings, engaged)
    vectors = encode({"pin": texts, "query": queries}, output, settings.encoding)
    tables.write(vectors["pin"], f"{output}/{PINS}", tables.EXTERNAL_EMBEDDINGS)
    tables.write(vectors["query"], f"{output}/{QUERIES}", tables.EXTERNAL_EMBEDDINGS)
    details = {
        "embedding": card.version,
        "metrics": card.metrics,
        **counts,
        "pins": len(texts),
        "queries": len(queries),
    }
    return Summary(report.rows, report.rows - report.bad_rows, report.bad_rows, details)


def queries_of(settings: TrainSearchEmbedding, engaged: pa.Table) -> dict[str, str]:
    """The normalised queries that get a vector: of engaged, judged and sampled pairs."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS, ["query"])
    columns = [engaged["query"], judgments["query"]]
    if exists(f"{settings.tables}/sampled_pairs"):
        columns.append(tables.read(f"{settings.tables}/sampled_pairs", tables.SAMPLED_PAIRS, ["query"])["query"])
    normal = {normalise_query(query) for column in columns for query in column.unique().to_pylist()}
    return {query: query for query in normal if query}


if __name__ == "__main__":
    run(main, TrainSearchEmbedding)
