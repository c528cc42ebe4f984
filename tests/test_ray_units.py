import pytest

from pinrank.cluster import ClusterSettings
from pinrank.errors import TableError
from pinrank.ray_units import Workers, WorkSettings, workers_for

SETTINGS = WorkSettings()


def half(number: int) -> float:
    if number == 13:
        raise TableError("thirteen")
    return number / 2


def test_small_log_needs_no_session() -> None:
    assert workers_for(SETTINGS.rows_without_ray, SETTINGS, ClusterSettings()).cluster is None
    assert workers_for(SETTINGS.rows_without_ray + 1, SETTINGS, ClusterSettings()).cluster is not None


@pytest.mark.parametrize(("rows", "partitions"), [(0, 1), (1, 1), (10, 1), (11, 2), (100, 10)])
def test_partitions_hold_so_many_rows(rows: int, partitions: int) -> None:
    assert WorkSettings(rows_per_partition=10).num_partitions(rows) == partitions


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("cluster", [None, ClusterSettings()])
def test_every_unit_is_done_once_wherever(cluster: ClusterSettings | None) -> None:
    workers = Workers(SETTINGS, cluster)
    assert sorted(workers.each(half, range(5))) == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert list(workers.each(half, [])) == []
    with pytest.raises(TableError, match="thirteen"):
        list(workers.each(half, [13]))
