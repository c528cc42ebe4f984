"""Distilling the student with Ray Train: two towers end to end and the MLP, from the teacher's soft labels.

Rows are prepared once, part by part, and read from disk in every epoch. The epoch whose ranking of human dev judgments
is best (pinrank.evaluation.dev) is published. While a run lasts, its state lies beside the folder that it shall fill,
under a name that depends on all that decides its result: the same command goes on where a killed one stopped, another
command starts anew.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pinrank import parquet, training_run
from pinrank.backbones import refuse_foreign_code
from pinrank.cluster import ClusterSettings
from pinrank.durable import put_folder_in_place, refuse_other_content
from pinrank.errors import ModelError, TableError
from pinrank.faults import Fault, Rows, refuse_too_many
from pinrank.model_card import CARD
from pinrank.ray_units import Workers, WorkSettings
from pinrank.search_embedding.pairs import refuse_too_few
from pinrank.student.declaration import read_declaration
from pinrank.student.examples import shuffled, soft_examples
from pinrank.student.export import StudentCard
from pinrank.student.feature_tables import Inputs
from pinrank.student.fit import fit as fit_spec
from pinrank.student.frozen import write_vectors
from pinrank.student.hashed import hashed_words
from pinrank.student.importance import Importance
from pinrank.student.importance import fit as fit_importance
from pinrank.student.label_files import SAMPLED_ROWS, LabelFiles
from pinrank.student.parts import mean_weight, read_part
from pinrank.student.prepare import PARTS, Done, Job, prepare, units_of, write_inputs
from pinrank.student.publish import NOT_MEASURED, Sealing, seal
from pinrank.student.run import PUBLISHED, TrainingRun
from pinrank.student.settings import StudentSettings
from pinrank.student.tower_folder import FORM, folders_of, form_of, towers_content
from pinrank.tracking import OFF, TrackingSettings, tracked

log = logging.getLogger(__name__)

LEARNING, DEV = "learning", "dev"
QUARANTINE = "quarantine/soft_labels"
"""Where in a student's folder the labels lie that could not be learnt."""


@dataclass(frozen=True)
class Labels:
    """Soft labels to learn from, and the share of them that may be unusable."""

    files: LabelFiles
    max_unusable_share: float = 0.0


def train(
    learning: pa.Table,
    dev: pa.Table,
    pin_text: pa.Table,
    settings: StudentSettings,
    name: str,
    folder: str,
    lineage: Mapping[str, Any],
    labels: Labels | None = None,
    sealing: Sealing = NOT_MEASURED,
    inputs: Inputs | None = None,
    engaged: pa.Table | None = None,
    tracking: TrackingSettings = OFF,
) -> StudentCard:
    """Learn soft labels on disk and `learning`, choose the epoch on `dev`, publish to `folder`.

    Both tables have the columns of EXAMPLES and lie in memory, `labels` do not. `dev` holds human grades and may be
    empty: then the last epoch is published. `pin_text` is the collection whose document frequencies BM25 uses;
    `sealing` says on which dev pairs the published student is calibrated and measured, `inputs` what it reads, by
    default texts alone; `engaged` (PAIRS) are the pairs of the second objective, where settings.retrieval gives it a
    weight. Needs a Ray session unless settings.num_workers is 0, and on several machines a `folder` that all of them
    see. Raises TableError when there is nothing to learn, too many labels cannot be used, no pair has a value of a
    declared feature or `folder` holds other things, ModelError when training fails, CommitError when another process
    trains into it; nothing is published then.
    """
    _refuse_towers(settings)
    target = Path(folder).absolute()
    refuse_other_content(target, CARD)
    _refuse_too_few(learning, labels, settings)
    if engaged is not None:
        refuse_too_few(engaged, max(1, settings.num_workers))
    inputs = inputs or Inputs(read_declaration())
    stats = inputs.stats(pin_text)
    sample, learnt_pairs = _sample(learning, labels, pin_text, settings), _pairs(learning, labels)
    spec = fit_spec(inputs.declared, sample, stats, inputs.tables, learnt_pairs)
    said = [
        name,
        settings.model_dump_json(),
        towers_content(settings.backbone),
        inputs.declared.model_dump_json(),
        stats.words.model_dump_json(),
    ]
    said += [labels.files.stamp, str(labels.files.num_rows)] if labels else []
    pairs = [] if engaged is None else [engaged]
    read = (learning, dev, pin_text.select(["pin_id", "fingerprint"]), *inputs.content, *pairs)
    identity = training_run.identity(said, *read)
    with training_run.run_folder(target, identity) as work:
        if (work / training_run.CHECKPOINT).exists():
            log.info("going on with the training run in %s", work)
        examples = {LEARNING: learning, DEV: dev}
        write_inputs(work, pin_text, examples, stats, spec)
        done = prepare_all(examples, Job(work, settings, tables=inputs.folder), labels)
        learnt = {unit: each for unit, each in done.items() if not unit.startswith(f"{DEV}-")}
        run = TrainingRun(
            name=name,
            settings=settings,
            learning=tuple(learnt[unit].part for unit in sorted(learnt)),
            dev=tuple(done[unit].part for unit in sorted(done.keys() - learnt.keys())),
            mean_weight=mean_weight([each.part for each in learnt.values()]),
            engaged=_written(engaged, work),
            folder=work,
            lineage={**lineage, **_counts(learnt, learning.num_rows)},
            tracked=tracked(tracking, identity, name, target, work, settings),
        )
        training_run.fit(_work, run.model_dump(mode="json"), "student", settings, work, folder)
        _set_aside(learnt, work / PUBLISHED)
        card = seal(work / PUBLISHED, replace(sealing, tables=inputs.tables))
        put_folder_in_place(work / PUBLISHED, target)
    return card


def prepare_all(examples: dict[str, pa.Table], job: Job, labels: Labels | None) -> dict[str, Done]:
    """The records of all units by name; what they read (`write_inputs`) is there already."""
    units = units_of(labels.files if labels else None, examples)
    if labels:
        job = replace(job, where=labels.files.where, importance=_importance(labels.files, job.settings))
    alone = job.settings.num_workers == 0 or len(units) == 1
    done = prepare(units, job, Workers(WorkSettings(), None if alone else ClusterSettings()))
    if labels:
        _refuse_unusable(done, labels, job.folder)
    if job.settings.frozen_towers:
        write_vectors(job.folder, job.folder / PARTS, job.settings)
    return done


def _refuse_unusable(done: Mapping[str, Done], labels: Labels, work: Path) -> None:
    """Raise TableError when too many labels cannot be used; what was prepared is removed then."""
    found = _joined([fault for each in done.values() for fault in each.faults()])
    files = labels.files
    try:
        refuse_too_many(found, files.num_rows, labels.max_unusable_share, files.where)
    except TableError:
        shutil.rmtree(work)
        raise


def _sample(learning: pa.Table, labels: Labels | None, pin_text: pa.Table, settings: StudentSettings) -> pa.Table:
    """Some EXAMPLES in random order, labels and others in the proportion in which they are learnt."""
    others = shuffled(learning, settings.seed)
    if labels is None:
        return others.slice(0, SAMPLED_ROWS)
    soft, _, found = soft_examples(labels.files.sample, pin_text, settings.temperature, labels.files.where)
    if not soft.num_rows:
        raise TableError(f"{labels.files.where}: no usable soft label. {' '.join(map(str, found))}")
    num_others = round(learning.num_rows * soft.num_rows / labels.files.num_rows)
    return shuffled(pa.concat_tables([soft, others.slice(0, num_others)]), settings.seed)


def _pairs(learning: pa.Table, labels: Labels | None) -> Iterator[pa.Table]:
    """All pairs to learn from, also labels that will turn out to be unusable; read only where somebody asks."""
    yield learning
    if labels:
        yield from labels.files.kept()


def _importance(files: LabelFiles, settings: StudentSettings) -> Importance | None:
    if not settings.importance_weights:
        return None
    return fit_importance(files.weight_N[files.kept_N], settings.largest_importance)


def _joined(found: list[Fault]) -> list[Fault]:
    """The faults of all units, one a reason."""
    rows: dict[tuple[str, str, str], list[Rows]] = {}
    for each in found:
        rows.setdefault((each.column, each.reason, each.mend), []).append(each.rows)
    return [Fault(*said, np.sort(np.concatenate(parts))) for said, parts in rows.items()]


def _counts(learnt: Mapping[str, Done], num_judgments: int) -> dict[str, int]:
    """What the card says of the rows: labels and judgments that were learnt, and labels that could not be."""
    total = sum(each.part.num_rows for each in learnt.values())
    unusable = sum(each.num_unusable for each in learnt.values())
    return {
        "num_soft_labels": total - num_judgments,
        "num_unusable_labels": unusable,
        "num_judgments": num_judgments,
    }


def _refuse_towers(settings: StudentSettings) -> None:
    """Raise ModelError for a backbone that must not be opened, or one whose vectors would say nothing.

    Towers that learn are built before the first step; frozen ones are built here once, and otherwise only when they are
    published, so that settings which do not fit them are refused before anything is computed with them.
    """
    if hashed_words(settings.backbone):
        if settings.frozen_towers:
            raise ModelError(f"{settings.backbone}: has nothing to say before it has learnt, so it cannot be frozen.")
        return
    for folder in folders_of(settings.backbone):
        if not form_of(folder).hashed_rows:
            refuse_foreign_code(str(folder), allow_auto_map=False)
        if settings.frozen_towers and settings.tower.output_dim and not (folder / FORM).exists():
            raise ModelError(
                f"{settings.backbone}: with frozen_towers a projection to tower.output_dim would stay as random as it "
                "starts. Leave it null, or start from a trained student's folder."
            )
    if settings.frozen_towers:
        from pinrank.student.towers import build_towers

        build_towers(settings.backbone, settings.tower)


def _refuse_too_few(learning: pa.Table, labels: Labels | None, settings: StudentSettings) -> None:
    total = learning.num_rows + (labels.files.num_rows if labels else 0)
    if total < max(1, settings.num_workers):
        raise TableError(
            f"{total} rows to learn from, {max(1, settings.num_workers)} are needed. Run label_impressions, or give "
            "judgments of split 'train'."
        )


def _written(engaged: pa.Table | None, work: Path) -> Path | None:
    if engaged is None:
        return None
    path = work / "engaged.parquet"
    pq.write_table(engaged, path)
    return path


def _set_aside(learnt: Mapping[str, Done], student: Path) -> None:
    """Put the labels that could not be learnt beside the student, with their reasons."""
    records = [read_part(each.unusable) for each in learnt.values() if each.unusable]
    if records:
        parquet.write_folder(pa.concat_tables(records), str(student / QUARANTINE))


def _work(run: dict[str, Any]) -> None:
    """What a worker does. Ray Train's controller opens this function too, and needs no model's code for it."""
    from pinrank.student.loop import train_worker

    train_worker(run)
