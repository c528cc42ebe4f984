"""Batches of pairs: random, of one size, each rank its own."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pinrank.search_embedding.batches import Learnt, num_batches, random_batches
from pinrank.search_embedding.pairs import PAIRS
from pinrank.search_embedding.settings import SearchEmbeddingSettings


@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 60))
def test_ranks_get_as_many_batches_of_one_size_and_no_row_twice(num_ranks: int, batch_size: int, more: int):
    num_rows = num_ranks + more
    of_ranks = [list(random_batches(num_rows, batch_size, 1, rank, num_ranks)) for rank in range(num_ranks)]
    assert {len(batches) for batches in of_ranks} == {num_batches(num_rows, batch_size, num_ranks)} != {0}
    rows = np.concatenate([batch for batches in of_ranks for batch in batches])
    assert len(rows) == len(set(rows.tolist())) > num_rows - num_ranks * min(batch_size, num_rows // num_ranks)
    assert {len(batch) for batches in of_ranks for batch in batches} == {min(batch_size, num_rows // num_ranks)}


def test_another_epoch_has_another_order():
    first, second = (next(random_batches(100, 50, seed, 0, 1)).tolist() for seed in (0, 1))
    assert first != second
    assert first == next(random_batches(100, 50, 0, 0, 1)).tolist()


def test_a_batch_holds_each_text_once_and_knows_its_false_negatives(tiny_bert_dir: Path):
    rows = [("cat", "a large cat"), ("cat", "two cats"), ("dog", "a dog"), ("dog", "a large cat")]
    pairs = [{"query": query, "pin": pin, "weight": 2.0, "held_out": False} for query, pin in rows]
    text = SearchEmbeddingSettings().text
    learnt = Learnt(pa.Table.from_pylist(pairs, PAIRS), AutoTokenizer.from_pretrained(tiny_bert_dir), text, True)
    batch = learnt.batch(np.array([0, 2]))
    ids_UT, mask_UT = batch.pins
    own = [ids_UT[place][mask_UT[place].bool()].tolist() for place in batch.pin_of_pair]
    wanted = AutoTokenizer.from_pretrained(tiny_bert_dir)(["a large cat", "a dog"])["input_ids"]
    assert own == wanted
    assert sorted(mask_UT.sum(dim=1).tolist()) == mask_UT.sum(dim=1).tolist()  # as towers read them fastest
    assert batch.engaged_BB.tolist() == [[True, False], [True, True]]  # somebody who asked for dogs took the cat
    torch.testing.assert_close(batch.log_q_B.exp(), torch.tensor([0.5, 0.25]))
    without = Learnt(pa.Table.from_pylist(pairs, PAIRS), learnt.tokenizer, text, correct_popularity=False)
    assert without.batch(np.array([0, 2])).log_q_B.tolist() == [0, 0]
