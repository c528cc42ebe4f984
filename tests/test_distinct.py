"""Equal things once."""

from hypothesis import given
from hypothesis import strategies as st

from pinrank.distinct import distinct


def test_distinct_things_keep_the_order_of_their_first_appearance():
    once, which_N = distinct(["b", "a", "b"])
    assert (once, which_N.tolist()) == (["b", "a"], [0, 1, 0])


@given(st.lists(st.text(max_size=2)))
def test_every_thing_is_found_again(things: list[str]):
    once, which_N = distinct(things)
    assert [once[which] for which in which_N] == things
    assert len(set(once)) == len(once)
