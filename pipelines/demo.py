"""The whole recipe once: from human judgments to a served re-ranking.

    python -m pipelines.demo                                     # make demo
    python -m pipelines.demo --profile full                      # make full: all judgments, two hours on two cores
    python -m pipelines.demo --data FOLDER --fresh               # other judgments, nothing reused
    python -m pipelines.demo --no-fetch                          # ask no network for public judgments

Runs every job as its own process, in order, and skips those that are done: killed anywhere, the same command goes
on. Ends with one live re-ranking over HTTP and RUN/summary.json.
"""

import json
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from rich.console import Console

from pinrank import tables
from pinrank.datasets.download import reachable
from pinrank.datasets.fetch import OUTPUT, Name, bring, write_joined
from pinrank.datasets.github import API
from pinrank.durable import write_text
from pinrank.errors import FetchError, PinrankError, SettingsError, TableError
from pinrank.evaluation.report import print_report
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, parse, versions
from pinrank.stages import Stage, StageRecord, memory_of, run_stages
from serve_apps.rerank.once import Served, serve_once

log = logging.getLogger(__name__)

JOBS = (
    "build_pin_text",
    "sample_impressions",
    "grade_weakly",
    "train_teacher",
    "pair_near_pins",
    "label_impressions",
    "share_grades",
    "fit_lexical",
    "train_student",
    "embed_pins",
    "evaluate",
)
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "demo": ("grade_weakly", "pair_near_pins", "share_grades", "fit_lexical"),
    "full": (),
}
"""Jobs that a profile does without. The demo's 9,000 weak labels are too few: with them its teacher became worse. Near
pairs would be several times as many as all others to grade, and train_student counts the words of few pins itself."""

NO_DATA = """
[bold red]No public judgments at {data}: this run uses a generated world.[/]
It shows that every part works. Its quality figures prove NOTHING about search relevance.
For real figures bring your own judgments (docs/bring-your-data.md), or download public ones: the sources, their
licences and the layout are listed in docs/data.md. Then: make demo DATA=FOLDER
"""
FETCHING = """
[bold]No public judgments at {data}: fetching them[/] from their owners' repositories into {output} (about 15 MB; their
licences are in docs/data.md). make demo asks no network with: python -m pipelines.demo --no-fetch
"""

DATA = "../shared/data/relevance"
PUBLIC: tuple[Name, ...] = ("commons", "cxc", "chorus", "ptimage")


class Demo(JobSettings):
    """Settings of the whole run."""

    profile: Literal["demo", "full"] = Field("demo", description="which folder of pipelines/configs/ to use")
    data: str = Field(DATA, description="folder of queries, items and judgements Parquet")
    fetch: bool = Field(True, description="download public judgments when there are none and the network allows it")
    fresh: bool = Field(False, description="run every stage again, whatever is done")
    port: int = Field(8000, ge=1, le=65535, description="loopback port of the served re-ranking")


def main(settings: Demo) -> None:
    """Import or generate, run the jobs, serve once, write the summary."""
    console = Console(stderr=True)
    run_folder = Path("runs") / settings.profile
    records = []
    for record, was_done in run_stages(stages_of(settings, console), run_folder / "stages", settings.fresh):
        console.print(describe(record, was_done))
        records.append(record)
    metrics = json.loads((run_folder / "evaluation.json").read_text())
    started = time.monotonic()
    with memory_of(os.getpid()) as memory:
        judgments = tables.read(str(run_folder / "tables/judgments"), tables.JUDGMENTS)
        served = serve_once(run_folder, judgments, settings.port)
    serving = {"name": "serve", "seconds": round(time.monotonic() - started, 1), "rows_in": 1, "rows_out": 1}
    serving["peak_memory_bytes"] = memory.peak_bytes
    summary = {
        "profile": settings.profile,
        "stages": [*(asdict(record) for record in records), serving | {"quarantined": 0}],
        "metrics": metrics["metrics"],
        "rerank": served.as_json(),
        "versions": versions(),
    }
    write_text(run_folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False))
    show(console, records, metrics, served)
    console.print(f"[bold]{run_folder / 'summary.json'}[/] holds all of this.")
    print(json.dumps({"name": "demo", "summary": str(run_folder / "summary.json")}))


def stages_of(settings: Demo, console: Console, api: str = API) -> list[Stage]:
    """The jobs of a run: its first one imports real judgments, or generates a world for a user who has none.

    Raises SettingsError when a folder was named that holds no judgments: a typo must not replace a run by a made-up
    one. api: where public judgments are asked for.
    """
    configs = Path("pipelines/configs") / settings.profile
    run_folder = f"runs/{settings.profile}"
    if data := find_judgments(settings, console, api):
        first = Stage("import_judgments", str(configs / "import_judgments.yaml"), ("--data", data), reads=(data,))
    else:
        console.print(NO_DATA.format(data=settings.data))
        first = Stage("generate_world", str(configs / "generate_world.yaml"))
    grows = {"label_impressions": (f"{run_folder}/soft_labels",)}
    outputs = {
        "train_teacher": (f"{run_folder}/teacher/card.json",),
        "label_impressions": (f"{run_folder}/soft_labels/manifest.json",),
        "share_grades": (f"{run_folder}/shared_labels",),
        "fit_lexical": (f"{run_folder}/lexical/manifest.json",),
        "train_student": (f"{run_folder}/student/card.json",),
        "embed_pins": (f"{run_folder}/pin_store/manifest.json",),
        "evaluate": (f"{run_folder}/evaluation.json",),
    }
    return [
        first,
        *(
            Stage(name, str(configs / f"{name}.yaml"), grows=grows.get(name, ()), outputs=outputs.get(name, ()))
            for name in jobs_of(settings.profile)
        ),
    ]


def jobs_of(profile: Literal["demo", "full"]) -> list[str]:
    """The jobs of a profile, in order."""
    return [name for name in JOBS if name not in LEFT_OUT[profile]]


def find_judgments(settings: Demo, console: Console, api: str) -> str | None:
    """The folder with judgments: the one that was named, or one that was fetched, now or before; None without any.

    Raises SettingsError when a folder was named that holds none.
    """
    if exists(f"{settings.data}/judgements.parquet"):
        return settings.data
    if settings.data != DATA:
        raise SettingsError(
            f"{settings.data}: holds no judgements.parquet. Fix DATA; docs/bring-your-data.md has the form."
        )
    if exists(f"{OUTPUT}/judgements.parquet"):
        return OUTPUT
    if settings.fetch and reachable(api) and fetch_public(console, settings.data, api):
        return OUTPUT
    return None


def fetch_public(console: Console, data: str, api: str) -> bool:
    """Fetch what can be had of the public judgments; whether there is any."""
    console.print(FETCHING.format(data=data, output=OUTPUT))
    brought = {}
    for name in PUBLIC:
        try:
            brought[name] = bring(name, Path(OUTPUT), api)
        except (FetchError, TableError) as error:
            console.print(f"[yellow]{name} is left out:[/] {error}")
    if brought:
        write_joined(brought, Path(OUTPUT))
    return bool(brought)


def describe(record: StageRecord, was_done: bool) -> str:
    """One line about a stage for the terminal."""
    verb = "was done" if was_done else "done"
    return (
        f"[green]{record.name} {verb}[/]: {record.rows_in:,} rows in, {record.rows_out:,} out, "
        f"{record.quarantined:,} quarantined, {record.seconds:.0f} s, {record.peak_memory_bytes / 2**30:.1f} GiB"
    )


def show(console: Console, records: list[StageRecord], metrics: dict[str, Any], served: Served) -> None:
    """The summary as tables for a person."""
    for record in records:
        console.print(describe(record, was_done=False))
    print_report(metrics, console)
    served.show(console)


if __name__ == "__main__":
    try:
        main(parse(Demo, sys.argv[1:]))
    except PinrankError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
