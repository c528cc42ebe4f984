"""feature_spec.yaml: every input of the student, as a user declares it.

    towers: [query, pin]
    lexical: {bm25: [title, all], matched: [title, all]}
    counts: [query_terms, pin_terms]
    external:
      search: {sides: [query, pin]}
    query:
      categorical:
        interest: {max_values: 4, min_count: 5, max_size: 1000, dim: 8}
      numeric:
        searches: {log1p: true}
    pin:
      numeric:
        saves: {log1p: true}
    pair:
      numeric:
        shown: {log1p: true}

A feature is named as its column in the tables query_features, pin_features and pair_features.
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from pinrank import lexical
from pinrank.errors import SettingsError

SideName = Literal["query", "pin"]
Name = Annotated[str, StringConstraints(pattern=r"^\w+$", max_length=64)]

KEYS = ("query", "query_locale", "pin_id")
"""Columns of the feature tables that are no features."""

DEFAULT = "feature_spec.yaml"
"""The specification in this package: texts alone."""


class External(BaseModel):
    """A named embedding that something else made: tables of id → vector, of pins by pin_id, of queries by query.

    With both sides their cosine is a feature of the pair.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sides: tuple[SideName, ...] = Field(min_length=1, description="query, pin or both")
    folder: str | None = Field(
        None, description="where queries/ and pins/ lie, from the tables' folder; null: external_embeddings/NAME"
    )

    @field_validator("sides")
    @classmethod
    def _are_distinct(cls, sides: tuple[SideName, ...]) -> tuple[SideName, ...]:
        if len(set(sides)) < len(sides):
            raise ValueError(f"names a side twice: {', '.join(sides)}")
        return sides


class Categorical(BaseModel):
    """A column of text, or a list of texts: each value has a row in an embedding table, a list the mean of its rows.

    The first two rows are for a missing value and for one that training did not keep.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_values: int = Field(1, ge=1, le=64, description="1: a column of text; more: lists, whose first so many count")
    min_count: int = Field(5, ge=1, description="pairs to learn from that must have a value, else it is unknown")
    max_size: int = Field(10_000, ge=1, description="values kept, the most frequent first")
    dim: int = Field(8, ge=1, le=256, description="numbers a value is embedded in")


class Numeric(BaseModel):
    """A column of numbers, brought to mean 0 and deviation 1 and cut at the limit; a missing one is 0 with a mark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log1p: bool = Field(False, description="take ln(1 + x) first, for counts; values must not be negative")


class PairColumns(BaseModel):
    """Features of a (query, pin) pair: columns of pair_features."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numeric: dict[Name, Numeric] = {}


class SideColumns(PairColumns):
    """Features of queries or of pins: columns of query_features or pin_features."""

    categorical: dict[Name, Categorical] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return (*self.numeric, *self.categorical)


class Declaration(BaseModel):
    """Every input of the student, in the order of its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    towers: tuple[Literal["query"], Literal["pin"]] = Field(
        ("query", "pin"), description="both are needed; train_student's student.* says what they are"
    )
    lexical: dict[str, tuple[str, ...]] = Field({}, description="kind of match: the text fields, or all joined")
    counts: tuple[Literal["query_terms", "pin_terms", "title_terms", "filled_fields"], ...] = Field(
        (), description="sizes of the texts; the *_terms are ln(1 + number of terms)"
    )
    external: dict[Name, External] = {}
    query: SideColumns = SideColumns()
    pin: SideColumns = SideColumns()
    pair: PairColumns = PairColumns()
    limit: float = Field(6.0, gt=0, description="normalised values are cut here, so that no outlier drives the MLP")

    @field_validator("lexical")
    @classmethod
    def _is_computed(cls, kinds: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        names = _lexical_names(kinds)
        if unknown := [name for name in names if name not in lexical.NAMES]:
            raise ValueError(f"{unknown[0]} is no lexical feature; there are {', '.join(lexical.NAMES)}")
        if len(set(names)) < len(names):
            raise ValueError("names a field of one kind twice")
        return kinds

    @model_validator(mode="after")
    def _names_are_unambiguous(self) -> Self:
        if len(set(self.counts)) < len(self.counts):
            raise ValueError("counts: names one twice")
        for where, names in (("query", self.query.names), ("pin", self.pin.names), ("pair", tuple(self.pair.numeric))):
            taken = [*KEYS, *self.external] if where == "query" else KEYS
            if wrong := [name for place, name in enumerate(names) if name in taken or name in names[:place]]:
                raise ValueError(f"{where}: '{wrong[0]}' is also the name of something else; name the column anew")
        return self

    @property
    def lexical_names(self) -> tuple[str, ...]:
        """The columns of lexical.features that are read, in order."""
        return _lexical_names(self.lexical)

    @property
    def spaces(self) -> tuple[str, ...]:
        """The external embeddings of both sides."""
        return tuple(name for name, each in self.external.items() if len(each.sides) == 2)

    def columns(self, side: SideName) -> SideColumns:
        """The declared columns of a side."""
        return self.query if side == "query" else self.pin

    def externals(self, side: SideName) -> tuple[str, ...]:
        """The external embeddings of a side."""
        return tuple(name for name, each in self.external.items() if side in each.sides)

    @property
    def reads_tables(self) -> bool:
        """Whether there is any feature that the texts alone do not give."""
        return bool(self.external or self.query.names or self.pin.names or self.pair.numeric)


def read_declaration(path: str | Path | None = None) -> Declaration:
    """The declaration in a YAML file, or the package's own. SettingsError names the file, the field and the mend."""
    where = str(path or DEFAULT)
    try:
        text = Path(path).read_text() if path else files("pinrank.student").joinpath(DEFAULT).read_text()
        content = _Once(text).get_single_data()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise SettingsError(
            f"{where}: cannot be read as YAML: {' '.join(str(cause).split())}. docs/student-features.md has an example."
        ) from cause
    try:
        return Declaration.model_validate({} if content is None else content)
    except ValidationError as cause:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in cause.errors())
        raise SettingsError(f"{where}: {faults}. docs/student-features.md says what each field may be.") from cause


class _Once(yaml.SafeLoader):
    """A loader that refuses a name that stands twice in one mapping, where YAML's readers keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [name for place, name in enumerate(names) if name in names[:place]]:
            raise yaml.constructor.ConstructorError(None, None, f"'{twice[0]}' stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _lexical_names(kinds: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(f"{kind}.{field}" for kind, fields in kinds.items() for field in fields)
