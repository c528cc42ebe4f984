"""Which of a pin's text fields are worth their tokens: the rows of the ablation, and which fields hold any text."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.text import FIELDS, FieldBudgets

GROUPS: dict[str, tuple[str, ...]] = {
    "caption": ("caption",),
    "title and description": ("title", "description"),
    "board titles": ("board_titles",),
    "engaged query tokens": ("query_tokens",),
    "link title and description": ("link_title", "link_description"),
}
"""The groups that are switched together, in the order in which they are added."""

ALL = "all fields"


@dataclass(frozen=True)
class FieldRow:
    """One row: the groups that the teacher reads, and the row that it is held against."""

    name: str
    groups: tuple[str, ...]
    against: str | None

    @property
    def folder(self) -> str:
        """A folder's name that says the groups; two rows that read the same have the same."""
        return "+".join(group.replace(" ", "_") for group in self.groups)


def present_groups(budgets: FieldBudgets, filled: Collection[str]) -> tuple[str, ...]:
    """The groups with a field that has a budget and, somewhere, text."""
    return tuple(
        group for group, fields in GROUPS.items() if any(getattr(budgets, each) and each in filled for each in fields)
    )


def cumulative(groups: Sequence[str]) -> list[FieldRow]:
    """The first group alone, then one more group a row, each row against the row before."""
    rows: list[FieldRow] = []
    for count, group in enumerate(groups, start=1):
        name = f"{group} only" if count == 1 else f"+ {group}"
        rows.append(FieldRow(name, tuple(groups[:count]), rows[-1].name if rows else None))
    return rows


def leave_one_out(groups: Sequence[str]) -> list[FieldRow]:
    """All groups, then all but one a row against all; all alone where there is only one group."""
    rows = [FieldRow(ALL, tuple(groups), None)]
    if len(groups) > 1:
        rows += [FieldRow(f"without {left}", tuple(each for each in groups if each != left), ALL) for left in groups]
    return rows


def switched(budgets: FieldBudgets, groups: Collection[str]) -> FieldBudgets:
    """The budgets with every field outside the groups at 0."""
    kept = {name for group in groups for name in GROUPS[group]}
    return FieldBudgets(**{name: getattr(budgets, name) if name in kept else 0 for name in FIELDS})


def filled_shares(pin_text: pa.Table, pin_ids: Collection[str]) -> dict[str, float]:
    """The share of these pins that have text in each field of FIELDS; 0 everywhere when there are no pins."""
    pins = pin_text.filter(pc.is_in(pin_text["pin_id"], pa.array(sorted(pin_ids), pa.string())))
    texts = {name: pc.fill_null(pins[name], "") for name in FIELDS}
    return {name: (pc.sum(pc.not_equal(text, "")).as_py() or 0) / max(pins.num_rows, 1) for name, text in texts.items()}


def notes(budgets: FieldBudgets, filled: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """What a reader must know of fields that are not in the rows; filled: pins → field → share with text."""
    empty = [name for name in FIELDS if not any(shares[name] for shares in filled.values())]
    off = [name for name in FIELDS if not getattr(budgets, name) and name not in empty]
    found = []
    if empty:
        found.append(f"No judged pin has text in {', '.join(empty)}: a row of these would be noise, none was trained.")
    if off:
        found.append(f"Switched off by a budget of 0 in every row: {', '.join(off)}.")
    return tuple(found)
