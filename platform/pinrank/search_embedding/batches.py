"""Pairs to batches: drawn at random, each distinct text of a batch once.

Never by length, as elsewhere: the correction for popular pins holds when a batch is a random sample of all pairs.
Letters: N pairs, B pairs of a batch, U distinct texts, T tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from pinrank.distinct import distinct
from pinrank.search_embedding.loss import Engaged, log_frequencies
from pinrank.student.batches import ROWS_STEP
from pinrank.student.encoder import padded, text_template, tokenise
from pinrank.student.export import max_pin_tokens
from pinrank.student.towers import Tokens
from pinrank.text import TextSettings

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """The arguments of TwoTowers.forward, and what the loss needs beside the vectors."""

    queries: Tokens
    pins: Tokens
    query_of_pair: Tensor
    pin_of_pair: Tensor
    log_q_B: Tensor
    engaged_BB: Tensor
    weight_B: Tensor

    def inputs(self, device: torch.device) -> tuple[Any, ...]:
        """The arguments of TwoTowers.forward on a device."""
        queries, pins = ((ids.to(device), mask.to(device)) for ids, mask in (self.queries, self.pins))
        return queries, pins, self.query_of_pair.to(device), self.pin_of_pair.to(device)

    def beside(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """log_q_B, engaged_BB and weight_B on a device."""
        return self.log_q_B.to(device), self.engaged_BB.to(device), self.weight_B.to(device)


class Learnt:
    """The pairs that are learnt (rows of PAIRS), ready to be cut into batches."""

    def __init__(self, pairs: pa.Table, tokenizer: Any, text: TextSettings, correct_popularity: bool) -> None:
        self.tokenizer = tokenizer
        self.template = text_template(tokenizer)
        self.text = text
        self.queries, self.query_N = distinct(pairs["query"].to_pylist())
        self.pins, self.pin_N = distinct(pairs["pin"].to_pylist())
        self.weight_N = pairs["weight"].to_numpy().astype(np.float32)
        self.engaged = Engaged(self.query_N, self.pin_N, len(self.queries))
        frequencies_P = log_frequencies(self.pin_N, len(self.pins))
        self.log_q_P = frequencies_P if correct_popularity else np.zeros_like(frequencies_P)

    def __len__(self) -> int:
        return len(self.query_N)

    def batch(self, rows_B: Ints) -> Batch:
        """Some of the pairs."""
        queries, query_of_pair = self._tokens(self.query_N[rows_B], self.queries, self.text.max_query_tokens)
        pins, pin_of_pair = self._tokens(self.pin_N[rows_B], self.pins, max_pin_tokens(self.text))
        engaged_BB = self.engaged.in_batch(self.query_N[rows_B], self.pin_N[rows_B])
        return Batch(
            queries=queries,
            pins=pins,
            query_of_pair=query_of_pair,
            pin_of_pair=pin_of_pair,
            log_q_B=torch.from_numpy(self.log_q_P[self.pin_N[rows_B]]),
            engaged_BB=torch.from_numpy(engaged_BB),
            weight_B=torch.from_numpy(self.weight_N[rows_B]),
        )

    def _tokens(self, which_B: Ints, texts: list[str], max_tokens: int) -> tuple[Tokens, Tensor]:
        used_U, place_B = np.unique(which_B, return_inverse=True)
        used_U = np.pad(used_U, (0, -len(used_U) % ROWS_STEP), mode="edge")  # few shapes, as in pinrank.student.batches
        ids = tokenise(self.tokenizer, self.template, [texts[which] for which in used_U], max_tokens)
        order_U = np.argsort([len(each) for each in ids], kind="stable")  # as towers read them fastest
        tokens = padded([ids[place] for place in order_U], self.tokenizer.pad_token_id or 0)
        return tokens, torch.from_numpy(np.argsort(order_U)[place_B])


def random_batches(num_rows: int, batch_size: int, seed: int, rank: int, num_ranks: int) -> Iterator[Ints]:
    """Row numbers of one worker's batches of one epoch, in an order that depends on the seed alone.

    All batches of all ranks are of one size, that of `batch_size` where there are so many rows for each; the rows that
    are left over in the end wait for another epoch's order.
    """
    size = size_of_batches(num_rows, batch_size, num_ranks)
    order_N = np.random.default_rng(seed).permutation(num_rows)
    for step in range(num_batches(num_rows, batch_size, num_ranks)):
        start = (step * num_ranks + rank) * size
        yield order_N[start : start + size]


def num_batches(num_rows: int, batch_size: int, num_ranks: int) -> int:
    """How many batches `random_batches` gives each rank."""
    return num_rows // (size_of_batches(num_rows, batch_size, num_ranks) * num_ranks)


def size_of_batches(num_rows: int, batch_size: int, num_ranks: int) -> int:
    """Pairs of each batch."""
    return min(batch_size, num_rows // num_ranks)
