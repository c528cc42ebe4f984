"""A text to its words, in any script: much as Unicode cuts spaced scripts (UAX 29), pairs of characters elsewhere.

Other than UAX 29, a full stop, an underscore or an apostrophe ends a word: file names and French would stick together.
"""

import functools
import re
import unicodedata

_UNSPACED = (
    "\u0e00-\u0e3e\u0e40-\u0e4f"  # Thai
    "\u0e80-\u0ecf"  # Lao
    "\u1000-\u103f\u1780-\u17d3"  # Myanmar, Khmer
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul: spaced, but particles stick to the words
)
"""Letters of scripts whose words no space separates; a run of them becomes its overlapping pairs of characters."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")

_JOINERS = re.compile(r"[\u00ad\u200c\u200d\u2060\ufeff]")
"""They shape a word's letters, or say where it may break, and belong to no word (UAX 29, rule WB4)."""

_LAST_MARK = 0x1FFFF
"""Beyond it, only selectors of how an ideograph is drawn are marks."""


def tokenize(text: str) -> list[str]:
    """Words of a text: NFKC, case folded, letters and digits; scripts without spaces as pairs of characters.

    >>> tokenize("Weeknight Pasta! 寿司屋")
    ['weeknight', 'pasta', '寿司', '司屋']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    tokens: list[str] = []
    for run, word in _word_pattern().findall(_folded(text)):
        tokens += [word] if word else _bigrams(run)
    return tokens


def _folded(text: str) -> str:
    """One form of all texts that differ in case or compatibility alone (Unicode's rule D146), composed, no joiners."""
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", _JOINERS.sub("", text)).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def _bigrams(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[place : place + 2] for place in range(len(run) - 1)]


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """(run of an unspaced script) or (word: letters and digits, with the marks that stand on them)."""
    marks = "".join(chr(c) for c in range(0x300, _LAST_MARK) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
    spaced = rf"[^\W_{_UNSPACED}]"
    return re.compile(rf"([{_UNSPACED}]+)|({spaced}+(?:[{re.escape(marks)}]+{spaced}*)*)")
