"""The command line `pinrank`, which is `python -m pinrank` as well.

Exit codes: 0 done; 1 a bug, a failed job, or something that doctor found wrong; 2 bad settings or input, or a cluster
that does not answer; 3 a job that was stopped.
"""

import sys
from typing import Annotated

import typer

from pinrank.cli import doctor as examination
from pinrank.cli import jobs, releases
from pinrank.cli.shown import show
from pinrank.errors import PinrankError

app = typer.Typer(
    name="pinrank",
    help="Search relevance with LLMs: from human judgments to a served re-ranking, on Ray.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.command(context_settings=jobs.PASSED_ON | {"help_option_names": []})(jobs.run)
app.command(context_settings=jobs.PASSED_ON | {"help_option_names": []})(jobs.plan)
app.command(context_settings=jobs.PASSED_ON)(jobs.submit)
app.command()(jobs.status)

app.command()(releases.publish)
app.command()(releases.promote)
app.command()(releases.rollback)
app.command()(releases.canary)
app.command()(releases.shadow)
app.command()(releases.traffic)
app.command()(releases.bundles)


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


def main() -> None:
    """Run the command line; a PinrankError is one line and exit code 2."""
    try:
        app(prog_name="pinrank")
    except PinrankError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
