"""The jobs of a checkout: the files of its folder pipelines/."""

import ast
import hashlib
from pathlib import Path

import yaml

from pinrank.errors import SettingsError

FOLDER = "pipelines"


def recipes(root: Path) -> dict[str, str]:
    """The name of every job under root/pipelines, in order, with the first line of what its file says of itself.

    Raises SettingsError where there is none.
    """
    files = sorted(path for path in (root / FOLDER).glob("*.py") if not path.stem.startswith("_"))
    if not files:
        raise SettingsError(
            f"{root}: holds no folder {FOLDER} with jobs, and the installed package has none. Get the repository of "
            "pinrank, and run this in its root."
        )
    return {path.stem: _first_line(path) for path in files}


def command_of(root: Path, name: str, arguments: list[str]) -> list[str]:
    """What runs a job: `python -m pipelines.NAME ARGUMENTS`. Raises SettingsError for a name that no job has."""
    known = recipes(root)
    if name not in known:
        raise SettingsError(f"{name!r} is no job. There are {', '.join(known)}.")
    return ["python", "-m", f"{FOLDER}.{name}", *arguments]


def metadata_of(root: Path, name: str, arguments: list[str]) -> dict[str, str]:
    """What a submitted job says of itself: pipeline, output where it names one, and a hash of its settings.

    The hash, 16 hex digits, is that of the settings file's bytes and the other arguments.
    """
    digest = hashlib.sha256(" ".join([name, *arguments]).encode())
    output = option(arguments, "output")
    if config := option(arguments, "config"):
        try:
            content = (root / config).read_bytes()
        except OSError as cause:
            raise SettingsError(f"{config}: the settings file cannot be read: {cause.strerror}") from cause
        digest.update(content)
        output = output or _output_in(content)
    return {"pipeline": name, "settings": digest.hexdigest()[:16]} | ({"output": output} if output else {})


def option(arguments: list[str], name: str) -> str | None:
    """The value of --NAME among arguments, in either form; the last one counts."""
    found = None
    for place, argument in enumerate(arguments):
        if argument.startswith(f"--{name}="):
            found = argument.partition("=")[2]
        elif argument == f"--{name}" and place + 1 < len(arguments):
            found = arguments[place + 1]
    return found


def _output_in(content: bytes) -> str | None:
    try:
        settings = yaml.safe_load(content)
    except yaml.YAMLError:  # the job itself says what is wrong with it
        return None
    return str(settings["output"]) if isinstance(settings, dict) and settings.get("output") else None


def _first_line(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    return said.partition("\n")[0]
