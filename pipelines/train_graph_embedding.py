"""Make pin vectors of the graph of pins and boards: a named embedding for the student.

    python -m pipelines.train_graph_embedding --config pipelines/configs/demo/train_graph_embedding.yaml
    python -m pipelines.train_graph_embedding --tables runs/mine/tables --output runs/mine/graph_embedding \\
        --graph.dim 128
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.train_graph_embedding --config pipelines/configs/full/train_graph_embedding.yaml

in : engagement/    ts, user_hash, pin_id, action (save), board_title; aggregates/ where earlier logs left some
out: graph_embedding/   pins/: the vectors as a named external embedding; card.json with counts and lineage.
                        Beside the tables: quarantine/graph_engagement/
A log of any size is cut by hash of pin_id, a large one on Ray Data; the edges that are left must fit this process.
Nothing is trained by gradient: the whole graph is factorised. docs/embeddings.md says what that is and is not.
"""

import logging
from functools import partial
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pinrank.cluster import ClusterSettings
from pinrank.dirt import Report
from pinrank.durable import MountedFolder
from pinrank.engagement.log_evidence import LogSettings, evidence_of_log
from pinrank.graph_embedding.edges import edges_of, graph_of
from pinrank.graph_embedding.export import save_graph_embedding
from pinrank.graph_embedding.factorise import pin_vectors
from pinrank.graph_embedding.settings import GraphSettings
from pinrank.pipeline import JobSettings, Summary, run

log = logging.getLogger(__name__)


class TrainGraphEmbedding(JobSettings):
    """Settings of train_graph_embedding."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: engagement")
    output: MountedFolder = Field(
        Path("runs/demo/graph_embedding"), description="the embedding's folder; an older is replaced"
    )
    name: str = Field("graph_embedding", description="the embedding's name; its version is NAME@HASH")
    log: LogSettings = Field(LogSettings(), description="the engagement log, and how it is cut")
    graph: GraphSettings = Field(GraphSettings(), description="which saves make the graph, and its factorisation")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: TrainGraphEmbedding) -> Summary:
    """Read who saved what where, factorise, write."""
    edges, report = read_edges(settings)
    graph = graph_of(edges, settings.graph)
    log.info("%d edges between %d pins and %d boards", len(graph), len(graph.pin_ids), graph.num_boards)
    found = pin_vectors(graph, settings.graph)
    counts = {
        "saves": edges.num_rows,
        "edges": len(graph),
        "boards": graph.num_boards,
        "pins": len(graph.pin_ids),
        "pins_with_vector": len(found.pin_ids),
    }
    lineage = {
        "engagement": settings.log.model_dump(mode="json"),
        "tables": settings.tables,
        "graph": settings.graph.model_dump(mode="json"),
        **counts,
    }
    card = save_graph_embedding(found, settings.output, settings.name, {"explained": found.explained}, lineage)
    details = {"embedding": card.version, "metrics": card.metrics, **counts}
    return Summary(report.rows, report.rows - report.bad_rows, report.bad_rows, details)


def read_edges(settings: TrainGraphEmbedding) -> tuple[pa.Table, Report]:
    """The edges of all pins that enough people saved, and the report on the log's rows."""
    quarantine = f"{settings.tables}/quarantine/graph_engagement"
    with evidence_of_log(settings.tables, settings.log, quarantine, settings.cluster) as evidence:
        return pa.concat_tables(evidence.each(partial(edges_of, settings=settings.graph))), evidence.report


if __name__ == "__main__":
    run(main, TrainGraphEmbedding)
