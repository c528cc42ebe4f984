"""What people engaged with after a query, out of the log: what towers learn retrieval from."""

from functools import partial

import pyarrow as pa

from pinrank import tables
from pinrank.cluster import ClusterSettings
from pinrank.dirt import Report
from pinrank.engagement.log_evidence import LogSettings, evidence_of_log
from pinrank.search_embedding.pairs import engaged_pairs
from pinrank.search_embedding.settings import PairSettings
from pinrank.unseen import unseen


def read_engaged(
    folder: str, log: LogSettings, pairs: PairSettings, quarantine: str, cluster: ClusterSettings
) -> tuple[pa.Table, Report]:
    """ENGAGED: all pairs that enough people engaged with, and the report on the log's rows.

    `folder` holds the tables; bad rows of the log go to its quarantine under the name given.
    """
    forbidden = unseen(tables.read(f"{folder}/judgments", tables.JUDGMENTS, ["query", "pin_id", "split"]))
    with evidence_of_log(folder, log, f"{folder}/quarantine/{quarantine}", cluster) as evidence:
        work = partial(engaged_pairs, forbidden=forbidden, settings=pairs)
        return pa.concat_tables(evidence.each(work)), evidence.report
