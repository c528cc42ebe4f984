"""What is said of annotators, for people and for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pinrank.annotators.aggregation import Consensus, Method
from pinrank.annotators.agreement import Agreement, Alpha, agreement
from pinrank.annotators.dawid_skene import Estimate
from pinrank.annotators.ratings import Ratings
from pinrank.durable import write_text
from pinrank.evaluation.markdown import escaped, table
from pinrank.evaluation.sheets import UNDEFINED, Cell, Sheet

SHOWN = 20
"""Rows of a long table in the Markdown; the JSON and the tables hold all."""

LEGEND = (
    "alpha is Krippendorff's, about the pairs with two grades or more, with a 95% interval from a bootstrap over these "
    "pairs; kappa is Cohen's with squared distances. 1 is agreement, 0 is chance. `above` is by how many levels an "
    "annotator grades higher than the others of the same pairs, `same` the share of the others' grades that are theirs."
)


class ReportSettings(BaseModel):
    """What is measured, and how sure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_overlap: int = Field(20, ge=1, description="pairs that two annotators must have in common for a kappa")
    num_resamples: int = Field(1000, ge=0, description="of the bootstrap over pairs; 0 gives no interval")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class AnnotatorReport:
    """Agreement over all pairs, then by source and by locale; and what joined the grades."""

    method: Method
    sections: tuple[Agreement, ...]
    consensus: Consensus
    disagreeing: pa.Table  # CONSENSUS


def sections(ratings: Ratings, settings: ReportSettings) -> tuple[Agreement, ...]:
    """All pairs, the pairs of each source, and those of each query locale; a single source or locale says no more."""
    chosen = {"all": np.ones(ratings.num_pairs, dtype=bool)}
    for kind, names_P in (("source", ratings.sources_P), ("locale", ratings.locales_P)):
        names = np.unique(names_P).tolist()
        if len(names) > 1:
            chosen |= {f"{kind} {name}": names_P == name for name in names}
    return tuple(
        agreement(name, ratings.of_pairs(chosen_P), settings.min_overlap, settings.num_resamples, settings.seed)
        for name, chosen_P in chosen.items()
    )


def write_report(report: AnnotatorReport, record: Mapping[str, Any], folder: Path) -> list[str]:
    """Write FOLDER/agreement.json and .md, each in one rename; `record` (settings, versions) goes into the JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(as_json(report) | dict(record), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "agreement.json", content + "\n")
    write_text(folder / "agreement.md", to_markdown(report))
    return [str(folder / f"agreement.{kind}") for kind in ("json", "md")]


def as_json(report: AnnotatorReport) -> dict[str, Any]:
    """The report as JSON's types."""
    estimates = {
        source: {
            "iterations": found.iterations,
            "converged": found.converged,
            "prior": found.prior_L.tolist(),
            "errors": dict(zip(report.consensus.annotators[source], found.errors_ALL.tolist(), strict=True)),
        }
        for source, found in report.consensus.estimates.items()
    }
    return {
        "method": report.method,
        "sections": [asdict(section) for section in report.sections],
        "dawid_skene": estimates,
        "disagreeing_pairs": report.disagreeing.num_rows,
    }


def to_markdown(report: AnnotatorReport) -> str:
    """The report for people; long tables show their first rows."""
    everyone = report.sections[0]
    parts = ["# Agreement of the annotators", table(_alphas(report.sections))]
    if everyone.profiles:
        parts.append(table(_profiles(everyone)))
    parts += [table(_kappas(section)) for section in report.sections if section.kappas]
    parts += [_convergence(source, found) for source, found in report.consensus.estimates.items()]
    if report.disagreeing.num_rows:
        parts.append(table(_disagreements(report.disagreeing)))
    return "\n\n".join([*parts, LEGEND]) + "\n"


def _alphas(found: Sequence[Agreement]) -> Sheet:
    rows = tuple(
        (
            Cell(each.name),
            Cell(f"{each.num_pairs:,}"),
            Cell(f"{each.num_shared:,}"),
            Cell(f"{each.num_grades:,}"),
            _alpha(each.alpha_ordinal),
            _alpha(each.alpha_interval),
        )
        for each in found
    )
    return Sheet("", ("", "pairs", "of two or more", "grades", "alpha, ordinal", "alpha, interval"), rows)


def _profiles(found: Agreement) -> Sheet:
    by_size = sorted(found.profiles, key=lambda each: (-each.num_pairs, each.name))
    rows = tuple(
        (
            Cell(each.name),
            Cell(f"{each.num_pairs:,}"),
            Cell(f"{each.num_shared:,}"),
            Cell(f"{each.mean_level:.2f}"),
            Cell(UNDEFINED if each.above_others is None else f"{each.above_others:+.2f}"),
            Cell(UNDEFINED if each.same_as_others is None else f"{each.same_as_others:.1%}"),
        )
        for each in by_size[:SHOWN]
    )
    headings = ("annotator", "pairs", "shared", "mean level", "above", "same")
    return Sheet(f"Annotators{_of(len(rows), len(by_size))}", headings, rows)


def _kappas(found: Agreement) -> Sheet:
    rows = tuple(
        (
            Cell(each.first),
            Cell(each.second),
            Cell(f"{each.num_pairs:,}"),
            Cell(UNDEFINED if each.kappa is None else f"{each.kappa:.3f}"),
        )
        for each in found.kappas[:SHOWN]
    )
    title = f"Two annotators, {found.name}{_of(len(rows), len(found.kappas))}"
    return Sheet(title, ("annotator", "annotator", "pairs", "kappa"), rows)


def _disagreements(pairs: pa.Table) -> Sheet:
    rows = tuple(
        (
            Cell(row["query"]),
            Cell(row["pin_id"]),
            Cell(row["source"]),
            Cell(", ".join(map(str, row["levels"]))),
            Cell(str(row["level"])),
        )
        for row in pairs.slice(0, SHOWN).to_pylist()
    )
    title = f"Pairs to look at again{_of(len(rows), pairs.num_rows)}"
    return Sheet(title, ("query", "pin", "source", "levels given", "joined"), rows)


def _convergence(source: str, found: Estimate) -> str:
    how = "converged after" if found.converged else "**has not converged** after"
    return f"Dawid-Skene, source {escaped(source)}: {how} {found.iterations} iterations."


def _alpha(found: Alpha) -> Cell:
    if found.value is None:
        return Cell(UNDEFINED)
    detail = "" if found.interval is None else f"{found.interval[0]:.3f} to {found.interval[1]:.3f}"
    return Cell(f"{found.value:.3f}", detail)


def _of(shown: int, total: int) -> str:
    return "" if shown == total else f" (the first {shown:,} of {total:,})"
