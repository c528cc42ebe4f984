"""Choose the query-pin pairs that the teacher shall grade: a stratified sample of impressions without labels.

    python -m pipelines.sample_impressions --config pipelines/configs/demo/sample_impressions.yaml
    python -m pipelines.sample_impressions --config pipelines/configs/full/sample_impressions.yaml --size 200000
    python -m pipelines.sample_impressions --tables T --rates.kind neyman --active.share 0.2 --scores T/pair_scores

in : impressions/  judgments/ (their pairs, and every dev or test query, are left out)
     pair_scores/ (optional: how unsure the student is of a pair, how far it is from the teacher)
out: sampled_pairs/  quarantine/impressions/ (log rows that could not be used)
The same impressions and seed give the same pairs, in whatever order, files or workers the impressions come.
"""

import datetime
import logging

from pydantic import Field

from pinrank import logs
from pinrank.cluster import ClusterSettings
from pinrank.dirt import set_aside
from pinrank.durable import MountedFolder
from pinrank.errors import SettingsError, TableError
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.ray_units import WorkSettings, workers_for
from pinrank.sampling import build
from pinrank.sampling.settings import ActiveSettings, GuaranteeSettings, RateSettings, StrataSettings, Wanted
from pinrank.sampling.units import ROWS, Job
from pinrank.tables import JUDGMENTS, PAIR_SCORES, SAMPLED_PAIRS, read, write
from pinrank.unseen import unseen
from pinrank.work_folder import work_folder

log = logging.getLogger(__name__)


class SampleImpressions(JobSettings):
    """Settings of sample_impressions."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables; sampled_pairs goes here")
    impressions: str | None = Field(None, description="the log of impressions; null: tables/impressions")
    scores: str | None = Field(None, description="table of pair_scores; null: nothing is known of any pair")
    size: int = Field(12_000, ge=1, description="pairs to choose; all there are, when there are fewer")
    seed: int = Field(0, ge=0, description="another seed chooses other pairs")
    max_per_query: int | None = Field(None, ge=1, description="pairs of one query at most; null: no limit")
    max_per_pin: int | None = Field(None, ge=1, description="pairs of one pin at most; null: no limit")
    min_per_stratum: int = Field(0, ge=0, description="pairs of one stratum at least, where it has them")
    strata: StrataSettings = Field(StrataSettings(), description="what makes a stratum")
    rates: RateSettings = Field(RateSettings(), description="how the sample is divided among the strata")
    guarantees: GuaranteeSettings = Field(GuaranteeSettings(), description="what is young gets a share")
    active: ActiveSettings = Field(ActiveSettings(), description="pairs chosen because a model is unsure of them")
    last_day: datetime.date | None = Field(
        None, description="of the log; later rows are quarantined; null: the latest in it"
    )
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of the log's rows; more of them is an error")
    rows: WorkSettings = Field(WorkSettings(), description="how the log is cut, and what a worker takes")
    work: MountedFolder | None = Field(
        None, description="folder for partitions, for every node; null: a temporary one of this machine"
    )
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: SampleImpressions) -> Summary:
    """Cut the log by query, choose among the pairs, write."""
    path = settings.impressions or f"{settings.tables}/impressions"
    found = logs.cut(path, ROWS, settings.rows.rows_per_piece)
    scored = scores_of(settings)
    judgments = read(f"{settings.tables}/judgments", JUDGMENTS, ["query", "pin_id", "split"])
    wanted = Wanted(**settings.model_dump(include=set(Wanted.model_fields)))
    num_rows = logs.num_rows(found)
    workers = workers_for(num_rows, settings.rows, settings.cluster)
    with work_folder(settings.work) as folder:
        partitions = settings.rows.num_partitions(num_rows)
        job = Job(folder, partitions, settings.rows, wanted, unseen(judgments), settings.last_day)
        shown = build.read_impressions(found, job, workers)
        quarantine = f"{settings.tables}/quarantine/impressions"
        set_aside(shown.report, sorted(shown.bad), quarantine, path, settings.max_quarantined_share)
        scores = build.read_scores(scored, job, workers)
        scores.report.refuse_too_many(settings.max_quarantined_share, settings.scores or "")
        sampled = build.sample(shown, scores, job, workers)
    if not sampled.pairs.num_rows:
        raise TableError(
            f"{path}: no pair can be sampled: {num_rows} rows, of which {dict(shown.left_out)}. Import impressions of "
            "train queries."
        )
    write(sampled.pairs, f"{settings.tables}/sampled_pairs", SAMPLED_PAIRS)
    details = {"mended": dict(sorted(shown.report.mended.items())), "partitions": partitions, **sampled.details}
    return Summary(num_rows, sampled.pairs.num_rows, shown.report.bad_rows, details)


def scores_of(settings: SampleImpressions) -> list[logs.Stretch]:
    """The scores, cut. Raises SettingsError when they are needed and not named."""
    if settings.scores is not None:
        return logs.cut(settings.scores, PAIR_SCORES, settings.rows.rows_per_piece)
    if settings.active.share or settings.rates.kind == "neyman":
        raise SettingsError(
            "active.share and rates.kind neyman choose by what a model said of the pairs. Name its table: --scores."
        )
    return []


if __name__ == "__main__":
    run(main, SampleImpressions)
