"""Boards and their vectors: what a board is called, and what lies on it.

A board is a person and a title, in any spelling (pinrank.graph_embedding.edges). Its vector is the mean of two vectors
of length 1, brought to length 1: its title's, read by the pin tower as a pin that has nothing but a title, and the mean
of its pins'. So a board of three pins is not only its title, one of a thousand not only their average, and a pin can be
added or taken away without encoding anything.

Letters: B boards, E (board, pin) edges, P pins, D vector.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.embeddings.encode import vectors_of
from pinrank.engagement.evidence import BOARD
from pinrank.keys import Ints, dense, mixed, repeated_hashes
from pinrank.tables import PIN_TEXT
from pinrank.text import FIELDS, fingerprint

Floats = NDArray[np.float32]

SAVED = pa.schema([("board", pa.uint64()), ("title", pa.string()), ("pin_id", pa.string())])
"""A pin on a board; board: a hash of the person and the normalised title."""


class BoardSettings(BaseModel):
    """Which boards get a vector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_pins: int = Field(2, ge=1, description="a board with fewer pins is left out")
    max_pins: int = Field(1_000, ge=1, description="a board with more pins is about everything and is left out")


@dataclass(frozen=True)
class Boards:
    """Boards by id, which is TITLE#HASH, and which pins lie on each; edges are sorted by board, then pin."""

    board_ids: list[str]
    titles: list[str]
    board_E: Ints
    pin_ids_E: pa.Array


def saved(evidence: pa.Table) -> pa.Table:
    """EVIDENCE (merged, all of each pin's) → SAVED."""
    saves = evidence.filter(pc.equal(evidence["kind"], BOARD))
    boards = mixed(repeated_hashes(saves["word"]), saves["user"].to_numpy())
    return pa.table([pa.array(boards), saves["spelling"], saves["pin_id"]], schema=SAVED)


def boards_of(edges: pa.Table, pin_ids: pa.Array, settings: BoardSettings) -> Boards:
    """The boards of SAVED rows whose pins are among pin_ids; of a title's spellings the one that sorts first."""
    edges = edges.filter(pc.is_in(edges["pin_id"], pin_ids))
    edges = edges.group_by(["board", "pin_id"]).aggregate([("title", "min")])
    counts = np.bincount(board_E := dense(edges["board"].to_numpy()))
    kept_E = ((counts >= settings.min_pins) & (counts <= settings.max_pins))[board_E]
    edges = edges.filter(pa.array(kept_E)).sort_by([("board", "ascending"), ("pin_id", "ascending")])
    titles = edges.group_by("board").aggregate([("title_min", "min")]).sort_by("board")
    names = titles["title_min_min"].to_pylist()
    return Boards(
        board_ids=[f"{title}#{board:016x}" for title, board in zip(names, titles["board"].to_pylist(), strict=True)],
        titles=names,
        board_E=dense(edges["board"].to_numpy()),
        pin_ids_E=edges["pin_id"].combine_chunks(),
    )


def title_texts(boards: Boards) -> pa.Table:
    """PIN_TEXT with a row a board: a pin that has nothing but the board's title."""
    rows = [dict.fromkeys(FIELDS, "") | {"title": title} for title in boards.titles]
    known = zip(boards.board_ids, rows, strict=True)
    made = [{"pin_id": board_id, **row, "fingerprint": fingerprint(row)} for board_id, row in known]
    return pa.Table.from_pylist(made, schema=PIN_TEXT.schema)


def board_vectors(boards: Boards, titles: pa.Table, pins: pa.Table) -> Floats:
    """Vectors of length 1 in the order of the boards, float32[B, D]; PIN_EMBEDDINGS of their titles and their pins."""
    title_B = pc.index_in(pa.array(boards.board_ids), value_set=titles["pin_id"].combine_chunks()).to_numpy()
    pin_E = pc.index_in(boards.pin_ids_E, value_set=pins["pin_id"].combine_chunks()).to_numpy()
    pins_PD = vectors_of(pins)
    sums_BD = np.zeros((len(boards.board_ids), pins_PD.shape[1]), dtype=np.float32)
    np.add.at(sums_BD, boards.board_E, pins_PD[pin_E].astype(np.float32))
    return unit(unit(vectors_of(titles)[title_B]) + unit(sums_BD))


def unit(vectors_ND: NDArray[np.floating]) -> Floats:
    """Vectors brought to length 1; a vector of zeros stays one."""
    wide_ND = np.asarray(vectors_ND, dtype=np.float32)
    lengths_N1 = np.linalg.norm(wide_ND, axis=1, keepdims=True)
    return np.asarray(wide_ND / np.where(lengths_N1 > 0, lengths_N1, 1.0), dtype=np.float32)
