from hypothesis import given
from hypothesis import strategies as st

from pinrank.sampling.allocation import UNCERTAINTY_UNITS, Content, allocate, divide, measures
from pinrank.sampling.settings import GuaranteeSettings, RateSettings, Wanted
from pinrank.sampling.strata import BOTH, FRESH, REST, TRENDING

PLAIN = GuaranteeSettings(fresh_share=0.0, trending_share=0.0)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from([FRESH, TRENDING, BOTH, REST]), st.sampled_from("abc")),
    st.builds(Content, pairs=st.integers(0, 50)),
    max_size=9,
)


def given_by(cells: dict, size: int, **wanted) -> dict:
    return divide(cells, {}, size, Wanted(size=size, **({"guarantees": PLAIN} | wanted)))


@given(CELLS, st.integers(1, 300), st.integers(0, 30), st.floats(0, 0.5), st.floats(0, 0.5))
def test_division_adds_up_and_nobody_gives_more_than_there_is(
    cells: dict, size: int, floor: int, fresh: float, trending: float
) -> None:
    guarantees = GuaranteeSettings(fresh_share=fresh, trending_share=trending)
    found = given_by(cells, size, min_per_stratum=floor, guarantees=guarantees)
    assert sum(found.values()) == min(size, sum(content.pairs for content in cells.values()))
    assert all(0 <= found[cell] <= content.pairs for cell, content in cells.items())


@given(CELLS, st.integers(1, 300), st.integers(0, 30))
def test_strata_reach_their_floor_where_all_floors_fit(cells: dict, size: int, floor: int) -> None:
    found = given_by(cells, size, min_per_stratum=floor)
    has = {name: sum(content.pairs for cell, content in cells.items() if cell[1] == name) for name in "abc"}
    if sum(min(floor, count) for count in has.values()) <= size:
        for name, count in has.items():
            assert sum(found[cell] for cell in found if cell[1] == name) >= min(floor, count)


@given(CELLS, st.integers(1, 300), st.floats(0, 0.5))
def test_guaranteed_groups_get_their_share_where_there_is_so_much(cells: dict, size: int, share: float) -> None:
    found = given_by(cells, size, guarantees=GuaranteeSettings(fresh_share=share, trending_share=share))
    for group in (FRESH, TRENDING):
        has = sum(content.pairs for cell, content in cells.items() if cell[0] in (group, BOTH))
        assert sum(found[cell] for cell in found if cell[0] in (group, BOTH)) >= min(has, int(share * size))


def test_division_is_proportional_beyond_the_floors() -> None:
    cells = {(REST, "a"): Content(100), (REST, "b"): Content(300), (REST, "c"): Content(600)}
    assert list(given_by(cells, 100).values()) == [10, 30, 60]
    assert list(given_by({(REST, "a"): Content(10), (REST, "b"): Content(1000)}, 100, min_per_stratum=10).values()) == [
        10,
        90,
    ]


def test_group_that_has_its_share_anyway_gets_no_more() -> None:
    cells = {(FRESH, "a"): Content(500), (REST, "a"): Content(500)}
    assert given_by(cells, 100, guarantees=GuaranteeSettings(fresh_share=0.2)) == {(FRESH, "a"): 50, (REST, "a"): 50}


def test_neyman_divides_by_pairs_times_their_spread() -> None:
    def content(uncertainty: float) -> Content:
        return Content(pairs=100, scored=10, squares=int(10 * uncertainty**2 * UNCERTAINTY_UNITS))

    cells = {(REST, "sure"): content(0.5), (REST, "unsure"): content(1.5)}
    assert given_by(cells, 40, rates=RateSettings(kind="neyman")) == {(REST, "sure"): 10, (REST, "unsure"): 30}


def test_cell_without_scores_is_as_unsure_as_all() -> None:
    scored = Content(pairs=100, scored=100, squares=100 * 4 * UNCERTAINTY_UNITS)
    found = measures({(REST, "a"): scored, (REST, "b"): Content(pairs=50)}, Wanted(rates=RateSettings(kind="neyman")))
    assert found == {(REST, "a"): 200.0, (REST, "b"): 100.0}


def test_fixed_rates_go_by_the_first_pattern_that_fits() -> None:
    cells = {(REST, "en/head"): Content(100), (REST, "en/tail"): Content(100), (REST, "de/tail"): Content(100)}
    rates = RateSettings(kind="fixed", fixed={"*/head": 0.1, "en/*": 0.5})
    assert list(given_by(cells, 1000, rates=rates).values()) == [10, 50, 0]


@given(st.dictionaries(st.text("abc", min_size=1), st.tuples(st.integers(0, 50), st.floats(0, 9))), st.integers(0, 200))
def test_allocation_by_a_measure_adds_up(cells: dict[str, tuple[int, float]], size: int) -> None:
    available = {(REST, name): count for name, (count, _) in cells.items()}
    measure = {(REST, name): weight for name, (_, weight) in cells.items()}
    found = allocate(available, size, measure)
    assert sum(found.values()) == min(size, sum(available[cell] for cell in available if measure[cell] > 0))
    assert all(0 <= found[cell] <= available[cell] for cell in available)
