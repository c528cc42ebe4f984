"""One question on its way through the graph, and the steps down that it takes when something is missing or late.

    text         no store holds a pin: it is graded by the text that came along
    lexical      the query's vector, or that of a text, is not there in time: the words alone decide (BM25)
    input_order  nothing is known of a document, or not in time: it comes after the others, in the order given

Letters: N documents, G of them in a group, D vector, L = 5 levels.
"""

import asyncio
from collections.abc import Awaitable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical import field_terms
from pinrank.student.explanation import Explanation
from pinrank.student.export import StudentBundle
from pinrank.student.values import Values
from pinrank.text import tidy
from serve_apps.rerank.answer import GradedDocuments, GradedGroup, join
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.batches import Full
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.deadline import Deadline, timed
from serve_apps.rerank.explaining import explained_best
from serve_apps.rerank.grading import grade, grade_by_words
from serve_apps.rerank.inline import inline
from serve_apps.rerank.query_cache import Outcome, Vector
from serve_apps.rerank.question import Question
from serve_apps.rerank.remote import GONE, OVERLOADED
from serve_apps.rerank.spans import NO_SPANS, Spans

T = TypeVar("T")

STEPS = ("text", "lexical", "input_order")
"""From the smallest loss to the largest."""

LOST = (TimeoutError, Full, OVERLOADED, *GONE)
"""What an answer can do without: a part that is late, full or gone."""


@dataclass(frozen=True)
class Group:
    """Documents that were prepared together: their positions in the request and what the ranker reads of them.

    looked_up: a store said which of their ids are pins. encoded False: there was no time, so there are words and no
    vectors.
    """

    positions_G: NDArray[np.intp]
    candidates: Candidates
    looked_up: bool
    encoded: bool = True

    def with_pairs(self, pairs: Values | None) -> Candidates:
        """The candidates with what the request says of them; pairs has a row a document of the request."""
        return self.candidates if pairs is None else replace(self.candidates, pairs=pairs.take(self.positions_G))


class Ranking:
    """A question with the parts that answer it, and the steps down that it took so far."""

    def __init__(
        self,
        question: Question,
        bundle: StudentBundle,
        encoder: Any,
        pins: Any,
        reserve_ms: float,
        max_texts: int,
        spans: Spans = NO_SPANS,
    ) -> None:
        self.question, self.bundle, self.encoder, self.pins = question, bundle, encoder, pins
        self.asked, self.max_texts = question.asked, max_texts
        self.spans = spans
        self.deadline = Deadline(None if question.budget_ms is None else question.budget_ms - reserve_ms)
        self.steps: set[str] = set()

    async def run(self) -> Ranked:
        """Encode and look up at the same time, then grade what there is."""
        encoding = asyncio.ensure_future(
            self._timed("encode", self.encoder.encode(self.question.version, self.asked.query, self.asked.query_locale))
        )
        try:
            groups, candidates_ms = await self._timed("lookup", self._groups())
            query_D, outcome, encode_ms = await self._encoded(encoding)
        finally:
            encoding.cancel()
        graded, rank_ms = await self._timed("rank", inline(len(self.asked), lambda: self._graded(groups, query_D)))
        stage_ms = {"encode": encode_ms, "candidates": candidates_ms, "rank": rank_ms}
        explained = await self._explained(groups, query_D, graded) if self.asked.explain else {}
        return Ranked(graded, self.question.version, stage_ms, named(self.steps), outcome, explained)

    async def _explained(
        self, groups: Sequence[Group], query_D: Vector | None, graded: GradedDocuments
    ) -> dict[int, Explanation]:
        """Explanations of the best documents, by position; none without the query's vector, or when they are late."""
        if query_D is None:
            return {}
        pairs, values = self.question.pair_values, self.question.query_values
        known = [(group.positions_G, group.with_pairs(pairs)) for group in groups if group.encoded]
        explaining = asyncio.to_thread(
            explained_best, self.bundle, self.asked.query, query_D, values, known, graded, self.asked.explain
        )
        try:
            return await self.deadline.within(explaining)
        except TimeoutError:
            return {}

    def _timed(self, stage: str, work: Awaitable[T]) -> Coroutine[Any, Any, tuple[T, float]]:
        return timed(self.spans.within(stage, self.question.trace, work))

    async def _encoded(
        self, encoding: "asyncio.Future[tuple[tuple[Vector, Outcome], float]]"
    ) -> tuple[Vector | None, Outcome | None, float]:
        """The query's vector, whether it was held, and milliseconds; no vector where it is late or lost."""
        try:
            (query_D, outcome), encode_ms = await self.deadline.within(encoding)
        except LOST:
            return None, None, 0.0
        return query_D, outcome, encode_ms

    async def _groups(self) -> list[Group]:
        """Pins by id beside texts, then the texts that stand in for unknown ids, as many as the request may have."""
        ids = self.asked.ids
        if None in ids:
            by_id = [position for position, pin_id in enumerate(ids) if pin_id is not None]
            by_text = [position for position, pin_id in enumerate(ids) if pin_id is None]
            pin_ids = [ids[position] for position in by_id]
            looked_up, encoded = await asyncio.gather(self._look_up(by_id, pin_ids), self._encode(by_text))
        else:
            looked_up, encoded = await self._look_up(np.arange(len(ids)), ids), []
        missing = [p for group in looked_up for p in group.positions_G[~group.candidates.found_N].tolist()]
        instead = [position for position in missing if self.asked.texts[position] is not None]
        if instead:
            self.steps.add("text")
        left = max(0, self.max_texts - self.asked.num_texts)
        return [*looked_up, *encoded, *await self._encode(instead[:left]), *await self._words(instead[left:])]

    async def _look_up(self, positions: Sequence[int] | NDArray[np.intp], pin_ids: Sequence[str | None]) -> list[Group]:
        if not pin_ids:
            return []
        try:
            candidates = await self.deadline.within(self.pins.lookup(self.question.version, pin_ids))
        except LOST:
            nothing = without_vectors(self.bundle, [""] * len(pin_ids), found=False)
            return [Group(np.asarray(positions), nothing, looked_up=False)]
        return [Group(np.asarray(positions), candidates, looked_up=True)]

    async def _encode(self, positions: Sequence[int]) -> list[Group]:
        if not positions:
            return []
        texts = [self.asked.texts[position] or "" for position in positions]
        try:
            candidates = await self.deadline.within(self.encoder.candidates(self.question.version, texts))
        except LOST:
            return await self._words(positions)
        return [Group(np.asarray(positions), candidates, looked_up=False)]

    async def _words(self, positions: Sequence[int]) -> list[Group]:
        if not positions:
            return []
        texts = [self.asked.texts[position] or "" for position in positions]
        words = await inline(len(texts), lambda: without_vectors(self.bundle, texts, found=True))
        return [Group(np.asarray(positions), words, looked_up=False, encoded=False)]

    def _graded(self, groups: Sequence[Group], query_D: Vector | None) -> GradedDocuments:
        """The student's grades where there are vectors, else BM25; a later group stands over an earlier one."""
        graded = []
        for group in groups:
            candidates, found_G = group.with_pairs(self.question.pair_values), group.candidates.found_N
            if query_D is None or not group.encoded:
                scores_G = grade_by_words(self.bundle, self.asked.query, candidates.terms)
                graded.append(GradedGroup(group.positions_G, None, found_G, group.looked_up, scores_G))
                continue
            grades_GL = grade(self.bundle, self.asked.query, query_D, candidates, self.question.query_values)
            graded.append(GradedGroup(group.positions_G, grades_GL, found_G, group.looked_up))
        documents = join(graded, len(self.asked))
        self.steps |= steps_of(documents)
        return documents


def without_vectors(bundle: StudentBundle, texts: Sequence[str], found: bool) -> Candidates:
    """Documents of which there are words at most: texts as titles, and zero rows."""
    width = bundle.vector_dim + bundle.hidden + bundle.spec.space_dim
    terms = field_terms([{"locale": None, "title": tidy(text)} for text in texts], bundle.stats.words)
    rows_NR = np.zeros((len(texts), width), dtype=np.float16)
    return Candidates(rows_NR=rows_NR, terms=terms, found_N=np.full(len(texts), found))


def in_input_order(question: Question) -> Ranked:
    """The answer to a question that nobody could grade, or not in time."""
    graded = join([], len(question.asked))
    return Ranked(graded, question.version, {}, named(steps_of(graded)))


def steps_of(graded: GradedDocuments) -> set[str]:
    """The steps down that graded documents show."""
    by_words_N = ~np.isnan(graded.by_words_N)
    steps = {"lexical"} if by_words_N.any() else set()
    return steps if (graded.graded_N | by_words_N).all() else steps | {"input_order"}


def named(steps: Collection[str]) -> str | None:
    """Steps as an answer names them, the smallest loss first; None for none."""
    return ",".join(step for step in STEPS if step in steps) or None
