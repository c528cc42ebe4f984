"""A trained student as a folder, and the bundle that offline jobs and serving open it with.

    encoder/             the tower that reads queries, and pins too where there is no pin_encoder/
    pin_encoder/         the tower that reads pins, where they have one of their own (pinrank.student.tower_folder)
    ranker.safetensors   the MLP
    feature_spec.json    names, order and normaliser of the features, with their hash
    lexical.safetensors  document frequencies for BM25, with lexical.json
    card.json            version, text settings, metrics and lineage

Letters: N pairs or candidates, D vector, H first hidden layer, R = D + H, F features, L = 5 levels.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank import lexical
from pinrank.distinct import distinct
from pinrank.durable import replace_folder, staging_of
from pinrank.errors import ModelError
from pinrank.lexical import FieldTerms, LexicalStats
from pinrank.model_card import CARD, content_hash, open_card
from pinrank.student import features
from pinrank.student.features import FeatureSpec
from pinrank.student.ranker import RANKER_FILE, Floats, RankerWeights, open_ranker
from pinrank.student.tower_folder import FORM, save_tower
from pinrank.text import TextSettings, pin_text

if TYPE_CHECKING:
    from pinrank.precision import Precision
    from pinrank.student.encoder import TextEncoder
    from pinrank.student.model import Student

ENCODER = "encoder"
PIN_ENCODER = "pin_encoder"


class StudentCard(BaseModel):
    """What a student is: how it reads text, how it was made, how good it was on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="NAME@ the first 8 hex digits of the SHA-256 of everything that decides a score")
    backbone: str
    text: TextSettings
    vector_dim: int
    hidden: int = Field(description="width of the first layer, stored for every pin after its vector")
    feature_spec: str = Field(description="hash of feature_spec.json")
    metrics: dict[str, float]
    lineage: dict[str, Any]


class StudentBundle:
    """A student ready to encode and to grade. The encoder, and with it torch, loads when first asked for."""

    def __init__(
        self, folder: Path, card: StudentCard, spec: FeatureSpec, stats: LexicalStats, ranker: RankerWeights
    ) -> None:
        self.folder = folder
        self.card = card
        self.spec = spec
        self.stats = stats
        self.ranker = ranker
        self.version = card.version
        self.text = card.text
        self.vector_dim = ranker.vector_dim
        self.hidden = ranker.hidden

    @cached_property
    def encoder(self) -> "TextEncoder":
        """The tower that reads queries, with its tokenizer."""
        from pinrank.student.encoder import TextEncoder

        return TextEncoder.open(self.folder / ENCODER)

    @cached_property
    def pin_encoder(self) -> "TextEncoder":
        """The tower that reads pins, with its tokenizer."""
        from pinrank.student.encoder import TextEncoder

        own = self.folder / PIN_ENCODER
        return TextEncoder.open(own) if own.exists() else self.encoder

    def encode_queries(self, texts: Sequence[str], precision: "Precision" = "float32") -> Floats:
        """Queries to vectors of length 1, float32[N, D]. float32 by default: a query's vector then hardly depends on
        which others share its batch."""
        return self.encoder.encode(texts, self.text.max_query_tokens, precision)

    def encode_pins(self, texts: Sequence[str], precision: "Precision" = "auto") -> Floats:
        """Pin texts (as `pin_texts` gives them) to vectors of length 1, float32[N, D]."""
        return self.pin_encoder.encode(texts, max_pin_tokens(self.text), precision)

    def pin_texts(self, rows: Sequence[Mapping[str, str]]) -> list[str]:
        """Rows of pin_text to the texts that the pin tower reads."""
        return [pin_text(row, self.text) for row in rows]

    def pin_rows(self, vectors_ND: NDArray[np.floating]) -> NDArray[np.float16]:
        """Rows of the pin store: each pin's vector, then its side of the first layer, float16[N, D+H]."""
        vectors_ND = np.asarray(vectors_ND, dtype=np.float32)
        rows_NR = np.concatenate([vectors_ND, self.ranker.pin_side(vectors_ND)], axis=1)
        return np.asarray(rows_NR, dtype=np.float16)

    def features(self, query: str, pins: FieldTerms) -> Floats:
        """Normalised features of one query with each pin, float32[N, F]."""
        query_of_pair = np.zeros(len(pins), dtype=np.int64)
        raw_NF = features.raw_features(
            [lexical.query_terms(query, words=self.stats.words)], pins, self.stats, query_of_pair
        )
        return self.spec.normalise(raw_NF)

    def logits(self, query_D: Floats, rows_NR: NDArray[np.float16], features_NF: Floats) -> Floats:
        """Five logits for one query and N candidates, float32[N, 5]; rows_NR come from `pin_rows` or the pin store."""
        return self.ranker.logits(query_D, rows_NR, features_NF)

    def grade(self, pairs: Sequence[tuple[str, Mapping[str, str]]], precision: "Precision" = "auto") -> Floats:
        """Logits of (query, row of pin_text) pairs, float32[N, 5], by serving's maths; each text is encoded once."""
        queries, query_of_pair = distinct([query for query, _ in pairs])
        texts, text_of_pair = distinct(self.pin_texts([row for _, row in pairs]))
        query_vectors_UD = self.encode_queries(queries)
        rows_TR = self.pin_rows(self.encode_pins(texts, precision))
        terms = lexical.field_terms([row for _, row in pairs], self.stats.words)
        logits_NL = np.zeros((len(pairs), 5), dtype=np.float32)
        order = np.argsort(query_of_pair, kind="stable")
        bounds = lexical.starts_of(np.bincount(query_of_pair, minlength=len(queries)))
        for number, query in enumerate(queries):
            mine = order[bounds[number] : bounds[number + 1]]
            features_NF = self.features(query, terms.take(mine))
            logits_NL[mine] = self.logits(query_vectors_UD[number], rows_TR[text_of_pair[mine]], features_NF)
        return logits_NL


def open_student(folder: str | Path) -> StudentBundle:
    """Open a student's folder. Raises ModelError when it is none, damaged, or its parts do not belong together."""
    root = Path(folder)
    card = read_card(folder)
    spec = FeatureSpec.open(root)
    ranker = open_ranker(root, spec.cosine_centre, spec.cosine_scale)
    found = (spec.hash, ranker.vector_dim, ranker.hidden, spec.num_features + 1)
    wanted = (card.feature_spec, card.vector_dim, card.hidden, len(ranker.features_GH))
    if found != wanted:
        raise ModelError(
            f"{folder}: its parts do not belong together (specification, vector, hidden, inputs: {found}, expected "
            f"{wanted}). Copy the whole folder again, or train the student again."
        )
    return StudentBundle(root, card, spec, LexicalStats.open(root), ranker)


def read_card(folder: str | Path) -> StudentCard:
    """The card of a student's folder; ModelError when it is no student."""
    return open_card(folder, StudentCard, "student", "train_student")


def save_student(
    student: "Student",
    tokenizer: Any,
    spec: FeatureSpec,
    stats: LexicalStats,
    folder: str | Path,
    *,
    name: str,
    backbone: str,
    text: TextSettings,
    metrics: Mapping[str, float],
    lineage: Mapping[str, Any],
) -> StudentCard:
    """Write a student's folder in one rename, and return its card with the version filled in."""
    import torch
    from safetensors.torch import save_file

    target = Path(folder).absolute()
    staging = staging_of(target)
    towers = student.towers
    sides = {ENCODER: towers.query} if towers.shared else {ENCODER: towers.query, PIN_ENCODER: towers.pin}
    for side, tower in sides.items():
        save_tower(tower, tokenizer, staging / side)
    weights = {
        key: value.detach().to("cpu", torch.float32).contiguous() for key, value in student.ranker.state_dict().items()
    }
    save_file(weights, staging / RANKER_FILE)
    spec.save(staging)
    stats.save(staging)
    forms = [staging / side / FORM for side in sides]
    decisive = [staging / features.SPEC_FILE, staging / lexical.SETTINGS_FILE, *forms]
    card = StudentCard(
        version=f"{name}@{content_hash(staging, text, *decisive)}",
        backbone=backbone,
        text=text,
        vector_dim=student.ranker.pin.in_features,
        hidden=student.ranker.pin.out_features,
        feature_spec=spec.hash,
        metrics=dict(metrics),
        lineage=dict(lineage),
    )
    (staging / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    replace_folder(staging, target)
    return card


def max_pin_tokens(text: TextSettings) -> int:
    """Tokens of a pin's text: what the pair's budget leaves beside the query's."""
    return text.max_tokens - text.max_query_tokens
