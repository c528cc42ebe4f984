"""The node types of a launcher file, as far as manifests are made of them."""

from pathlib import Path

import yaml
from pydantic import BaseModel, Field, ValidationError

from pinrank.errors import SettingsError
from pinrank.parquet import one_line

ACCELERATOR = "accelerator_type:"
"""How Ray calls the resource that says a node's accelerator."""


class NodeType(BaseModel):
    """What a node has, and how many there may be."""

    resources: dict[str, int] = {}
    min_workers: int = 0
    max_workers: int = 0

    @property
    def cpus(self) -> int:
        """CPUs of a node."""
        return self.resources.get("CPU", 0)

    @property
    def gpus(self) -> int:
        """GPUs of a node."""
        return self.resources.get("GPU", 0)

    @property
    def accelerator(self) -> str | None:
        """Ray's name of its GPUs, as L40S."""
        names = [name.removeprefix(ACCELERATOR) for name in self.resources if name.startswith(ACCELERATOR)]
        return names[0] if names else None


class Nodes(BaseModel):
    """A launcher file's node types; the head's is one of them."""

    idle_timeout_minutes: float = 5.0
    head_node_type: str
    available_node_types: dict[str, NodeType] = Field(min_length=1)

    @property
    def workers(self) -> dict[str, NodeType]:
        """All but the head's."""
        return {name: node for name, node in self.available_node_types.items() if name != self.head_node_type}


def read_nodes(path: Path) -> Nodes:
    """Raises SettingsError when the file cannot be read or has no node types."""
    try:
        return Nodes.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as cause:
        raise SettingsError(f"{path}: cannot be read: {cause.strerror}.") from cause
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as cause:
        raise SettingsError(f"{path}: no launcher file with node types: {one_line(cause)}.") from cause
