"""Which queries belong together, and into which split their group goes.

A group is everything that shares a key: the same text in any spelling, the same entity, the same picture. A group is in
one split, so that a model is never tested on a query that it has learnt in other words.
"""

import hashlib
from collections.abc import Collection, Sequence

import xxhash

from pinrank.faults import SPLITS
from pinrank.text import normalise_query

TEXT_KEY = "t:"
"""How the key of a query's text begins; other keys (an entity, a picture) begin otherwise."""

DEV_SHARE = 0.1
TEST_SHARE = 0.2
"""Of the groups; the rest is for training."""

TRAIN, DEV, TEST = SPLITS


def text_key(query: str) -> str:
    """The key that a query shares with all of its spellings."""
    return TEXT_KEY + normalise_query(query)


def groups(keys_of: Sequence[Collection[str]]) -> list[str]:
    """The group of each query, whose keys are given: 12 hex digits (SHA-1) of the group's first key.

    Keys of entities and pictures come before texts, then in the order of their characters; so a group's name depends
    neither on the order of the queries nor on where they come from.
    """
    parent: dict[str, str] = {}
    for keys in keys_of:
        _join(parent, list(keys))
    return [hashlib.sha1(_root(parent, next(iter(keys))).encode()).hexdigest()[:12] for keys in keys_of]


def splits(group_of: Sequence[str], held: Sequence[str | None] | None = None, seed: int = 0) -> list[str]:
    """The split of each query, by a hash of its group.

    held: the owner's split of each query, where there is one. What the owner tests on stays test, with the whole group;
    a group that is not is divided into train and dev.
    """
    owners: dict[str, set[str]] = {}
    for group, split in zip(group_of, held or [None] * len(group_of), strict=True):
        owners.setdefault(group, set()).update(() if split is None else (split,))
    split_of = {
        group: _split(found, xxhash.xxh3_64_intdigest(group.encode(), seed) / 2**64) for group, found in owners.items()
    }
    return [split_of[group] for group in group_of]


def splits_by_text(queries: Sequence[str]) -> list[str]:
    """The split of queries that nobody has put into one, by their texts alone, whatever the spelling."""
    return splits(groups([[text_key(query)] for query in queries]))


def _split(owners: set[str], share: float) -> str:
    if TEST in owners:
        return TEST
    if share < DEV_SHARE:
        return DEV
    return TEST if not owners and share < DEV_SHARE + TEST_SHARE else TRAIN


def _join(parent: dict[str, str], keys: list[str]) -> None:
    roots = {_root(parent, key) for key in keys}
    first = min(roots, key=_order)
    for root in roots:
        parent[root] = first


def _order(key: str) -> tuple[bool, str]:
    return key.startswith(TEXT_KEY), key


def _root(parent: dict[str, str], key: str) -> str:
    above = parent.setdefault(key, key)
    while parent[above] != above:
        parent[key] = above = parent[above]
    return above
