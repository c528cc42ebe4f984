"""Commands about jobs: here, or on a cluster."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pinrank.cli import submitted
from pinrank.cli.recipes import command_of, metadata_of, recipes
from pinrank.cli.shown import show
from pinrank.errors import SettingsError

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
ADDRESS = "http://127.0.0.1:8265"

Address = Annotated[
    str, typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="The cluster's dashboard, which holds its Jobs API.")
]


def names(incomplete: str) -> list[str]:
    """The jobs of this checkout whose names begin so, for the shell."""
    try:
        return [name for name in recipes(Path.cwd()) if name.startswith(incomplete)]
    except SettingsError:
        return []


def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A job; none: list them.", autocompletion=names)] = "",
) -> None:
    """Run a job here: pinrank run NAME [ITS OPTIONS]. pinrank run NAME --help lists them.

    Example: pinrank run evaluate --config pipelines/configs/demo/evaluate.yaml
    """
    if name == "--help":
        print(context.get_help())
        return
    if not name:
        show("jobs", ({"job": job, "what it does": said} for job, said in recipes(Path.cwd()).items()))
        return
    become(name, context.args)


def plan(context: typer.Context) -> None:
    """Say what labelling would take, in hours and dollars, before anything is spent; options of label_impressions.

    Example: pinrank plan --config pipelines/configs/full/label_impressions.yaml
    """
    if "--help" in context.args:
        print(context.get_help(), end="\n\n", flush=True)
        if not names("label_impressions"):
            return
    become("label_impressions", [*context.args, "--plan"])


def submit(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A job; pinrank run lists them.", autocompletion=names)],
    address: Address = ADDRESS,
    wait: Annotated[bool, typer.Option(help="Follow its log until it ends.")] = True,
) -> None:
    """Run a job on a cluster: pinrank submit NAME [--address URL] [ITS OPTIONS].

    Example: pinrank submit label_impressions --config pipelines/configs/full/label_impressions.yaml
    """
    root = Path.cwd()
    command = command_of(root, name, context.args)
    job = submitted.submit(address, root, command, metadata_of(root, name, context.args))
    print(job)
    if wait:
        raise typer.Exit(submitted.follow(address, job))


def status(
    job: Annotated[str, typer.Argument(help="A job's id; none: all jobs.")] = "", address: Address = ADDRESS
) -> None:
    """What became of the jobs of a cluster, or of one of them, with the end of its log.

    Example: pinrank status raysubmit_8Cd3hQ1RxgTkHMW6
    """
    if not job:
        show("jobs", submitted.listed(address))
        return
    row, lines = submitted.described(address, job)
    show(job, ({"": name, " ": value} for name, value in row.items()))
    print("\n".join(lines))


def become(name: str, arguments: list[str]) -> None:
    """Go on as a job of this checkout, whose exit code is then this process's. SettingsError when there is no such."""
    root = Path.cwd()
    command = command_of(root, name, arguments)
    path = os.pathsep.join(filter(None, [str(root / "platform"), os.environ.get("PYTHONPATH", "")]))
    os.execve(sys.executable, [sys.executable, *command[1:]], os.environ | {"PYTHONPATH": path})
