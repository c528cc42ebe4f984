"""feature_spec.yaml: what a user may declare, and what is said about a mistake."""

from pathlib import Path

import pytest

from pinrank import lexical
from pinrank.errors import SettingsError
from pinrank.student.declaration import DEFAULT, Declaration, read_declaration
from tests.student.featured import SPEC


def told(tmp_path: Path, content: str) -> str:
    path = tmp_path / "feature_spec.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_declaration(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_package_has_one_that_reads_texts_alone() -> None:
    default = read_declaration()
    assert not default.reads_tables
    assert default.lexical_names == lexical.NAMES
    assert default.counts == ("query_terms", "pin_terms", "title_terms", "filled_fields")


def test_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(SPEC)
    declared = read_declaration(tmp_path / "one.yaml")
    assert declared.lexical_names == ("bm25.title", "bm25.all", "matched.all")
    assert declared.pin.names == ("saves", "price", "category")
    assert declared.externals("pin") == ("search", "graph")
    assert declared.externals("query") == declared.spaces == ("search",)
    assert declared.reads_tables


def test_an_empty_file_declares_the_towers_alone(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert read_declaration(tmp_path / "empty.yaml") == Declaration()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("towers: [query]", "towers.1: Field required"),
        ("lexical: {bm26: [title]}", "lexical: Value error, bm26.title is no lexical feature; there are bm25.title"),
        ("lexical: {exact: [caption]}", "exact.caption is no lexical feature"),
        ("lexical: {bm25: [title, title]}", "names a field of one kind twice"),
        ("counts: [words]", "counts.0: Input should be 'query_terms'"),
        ("counts: [pin_terms, pin_terms]", "counts: names one twice"),
        ("external: {search: {sides: [query, query]}}", "external.search.sides: Value error, names a side twice"),
        ("external: {search: {sides: []}}", "external.search.sides: Tuple should have at least 1 item"),
        ("external: {search: {sides: [board]}}", "external.search.sides.0: Input should be 'query' or 'pin'"),
        ("pin: {numeric: {saves: {log: true}}}", "pin.numeric.saves.log: Extra inputs are not permitted"),
        ("pin: {numeric: {'a b': {}}}", "pin.numeric.a b.[key]: String should match pattern"),
        ("pin: {numeric: {pin_id: {}}}", "pin: 'pin_id' is also the name of something else"),
        ("pin: {numeric: {a: {}}, categorical: {a: {}}}", "pin: 'a' is also the name of something else"),
        ("external: {a: {sides: [pin]}}\nquery: {numeric: {a: {}}}", "query: 'a' is also the name of something else"),
        ("pair: {categorical: {a: {}}}", "pair.categorical: Extra inputs are not permitted"),
        ("pin: {categorical: {a: {dim: 0}}}", "pin.categorical.a.dim: Input should be greater than or equal to 1"),
        ("pin: {categorical: {a: {}, a: {dim: 2}}}", "'a' stands there twice"),
        ("- a list", "file: Input should be a valid dictionary"),
        ("towers: [", "cannot be read as YAML"),
    ],
)
def test_a_mistake_is_told_with_its_field(tmp_path: Path, content: str, message: str) -> None:
    assert message in told(tmp_path, content)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read as YAML.*No such file"):
        read_declaration(tmp_path / "nowhere.yaml")


def test_the_example_in_the_docs_is_a_declaration(root: Path, tmp_path: Path) -> None:
    page = (root / "docs/student-features.md").read_text()
    (tmp_path / DEFAULT).write_text(page.partition("```yaml\n")[2].partition("```")[0])
    declared = read_declaration(tmp_path / DEFAULT)
    assert declared.pair.numeric and declared.spaces and declared.query.categorical and declared.pin.numeric
