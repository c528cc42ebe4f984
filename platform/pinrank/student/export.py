"""A trained student as a folder, and the bundle that offline jobs and serving open it with.

    encoder/             the tower that reads queries, and pins too where there is no pin_encoder/
    pin_encoder/         the tower that reads pins, where they have one of their own (pinrank.student.tower_folder)
    ranker.safetensors   the MLP
    feature_spec.json    the fitted specification of the features, with its hash
    lexical.safetensors  document frequencies for BM25, with lexical.json
    calibration.json     temperature and bias of the levels, fitted on dev; calibration-64.json: of vectors cut to 64
    onnx/                the query tower as ONNX, where it was asked for and dev accepts it
    card.json            version, text settings, metrics on dev and lineage
    manifest.json        version, lineage and a checksum of every file; written last

Letters: N pairs or candidates, D vector, H first hidden layer, S vectors in external embeddings of both sides,
R = D + H + S, F pair features, L = 5 levels.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank import lexical
from pinrank.distinct import distinct
from pinrank.errors import ModelError
from pinrank.evaluation.by_segment import SegmentFigures
from pinrank.lexical import FieldTerms, LexicalStats
from pinrank.model_card import CARD, open_card
from pinrank.student.calibration import LevelCalibration
from pinrank.student.feature_tables import NO_TABLES, FeatureTables
from pinrank.student.features import FeatureSpec
from pinrank.student.manifest import MANIFEST, verify
from pinrank.student.onnx import Format, OnnxEncoder, OnnxFigures, file_of
from pinrank.student.ranker import Floats, RankerWeights, open_ranker, single
from pinrank.student.text_features import of_texts
from pinrank.student.tower_folder import ENCODER, PIN_ENCODER
from pinrank.student.values import Known, Values, nothing
from pinrank.text import TextSettings, pin_text

if TYPE_CHECKING:
    from pinrank.precision import Precision
    from pinrank.student.encoder import TextEncoder

NOTHING_KNOWN = Known()
CUT = ":"
"""Between a student's version and the width that it is cut to."""


class StudentCard(BaseModel):
    """What a student is: how it reads text, how it was made, how good it was on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="NAME@ the first 8 hex digits of the SHA-256 of everything that decides a score")
    backbone: str
    text: TextSettings
    vector_dim: int
    dims: tuple[int, ...] = Field((), description="smaller widths to which the vectors may be cut")
    hidden: int = Field(description="width of the first layer, stored for every pin after its vector")
    feature_spec: str = Field(description="hash of feature_spec.json")
    metrics: dict[str, float]
    dev: SegmentFigures = Field(SegmentFigures(), description="of the published student, by source and locale")
    dev_at: dict[int, SegmentFigures] = Field({}, description="the same of the student cut to each of dims")
    onnx: dict[Format, OnnxFigures] = Field({}, description="the query tower as ONNX: what became of it on dev")
    lineage: dict[str, Any]


class Encoder(Protocol):
    """Texts to vectors of length 1, float32[N, D], in the order given; a text is cut at max_tokens."""

    def encode(self, texts: Sequence[str], max_tokens: int, precision: "Precision" = "float32") -> Floats: ...


class StudentBundle:
    """A student ready to encode and to grade. The encoder, and with it torch, loads when first asked for."""

    def __init__(
        self,
        folder: Path,
        card: StudentCard,
        spec: FeatureSpec,
        stats: LexicalStats,
        ranker: RankerWeights,
        calibration: LevelCalibration,
    ) -> None:
        self.folder = folder
        self.card = card
        self.spec = spec
        self.stats = stats
        self.ranker = ranker
        self.calibration = calibration
        self.version = card.version
        self.text = card.text
        self.vector_dim = ranker.vector_dim
        self.hidden = ranker.hidden
        self.tables = NO_TABLES
        self.query_form: Format | None = None

    @cached_property
    def encoder(self) -> "TextEncoder":
        """The tower that reads queries, with its tokenizer."""
        from pinrank.student.encoder import TextEncoder

        return TextEncoder.open(self.folder / ENCODER)

    @cached_property
    def query_encoder(self) -> "TextEncoder | OnnxEncoder":
        """What encodes queries: that tower, or its ONNX form where `with_query_form` chose one."""
        if self.query_form is None:
            return self.encoder
        return OnnxEncoder.open(file_of(self.folder, self.query_form), self.folder / ENCODER, num_threads=1)

    @property
    def encoder_version(self) -> str:
        """What decides a query's vector: the student, the width that it is cut to, and its tower's form."""
        return self.version if self.query_form is None else f"{self.version}+{self.query_form}"

    @cached_property
    def pin_encoder(self) -> "TextEncoder":
        """The tower that reads pins, with its tokenizer."""
        from pinrank.student.encoder import TextEncoder

        own = self.folder / PIN_ENCODER
        return TextEncoder.open(own) if own.exists() else self.encoder

    def with_encoders(self, encoder: Encoder, pin_encoder: Encoder) -> "StudentBundle":
        """The same student with other encoders of queries and pins."""
        other = copy.copy(self)
        vars(other).update(encoder=encoder, query_encoder=encoder, pin_encoder=pin_encoder)
        return other

    def with_query_form(self, form: Format | None) -> "StudentBundle":
        """The same student, which encodes queries by an ONNX form of its tower on one thread; None: by torch."""
        other = copy.copy(self)
        vars(other).pop("query_encoder", None)
        other.query_form = form
        return other

    def with_tables(self, tables: FeatureTables) -> "StudentBundle":
        """The same student, which in `grade` knows more of queries, pins and pairs than their texts."""
        other = copy.copy(self)
        other.tables = tables
        return other

    def cut(self, vector_dim: int) -> "StudentBundle":
        """The same student with vectors of the first so many numbers, and calibrated as these need it; its version says
        so: NAME@HASH:WIDTH.

        Raises ModelError when it was not trained to be cut there.
        """
        if vector_dim == self.vector_dim:
            return self
        if vector_dim not in self.card.dims:
            known = ", ".join(map(str, (*self.card.dims, self.card.vector_dim)))
            raise ModelError(
                f"{self.folder}: was trained for vectors of {known} numbers, not {vector_dim}. Choose one of these, or "
                "train it with tower.dims."
            )
        other = copy.copy(self)
        other.ranker, other.vector_dim = self.ranker.cut(vector_dim), vector_dim
        other.calibration = LevelCalibration.open(self.folder, vector_dim)
        other.version = f"{self.card.version}{CUT}{vector_dim}"
        return other

    def as_version(self, version: str) -> "StudentBundle":
        """This student, cut where one of its versions says so; ModelError when it was not trained to be."""
        _, is_cut, vector_dim = version.partition(CUT)
        return self.cut(int(vector_dim)) if is_cut else self

    def _fitting(self, vectors_ND: Floats) -> Floats:
        """Vectors as wide as this student's, cut where they are wider."""
        if vectors_ND.shape[1] == self.vector_dim:
            return vectors_ND
        start_ND = vectors_ND[:, : self.vector_dim]
        return np.asarray(start_ND / np.maximum(np.linalg.norm(start_ND, axis=1, keepdims=True), 1e-12))

    def encode_queries(self, texts: Sequence[str], precision: "Precision" = "float32") -> Floats:
        """Queries to vectors of length 1, float32[N, D]. float32 by default: a query's vector then hardly depends on
        which others share its batch."""
        return self._fitting(self.query_encoder.encode(texts, self.text.max_query_tokens, precision))

    def encode_pins(self, texts: Sequence[str], precision: "Precision" = "auto") -> Floats:
        """Pin texts (as `pin_texts` gives them) to vectors of length 1, float32[N, D]."""
        return self._fitting(self.pin_encoder.encode(texts, max_pin_tokens(self.text), precision))

    def pin_texts(self, rows: Sequence[Mapping[str, str]]) -> list[str]:
        """Rows of pin_text to the texts that the pin tower reads."""
        return [pin_text(row, self.text) for row in rows]

    def pin_rows(self, vectors_ND: NDArray[np.floating], values: Values | None = None) -> NDArray[np.float16]:
        """Rows of the pin store, float16[N, R]: each pin's vector, its side of the first layer, and its vectors in the
        external embeddings of both sides. values: what is known of the pins beside their texts; None: nothing."""
        return np.asarray(self.exact_rows(vectors_ND, values), dtype=np.float16)

    def exact_rows(self, vectors_ND: NDArray[np.floating], values: Values | None = None) -> Floats:
        """`pin_rows` before they are rounded, float32[N, R]."""
        vectors_ND = self._fitting(np.asarray(vectors_ND, dtype=np.float32))
        values = values or nothing(len(vectors_ND))
        side_NH = self.ranker.pin_side(vectors_ND, self.spec.side("pin", values))
        return np.concatenate([vectors_ND, side_NH, self.spec.space_vectors(values)], axis=1)

    def features(
        self, query: str, pins: FieldTerms, rows_NR: NDArray[np.floating] | None = None, known: Known = NOTHING_KNOWN
    ) -> Floats:
        """Normalised pair features of one query with each pin, float32[N, F]; rows_NR as for `logits`, needed where an
        external embedding has both sides."""
        query_of_pair = np.zeros(len(pins), dtype=np.int64)
        terms = [lexical.query_terms(query)]
        texts_NT = of_texts(self.spec.declared, terms, pins, self.stats, query_of_pair)
        own = self.vector_dim + self.hidden
        pin_NS = np.zeros((len(pins), 0), np.float32) if rows_NR is None else single(rows_NR[:, own:])
        pairs = known.pairs or nothing(len(pins))
        return self.spec.pair(texts_NT, pairs, self.spec.space_vectors(known.query), pin_NS)

    def logits(
        self, query_D: Floats, rows_NR: NDArray[np.floating], features_NF: Floats, known: Known = NOTHING_KNOWN
    ) -> Floats:
        """Five logits for one query and N candidates, float32[N, 5]; rows_NR come from `pin_rows` or the pin store."""
        rows = rows_NR[:, : self.vector_dim + self.hidden]
        return self.ranker.logits(query_D, rows, features_NF, self.spec.side("query", known.query))

    def grade(
        self,
        pairs: Sequence[tuple[str, Mapping[str, str]]],
        precision: "Precision" = "auto",
        locales: Sequence[str | None] | None = None,
    ) -> Floats:
        """Logits of (query, row of pin_text) pairs, float32[N, 5], by serving's maths; each text is encoded once.

        What is known beside the texts comes from `with_tables`; locales: of the queries.
        """
        asked, query_of_pair = distinct(zip((query for query, _ in pairs), locales or [None] * len(pairs), strict=True))
        query_vectors_UD = self.encode_queries([query for query, _ in asked])
        known_queries = self.tables.queries([query for query, _ in asked], [locale for _, locale in asked])
        known_pairs = self.tables.pairs([query for query, _ in pairs], [row.get("pin_id", "") for _, row in pairs])
        rows_PR, pin_of_pair = self._rows([row for _, row in pairs], precision)
        terms = lexical.field_terms([row for _, row in pairs], self.stats.words)
        logits_NL = np.zeros((len(pairs), 5), dtype=np.float32)
        order = np.argsort(query_of_pair, kind="stable")
        bounds = lexical.starts_of(np.bincount(query_of_pair, minlength=len(asked)))
        for number, (query, _) in enumerate(asked):
            mine = order[bounds[number] : bounds[number + 1]]
            known = Known(known_queries.take(np.asarray([number])), known_pairs.take(mine))
            rows_NR = rows_PR[pin_of_pair[mine]]
            features_NF = self.features(query, terms.take(mine), rows_NR, known)
            logits_NL[mine] = self.logits(query_vectors_UD[number], rows_NR, features_NF, known)
        return logits_NL

    def _rows(
        self, pins: Sequence[Mapping[str, str]], precision: "Precision"
    ) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """`pin_rows` of the distinct pins, and which of them each row of pin_text is."""
        ids = [row.get("pin_id", "") for row in pins]
        once, pin_of_row = distinct(zip(self.pin_texts(pins), ids, strict=True))
        texts, text_of_pin = distinct(text for text, _ in once)
        vectors_PD = self.encode_pins(texts, precision)[text_of_pin]
        return self.pin_rows(vectors_PD, self.tables.pins([pin_id for _, pin_id in once])), pin_of_row


def open_student(folder: str | Path, thorough: bool = False) -> StudentBundle:
    """Open a student's folder.

    Its files are held against its manifest, the encoder's weights by their size alone unless `thorough`. Raises
    ModelError when it is no student, a file is missing, altered, not listed or a link, or the parts do not belong
    together.
    """
    card, manifest = read_card(folder), verify(Path(folder), thorough)
    if (manifest.version, manifest.lineage) != (card.version, card.lineage):
        raise ModelError(
            f"{folder}: its {MANIFEST} is of {manifest.version}, its {CARD} of {card.version} or of another origin. "
            "Copy the whole folder again, or train the student again."
        )
    return assembled(Path(folder), card)


def assembled(folder: Path, card: StudentCard) -> StudentBundle:
    """The bundle of a folder's parts, whatever its manifest says; ModelError when they do not belong together."""
    spec = FeatureSpec.open(folder)
    ranker = open_ranker(folder, spec.shapes, spec.cosine_centre, spec.cosine_scale)
    found = (spec.hash, ranker.vector_dim, ranker.hidden, spec.num_features + 1)
    wanted = (card.feature_spec, card.vector_dim, card.hidden, len(ranker.features_GH))
    if found != wanted:
        raise ModelError(
            f"{folder}: its parts do not belong together (specification, vector, hidden, inputs: {found}, expected "
            f"{wanted}). Copy the whole folder again, or train the student again."
        )
    lexical.warm_up()
    single(np.zeros(1, dtype=np.float16))  # compiled now, so that no request waits for it
    return StudentBundle(folder, card, spec, LexicalStats.open(folder), ranker, LevelCalibration.open(folder))


def read_card(folder: str | Path) -> StudentCard:
    """The card of a student's folder; ModelError when it is no student."""
    return open_card(folder, StudentCard, "student", "train_student")


def max_pin_tokens(text: TextSettings) -> int:
    """Tokens of a pin's text: what the pair's budget leaves beside the query's."""
    return text.max_tokens - text.max_query_tokens
