"""Which saves make the graph, and how it becomes vectors."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class GraphSettings(BaseModel):
    """Which saves make the graph, and how it becomes vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_users: int = Field(3, ge=1, description="distinct people without whose saves a pin has no vector")
    min_pins: int = Field(2, ge=2, description="a board with fewer pins brings none together and is left out")
    max_pins: int = Field(1_000, ge=2, description="a board with more pins is about everything and is left out")
    dim: int = Field(64, ge=1, description="width of a vector")
    shift: float = Field(1.0, ge=1, description="log of it is taken off the mutual information: weak edges fall away")
    singular_power: float = Field(
        0.5, ge=0, le=1, description="of the singular values in a vector: 0 as equals, 1 whole"
    )
    power_iterations: int = Field(7, ge=1, description="of the randomised factorisation; more are exacter")
    seed: int = Field(0, ge=0, description="of every random choice")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "GraphSettings":
        if self.max_pins < self.min_pins:
            raise ValueError(f"max_pins ({self.max_pins}) must be at least min_pins ({self.min_pins})")
        return self
