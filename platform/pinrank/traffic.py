"""Which share of requests a release gets beside the current one: a canary answers them, a shadow only grades along.

The file traffic.json in a registry is replaced in one rename; services that follow the registry read it.
"""

from pathlib import Path

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.durable import exclusive, write_text
from pinrank.errors import ModelError
from pinrank.parquet import one_line
from pinrank.registry import LOCK, verify

TRAFFIC = "traffic.json"


class Share(BaseModel):
    """A release and the share of queries that it gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    share: float = Field(ge=0.0, le=1.0)

    def has(self, query: str) -> bool:
        """Whether a query is of this share: by its hash, so that a query meets one release while the share stays.

        The hash is another for each release: a shadow's queries are not those of the canary.
        """
        key = f"{self.version}\n{query}".encode("utf-8", "surrogatepass")
        return xxhash.xxh3_64_intdigest(key) / 2**64 < self.share


class Traffic(BaseModel):
    """What traffic.json says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    canary: Share | None = None
    shadow: Share | None = None


def read_traffic(registry: Path) -> Traffic:
    """The shares; none where there is no file. Raises ModelError for a damaged one."""
    path = registry / TRAFFIC
    try:
        return Traffic.model_validate_json(path.read_text())
    except FileNotFoundError:
        return Traffic()
    except ValidationError as cause:
        raise ModelError(f"{path}: damaged: {one_line(cause)}. Remove it, and give the shares again.") from cause


def set_canary(registry: Path, canary: Share | None) -> Traffic:
    """Let a release answer a share of queries; None ends it. ModelError when the bundle is missing or damaged."""
    return _change(registry, canary, "canary")


def set_shadow(registry: Path, shadow: Share | None) -> Traffic:
    """Let a release grade a share of queries along, whose answers nobody sees; as `set_canary`."""
    return _change(registry, shadow, "shadow")


def _change(registry: Path, share: Share | None, part: str) -> Traffic:
    with exclusive(registry / LOCK):
        if share is not None:
            verify(registry, share.version)
        changed = read_traffic(registry).model_copy(update={part: share})
        write_text(registry / TRAFFIC, changed.model_dump_json(indent=1) + "\n")
    return changed
