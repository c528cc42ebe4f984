"""A word to its stem, by language: the Snowball stemmers (Porter 2001).

The language of the pin decides, for its own words and for those of every query that meets it. Then a word that stands
in both is one term, whatever the query's locale says or leaves out.
"""

import functools
from typing import Literal

import Stemmer
from pydantic import BaseModel, ConfigDict, Field, field_validator

LANGUAGES = (
    *("", "ar", "ca", "cs", "da", "de", "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "ga", "hi", "hu", "hy"),
    *("id", "it", "lt", "ne", "nl", "no", "pl", "pt", "ro", "ru", "sr", "st", "sv", "ta", "tr", "yi"),
)
"""The languages with a stemmer, ISO 639-1, by the number that pins have of them; 0 leaves words as they stand."""

SNOWBALL = str(Stemmer.version())
"""The version of the stemmers: another one may give other stems."""

_NUMBER = {language: number for number, language in enumerate(LANGUAGES)} | {"nb": LANGUAGES.index("no")}


class WordSettings(BaseModel):
    """How texts become terms. Stored with the statistics, so that training and serving read pins alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stems: Literal["none", "locale"] = Field(
        "locale", description="none: words as they stand; locale: Snowball stems, by the pin's locale"
    )
    fallback_language: str = Field(
        "en", description="language of pins whose locale is unknown or has no stemmer; '': words as they stand"
    )

    @field_validator("fallback_language")
    @classmethod
    def _has_a_stemmer(cls, language: str) -> str:
        if language not in LANGUAGES:
            raise ValueError(f"no stemmer for {language!r}; there are {', '.join(LANGUAGES[1:])}, or ''")
        return language


def language_of(locale: str | None, words: WordSettings) -> int:
    """The number of the language by which a pin of a locale is read; 'pt-BR', 'pt_BR' and 'PT' are one."""
    if words.stems == "none":
        return 0
    return _number(locale or "") or _NUMBER[words.fallback_language]


def stem(word: str, language: int) -> str:
    """The stem of a word in one of LANGUAGES, by its number."""
    return str(_stemmer(language).stemWord(word)) if language else word


@functools.lru_cache(maxsize=2**10)
def _number(locale: str) -> int:
    return _NUMBER.get(locale.replace("_", "-").partition("-")[0].lower(), 0)


@functools.cache
def _stemmer(language: int) -> "Stemmer.Stemmer":
    return Stemmer.Stemmer(LANGUAGES[language], 0)  # 0: without a cache of its own beside that of `stem`
