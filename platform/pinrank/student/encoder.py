"""Texts to vectors with the student's tower, outside training.

Letters: N texts, T tokens, D vector.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pinrank import precision as arithmetic
from pinrank.precision import Precision
from pinrank.student.tower_folder import open_tower
from pinrank.teacher.families import Pooling
from pinrank.teacher.tokens import Template, rounded_up, template_of, token_ids
from pinrank.text import LONGEST_TOKEN

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pinrank.student.towers import AnyTower

BATCH_SIZE = 64
"""Texts a forward pass; larger batches were no faster on CPUs, where padding and caches decide."""

LENGTH_STEP = 8
"""Lengths are rounded up to a multiple of this, because oneDNN compiles a kernel for every shape that it meets."""


class TextEncoder:
    """A tower with its tokenizer, in evaluation mode on one device."""

    def __init__(self, tower: "AnyTower", tokenizer: Any, device: "torch.device | None" = None) -> None:
        import torch

        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tower = tower.eval().to(self.device)
        self.tokenizer = tokenizer
        self.template = text_template(tokenizer)

    @classmethod
    def open(cls, folder: str | Path, pooling: Pooling = "mean") -> "TextEncoder":
        """Load a tower from its folder, or any Hugging Face one, pooled so; ModelError when it cannot be."""
        return cls(*open_tower(folder, pooling=pooling))

    def encode(self, texts: Sequence[str], max_tokens: int, precision: Precision = "float32") -> NDArray[np.float32]:
        """vectors_ND of length 1, float32, in the order given; a text is cut at max_tokens, special ones included."""
        return self.encode_ids(self.tokens(texts, max_tokens), precision)

    def tokens(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """The token ids that `encode` reads of each text."""
        return tokenise(self.tokenizer, self.template, texts, max_tokens)

    def encode_ids(self, token_ids: Sequence[Sequence[int]], precision: Precision = "float32") -> NDArray[np.float32]:
        """As `encode`, of texts that are tokenised."""
        import torch

        vectors_ND = np.zeros((len(token_ids), self.tower.vector_dim), dtype=np.float32)
        for places in by_length(token_ids):
            ids_NT, mask_NT = padded([token_ids[place] for place in places], self.tokenizer.pad_token_id or 0)
            with torch.inference_mode(), arithmetic.autocast(precision, self.device):
                found_ND = self.tower(ids_NT.to(self.device), mask_NT.to(self.device))
            vectors_ND[places] = found_ND.float().cpu().numpy()
        return vectors_ND


def text_template(tokenizer: Any) -> Template:
    """The special tokens around a single text; the same for all texts, so a caller asks once."""
    return template_of(tokenizer, between="")


def tokenise(tokenizer: Any, template: Template, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Token ids of each text, special tokens included, at most max_tokens.

    The cut is made here: a fast tokenizer's truncation is a state of the tokenizer, which two threads that want
    different lengths would change under each other.
    """
    if not texts:
        return []
    room = max_tokens - len(template)
    cut = [text[: room * LONGEST_TOKEN] for text in texts]
    return [[*template.before, *ids[:room], *template.after] for ids in token_ids(tokenizer, cut)]


def by_length(token_ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The places of all sequences in batches of like length."""
    order = sorted(range(len(token_ids)), key=lambda place: len(token_ids[place]))
    yield from (order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE))


def padded(token_ids: Sequence[Sequence[int]], pad_id: int) -> "tuple[Tensor, Tensor]":
    """`padded_arrays` as tensors."""
    import torch

    ids_NT, mask_NT = padded_arrays(token_ids, pad_id)
    return torch.from_numpy(ids_NT), torch.from_numpy(mask_NT)


def padded_arrays(token_ids: Sequence[Sequence[int]], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences of unequal length as ids_NT and mask_NT, padded on the right to the longest, rounded up."""
    lengths = np.asarray([len(ids) for ids in token_ids])
    mask_NT = np.arange(rounded_up(lengths.max(initial=1), LENGTH_STEP)) < lengths[:, None]
    ids_NT = np.full(mask_NT.shape, pad_id, dtype=np.int64)
    ids_NT[mask_NT] = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in token_ids])
    return ids_NT, mask_NT.astype(np.int64)
