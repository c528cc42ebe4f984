"""Examples to padded batches: tokenised and featurised once by Ray Data, collated in the training worker.

Letters: N pairs, U distinct texts, T tokens, F features, L = 5 levels.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.lexical import LexicalStats
from pinrank.student.encoder import text_template, tokenise
from pinrank.student.export import max_pin_tokens
from pinrank.student.feature_tables import NO_TABLES, FeatureTables
from pinrank.student.features import FeatureSpec
from pinrank.student.fit import features_of
from pinrank.student.inputs import Features, flat, nested
from pinrank.student.tower_folder import tokenizer_of
from pinrank.teacher.tokens import LENGTH_STEP, rounded_up
from pinrank.text import TextSettings, pin_text

if TYPE_CHECKING:  # the actors that prepare do without torch
    import torch
    from torch import Tensor

WINDOW_BATCHES = 16
"""Batches that are read together and cut by length, so that a batch pads little."""

ROWS_STEP = 16
"""Distinct texts of a batch are padded to a multiple of this."""

FEATURES: dict[str, type[np.generic]] = {
    "features": np.float32,
    "query_numbers": np.float32,
    "query_buckets": np.int32,
    "pin_numbers": np.float32,
    "pin_buckets": np.int32,
}
"""Columns of a prepared table that hold Features, in the order of `flat`; one without width is left out."""

TextsOf = Callable[[pa.Table, str], "tuple[tuple[Tensor, ...], Tensor]"]

KEPT = ("target", "temperature", "weight", "grade", "source")


class Prepare:
    """EXAMPLES to token ids and normalised features: a class for Ray Data's map_batches."""

    def __init__(
        self,
        backbone: str,
        text: TextSettings,
        stats: LexicalStats,
        spec: FeatureSpec,
        tables: FeatureTables = NO_TABLES,
    ) -> None:
        self.tokenizer = tokenizer_of(backbone)
        self.template = text_template(self.tokenizer)
        self.text = text
        self.stats = stats
        self.spec = spec
        self.tables = tables

    def __call__(self, examples: pa.Table) -> pa.Table:
        queries = examples["query"].to_pylist()
        rows = examples.select(list(lexical.READ)).to_pylist()
        texts = [pin_text(row, self.text) for row in rows]
        features = features_of(examples, self.spec, self.stats, self.tables)
        columns = {
            "query_ids": _lists(tokenise(self.tokenizer, self.template, queries, self.text.max_query_tokens)),
            "query_key": _keys(queries),
            "pin_ids": _lists(tokenise(self.tokenizer, self.template, texts, max_pin_tokens(self.text))),
            "pin_key": _keys(texts),
            **{name: _rows(array) for name, array in zip(FEATURES, flat(features), strict=True) if array.shape[1]},
        }
        return pa.table(columns | {name: examples[name] for name in KEPT})


@dataclass(frozen=True)
class Batch:
    """Pairs ready for Student.forward and the loss.

    queries and pins hold each distinct text once, as (ids, mask); where towers do not learn, a vector a pair.
    """

    queries: "tuple[Tensor, ...]"
    pins: "tuple[Tensor, ...]"
    query_of_pair: "Tensor"
    pin_of_pair: "Tensor"
    features: "Features[Tensor]"
    target_NL: "Tensor"
    temperature_N: "Tensor"
    weight_N: "Tensor"

    def __len__(self) -> int:
        return len(self.weight_N)

    def inputs(self, device: "torch.device") -> tuple[Any, ...]:
        """The arguments of Student.forward on a device."""
        queries, pins = (tuple(tensor.to(device) for tensor in side) for side in (self.queries, self.pins))
        features = self.features.mapped(lambda tensor: tensor.to(device))
        return (queries, pins, self.query_of_pair.to(device), self.pin_of_pair.to(device), features)

    def targets(self, device: "torch.device") -> "tuple[Tensor, Tensor, Tensor]":
        """target_NL, temperature_N and weight_N on a device."""
        return self.target_NL.to(device), self.temperature_N.to(device), self.weight_N.to(device)


def length_cut(windows: Iterable[pa.Table], batch_size: int, seed: int) -> Iterator[pa.Table]:
    """Cut windows of many rows into batches of pins of like length, in random order."""
    generator = np.random.default_rng(seed)
    for window in windows:
        lengths = _lengths(window)
        order = np.argsort(lengths + generator.random(len(lengths)))  # ties at random
        starts = np.arange(0, len(order), batch_size)
        for start in generator.permutation(starts):
            yield window.take(pa.array(order[start : start + batch_size]))


def collate(rows: pa.Table, pad_id: int) -> Batch:
    """Prepared rows as one padded batch."""
    return collated(rows, partial(_distinct, pad_id=pad_id))


def collated(rows: pa.Table, texts_of: TextsOf) -> Batch:
    """Prepared rows as one batch; texts_of(rows, side) says what the model gets of the texts of a side."""
    import torch

    queries, query_of_pair = texts_of(rows, "query")
    pins, pin_of_pair = texts_of(rows, "pin")
    return Batch(
        queries=queries,
        pins=pins,
        query_of_pair=query_of_pair,
        pin_of_pair=pin_of_pair,
        features=nested([torch.from_numpy(_matrix(rows, name, kind)) for name, kind in FEATURES.items()]),
        target_NL=torch.from_numpy(_matrix(rows, "target")),
        temperature_N=torch.from_numpy(rows["temperature"].to_numpy().copy()),
        weight_N=torch.from_numpy(rows["weight"].to_numpy().copy()),
    )


def _lengths(rows: pa.Table) -> NDArray[np.integer]:
    """Tokens of each pin; 0 where the rows hold none."""
    if "pin_ids" not in rows.schema.names:
        return np.zeros(rows.num_rows, dtype=np.int64)
    return np.asarray(np.diff(rows["pin_ids"].combine_chunks().offsets.to_numpy()))


def _distinct(rows: pa.Table, side: str, pad_id: int) -> "tuple[tuple[Tensor, Tensor], Tensor]":
    """The distinct texts of a side in order of length, padded, and which of them each pair has.

    U and T are rounded up, U with texts that no pair has, so that few shapes occur (see pinrank.teacher.tokens).
    """
    import torch

    keys_N = rows[f"{side}_key"].to_numpy()
    _, first_U, which_N = np.unique(keys_N, return_index=True, return_inverse=True)
    lists = rows[f"{side}_ids"].combine_chunks()
    order_U = np.argsort(np.diff(lists.offsets.to_numpy())[first_U], kind="stable")
    extra = -len(first_U) % ROWS_STEP
    which_N = (np.argsort(order_U) + extra)[which_N]
    first_U = np.pad(first_U[order_U], (extra, 0), mode="edge")
    lists = lists.take(pa.array(first_U))
    lengths_U = np.diff(lists.offsets.to_numpy())
    mask_UT = np.arange(rounded_up(lengths_U.max(), LENGTH_STEP)) < lengths_U[:, None]
    ids_UT = np.full(mask_UT.shape, pad_id, dtype=np.int64)
    ids_UT[mask_UT] = lists.flatten().to_numpy()
    return (torch.from_numpy(ids_UT), torch.from_numpy(mask_UT.astype(np.int64))), torch.from_numpy(which_N)


def _matrix(rows: pa.Table, name: str, kind: type[np.generic] = np.float32) -> NDArray[Any]:
    """A column of lists of one length as a matrix; of no columns where the column is absent."""
    if name not in rows.schema.names:
        return np.zeros((rows.num_rows, 0), dtype=kind)
    flat = rows[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.array(flat, dtype=kind).reshape(rows.num_rows, -1)


def _rows(array: NDArray[Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])


def _lists(token_ids: list[list[int]]) -> pa.Array:
    return pa.array(token_ids, pa.list_(pa.int32()))


def _keys(texts: list[str]) -> pa.Array:
    return pa.array([xxhash.xxh3_64_intdigest(text.encode()) for text in texts], pa.uint64())
