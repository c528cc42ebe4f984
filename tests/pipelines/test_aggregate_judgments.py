"""aggregate_judgments as a job: what it writes, what it sets aside, what it refuses."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.errors import JudgmentError, SettingsError
from pinrank.pipeline import parse
from pinrank.tables import CONSENSUS, JUDGMENTS, read, write
from pipelines.aggregate_judgments import AggregateJudgments, main
from tests.annotators.rows import grid, judgments
from tests.job import run_job

THREE = grid(x=[1, 5, 3, 2, 4], y=[1, 5, 4, 4, 4], z=[2, 5, 3, 2, None])


def written(rows: pa.Table, folder: Path) -> str:
    write(rows, str(folder / "judgments"), JUDGMENTS)
    return str(folder / "judgments")


def settings(table: pa.Table, folder: Path, **others: object) -> AggregateJudgments:
    return AggregateJudgments(judgments=written(table, folder), output=folder / "out", **others)


def test_job_writes_one_row_a_pair_a_report_and_the_pairs_to_review(tmp_path: Path, root: Path) -> None:
    output = tmp_path / "out"
    done = run_job(root, "aggregate_judgments", "--judgments", written(THREE, tmp_path), "--output", str(output))
    assert done.code == 0, done.told
    assert (done.summary["rows_in"], done.summary["rows_out"], done.summary["quarantined"]) == (14, 5, 0)
    assert (done.summary["details"]["annotators"], done.summary["details"]["disagreeing_pairs"]) == (3, 1)
    assert read(str(output / "judgments"), JUDGMENTS).column("level").to_pylist() == [1, 5, 3, 2, 4]
    assert read(str(output / "consensus"), CONSENSUS).num_rows == 5
    assert read(str(output / "disagreements"), CONSENSUS).column("pin_id").to_pylist() == ["pin-03"]
    report = json.loads((output / "agreement.json").read_text())
    assert report["sections"][0]["alpha_ordinal"]["value"] == done.summary["details"]["alpha_ordinal"]
    assert report["settings"]["method"] == "majority"
    markdown = (output / "agreement.md").read_text()
    assert "| all | 5 | 5 | 14 |" in markdown
    assert "| query 03 | pin-03 | toy | 2, 4, 2 | 2 |" in markdown


def test_rows_of_the_annotators_can_be_kept_beside_the_distribution(tmp_path: Path) -> None:
    main(settings(THREE, tmp_path, rows="annotator", method="dawid_skene"))
    kept = read(str(tmp_path / "out/judgments"), JUDGMENTS)
    assert sorted(kept.column("judgment_id").to_pylist()) == sorted(THREE.column("judgment_id").to_pylist())
    assert read(str(tmp_path / "out/consensus"), CONSENSUS).num_rows == 5
    found = json.loads((tmp_path / "out/agreement.json").read_text())["dawid_skene"]["toy"]
    assert found["converged"] and set(found["errors"]) == {"x", "y", "z"}


def test_bad_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    rows = pa.concat_tables([THREE, judgments(("09", "x", 3), ("00", "x", 4))])
    broken = rows.set_column(rows.column_names.index("level"), "level", pa.array([*THREE["level"].to_pylist(), 9, 4]))
    pq.write_table(broken, tmp_path / "judgments.parquet")
    read_from = AggregateJudgments(
        judgments=str(tmp_path / "judgments.parquet"), output=tmp_path / "out", max_quarantined_share=0.2
    )
    summary = main(read_from)
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (16, 5, 2)
    aside = pq.read_table(tmp_path / "out/quarantine/judgments").to_pylist()
    assert [(row["row"], row["reason"]) for row in aside] == [
        (14, "'level' is outside 1..5"),
        (15, "'annotator_id' has graded the pair in another row"),
    ]


def test_the_order_of_the_rows_changes_no_byte_of_the_tables(tmp_path: Path) -> None:
    both = [(tmp_path / "first", THREE), (tmp_path / "second", THREE.take(list(range(13, -1, -1))))]
    for folder, rows in both:
        main(settings(rows, folder, method="dawid_skene"))
    for name in ("judgments", "consensus", "disagreements"):
        first, second = (next((folder / "out" / name).glob("*.parquet")).read_bytes() for folder, _ in both)
        assert first == second


def test_locales_and_sources_have_sections_of_their_own_where_there_are_several(tmp_path: Path) -> None:
    rows = pa.concat_tables([THREE, judgments(("p", "x", 1), ("q", "y", 2), source="other")])
    main(settings(rows, tmp_path))
    report = json.loads((tmp_path / "out/agreement.json").read_text())
    assert [each["name"] for each in report["sections"]] == ["all", "source other", "source toy"]
    assert report["sections"][1]["alpha_ordinal"] == {"value": None, "interval": None}


def test_the_annotators_own_grades_are_never_written_over(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="would be lost"):
        main(AggregateJudgments(judgments=written(THREE, tmp_path), output=tmp_path))
    assert read(str(tmp_path / "judgments"), JUDGMENTS).num_rows == 14


def test_no_judgments_and_too_many_bad_ones_end_the_job(tmp_path: Path) -> None:
    with pytest.raises(JudgmentError, match="holds no judgments"):
        main(settings(THREE.slice(0, 0), tmp_path))
    with pytest.raises(JudgmentError, match=r"1 of 2 rows cannot be used.*has graded the pair in another row"):
        main(settings(judgments(("p", "x", 1), ("p", "x", 2)), tmp_path))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    found = parse(AggregateJudgments, ["--config", str(root / f"pipelines/configs/{profile}/aggregate_judgments.yaml")])
    assert found.judgments == f"runs/{profile}/tables/judgments"
