"""Hours and dollars of a job before it is run."""

from pathlib import Path

import pytest

from pinrank.errors import SettingsError
from pinrank.labeling.plan import EstimateSettings, Speed, pairs_left, plan_of, read_cluster
from pinrank.labeling.shards import GRADED
from tests.labeling.rows import pin_texts, sampled, work_rows, write

SPEED = Speed(pairs=500, pairs_per_s=100.0, tokens_per_pair=40.0, tokenised_per_s=1_000.0, start_s=360.0)


@pytest.fixture
def priced(root: Path) -> EstimateSettings:
    """The repository's own cluster: a head, and at most four workers with a GPU."""
    return EstimateSettings(cluster_file=root / "cluster.yaml", dollars_per_hour={"head": 0.1, "l40s": 1.0})


def test_hours_and_dollars_follow_from_the_measured_speed(priced: EstimateSettings) -> None:
    plan = plan_of(720_000, SPEED, most_engines=2, settings=priced)
    assert plan.nodes == {"head": 1, "l40s": 2}
    assert plan.hours == pytest.approx(720_000 / 200 / 3_600 + 0.1)
    assert plan.dollars == pytest.approx(plan.hours * 2.1)
    assert plan.tokenising_cpus == pytest.approx(0.2)
    assert str(plan) == (
        "720,000 pairs to grade on 2 engines (1 head, 2 l40s): 1.10 hours, 2.31 dollars; tokenising keeps 0.2 CPUs busy"
    )


def test_the_cluster_bounds_the_engines(priced: EstimateSettings) -> None:
    assert plan_of(1_000, SPEED, 100, priced).engines == 4
    two = priced.model_copy(update={"engines_per_node": 2})
    assert (plan_of(1_000, SPEED, 100, two).engines, plan_of(1_000, SPEED, 3, two).nodes["l40s"]) == (8, 2)


def test_without_a_price_the_cost_is_unknown_and_says_what_lacks(priced: EstimateSettings) -> None:
    plan = plan_of(1_000, SPEED, 1, priced.model_copy(update={"dollars_per_hour": {"head": 0.1}}))
    assert plan.dollars is None
    assert "for want of --estimate.dollars_per_hour of l40s" in str(plan)


def test_nothing_to_grade_takes_no_time(priced: EstimateSettings) -> None:
    plan = plan_of(0, SPEED, 1, priced)
    assert (plan.hours, plan.dollars) == (0, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("a: [", "no launcher file of Ray"),
        ("cluster_name: x", "no launcher file of Ray"),
        ("{head_node_type: head, available_node_types: {head: {}}}", "no workers of type l40s, but of head"),
    ],
)
def test_a_cluster_file_that_says_nothing_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "cluster.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=said):
        read_cluster(EstimateSettings(cluster_file=path))


def test_only_unknown_pairs_of_missing_shards_are_left(tmp_path: Path) -> None:
    pairs, texts = sampled(*((query, "p1") for query in "abcde")), pin_texts(p1="red")
    fresh = work_rows(pairs, texts)
    known = fresh.slice(1, 1).select(["pair_key", "pin_id", "fingerprint"])
    known = known.append_column("logits", [[[0.0] * 5]]).append_column("num_tokens", [[7]]).cast(GRADED)
    work = write(tmp_path, work_rows(pairs, texts, graded=known))
    assert pairs_left(work, set()) == 4
    assert pairs_left(work, {work.shards[0].name}) == 3
    assert pairs_left(work, {work.shards[2].name}) == 3
