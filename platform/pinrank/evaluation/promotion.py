"""Whether a candidate student may take the place of the current one: a paired comparison on dev judgments.

The candidate is promoted when the lower end of the 95% interval of (candidate - current) is not below -margin: it is
then surely not worse by more than the margin. A candidate that is merely not surely worse is held, so that too few
judgments hold every candidate instead of promoting it. Never on test: what is chosen there cannot be reported there.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pinrank.evaluation.comparison import (
    HEADINGS,
    LEAST_QUERIES,
    BootstrapSettings,
    Gain,
    Metric,
    Section,
    measure_rows,
    section,
)
from pinrank.evaluation.judged import Graded, Judged

SPLIT = "dev"
CANDIDATE = "candidate"
CURRENT = "current"
AGAINST = "Difference against the current student"


class PromotionSettings(BaseModel):
    """By what a candidate is held against the current student."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Metric = Field("ndcg_at_20", description="that the decision is made on; larger is better in all of them")
    margin: float = Field(0.005, ge=0, description="by how much of it a candidate may be worse")
    bootstrap: BootstrapSettings = BootstrapSettings()


@dataclass(frozen=True)
class Student:
    """A student's version and what it says of the judged pairs."""

    version: str
    graded: Graded


@dataclass(frozen=True)
class Decision:
    """Whether the candidate becomes the current student, why, and the figures behind it."""

    promote: bool
    reason: str
    candidate: str
    current: str | None
    settings: PromotionSettings
    section: Section


DECISION = TypeAdapter(Decision)
"""A decision to JSON and back."""


def decide(judged: Judged, candidate: Student, current: Student | None, settings: PromotionSettings) -> Decision:
    """Hold the candidate against the current student (None: there is none yet) on the same judged pairs."""
    rows = {CANDIDATE: candidate.graded} | ({CURRENT: current.graded} if current else {})
    measures = measure_rows(judged, rows, settings.bootstrap)
    contrasts = {AGAINST: {CANDIDATE: CURRENT}} if current else {}
    measured = section(SPLIT, judged, measures, contrasts)
    if current is None:
        promote, reason = True, "there is no current student yet"
    elif current.version == candidate.version:
        promote, reason = False, "it is the current student, weight for weight"
    else:
        promote, reason = verdict(measured.contrasts[0].gains[CANDIDATE][settings.metric], measured, settings)
    version = current.version if current else None
    return Decision(promote, reason, candidate.version, version, settings, measured)


def verdict(gain: Gain, measured: Section, settings: PromotionSettings) -> tuple[bool, str]:
    """Whether a candidate with this gain is promoted, and the reason in a sentence for a person."""
    heading = HEADINGS[settings.metric]
    low, high = gain.ci95
    if gain.difference is None or low is None or high is None:
        return False, (
            f"{heading} has no interval on {measured.num_pairs} {SPLIT} pairs of {measured.num_queries} queries: at "
            f"least {LEAST_QUERIES} queries with pins of different levels are needed"
        )
    found = f"{heading} {gain.difference:+.4f} ({low:+.4f} to {high:+.4f}) against the current student"
    if low >= -settings.margin:
        return True, f"{found}: not worse by more than {settings.margin:g}"
    return False, f"{found}: may be worse by {-low:.4f}, more than {settings.margin:g}"
