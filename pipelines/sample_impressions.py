"""Choose the query-pin pairs that the teacher shall grade: a stratified sample of impressions without labels.

    python -m pipelines.sample_impressions --config pipelines/configs/demo/sample_impressions.yaml
    python -m pipelines.sample_impressions --config pipelines/configs/full/sample_impressions.yaml --size 200000

in : impressions/  judgments/ (their pairs, and every dev or test query, are left out)
out: sampled_pairs/
The same impressions and seed give the same pairs, in whatever order or files the impressions come.
"""

import logging

from pydantic import Field

from pinrank.errors import TableError
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.sampling import sample
from pinrank.tables import IMPRESSIONS, JUDGMENTS, SAMPLED_PAIRS, read, write

log = logging.getLogger(__name__)


class SampleImpressions(JobSettings):
    """Settings of sample_impressions."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; sampled_pairs goes here")
    size: int = Field(12_000, ge=1, description="pairs to choose; all there are, when there are fewer")
    seed: int = Field(0, ge=0, description="another seed chooses other pairs")
    max_per_query: int | None = Field(None, ge=1, description="pairs of one query at most; null: no limit")
    min_per_stratum: int = Field(0, ge=0, description="pairs of one locale and source at least, where it has them")


def main(settings: SampleImpressions) -> Summary:
    """Read, choose, write."""
    impressions = read(f"{settings.tables}/impressions", IMPRESSIONS)
    judgments = read(f"{settings.tables}/judgments", JUDGMENTS)
    log.info("%d impressions, %d judgments", impressions.num_rows, judgments.num_rows)
    sampled = sample(
        impressions,
        judgments,
        size=settings.size,
        seed=settings.seed,
        max_per_query=settings.max_per_query,
        min_per_stratum=settings.min_per_stratum,
    )
    if not sampled.pairs.num_rows:
        raise TableError(
            f"{settings.tables}/impressions: no pair can be sampled: {impressions.num_rows} rows, of which "
            f"{sampled.left_out}. Import impressions of train queries."
        )
    write(sampled.pairs, f"{settings.tables}/sampled_pairs", SAMPLED_PAIRS)
    strata = {each["values"]: each["counts"] for each in sampled.pairs.column("stratum").value_counts().to_pylist()}
    details = {**sampled.left_out, "strata": dict(sorted(strata.items()))}
    return Summary(rows_in=impressions.num_rows, rows_out=sampled.pairs.num_rows, details=details)


if __name__ == "__main__":
    run(main, SampleImpressions)
