"""Derive features of pins and queries from what the tables hold, as an example of what feature_spec.yaml can name.

    python -m pipelines.derive_features --config pipelines/configs/demo/derive_features.yaml
    python -m pipelines.derive_features --tables runs/world/tables --aggregates runs/world/aggregates
    python -m pipelines.train_student --config FILE.yaml --feature_spec pipelines/configs/feature_spec.yaml

in : pin_text/        pin_id, source, locale, caption
     impressions/     query, query_locale; left out where there are none
     aggregates/      pin_engagement, as build_pin_text --aggregates keeps it; left out where none are given
out: pin_features/    pin_id, source, locale, caption_words, savers, clickers
     query_features/  query, query_locale, locales, impressions; only from impressions
"""

from pydantic import Field

from pinrank import tables
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.student.derived_features import OF_PINS, OF_QUERIES, of_pins, of_queries


class DeriveFeatures(JobSettings):
    """Settings of derive_features."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; the features go here")
    aggregates: str | None = Field(None, description="pin_engagement, for savers and clickers; null: they are missing")


def main(settings: DeriveFeatures) -> Summary:
    """Read, count, write."""
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    engagement = tables.read(settings.aggregates, tables.PIN_ENGAGEMENT) if settings.aggregates else None
    pins = of_pins(pin_text, engagement)
    tables.write(pins, f"{settings.tables}/pin_features", OF_PINS)
    log, num_queries = f"{settings.tables}/impressions", 0
    if exists(log):
        queries = of_queries(tables.read_columns(log, tables.IMPRESSIONS, ["query", "query_locale"]))
        tables.write(queries, f"{settings.tables}/query_features", OF_QUERIES)
        num_queries = queries.num_rows
    return Summary(pin_text.num_rows, pins.num_rows, details={"queries": num_queries})


if __name__ == "__main__":
    run(main, DeriveFeatures)
