import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import SettingsError, TableError
from pinrank.pipeline import JobSettings, Summary, parse, run, versions


class Engine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "vllm"
    batch_size: int = Field(64, ge=1)


class Job(JobSettings):
    output: str = "out"
    limit: int | None = None
    dry: bool = False
    engine: Engine = Engine()


def yaml(folder: Path, text: str) -> str:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults_without_file_and_arguments() -> None:
    assert parse(Job, []) == Job()


def test_command_line_is_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    config = yaml(tmp_path, "output: file\nlimit: 3\nengine:\n  name: transformers\n  batch_size: 8\n")
    found = parse(Job, ["--limit", "4", "--config", config, "--engine.batch_size", "2", "--dry"])
    assert found == Job(output="file", limit=4, dry=True, engine=Engine(name="transformers", batch_size=2))


def test_config_may_be_joined_by_an_equals_sign(tmp_path: Path) -> None:
    assert parse(Job, [f"--config={yaml(tmp_path, 'limit: 3')}"]).limit == 3


@pytest.mark.parametrize("argument", ["--engine.batch-size=7", "--engine.batch_size=7"])
def test_settings_may_be_written_with_hyphens(argument: str) -> None:
    assert parse(Job, [argument]).engine.batch_size == 7


def test_hyphens_in_values_stay() -> None:
    assert parse(Job, ["--output", "a-b", "--engine.name=c--d"]).output == "a-b"
    assert parse(Job, ["--engine.name=c--d", "--limit=-3"]) == Job(engine=Engine(name="c--d"), limit=-3)


def test_flag_of_the_file_can_be_switched_off(tmp_path: Path) -> None:
    assert not parse(Job, ["--config", yaml(tmp_path, "dry: true"), "--no-dry"]).dry


def test_null_unsets_a_setting(tmp_path: Path) -> None:
    assert parse(Job, ["--config", yaml(tmp_path, "limit: null")]).limit is None


def test_empty_file_holds_no_settings(tmp_path: Path) -> None:
    assert parse(Job, ["--config", yaml(tmp_path, "# nothing yet\n")]) == Job()


def test_environment_variables_do_not_change_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT", "elsewhere")
    monkeypatch.setenv("limit", "9")
    assert parse(Job, []) == Job()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limt: 3", r"job\.yaml .*limt: Extra inputs are not permitted"),
        ("engine:\n  nam: x", r"engine\.nam: Extra inputs"),
        ("limit: many", r"limit: Input should be a valid integer"),
        ("engine:\n  batch_size: 0", r"engine\.batch_size: Input should be greater than or equal to 1"),
        ("a: [", r"job\.yaml: no valid YAML: .*line 1"),
        ("- a\n- b", r"expected settings as 'name: value' lines"),
        ("just words", r"expected settings as 'name: value' lines"),
        ("1: 2", r"expected settings as 'name: value' lines"),
    ],
)
def test_bad_file_is_named_with_the_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        parse(Job, ["--config", yaml(tmp_path, text)])
    assert "\n" not in str(caught.value)


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(b"output: \xff\xfe")
    with pytest.raises(SettingsError, match=r"job\.yaml: no valid YAML"):
        parse(Job, ["--config", str(path)])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: the settings file cannot be read: No such file"):
        parse(Job, ["--config", str(tmp_path / "none.yaml")])


def test_config_without_a_path_says_so() -> None:
    with pytest.raises(SettingsError, match="--config needs the path"):
        parse(Job, ["--config"])


def test_bad_value_on_the_command_line_is_named() -> None:
    with pytest.raises(SettingsError, match=r"the command line: limit: .*valid integer"):
        parse(Job, ["--limit", "many"])


def test_unknown_argument_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(Job, ["--limt", "3"])
    assert caught.value.code == 2
    assert "--limt" in capsys.readouterr().err


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Job().limit = 3  # type: ignore[misc]


def test_summary_is_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Job) -> Summary:
        print("progress")
        return Summary(rows_in=3, rows_out=2, quarantined=1, details={"path": Path("x")})

    with pytest.raises(SystemExit) as caught:
        run(main, Job, ["--limit", "3"])
    assert caught.value.code == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["rows_in"], line["rows_out"], line["quarantined"], line["details"]) == (3, 2, 1, {"path": "x"})
    assert line["seconds"] >= 0
    assert "pyarrow" in line["versions"]


def test_error_for_a_person_is_one_line_and_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Job) -> Summary:
        raise TableError("pins: column 'x' is gone. Bring it back.")

    with pytest.raises(SystemExit) as caught:
        run(main, Job, [])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "TableError: pins: column 'x' is gone. Bring it back.\n"


def test_bug_keeps_its_traceback() -> None:
    def main(settings: Job) -> Summary:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main, Job, [])


def test_versions_name_pinrank_and_python() -> None:
    assert {"pinrank", "python", "numpy"} <= set(versions())
