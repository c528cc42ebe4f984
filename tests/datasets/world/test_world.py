from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pinrank.datasets import world
from pinrank.datasets.world import World, WorldSettings, generate
from pinrank.datasets.world.things import Things, true_levels
from pinrank.datasets.world.words import FACETS, LOCALES, PHRASES, SUBJECTS, TOPICS
from pinrank.errors import SettingsError
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, TRUTH, faults
from pinrank.text import normalise_query


@pytest.fixture(scope="module")
def small() -> World:
    return generate(WorldSettings(num_pins=800, num_queries=150, num_impressions=6_000))


def test_same_settings_make_the_same_world(small: World) -> None:
    again = generate(WorldSettings(num_pins=800, num_queries=150, num_impressions=6_000))
    assert again == small


def test_another_seed_makes_another_world(small: World) -> None:
    other = generate(WorldSettings(seed=1, num_pins=800, num_queries=150, num_impressions=6_000))
    assert other.judgments != small.judgments


@pytest.mark.parametrize("table", [PINS, JUDGMENTS, IMPRESSIONS, ENGAGEMENT, TRUTH], ids=lambda table: table.name)
def test_tables_keep_their_own_rules(small: World, table: object) -> None:
    data = getattr(small, table.name)
    assert data.schema == table.schema
    assert data.num_rows > 0
    assert faults(data, table) == []


def test_world_has_the_size_asked_for(small: World) -> None:
    assert small.pins.num_rows == 800
    assert len(small.judgments.column("query").unique()) == 150
    assert small.impressions.num_rows == 6_000


def test_judged_and_shown_pins_exist(small: World) -> None:
    pins = set(small.pins.column("pin_id").to_pylist())
    for table in (small.judgments, small.impressions, small.engagement):
        assert set(table.column("pin_id").to_pylist()) <= pins


def test_world_has_every_topic_in_every_language(small: World) -> None:
    said = " ".join(filter(None, small.pins.column("link_description").to_pylist()))
    assert all(topic in said for topics in TOPICS.values() for topic in topics)


def test_all_levels_locales_sources_and_splits_occur(small: World) -> None:
    assert set(small.judgments.column("level").to_pylist()) == {1, 2, 3, 4, 5}
    assert set(small.judgments.column("split").to_pylist()) == {"train", "dev", "test"}
    assert set(small.judgments.column("query_locale").to_pylist()) == set(LOCALES)
    assert set(small.judgments.column("source").to_pylist()) == set(small.pins.column("source").to_pylist())


def test_no_query_text_is_in_two_splits(small: World) -> None:
    split_of: dict[str, str] = {}
    for row in small.judgments.to_pylist():
        assert split_of.setdefault(normalise_query(row["query"]), row["split"]) == row["split"]


def test_grades_are_the_truth_with_a_little_noise(small: World) -> None:
    level = small.judgments.column("level").to_numpy()
    truth = small.judgments.column("relevance").to_numpy() * 4 + 1
    assert np.abs(level - truth).max() == 1
    assert 0.85 < (level == truth).mean() < 0.97


def things(topic: int, subject: int, facets: tuple[int, int]) -> Things:
    return Things(np.array([0]), np.array([topic]), np.array([subject]), np.array([facets]), np.array([0]))


@pytest.mark.parametrize(
    ("level", "topic", "subject", "facets"),
    [
        (5, 0, 1, (3, 4)),
        (4, 0, 1, (2, 4)),
        (3, 0, 2, (3, 4)),
        (2, 1, 1, (3, 4)),
        (1, 2, 1, (3, 4)),
    ],
)
def test_truth_falls_with_the_distance_between_query_and_pin(
    level: int, topic: int, subject: int, facets: tuple[int, int]
) -> None:
    query, pin = things(0, 1, (3, -1)), things(topic, subject, facets)
    row = np.array([0])
    assert true_levels(query, row, pin, row).tolist() == [level]


def test_words_of_relevant_pins_overlap_more(small: World) -> None:
    words = {pin["pin_id"]: set(f"{pin['title']} {pin['link_description']}".split()) for pin in small.pins.to_pylist()}
    shares: dict[int, list[float]] = {level: [] for level in range(1, 6)}
    for row in small.judgments.to_pylist():
        if row["query_locale"] != "ja":
            query = row["query"].split()
            shares[row["level"]].append(sum(word in words[row["pin_id"]] for word in query) / len(query))
    means = [np.mean(shares[level]) for level in (1, 3, 5)]
    assert means[0] < means[1] < means[2]


def test_few_queries_make_up_most_impressions(small: World) -> None:
    counts = sorted(Counter(small.impressions.column("query").to_pylist()).values(), reverse=True)
    assert sum(counts[:15]) > 0.5 * sum(counts)


def test_some_pins_have_no_text() -> None:
    pins = generate(WorldSettings(num_pins=2_000, num_queries=10, num_impressions=0)).pins
    silent = [pin for pin in pins.to_pylist() if not any(pin[name] for name in ("title", "description", "caption"))]
    assert 0 < len(silent) < 30


def test_truth_is_a_function_of_query_and_pin_and_agrees_with_the_judgments(small: World) -> None:
    assert small.truth.select(["impression_id", "query", "pin_id"]) == small.impressions.select(
        ["impression_id", "query", "pin_id"]
    )
    level_of = {(row["query"], row["pin_id"]): round(row["relevance"] * 4) + 1 for row in small.judgments.to_pylist()}
    seen = 0
    for row in small.truth.to_pylist():
        pair = (row["query"], row["pin_id"])
        seen += pair in level_of
        assert level_of.setdefault(pair, row["level"]) == row["level"]
    assert seen > 100


def test_better_pins_are_shown_higher_and_clicked_more(small: World) -> None:
    shown = small.impressions.to_pylist()
    levels = small.truth.column("level").to_pylist()
    mean = {
        level: np.mean(
            [(row["position"], bool(row["actions"])) for row, each in zip(shown, levels, strict=True) if each == level],
            axis=0,
        )
        for level in (1, 5)
    }
    assert mean[5][0] < mean[1][0] and mean[5][1] > 5 * mean[1][1]


def test_pages_have_all_positions_once_for_one_query_at_one_time(small: World) -> None:
    pages: dict[tuple[str, str], list[int]] = {}
    for row in small.impressions.to_pylist():
        pages.setdefault((row["ts"], row["query"]), []).append(row["position"])
    assert all(sorted(positions) == list(range(1, 11)) for positions in pages.values())


def test_a_board_has_an_owner_and_people_name_theirs_in_their_own_ways(small: World) -> None:
    saves = [row for row in small.engagement.to_pylist() if row["action"] == "save"]
    boards = Counter((row["user_hash"], row["board_title"]) for row in saves)
    titles = Counter(title for _, title in boards)
    assert max(boards.values()) > 1 and max(titles.values()) > 1
    assert len(titles) > 5 * len(TOPICS["en"])


def test_logged_actions_are_those_of_the_impressions(small: World) -> None:
    shown = Counter(action for actions in small.impressions.column("actions").to_pylist() for action in actions)
    logged = Counter(small.engagement.column("action").to_pylist())
    assert logged["save"] == shown["save"]
    assert logged["click"] + logged["long_click"] == shown["click"]
    for row in small.engagement.to_pylist():
        assert (row["board_title"] is not None) == (row["action"] == "save")
        assert (row["action"] == "long_click") == (row["dwell_s"] is not None and row["dwell_s"] >= 10)


def test_more_queries_than_words_can_make_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"num_queries: .* Ask for fewer"):
        generate(WorldSettings(num_pins=10, num_queries=40_000, num_impressions=0))


def test_every_language_has_all_words() -> None:
    for words in (TOPICS, SUBJECTS, FACETS, PHRASES):
        assert set(words) == set(LOCALES)
        assert {len(words[locale]) for locale in LOCALES} == {len(words["en"])}
    assert {len(each) for locale in LOCALES for each in SUBJECTS[locale]} == {len(SUBJECTS["en"][0])}


def test_module_says_that_it_proves_nothing() -> None:
    assert "proves NOTHING about search quality" in (world.__doc__ or "")


def test_world_without_impressions_has_an_empty_log() -> None:
    made = generate(WorldSettings(num_pins=20, num_queries=5, num_impressions=9))
    assert (made.impressions.num_rows, made.engagement.num_rows, made.truth.num_rows) == (0, 0, 0)
    assert isinstance(made.engagement, pa.Table)
