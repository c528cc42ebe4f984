"""What of an engagement log becomes pin text."""

from pydantic import BaseModel, ConfigDict, Field


class ActionWeights(BaseModel):
    """What a person's strongest action after a query says about its words; whole numbers, so that sums are exact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    click: int = Field(1, ge=0, description="weight of a person who clicked")
    long_click: int = Field(2, ge=0, description="weight of a person who stayed on the link")
    save: int = Field(3, ge=0, description="weight of a person who saved the pin")


class BoilerplateSettings(BaseModel):
    """Which parts of link texts say something about the domain instead of the link."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_links: int = Field(5, ge=2, description="links of a domain that must share a part of a title or a description")
    min_share: float = Field(0.3, gt=0, le=1, description="of the domain's links with such a text that must share it")


class EngagementSettings(BaseModel):
    """What of an engagement log becomes pin text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_users: int = Field(3, ge=1, description="distinct people without whom a title, token or link is left out")
    min_queries: int = Field(2, ge=1, description="distinct queries without which a token is left out")
    top_boards: int = Field(8, ge=0, description="board titles a pin, those of most people first")
    top_tokens: int = Field(16, ge=0, description="query tokens a pin, those of the largest weight first")
    window_days: int = Field(730, ge=1, le=36_500, description="days before the log's last one whose queries count")
    weights: ActionWeights = Field(ActionWeights(), description="what an action says about the query's words")
    min_dwell_s: float = Field(10.0, ge=0, description="a click counts as long from this stay on")
    boilerplate: BoilerplateSettings = Field(BoilerplateSettings(), description="what link texts are cleaned of")
    steady_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="board titles and tokens stay as they were while less than this share changes",
    )
