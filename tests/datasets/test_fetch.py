import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pinrank.datasets import relevance
from pinrank.datasets.fetch import OWNERS, SOURCES, Fetch, Source, fetch_sources
from pinrank.durable import exclusive
from pinrank.errors import CommitError, FetchError, SettingsError
from pinrank.pipeline import parse
from tests.datasets.file_server import Host, serving
from tests.datasets.owners_files import hosted


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(hosted(tmp_path / "theirs")) as running:
        yield running


def test_all_sources_become_one_folder_that_import_judgments_reads(host: Host, tmp_path: Path) -> None:
    summary = fetch_sources(list(SOURCES), tmp_path / "public", host.url, pause_s=0)
    imported = relevance.read(str(tmp_path / "public"), max_quarantined_share=0)
    assert imported.judgments.num_rows == summary.rows_out == 4 + 3 + 14 + 3 + 6
    assert set(imported.judgments.column("source").to_pylist()) == set(SOURCES)
    assert summary.details["left_out"]["chorus"] == {"of a product without a name": 1}
    assert len(host.asked_for_files()) == len({file for source in SOURCES.values() for file in source.files})


def test_a_second_run_asks_no_network_and_writes_the_same(host: Host, tmp_path: Path) -> None:
    fetch_sources(["commons", "chorus"], tmp_path / "public", host.url)
    first = {path.name: pq.read_table(path) for path in (tmp_path / "public").glob("*.parquet")}
    host.requests.clear()
    fetch_sources(["commons", "chorus"], tmp_path / "public", host.url)
    assert host.requests == []
    for name, table in first.items():
        assert pq.read_table(tmp_path / "public" / name) == table


def test_a_run_that_broke_off_goes_on_with_the_files_that_are_there(host: Host, tmp_path: Path) -> None:
    lost = host.files.pop("LIAAD/pt-image-ir-dataset/data/queries.tsv")
    with pytest.raises(FetchError, match=r"queries\.tsv"):
        fetch_sources(["ptimage"], tmp_path / "public", host.url)
    assert not (tmp_path / "public/judgements.parquet").exists()
    host.files["LIAAD/pt-image-ir-dataset/data/queries.tsv"] = lost
    host.requests.clear()
    fetch_sources(["ptimage"], tmp_path / "public", host.url)
    assert [path.rpartition("/")[2] for path, _ in host.asked_for_files()] == ["queries.tsv", "qrels.txt"]


def test_a_folder_that_was_copied_from_another_machine_needs_no_network(host: Host, tmp_path: Path) -> None:
    fetch_sources(["chorus"], tmp_path / "public", host.url)
    shutil.copytree(tmp_path / "public" / OWNERS, tmp_path / "copied" / OWNERS)
    host.requests.clear()
    assert fetch_sources(["chorus"], tmp_path / "copied", host.url).rows_out == 6
    assert host.requests == []


def test_without_a_network_the_error_is_one_line_with_the_mend(tmp_path: Path) -> None:
    with serving(Host({})) as gone:
        pass
    told = r"Run this on a machine with a network, and copy its output folder here"
    with pytest.raises(FetchError, match=told) as caught:
        fetch_sources(["chorus"], tmp_path / "public", gone.url)
    assert "\n" not in str(caught.value)


def test_two_fetches_into_one_folder_do_not_mix(host: Host, tmp_path: Path) -> None:
    with exclusive(tmp_path / "public/.fetch.lock"):
        with pytest.raises(CommitError, match="another job writes here"):
            fetch_sources(["chorus"], tmp_path / "public", host.url)


def test_other_languages_need_the_queries_of_cxc(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fetch cxc with it"):
        fetch_sources(["cxc_i18n"], tmp_path)


def test_sources_are_named_on_the_command_line() -> None:
    assert parse(Fetch, ["commons", "cxc", "--output", "there"]).sources == ["commons", "cxc"]


def test_unknown_source_is_a_bad_setting() -> None:
    with pytest.raises(SettingsError, match="Input should be 'commons', 'cxc'"):
        parse(Fetch, ["flickr"])


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_source_is_pinned_and_names_its_licence(source: Source) -> None:
    assert source.licence and all(len(pinned.commit) >= 7 for pinned in source.files)
