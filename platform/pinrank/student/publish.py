"""From a trained student to its bundle: the parts are written, then sealed.

Sealing calibrates the levels and measures the student on dev, names it by its content and lists its files. A bundle can
be sealed again, with other dev pairs say; it then has another version where anything that decides a score changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinrank import lexical
from pinrank.durable import replace_folder, staging_of
from pinrank.evaluation.by_segment import SegmentFigures, figures_of
from pinrank.evaluation.judged import from_logits
from pinrank.lexical import LexicalStats
from pinrank.model_card import CARD, content_hash
from pinrank.student import features
from pinrank.student.calibration import LevelCalibration, file_of
from pinrank.student.calibration import fit as fit_calibration
from pinrank.student.export import StudentBundle, StudentCard, assembled, read_card
from pinrank.student.feature_tables import NO_TABLES, FeatureTables
from pinrank.student.features import FeatureSpec
from pinrank.student.manifest import write_manifest
from pinrank.student.onnx import Format
from pinrank.student.onnx_choice import choose
from pinrank.student.ranker import RANKER_FILE
from pinrank.student.remembered import remembering
from pinrank.student.tower_folder import ENCODER, FORM, PIN_ENCODER, save_tower
from pinrank.text import TextSettings

if TYPE_CHECKING:
    from pinrank.evaluation.task import Task
    from pinrank.student.model import Student


@dataclass(frozen=True)
class Sealing:
    """What a student is measured on, with what is known beside the texts, and in which formats its query tower is tried
    as ONNX."""

    dev: "Task | None" = None
    onnx: tuple[Format, ...] = ()
    tables: FeatureTables = NO_TABLES


NOT_MEASURED = Sealing()


def save_student(
    student: "Student",
    tokenizer: Any,
    spec: FeatureSpec,
    stats: LexicalStats,
    folder: str | Path,
    *,
    name: str,
    backbone: str,
    text: TextSettings,
    metrics: Mapping[str, float],
    lineage: Mapping[str, Any],
) -> StudentCard:
    """Write a student's folder, sealed without dev pairs, in one rename; returns its card with its version."""
    import torch
    from safetensors.torch import save_file

    target = Path(folder).absolute()
    staging = staging_of(target)
    towers = student.towers
    sides = {ENCODER: towers.query} if towers.shared else {ENCODER: towers.query, PIN_ENCODER: towers.pin}
    for side, tower in sides.items():
        save_tower(tower, tokenizer, staging / side)
    weights = {
        key: value.detach().to("cpu", torch.float32).contiguous() for key, value in student.ranker.state_dict().items()
    }
    save_file(weights, staging / RANKER_FILE)
    spec.save(staging)
    stats.save(staging)
    card = StudentCard(
        version=f"{name}@",
        backbone=backbone,
        text=text,
        vector_dim=student.ranker.pin.in_features,
        dims=student.dims,
        hidden=student.ranker.pin.out_features,
        feature_spec=spec.hash,
        metrics=dict(metrics),
        lineage=dict(lineage),
    )
    (staging / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    sealed = seal(staging, NOT_MEASURED)
    replace_folder(staging, target)
    return sealed


def seal(folder: Path, sealing: Sealing) -> StudentCard:
    """Finish a bundle whose parts and card lie in a folder that nobody reads yet; returns the finished card.

    With dev pairs the levels are calibrated on them and the card's figures measured, both with the maths of serving and
    at every width to which vectors may be cut; without, the logits stay as they are. The manifest is written last.
    """
    card = read_card(folder)
    for dim in (None, *card.dims):
        LevelCalibration().save(folder, dim)
    figures: dict[int, SegmentFigures] = {}
    if sealing.dev:
        student = remembering(assembled(folder, card).with_tables(sealing.tables))
        for dim in (None, *card.dims):
            calibration, measured = calibrated(student.cut(dim) if dim else student, sealing.dev)
            calibration.save(folder, dim)
            figures[dim or card.vector_dim] = measured
    version = f"{card.version.partition('@')[0]}@{_hash_of(folder, card)}"
    tried = choose(assembled(folder, card).with_tables(sealing.tables), sealing.dev, sealing.onnx)
    dev = figures.pop(card.vector_dim, SegmentFigures())
    card = card.model_copy(update={"version": version, "dev": dev, "dev_at": figures, "onnx": tried})
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    write_manifest(folder, card.version, card.lineage)
    return card


def calibrated(student: StudentBundle, dev: "Task") -> tuple[LevelCalibration, SegmentFigures]:
    """What dev says of a student's levels, and its figures with these."""
    logits_NL = student.grade(dev.pairs, locales=dev.judged.locales_N.tolist())
    calibration = fit_calibration(logits_NL, dev.judged.levels_N, dev.judged.queries_N)
    return calibration, figures_of(dev.judged, from_logits(logits_NL, calibration.calibrated(logits_NL)))


def _hash_of(folder: Path, card: StudentCard) -> str:
    files = (features.SPEC_FILE, lexical.SETTINGS_FILE, *map(file_of, (None, *card.dims)))
    return content_hash(folder, card.text, *(folder / name for name in files), *sorted(folder.glob(f"*/{FORM}")))
