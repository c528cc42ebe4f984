"""Training the search embedding on Ray Train, unless its folder already holds the one that would come out."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pinrank import training_run
from pinrank.backbones import content_of, refuse_foreign_code
from pinrank.durable import put_folder_in_place, refuse_other_content
from pinrank.errors import ModelError
from pinrank.model_card import CARD
from pinrank.search_embedding.export import SearchEmbeddingCard, read_card
from pinrank.search_embedding.pairs import refuse_too_few
from pinrank.search_embedding.run import PUBLISHED, TrainingRun
from pinrank.search_embedding.settings import PairSettings, SearchEmbeddingSettings
from pinrank.tracking import OFF, TrackingSettings, tracked

log = logging.getLogger(__name__)

IDENTITY = "identity"
"""The key in a card's lineage under which it says what decided its weights."""


def train(
    pairs: pa.Table,
    candidates: pa.Table,
    settings: SearchEmbeddingSettings,
    pair_settings: PairSettings,
    name: str,
    folder: str,
    lineage: Mapping[str, Any],
    tracking: TrackingSettings = OFF,
) -> SearchEmbeddingCard:
    """Learn the PAIRS that are not held out, choose the epoch by recall of those that are, publish to `folder`.

    `candidates` (column `pin`) hold every held-out text and those among which they must be found. A folder that holds
    what would come out is left as it is; a run that was killed goes on. Needs a Ray session, and on several machines a
    `folder` that all of them see. Raises TableError for too few pairs or when `folder` holds other things, ModelError
    when training fails, CommitError when another process trains into it; nothing is published then.
    """
    refuse_foreign_code(settings.backbone, allow_auto_map=False)
    refuse_too_few(pairs, settings.num_workers)
    target = Path(folder).absolute()
    refuse_other_content(target, CARD)
    identity = identity_of(pairs, candidates, settings, pair_settings, name)
    if _is_done(target, identity):
        log.info("%s: already trained under these settings", folder)
        return read_card(target)
    with training_run.run_folder(target, identity) as work:
        if (work / training_run.CHECKPOINT).exists():
            log.info("going on with the training run in %s", work)
        run = TrainingRun(
            name=name,
            settings=settings,
            pair_settings=pair_settings,
            pairs=work / "pairs.parquet",
            candidates=work / "candidates.parquet",
            folder=work,
            lineage={**lineage, IDENTITY: identity},
            tracked=tracked(tracking, identity, name, target, work, settings),
        )
        pq.write_table(pairs, run.pairs)
        pq.write_table(candidates, run.candidates)
        training_run.fit(_work, run.model_dump(mode="json"), "search_embedding", settings, work, folder)
        put_folder_in_place(work / PUBLISHED, target)
    return read_card(target)


def identity_of(
    pairs: pa.Table, candidates: pa.Table, settings: SearchEmbeddingSettings, pair_settings: PairSettings, name: str
) -> str:
    """What decides the weights: the data, the settings, and what the backbone's folder holds now."""
    parts = [name, settings.model_dump_json(), content_of(settings.backbone), pair_settings.model_dump_json()]
    return training_run.identity(parts, pairs, candidates)


def _is_done(target: Path, identity: str) -> bool:
    try:
        return read_card(target).lineage.get(IDENTITY) == identity
    except ModelError:  # none, or one that another version wrote: it is trained again
        return False


def _work(run: dict[str, Any]) -> None:
    """What a worker does. Ray Train's controller opens this function too, and needs no model's code for it."""
    from pinrank.search_embedding.loop import train_worker

    train_worker(run)
