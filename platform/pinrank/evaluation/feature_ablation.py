"""Which of a student's features are worth having: the rows of the ablation.

Both towers, the product of their vectors and their cosine are in every row: without them it is no student.
"""

from dataclasses import dataclass

from pinrank.student.declaration import Declaration, PairColumns, SideColumns

ALL = "all features"
TEXTS = "vectors only"


@dataclass(frozen=True)
class FeatureRow:
    """One row: what its student reads, and the row that it is held against."""

    name: str
    declared: Declaration
    against: str | None

    @property
    def folder(self) -> str:
        """A folder's name."""
        return self.name.replace(" ", "_").replace(":", "")


def rows_of(declared: Declaration) -> list[FeatureRow]:
    """All features; all but one group a row; and none, where there are two groups or more."""
    without = groups_of(declared)
    rows = [FeatureRow(ALL, declared, None)]
    rows += [FeatureRow(f"without {name}", left, ALL) for name, left in without.items()]
    if len(without) > 1:
        rows.append(FeatureRow(TEXTS, bare(declared), ALL))
    return rows


def groups_of(declared: Declaration) -> dict[str, Declaration]:
    """Name of each group that is declared → the declaration without it.

    Groups: lexical matches, counts, each external embedding, categorical columns and numeric columns.
    """
    found: dict[str, Declaration] = {}
    if declared.lexical:
        found["lexical"] = changed(declared, lexical={})
    if declared.counts:
        found["counts"] = changed(declared, counts=())
    for name in declared.external:
        rest = {other: each for other, each in declared.external.items() if other != name}
        found[f"external: {name}"] = changed(declared, external=rest)
    if declared.query.categorical or declared.pin.categorical:
        sides = {"query": declared.query, "pin": declared.pin}
        found["categorical"] = changed(
            declared, **{side: each.model_copy(update={"categorical": {}}) for side, each in sides.items()}
        )
    if declared.query.numeric or declared.pin.numeric or declared.pair.numeric:
        columns: dict[str, PairColumns] = {"query": declared.query, "pin": declared.pin, "pair": declared.pair}
        found["numeric"] = changed(
            declared, **{side: each.model_copy(update={"numeric": {}}) for side, each in columns.items()}
        )
    return found


def bare(declared: Declaration) -> Declaration:
    """The declaration without any feature."""
    nothing = {"query": SideColumns(), "pin": SideColumns(), "pair": PairColumns()}
    return changed(declared, lexical={}, counts=(), external={}, **nothing)


def changed(declared: Declaration, **changes: object) -> Declaration:
    """A declaration with some of its fields replaced, checked anew."""
    return Declaration.model_validate(declared.model_copy(update=changes).model_dump())
