from pathlib import Path

from pinrank import lexical
from pinrank.tables import PIN_TEXT, read, write
from pipelines.fit_lexical import FitLexical, main
from tests.lexical.test_collection import SOME, assert_equal
from tests.lexical.test_collection import write as write_texts


def test_a_days_increment_ends_where_counting_all_pins_does(tmp_path: Path) -> None:
    write_texts(tmp_path / "yesterday/pin_text", SOME)
    write_texts(tmp_path / "today/pin_text", SOME | {"a": ("blue shoes", "en"), "e": ("lamp", "en")})
    kept, anew = tmp_path / "kept", tmp_path / "anew"
    main(FitLexical(tables=str(tmp_path / "yesterday"), output=kept))
    update = FitLexical(tables=str(tmp_path / "today"), output=kept, before=str(tmp_path / "yesterday/pin_text"))
    summary = main(update)
    main(FitLexical(tables=str(tmp_path / "today"), output=anew))
    assert (summary.rows_in, summary.rows_out) == (5, 5)
    assert_equal(lexical.LexicalStats.open(kept), lexical.LexicalStats.open(anew))


def test_words_are_read_as_the_settings_say(tmp_path: Path) -> None:
    write(read(write_texts(tmp_path / "t", SOME), PIN_TEXT), str(tmp_path / "tables/pin_text"), PIN_TEXT)
    main(FitLexical(tables=str(tmp_path / "tables"), output=tmp_path / "lexical", words={"stems": "none"}))
    stats = lexical.LexicalStats.open(tmp_path / "lexical")
    assert set(lexical.term_ids(["running", "laufende"]).tolist()) <= set(stats.terms.tolist())
