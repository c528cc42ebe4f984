"""The rows of the ablation of features."""

from pinrank.evaluation.feature_ablation import ALL, TEXTS, groups_of, rows_of
from pinrank.student.declaration import Declaration, read_declaration

EVERYTHING = Declaration.model_validate(
    {
        "lexical": {"bm25": ["title"]},
        "counts": ["pin_terms"],
        "external": {"search": {"sides": ["query", "pin"]}, "graph": {"sides": ["pin"]}},
        "query": {"categorical": {"interest": {}}, "numeric": {"searches": {}}},
        "pin": {"categorical": {"source": {}}},
        "pair": {"numeric": {"shown": {}}},
    }
)


def test_each_group_is_left_out_once_and_nothing_else_with_it() -> None:
    without = groups_of(EVERYTHING)
    assert list(without) == ["lexical", "counts", "external: search", "external: graph", "categorical", "numeric"]
    assert without["lexical"].lexical == {} and without["lexical"].counts == EVERYTHING.counts
    assert list(without["external: search"].external) == ["graph"]
    numbers = without["numeric"]
    assert not (numbers.query.numeric or numbers.pair.numeric) and numbers.query.categorical
    assert not (without["categorical"].query.categorical or without["categorical"].pin.categorical)


def test_all_come_first_and_the_vectors_alone_last() -> None:
    rows = rows_of(EVERYTHING)
    assert (rows[0].name, rows[0].against, rows[-1].name) == (ALL, None, TEXTS)
    assert {row.against for row in rows[1:]} == {ALL} and not groups_of(rows[-1].declared)
    assert len({row.folder for row in rows}) == len(rows)
    assert not any(mark in row.folder for row in rows for mark in " :/")


def test_what_is_not_declared_makes_no_row() -> None:
    assert [row.name for row in rows_of(read_declaration())] == [ALL, "without lexical", "without counts", TEXTS]
    lone = Declaration(counts=("pin_terms",))
    assert [row.name for row in rows_of(lone)] == [ALL, "without counts"]
    assert len(rows_of(Declaration())) == 1
