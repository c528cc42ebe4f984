"""Download the public judgments from their owners' repositories and build one folder in the tidy form of them.

    python -m pinrank.datasets.fetch commons cxc chorus ptimage
    python -m pinrank.datasets.fetch chorus --output runs/public

in : GitHub, at pinned commits
out: OUTPUT/queries, items, judgements, pool_items, impressions .parquet (what import_judgments reads)
     OUTPUT/owners/SOURCE/ the owner's files, and the record of what was fetched
Safe to kill at any point: the same command goes on where it stopped, and asks no network for what is there.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
from pydantic import Field
from pydantic_settings import CliPositionalArg

from pinrank.datasets import chorus, commons, cxc, ptimage
from pinrank.datasets.github import API, Pinned, fetch
from pinrank.datasets.published import Published, join
from pinrank.durable import exclusive, put_in_place
from pinrank.errors import SettingsError
from pinrank.pipeline import JobSettings, Summary, run

log = logging.getLogger(__name__)

Name = Literal["commons", "cxc", "cxc_i18n", "chorus", "ptimage"]
OUTPUT = "runs/public"
OWNERS = "owners"

CXC_FILES = (
    ("google-research-datasets/Crisscrossed-Captions", "7d6634be173a6f6a16ab1e61bebc217de8444513", cxc.SCORES),
    ("CrossmodalGroup/LAPS", "355a43babb70a3fdfbe74aabebad9a8414b91b3b", cxc.CAPTIONS),
    ("CrossmodalGroup/LAPS", "355a43babb70a3fdfbe74aabebad9a8414b91b3b", cxc.PICTURES),
    ("naver-ai/pcme", "4947684", cxc.CAPTION_IDS),
)


@dataclass(frozen=True)
class Source:
    """A public source: its files at their commits, the folder under OWNERS for them, its licence and its parser."""

    name: Name
    folder: str
    licence: str
    files: tuple[Pinned, ...]
    read: Callable[[Path], Published]


SOURCES = {
    source.name: source
    for source in (
        Source(
            "commons",
            "commons",
            "MIT (github.com/cormacparle/media-search-signal-test)",
            tuple(
                Pinned("cormacparle/media-search-signal-test", "24e0136", path)
                for path in (commons.RATINGS, commons.ARTICLES)
            ),
            commons.read,
        ),
        Source(
            "cxc",
            "cxc",
            "free for any purpose with credit to Google; captions of COCO CC BY 4.0 "
            "(github.com/google-research-datasets/Crisscrossed-Captions)",
            tuple(Pinned(*file) for file in CXC_FILES),
            cxc.read,
        ),
        Source(
            "cxc_i18n",
            "cxc",
            "MIT, third-party data under their own licences (github.com/e-bug/iglue); scores as cxc",
            (
                *(Pinned(*file) for file in CXC_FILES),
                *(
                    Pinned("e-bug/iglue", "43cbac9", cxc.OTHER_CAPTIONS.format(locale=locale))
                    for locale in cxc.OTHER_LOCALES
                ),
            ),
            cxc.read_i18n,
        ),
        Source(
            "chorus",
            "chorus",
            "Apache-2.0; product text under the Open Icecat content licence (github.com/o19s/chorus)",
            (Pinned("o19s/chorus", "d2035d3", chorus.RATINGS),),
            chorus.read,
        ),
        Source(
            "ptimage",
            "ptimage",
            "CC BY 4.0, cite Duarte et al. 2025, doi 10.5281/zenodo.15566573 (github.com/LIAAD/pt-image-ir-dataset)",
            tuple(
                Pinned("LIAAD/pt-image-ir-dataset", "8368ed3", path)
                for path in (ptimage.ARTICLES, ptimage.IMAGES, ptimage.QUERIES, ptimage.QRELS)
            ),
            ptimage.read,
        ),
    )
}


class Fetch(JobSettings):
    """Settings of pinrank.datasets.fetch."""

    sources: CliPositionalArg[list[Name]] = Field(description="which to fetch: commons cxc cxc_i18n chorus ptimage")
    output: str = Field(OUTPUT, description="folder of the tidy form")


def main(settings: Fetch) -> Summary:
    """Fetch, parse, join, write."""
    return fetch_sources(settings.sources, Path(settings.output))


def fetch_sources(names: Sequence[Name], output: Path, api: str = API, pause_s: float = 1.0) -> Summary:
    """Bring the sources' files and write the folder in the tidy form.

    Raises SettingsError for cxc_i18n without the cxc that holds its queries, FetchError when a file cannot be had, and
    TableError when one is not what its owner publishes.
    """
    if "cxc_i18n" in names and "cxc" not in names:
        raise SettingsError("cxc_i18n holds other pictures for the queries of cxc: fetch cxc with it")
    with exclusive(output / ".fetch.lock"):
        brought = {name: bring(name, output, api, pause_s) for name in dict.fromkeys(names)}
        return write_joined(brought, output)


def bring(name: Name, output: Path, api: str = API, pause_s: float = 1.0) -> Published:
    """Fetch a source's files, those that are not there, and read them; raises FetchError or TableError."""
    source = SOURCES[name]
    log.info("%s: its licence: %s", name, source.licence)
    folder = output / OWNERS / source.folder
    fetched = fetch(source.files, folder, api, pause_s)
    log.info("%s: %d files fetched, %d were there", name, fetched, len(source.files) - fetched)
    return source.read(folder)


def write_joined(brought: Mapping[Name, Published], output: Path) -> Summary:
    """Write the sources as one folder in the tidy form."""
    tables = join(list(brought.values()))
    for name, table in tables.items():
        staging = output / f".{name}.parquet.tmp"
        pq.write_table(table, staging, compression="zstd")
        put_in_place(staging, output / f"{name}.parquet")
    rows = {name: table.num_rows for name, table in tables.items()}
    left_out = {name: dict(published.left_out) for name, published in brought.items()}
    rows_in = rows["judgements"] + sum(sum(counts.values()) for counts in left_out.values())
    return Summary(rows_in, rows["judgements"], details={**rows, "left_out": left_out})


if __name__ == "__main__":
    run(main, Fetch)
