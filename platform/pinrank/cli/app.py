"""The command line `pinrank`.

Exit codes: 0 done; 1 a bug, a failed job, or something that doctor found wrong; 2 bad settings or input, or a cluster
that does not answer; 3 a job that was stopped.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pinrank import registry
from pinrank.cli import doctor as examination
from pinrank.cli import submitted
from pinrank.cli.recipes import command_of, metadata_of, recipes
from pinrank.errors import PinrankError

app = typer.Typer(
    name="pinrank",
    help="Search relevance with LLMs: from human judgments to a served re-ranking, on Ray.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
ADDRESS = "http://127.0.0.1:8265"

Address = Annotated[
    str, typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="The cluster's dashboard, which holds its Jobs API.")
]
Registry = Annotated[Path, typer.Argument(metavar="REGISTRY", help="Folder of bundles, as the daily loop fills it.")]


@app.command(context_settings=PASSED_ON)
def run(context: typer.Context, name: Annotated[str, typer.Argument(help="A job; none: list them.")] = "") -> None:
    """Run a job here: pinrank run NAME [ITS OPTIONS]. pinrank run NAME --help lists them.

    Example: pinrank run evaluate --config pipelines/configs/demo/evaluate.yaml
    """
    root = Path.cwd()
    if not name or name == "--help":
        show("jobs", ({"job": job, "what it does": said} for job, said in recipes(root).items()))
        return
    command = command_of(root, name, context.args)
    path = os.pathsep.join(filter(None, [str(root / "platform"), os.environ.get("PYTHONPATH", "")]))
    os.execve(sys.executable, [sys.executable, *command[1:]], os.environ | {"PYTHONPATH": path})


@app.command(context_settings=PASSED_ON)
def plan(context: typer.Context) -> None:
    """Say what labelling would take, in hours and dollars, before anything is spent.

    Example: pinrank plan --config pipelines/configs/full/label_impressions.yaml
    """
    context.args.append("--plan")
    run(context, "label_impressions")


@app.command(context_settings=PASSED_ON | {"help_option_names": ["--help"]})
def submit(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A job; pinrank run lists them.")],
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


@app.command()
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


@app.command()
def bundles(registry_folder: Registry) -> None:
    """The students of a registry, and which of them is current.

    Example: pinrank bundles runs/mine/registry
    """
    now = registry.current(registry_folder)
    rows = [
        {
            "": "current" if now and now.bundle == bundle.version else "",
            "bundle": bundle.version,
            "added": f"{bundle.added_at:%Y-%m-%d %H:%M:%S}",
            "lineage": ", ".join(f"{name} {value}" for name, value in bundle.lineage.items()),
        }
        for bundle in registry.bundles(registry_folder)
    ]
    show("bundles", rows)
    show("changes", (change.model_dump(mode="json") for change in registry.history(registry_folder)))


@app.command()
def promote(
    registry_folder: Registry,
    version: Annotated[str, typer.Argument(help="NAME@HASH")],
    reason: Annotated[str, typer.Option(help="Why, for the history.")],
) -> None:
    """Make a bundle the current one.

    Example: pinrank promote runs/mine/registry student@1a2b3c4d --reason "better on dev"
    """
    change = registry.promote(registry_folder, version, reason)
    print(f"{change.bundle} is current since {change.at:%Y-%m-%d %H:%M:%S}: {change.reason}")


@app.command()
def rollback(
    registry_folder: Registry,
    reason: Annotated[str, typer.Option(help="Why, for the history.")],
) -> None:
    """Go back to the bundle that was current before.

    Example: pinrank rollback runs/mine/registry --reason "clicks fell"
    """
    change = registry.rollback(registry_folder, reason)
    print(f"{change.bundle} is current again; {change.before} no longer: {change.reason}")


@app.command()
def doctor(
    storage: Annotated[str | None, typer.Option(help="A folder or URI that jobs shall write to.")] = None,
    address: Annotated[str | None, typer.Option(help="A cluster's dashboard.")] = None,
) -> None:
    """Look whether this machine has what jobs and service need, and say the mend.

    Example: pinrank doctor --storage s3://bucket/pinrank --address http://127.0.0.1:8265
    """
    findings = list(examination.examine(storage, address))
    show("doctor", (vars(finding) for finding in findings))
    raise typer.Exit(int(any(finding.verdict == "failed" for finding in findings)))


def show(title: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Rows as a table for a person."""
    listed = list(rows)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in listed[0] if listed else ():
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table if listed else f"{title}: none", markup=False)


def main() -> None:
    """Run the command line; a PinrankError is one line and exit code 2."""
    try:
        app()
    except PinrankError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
