import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.engagement.links import Boilerplate, boilerplate, cleaned, domain_of, joined, parts_of
from pinrank.engagement.settings import BoilerplateSettings
from pinrank.tables import PINS

SETTINGS = BoilerplateSettings(min_links=3, min_share=0.5)


def pins(*links: tuple[str | None, str | None, str | None]) -> pa.Table:
    """A pin for each (url, title, description)."""
    rows = [
        {"pin_id": str(number), "link_url": url, "link_title": title, "link_description": description}
        for number, (url, title, description) in enumerate(links)
    ]
    return pa.Table.from_pylist(rows, PINS.schema)


def clean(*links: tuple[str | None, str | None, str | None]) -> list[tuple[str, str]]:
    table = pins(*links)
    titles, descriptions = cleaned(table, boilerplate(parts_of(table), SETTINGS), [True] * len(links))
    return list(zip(titles, descriptions, strict=True))


def shop(number: int, title: str, description: str = "") -> tuple[str, str, str]:
    return (f"https://www.shop.example/{number}", title, description)


@pytest.mark.parametrize("suffix", [" | Shop", " - Shop", " \u2013 SHOP", " \u2014 shop ", " :: Shop", " \u00b7 Shop"])
def test_suffix_that_a_domain_repeats_is_cut_off(suffix: str) -> None:
    assert [title for title, _ in clean(*(shop(n, f"Shoes {n}{suffix}") for n in range(3)))] == [
        "Shoes 0",
        "Shoes 1",
        "Shoes 2",
    ]


def test_several_suffixes_and_a_prefix_are_cut_off() -> None:
    links = [shop(n, f"Shop: Shoes {n} - size {n} | Sale | Shop") for n in range(3)]
    assert clean(*links)[1] == ("Shoes 1 - size 1", "")


def test_description_that_a_domain_repeats_is_dropped() -> None:
    links = [shop(n, "", "We sell everything.") for n in range(3)] + [shop(3, "", "Red shoes.")]
    assert [description for _, description in clean(*links)] == ["", "", "", "Red shoes."]


def test_title_that_a_domain_repeats_is_dropped() -> None:
    assert [title for title, _ in clean(*(shop(n, "Access denied") for n in range(3)), shop(4, "Hat"))] == [
        "",
        "",
        "",
        "Hat",
    ]


def test_many_pins_of_one_link_are_no_boilerplate() -> None:
    assert clean(*[shop(1, "Shoes | Shop", "Red shoes.")] * 9)[0] == ("Shoes | Shop", "Red shoes.")


def test_few_links_or_a_small_share_are_no_boilerplate() -> None:
    assert clean(*(shop(n, f"Shoes {n} | Shop") for n in range(2)))[0][0] == "Shoes 0 | Shop"
    links = [shop(n, f"Shoes {n} | Sale") for n in range(3)] + [shop(n, f"Hat {n}") for n in range(3, 7)]
    assert clean(*links)[0][0] == "Shoes 0 | Sale"


def test_domains_do_not_share_boilerplate() -> None:
    ours = [shop(n, f"Shoes {n} | Shop") for n in range(3)]
    assert clean(*ours, ("https://other.example/1", "Hat | Shop", None))[-1] == ("Hat | Shop", "")


def test_pin_without_a_link_or_not_worth_reading_is_left_alone_or_empty() -> None:
    assert clean((None, "Shoes | Shop", " x\x00y "))[0] == ("Shoes | Shop", "x y")
    assert cleaned(pins(shop(1, "Hat", "d")), Boilerplate(), [False]) == ([""], [""])


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.Shop.example/a", "shop.example"),
        ("http://user:pw@shop.example:80", "shop.example"),
        ("shop.example/a", ""),
        ("", ""),
        (None, ""),
        ("https://", ""),
    ],
)
def test_domain_is_the_host_without_www(url: str | None, domain: str) -> None:
    assert domain_of(url) == domain


LINKS = st.lists(
    st.tuples(
        st.sampled_from(["https://a.example/1", "https://a.example/2", "https://b.example/1", "no url", None]),
        st.sampled_from(["A | S", "B | S", "S: A", "S", None, "C - A | S"]),
        st.sampled_from(["x", "y", None]),
    ),
    max_size=12,
)


@given(LINKS)
def test_boilerplate_does_not_depend_on_how_domains_are_spread(links: list) -> None:
    parts = parts_of(pins(*links))
    settings = BoilerplateSettings(min_links=2, min_share=0.3)
    of_domains = [
        boilerplate(parts.filter(pc.equal(parts["domain"], domain)), settings) for domain in parts["domain"].unique()
    ]
    assert joined(of_domains) == boilerplate(parts, settings)


@given(LINKS)
def test_cleaned_title_is_part_of_the_title(links: list) -> None:
    for (title, description), (_, held, said) in zip(clean(*links), links, strict=True):
        assert title in (held or "")
        assert description in ("", said)
