"""Link texts without what a domain writes on all its pages: "Red shoes | Shop" is about red shoes.

A title is cut into segments at bars, dashes, dots and colons. Boilerplate is a first or a later segment, a whole title
or a whole description that at least `min_links` distinct links of a domain share, and at least `min_share` of those of
its links that have such a text. Counted by distinct links, because many pins show the same page. A title keeps at least
one segment, unless all of it is boilerplate.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash

from pinrank.engagement.settings import BoilerplateSettings
from pinrank.keys import Ints, dense, distinct, packed, starts
from pinrank.text import normalise_query, tidy

HEAD, TAIL, TITLE, DESCRIPTION = 0, 1, 2, 3
"""Parts of a link's texts: the title's first segment, each later one, the whole title, the whole description."""

PARTS = pa.schema([("domain", pa.uint64()), ("part", pa.int8()), ("text", pa.uint64()), ("link", pa.uint64())])
"""A part of a link's text, by hashes (text: of domain, part and text); a TITLE or DESCRIPTION where there is one."""

_SEPARATOR = re.compile(r"\s+[|\uff5c·•»\u2013\u2014-]+\s+|\s*::\s*|:\s+")
_HOST = re.compile(r"\s*[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:\s]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Boilerplate:
    """Hashes of the (domain, part, text) that are boilerplate."""

    known: frozenset[int] = frozenset()

    def holds(self, domain: str, part: int, text: str) -> bool:
        """Whether a part is boilerplate of its domain."""
        return _hash(domain, part, text) in self.known


def domain_of(url: str | None) -> str:
    """The host of a link without `www.`, in lower case; '' where there is none."""
    found = _HOST.match(url or "")
    return found.group(1).lower().removeprefix("www.") if found else ""


def parts_of(pins: pa.Table) -> pa.Table:
    """PINS → PARTS of those with a link."""
    domains, kinds, texts, links = [], [], [], []
    for url, title, description in zip(*_link_texts(pins), strict=True):
        domain = domain_of(url)
        if not domain:
            continue
        domain_hash, link_hash = _digest(domain), _digest(url or "")
        for part, text in _parts(title, description):
            domains.append(domain_hash)
            kinds.append(part)
            texts.append(_hash(domain, part, text))
            links.append(link_hash)
    columns = [pa.array(each, field.type) for each, field in zip((domains, kinds, texts, links), PARTS, strict=True)]
    return pa.table(columns, schema=PARTS)


def boilerplate(parts: pa.Table, settings: BoilerplateSettings) -> Boilerplate:
    """What the links of the domains share; parts (PARTS) hold all rows of every domain in them."""
    if not parts.num_rows:
        return Boilerplate()
    domain_N, part_N, text_N, link_N = (parts.column(name).to_numpy() for name in PARTS.names)
    shared_N, linked_N = dense(text_N), dense(link_N)
    one_M = np.unique(packed(shared_N, linked_N), return_index=True)[1]
    starts_G = starts(shared_N[one_M])
    links_G = np.diff(np.r_[starts_G, len(one_M)])
    rows_G = one_M[starts_G]
    field_N = packed(dense(domain_N), (part_N == DESCRIPTION).astype(np.int64))
    of_field_G = _links_of(field_N, linked_N)[field_N[rows_G]]
    common_G = (links_G >= settings.min_links) & (links_G >= settings.min_share * of_field_G)
    return Boilerplate(frozenset(text_N[rows_G[common_G]].tolist()))


def joined(found: Sequence[Boilerplate]) -> Boilerplate:
    """What several groups of domains share."""
    return Boilerplate(frozenset[int]().union(*(each.known for each in found)))


def cleaned(pins: pa.Table, known: Boilerplate, worth_reading: Sequence[bool]) -> tuple[list[str], list[str]]:
    """Link titles and link descriptions of PINS, tidied, without boilerplate; '' where not worth reading."""
    titles, descriptions = [], []
    for url, title, description, read in zip(*_link_texts(pins), worth_reading, strict=True):
        if read and known.known and (domain := domain_of(url)):
            description = "" if known.holds(domain, DESCRIPTION, description) else description
            title = _clean_title(domain, title, known)
        titles.append(title if read else "")
        descriptions.append(description if read else "")
    return titles, descriptions


def _parts(title: str, description: str) -> Iterator[tuple[int, str]]:
    if description:
        yield DESCRIPTION, description
    if title:
        yield TITLE, title
        head, *tails = _SEPARATOR.split(title)
        if tails:
            yield HEAD, head
            yield from ((TAIL, text) for text in dict.fromkeys(tails))


def _clean_title(domain: str, title: str, known: Boilerplate) -> str:
    if known.holds(domain, TITLE, title):
        return ""
    bounds = [0, *(place for each in _SEPARATOR.finditer(title) for place in each.span()), len(title)]
    spans = list(zip(bounds[::2], bounds[1::2], strict=True))
    texts = [title[start:stop] for start, stop in spans]
    first, last = 0, len(spans) - 1
    while last > 0 and known.holds(domain, TAIL, texts[last]):
        last -= 1
    if first < last and known.holds(domain, HEAD, texts[first]):
        first = 1
    return title[spans[first][0] : spans[last][1]].strip()


def _links_of(field_N: Ints, linked_N: Ints) -> Ints:
    """How many distinct links each field (a domain's titles, or its descriptions) has."""
    fields_P = distinct(packed(field_N, linked_N)) // (int(linked_N.max()) + 1)
    return np.bincount(fields_P)


def _hash(domain: str, part: int, text: str) -> int:
    return _digest(f"{domain}\x1f{part}\x1f{normalise_query(text)}")


def _digest(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())


def _link_texts(pins: pa.Table) -> tuple[list[str | None], list[str], list[str]]:
    urls, titles, descriptions = (
        pins.column(name).to_pylist() for name in ("link_url", "link_title", "link_description")
    )
    return urls, [tidy(title) for title in titles], [tidy(description) for description in descriptions]
