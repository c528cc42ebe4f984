"""Vectors of the pins by implicit factorisation of the graph.

The matrix of pins and boards holds, for every edge, the positive pointwise mutual information of pin and board

    max(0, log( E / (saves of the pin * pins of the board) ) - log shift)

and its truncated singular value decomposition U S V' gives the pins U S^power, each brought to length 1. Levy and
Goldberg, "Neural word embedding as implicit matrix factorization", NIPS 2014, show that skip-gram with negative
sampling factorises such a matrix (shift: its number of negatives); Levy, Goldberg and Dagan, "Improving distributional
similarity with lessons learned from word embeddings", TACL 2015, that a power below 1 serves similarity better. A pin
takes the place of the word and a board that of its context. Only edges have entries, so memory grows with them.

Letters: P pins, D vector, E edges.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils.extmath import randomized_svd

from pinrank.errors import TableError
from pinrank.graph_embedding.edges import Graph
from pinrank.graph_embedding.settings import GraphSettings

SMALLEST_LENGTH = 1e-4
"""A pin whose vector is shorter than this share of the longest is not told apart from noise and has none."""


@dataclass(frozen=True)
class PinVectors:
    """Unit vectors of the pins that have one; explained: what the D directions hold of the matrix's squared entries."""

    pin_ids: pa.Array
    vectors_PD: NDArray[np.float32]
    explained: float


def mutual_information(graph: Graph, shift: float) -> csr_array:
    """The matrix above, float64[P, boards]."""
    pins_P, boards_B = np.bincount(graph.pin_E), np.bincount(graph.board_E)
    ratio_E = len(graph) / (pins_P[graph.pin_E] * boards_B[graph.board_E] * shift)
    values_E = np.maximum(0.0, np.log(ratio_E))
    shape = (len(graph.pin_ids), graph.num_boards)
    matrix = csr_array((values_E, (graph.pin_E, graph.board_E)), shape=shape)
    matrix.eliminate_zeros()
    return matrix


def pin_vectors(graph: Graph, settings: GraphSettings) -> PinVectors:
    """Factorise; the same seed gives the same vectors, signs included. Raises TableError for too small a graph."""
    if min(len(graph.pin_ids), graph.num_boards) < settings.dim:
        raise TableError(
            f"engagement: {len(graph.pin_ids)} pins on {graph.num_boards} boards are too few for vectors of "
            f"{settings.dim}. Lower graph.dim or graph.min_users, or give a log with more saves."
        )
    matrix = mutual_information(graph, settings.shift)
    left_PD, singular_D, _ = randomized_svd(
        matrix,
        settings.dim,
        n_iter=settings.power_iterations,
        random_state=np.random.RandomState(settings.seed),
        flip_sign=True,
    )
    scaled_PD = left_PD * singular_D**settings.singular_power
    length_P = np.linalg.norm(scaled_PD, axis=1)
    kept_P = length_P > SMALLEST_LENGTH * length_P.max(initial=0.0)
    vectors_PD = (scaled_PD[kept_P] / length_P[kept_P, None]).astype(np.float32)
    total = float((matrix.data**2).sum())
    return PinVectors(graph.pin_ids.filter(pa.array(kept_P)), vectors_PD, float((singular_D**2).sum()) / (total or 1.0))
