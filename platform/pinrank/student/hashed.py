"""Words of a text as rows of a table: the tokenizer of a tower that is learnt from scratch, without a backbone.

hashed/65536 names such a tower by the rows of its table. Two words may share a row (Weinberger et al., "Feature hashing
for large scale multitask learning", ICML 2009); nothing is fitted, so a word that training never saw has its row too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pinrank import lexical
from pinrank.errors import ModelError

_NAME = re.compile(r"hashed/(\d+)")


@dataclass(frozen=True)
class HashedWords:
    """Called as the tokenizers of transformers are; row 0 is padding."""

    num_rows: int
    pad_token_id: int = 0

    @property
    def name_or_path(self) -> str:
        return f"hashed/{self.num_rows}"

    def __call__(
        self, texts: str | Sequence[str], **options: object
    ) -> dict[str, list[list[int]]] | dict[str, list[int]]:
        """input_ids: the rows 1..num_rows - 1 of each text's words, in their order."""
        if isinstance(texts, str):
            return {"input_ids": self._rows(texts)}
        return {"input_ids": [self._rows(text) for text in texts]}

    def save_pretrained(self, folder: str | Path) -> None:
        """Nothing: the tower's form says all."""

    def _rows(self, text: str) -> list[int]:
        hashes = lexical.term_ids(lexical.tokenize(text))
        rows: list[int] = (1 + hashes % np.uint64(self.num_rows - 1)).astype(np.int64).tolist()
        return rows


def hashed_words(backbone: str) -> HashedWords | None:
    """The tokenizer that a backbone's name says, None for one that is pretrained.

    Raises ModelError when the table would have no row for a word.
    """
    named = _NAME.fullmatch(backbone)
    if named is None:
        return None
    if int(named[1]) < 2:
        raise ModelError(f"{backbone}: a table of words needs two rows or more. Say hashed/65536.")
    return HashedWords(int(named[1]))
