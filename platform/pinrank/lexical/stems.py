"""A word to its stem, by locale: the Snowball stemmers (Porter 2001)."""

import functools
from typing import Literal

import Stemmer
from pydantic import BaseModel, ConfigDict, Field

_CACHED_STEMS = 2**18
"""Words of all languages whose stems are remembered."""


class WordSettings(BaseModel):
    """How texts become terms. Stored with the statistics, so that training and serving read queries and pins alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stems: Literal["none", "locale"] = Field(
        "none", description="none: words as they stand; locale: Snowball stems, by the locale of the query or pin"
    )


def language_of(locale: str | None) -> str | None:
    """The language whose stemmer reads a locale; None where there is none. 'pt-BR', 'pt_BR' and 'PT' are pt."""
    language = (locale or "").replace("_", "-").partition("-")[0].lower()
    language = {"nb": "no", "nn": "no"}.get(language, language)
    return language if len(language) == 2 and _stemmer(language) else None


@functools.lru_cache(maxsize=_CACHED_STEMS)
def stem(word: str, language: str) -> str:
    """The stem of a word of a language that `language_of` gave."""
    stemmer = _stemmer(language)
    assert stemmer is not None
    return str(stemmer.stemWord(word))


@functools.cache
def _stemmer(language: str) -> "Stemmer.Stemmer | None":
    try:
        return Stemmer.Stemmer(language, 0)  # its own cache would be a second one
    except KeyError:
        return None
