"""Which pairs are wanted."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Dimension = Literal["locale", "country", "source", "popularity", "position"]


class StrataSettings(BaseModel):
    """What makes a stratum, and where the bands of popularity and position end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: tuple[Dimension, ...] = Field(
        ("locale", "country", "popularity", "position"), description="a stratum's dimensions, in the order of its name"
    )
    head_share: float = Field(0.5, gt=0, le=1, description="of the impressions: queries with most of them are the head")
    torso_share: float = Field(0.3, ge=0, le=1, description="of the impressions after the head's; the rest is the tail")
    position_bands: tuple[int, ...] = Field((4, 10, 25), description="last position of each band, ascending")

    @field_validator("position_bands")
    @classmethod
    def _ascending(cls, bands: tuple[int, ...]) -> tuple[int, ...]:
        if list(bands) != sorted(set(bands)) or any(band < 1 for band in bands):
            raise ValueError("must be ascending positions from 1 on")
        return bands


class RateSettings(BaseModel):
    """How the sample is divided among the strata."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["proportional", "neyman", "fixed"] = Field(
        "proportional", description="to its pairs; to its pairs times their uncertainty; or a rate for each stratum"
    )
    fixed: dict[str, float] = Field(
        {"*": 1.0}, description="rate of the pairs by pattern of the stratum's name, the first that fits; none: 0"
    )

    @field_validator("fixed")
    @classmethod
    def _are_rates(cls, rates: dict[str, float]) -> dict[str, float]:
        if any(not 0 <= rate <= 1 for rate in rates.values()):
            raise ValueError("rates must be within 0..1")
        return rates


class GuaranteeSettings(BaseModel):
    """What is young gets its share of the sample, where there is so much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fresh_share: float = Field(0.05, ge=0, le=1, description="of the sample: pairs of fresh pins, at least")
    fresh_days: int = Field(7, ge=1, description="a pin is fresh that was first shown in the log's last so many days")
    trending_share: float = Field(0.05, ge=0, le=1, description="of the sample: pairs of trending queries, at least")
    trending_days: int = Field(1, ge=1, description="last days whose volume is compared")
    trailing_days: int = Field(7, ge=1, description="days before them with which it is compared")
    trending_ratio: float = Field(2.0, gt=1, description="volume a day over that of the trailing days from which on")
    trending_volume: int = Field(20, ge=1, description="impressions of the last days without which nothing trends")


class ActiveSettings(BaseModel):
    """Pairs chosen because a model is unsure of them. They need a table of scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(0.0, ge=0, le=1, description="of the sample: the pairs with the largest scores")
    by: Literal["uncertainty", "disagreement"] = Field(
        "uncertainty", description="the student's, or between student and teacher; a column of the scores"
    )


class Wanted(BaseModel):
    """The whole choice; the same settings and impressions give the same pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(12_000, ge=1)
    seed: int = Field(0, ge=0)
    max_per_query: int | None = Field(None, ge=1)
    max_per_pin: int | None = Field(None, ge=1)
    min_per_stratum: int = Field(0, ge=0)
    strata: StrataSettings = StrataSettings()
    rates: RateSettings = RateSettings()
    guarantees: GuaranteeSettings = GuaranteeSettings()
    active: ActiveSettings = ActiveSettings()

    @model_validator(mode="after")
    def _shares_fit_the_sample(self) -> "Wanted":
        total = self.guarantees.fresh_share + self.guarantees.trending_share + self.active.share
        if total > 1:
            raise ValueError(
                f"guarantees.fresh_share, guarantees.trending_share and active.share add up to {total:g} > 1"
            )
        return self
