"""When to call somebody: figures of the last day's lists beside what they should be."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from pinrank.evaluation.comparison import Figure


class AlertSettings(BaseModel):
    """Limits of the last day's figures; null: none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ndcg_at_10: float | None = Field(None, ge=0, le=1, description="of the lists as shown: alert when lower")
    accuracy: float | None = Field(None, ge=0, le=1, description="alert when lower")
    qwk: float | None = Field(None, ge=-1, le=1, description="alert when lower")
    spearman: float | None = Field(None, ge=-1, le=1, description="alert when lower")
    drift_levels: float | None = Field(None, ge=0, le=4, description="alert when higher")
    surely: bool = Field(
        False, description="only when the whole 95% interval is beyond the limit, so that chance calls nobody"
    )


@dataclass(frozen=True)
class Alert:
    """A figure that is beyond its limit."""

    metric: str
    value: float
    ci95: tuple[float | None, float | None]
    limit: float

    def __str__(self) -> str:
        low, high = self.ci95
        between = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
        return f"{self.metric} is {self.value:.3f}{between}, beyond the limit {self.limit:g}"


def alerts(figures: Mapping[str, Figure], settings: AlertSettings) -> list[Alert]:
    """The figures beyond their limits. Undefined ones call nobody, nor do those without interval if `surely`."""
    found = []
    for metric, figure in figures.items():
        limit: float | None = getattr(settings, metric)
        if limit is None or figure.value is None:
            continue
        sign = -1 if metric == "drift_levels" else 1
        best = figure.ci95[0 if sign < 0 else 1] if settings.surely else figure.value
        if best is not None and sign * best < sign * limit:
            found.append(Alert(metric, figure.value, figure.ci95, limit))
    return found
