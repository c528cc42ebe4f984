"""Count in how many pins each word stands, and how long texts are: what BM25 must know of a collection.

    python -m pipelines.fit_lexical --config pipelines/configs/demo/fit_lexical.yaml
    python -m pipelines.fit_lexical --tables T --before OLD/pin_text    # only the rows that differ, exact
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.fit_lexical --config pipelines/configs/full/fit_lexical.yaml

in : pin_text/   pin_id, locale, the seven text fields, fingerprint
     lexical/    with --before: the statistics of that earlier table, which are brought up to date
out: lexical/    lexical.safetensors (document frequencies, lengths), lexical.json, manifest.json
A table of any size is counted stretch by stretch; a small one in this process, a larger one on Ray Data.
"""

import logging
from pathlib import Path

from pydantic import Field

from pinrank import parquet
from pinrank.cluster import ClusterSettings
from pinrank.durable import MountedFolder
from pinrank.lexical import WordSettings, collection
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.ray_units import WorkSettings, workers_for

log = logging.getLogger(__name__)


class FitLexical(JobSettings):
    """Settings of fit_lexical."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: pin_text")
    output: MountedFolder = Field(Path("runs/demo/lexical"), description="the statistics; older ones are replaced")
    before: str | None = Field(
        None, description="the pin_text table that the statistics at output count; null: all rows are counted"
    )
    words: WordSettings = Field(WordSettings(), description="how texts become terms; with before, as they did")
    rows: WorkSettings = Field(
        WorkSettings(rows_without_ray=500_000), description="how the table is cut, and what a worker takes"
    )
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: FitLexical) -> Summary:
    """Count all rows, or those that differ."""
    pin_text = f"{settings.tables}/pin_text"
    rows = settings.rows
    workers = workers_for(parquet.open_dataset(pin_text, "pin_text").count_rows(), rows, settings.cluster)
    if settings.before is None:
        stats, counted = collection.fit_table(pin_text, settings.words, rows.rows_per_piece, workers)
    else:
        stats, counted = collection.update(settings.output, settings.before, pin_text, rows.rows_per_piece, workers)
    collection.save(stats, counted, settings.output)
    log.info("%s counts %d words of %d pins", settings.output, len(stats.terms), stats.num_docs)
    return Summary(rows_in=counted.num_pins, rows_out=stats.num_docs, details={"words": len(stats.terms)})


if __name__ == "__main__":
    run(main, FitLexical)
