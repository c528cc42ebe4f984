"""A day's steps: the stages that they are, and what lies between two of them."""

import datetime
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pinrank
from pinrank import registry
from pinrank.daily.arrivals import LOGS
from pinrank.daily.layout import Layout
from pinrank.daily.plan import Plan, days_with
from pinrank.daily.record import SUMMARY, Begun, Step, begin, read_begun, step_of
from pinrank.durable import write_text
from pinrank.errors import SettingsError
from pinrank.evaluation.promotion import DECISION, Decision
from pinrank.keys import column_hashes, mixed
from pinrank.model_card import CARD
from pinrank.parquet import read_pieces
from pinrank.shard_folder import MANIFEST
from pinrank.stages import Stage, fingerprint, run_stages

log = logging.getLogger(__name__)

JOBS = (
    "build_pin_text",
    "sample_impressions",
    "label_impressions",
    "fit_lexical",
    "train_student",
    "compare_students",
    "embed_pins",
)
"""The jobs of a day, in order."""


@dataclass(frozen=True)
class Day:
    """A day on its way: the plan, what it was begun with, and where things lie."""

    plan: Plan
    begun: Begun
    layout: Layout
    configs: str
    max_stale_share: float

    @property
    def date(self) -> datetime.date:
        """Whose log it is."""
        return self.plan.day

    @property
    def folder(self) -> Path:
        """What is known of the day."""
        return self.layout.day(self.date)

    @property
    def candidate(self) -> Path:
        """The student that the day trains."""
        return self.folder / "student"

    @property
    def choice(self) -> Path:
        """The comparison of the candidate with the current student."""
        return self.folder / "choice"

    @property
    def labels_before(self) -> Path:
        """The day's labels from before it was done again."""
        return self.folder / "labels_before"

    def config(self, name: str) -> str:
        """The settings file of a job."""
        return f"{self.configs}/{name}.yaml"


def refuse_missing_configs(configs: str) -> None:
    """Raise SettingsError when a job of a day has no settings file."""
    if missing := [name for name in JOBS if not Path(f"{configs}/{name}.yaml").is_file()]:
        raise SettingsError(
            f"{configs}: holds no {missing[0]}.yaml. Give --configs a folder with a settings file, which may be empty, "
            f"for each of {', '.join(JOBS)}."
        )


def begun_with(plan: Plan, layout: Layout) -> Begun:
    """What the day was begun with; it is begun now where it was not."""
    folder = layout.day(plan.day)
    now = registry.current(layout.registry)
    begun = Begun(log=plan.log.files, trains=plan.trains, again=plan.again, student=now.bundle if now else None)
    if plan.begun and (found := read_begun(folder)):
        begun = found.model_copy(update={"log": plan.log.files})
    begin(folder, begun)
    return begun


def run(stages: Sequence[Stage], day: Day, fresh: bool = False) -> Iterator[Step]:
    """Run stages of a day; without those that are done, unless `fresh`."""
    for record, was_done in run_stages(stages, day.folder / "stages", fresh):
        log.info("%s: %s %s, %.0f s", day.date, record.name, "was done" if was_done else "done", record.seconds)
        yield step_of(record)


def label_stages(day: Day) -> list[Stage]:
    """Pin text, sample, labels."""
    layout, tables = day.layout, ("--tables", str(day.layout.tables))
    last_day = max([day.date, *days_with(layout, SUMMARY)])
    folders, hash_of_log = day.plan.log.folders, day.plan.log.hash
    engaged: tuple[str, ...] = ()
    if "engagement" in folders:
        engaged = ("--engagement", folders["engagement"], "--aggregates", str(layout.aggregates))
    texts = (*tables, *engaged, "--last_day", last_day.isoformat(), "--work", layout.work("pin_text"))
    shown = ("--impressions", folders["impressions"], "--last_day", day.date.isoformat())
    label = ("--teacher", str(layout.teacher), "--output", str(layout.soft_labels), "--date", day.date.isoformat())
    pairs = ("--pairs", json.dumps([str(layout.tables / "sampled_pairs")]))  # whatever a profile grades beside them
    reuse = ("--reuse", f'["{day.labels_before}"]') if day.labels_before.exists() else ()
    labels = layout.labels(day.date)
    known = (str(layout.tables / "pins"), str(layout.tables / "judgments"))
    return [
        Stage("build_pin_text", day.config("build_pin_text"), texts, reads=known, inputs=hash_of_log),
        Stage(
            "sample_impressions", day.config("sample_impressions"), (*tables, *shown, "--work", layout.work("sample"))
        ),
        Stage(
            "label_impressions",
            day.config("label_impressions"),
            (*tables, *pairs, *label, *reuse),
            grows=(str(labels),),
            outputs=(str(labels / MANIFEST),),
            inputs=registry.version_of(layout.teacher),
        ),
    ]


def train_stages(day: Day) -> list[Stage]:
    """Word statistics, a candidate from the labels of all days, and its comparison with the current student."""
    layout, tables = day.layout, ("--tables", str(day.layout.tables))
    lexical = str(layout.lexical)
    train = ("--soft_labels", str(layout.soft_labels), "--lexical", lexical, "--output", str(day.candidate))
    stale = ("--max_quarantined_share", str(day.max_stale_share), "--allow_mixed_teachers")
    compare: tuple[str, ...] = ("--candidate", str(day.candidate), "--output", str(day.choice))
    if day.begun.student:
        compare = (*compare, "--current", str(registry.bundle_path(layout.registry, day.begun.student)))
    card, decision = str(day.candidate / CARD), str(day.choice / "decision.json")
    return [
        Stage("fit_lexical", day.config("fit_lexical"), (*tables, "--output", lexical), outputs=(lexical,)),
        Stage("train_student", day.config("train_student"), (*tables, *train, *stale), outputs=(card,)),
        Stage("compare_students", day.config("compare_students"), (*tables, *compare), outputs=(decision,)),
    ]


def decided(day: Day) -> Decision | None:
    """What the comparison said; the candidate is in the registry then. None on a day that trains none."""
    if not day.begun.trains:
        return None
    decision = DECISION.validate_json((day.choice / "decision.json").read_bytes())
    lineage = {"day": day.date.isoformat(), "promote": decision.promote, "reason": decision.reason}
    registry.add(day.layout.registry, day.candidate, lineage)
    return decision


def refresh_embeddings(day: Day, student: str | None) -> Step:
    """Embed all pins with a student, unless its pin store was made of the same texts, features and settings."""
    if student is None:
        return Step(name="embed_pins", skipped="there is no student yet")
    store = day.layout.store(student)
    bundle = registry.bundle_path(day.layout.registry, student)
    arguments = ("--tables", str(day.layout.tables), "--student", str(bundle), "--output", str(store))
    texts = texts_hash(day.layout.tables)
    outputs = (str(store / MANIFEST),)
    stage = Stage(
        "embed_pins",
        day.config("embed_pins"),
        arguments,
        reads=features_of_pins(day.layout.tables),
        outputs=outputs,
        inputs=f"{student} {texts}",
    )
    mark, made_of = store.with_name(f"{store.name}.made"), fingerprint(stage, pinrank.__version__)
    if (store / MANIFEST).exists() and mark.exists() and mark.read_text() == made_of:
        return Step(name="embed_pins", skipped="neither the student nor any pin's text has changed")
    mark.unlink(missing_ok=True)
    (step,) = run([stage], day, fresh=True)  # another day may have embedded other texts since this one did
    write_text(mark, made_of)
    return step


def features_of_pins(tables: Path) -> tuple[str, ...]:
    """The folders in which a student may find more of pins than their texts."""
    return (str(tables / "pin_features"), *(str(pins) for pins in sorted(tables.glob("external_embeddings/*/pins"))))


def texts_hash(tables: Path) -> str:
    """Rows of pin_text and 16 hex digits of their ids and fingerprints, in whatever order they lie."""
    total, num_rows = 0, 0
    for piece in read_pieces(str(tables / "pin_text"), "pin_text", ["pin_id", "fingerprint"]):
        ids_N, fingerprints_N = (column_hashes(piece.data.column(name)) for name in ("pin_id", "fingerprint"))
        total += int(mixed(ids_N, fingerprints_N).sum(dtype="uint64"))
        num_rows += len(ids_N)
    return f"{num_rows} {total % 2**64:016x}"


def set_labels_aside(plan: Plan, layout: Layout) -> None:
    """Move the finished labels of a day that is done again, so that their grades are reused."""
    labels, before = layout.labels(plan.day), layout.day(plan.day) / "labels_before"
    if plan.again and not plan.begun and (labels / MANIFEST).exists():
        shutil.rmtree(before, ignore_errors=True)
        labels.rename(before)


def keep_quarantine(day: Day) -> None:
    """Move the rows that could not be used to the day, before the next day's take their place."""
    set_aside = [day.layout.tables / "quarantine" / name for name in LOGS]
    for found in (*set_aside, day.candidate / "quarantine" / "soft_labels"):
        kept = day.folder / "quarantine" / found.name
        if found.exists():
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found, kept)


def clear(day: Day) -> None:
    """Remove what only an unfinished day needs: the candidate, which lies in the registry, and labels set aside."""
    for folder in (day.candidate, day.labels_before):
        shutil.rmtree(folder, ignore_errors=True)


def forget_stores(layout: Layout, kept: int) -> None:
    """Remove the pin stores of students that are not among the last `kept` that were promoted and still stand."""
    keep = set(registry.promoted(layout.registry)[-kept:])
    for store in (layout.root / "pin_store").glob("*@*"):
        version = store.name.removesuffix(".made")
        if version not in keep:
            shutil.rmtree(store) if store.is_dir() else store.unlink()
