"""From a question to its graded documents."""

import asyncio
from functools import partial
from typing import Any

from pinrank.student.export import StudentBundle
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.question import Question
from serve_apps.rerank.ranking import Ranking
from serve_apps.rerank.releases import first_version, open_version
from serve_apps.rerank.remote import part
from serve_apps.rerank.settings import RerankSettings
from serve_apps.rerank.spans import Spans


class Ranker:
    """Deployment: asks QueryEncoder and PinEmbeddings at the same time, then lexical features and MLP in numpy.

    encoder, pins: handles of deployments, or the parts themselves where they share this replica. So ids come in, the
    pins' vectors travel once at most, and only grades go out.
    """

    def __init__(
        self,
        settings: RerankSettings,
        version: str,
        encoder: Any,
        pins: Any,
        students: Opened[StudentBundle] | None = None,
    ) -> None:
        self.settings = settings
        self.students = students or Opened(partial(open_version, settings))
        first_version(settings, version, self.students.now)
        self.encoder, self.pins = part(encoder), part(pins)
        self.spans = Spans(settings.traces, settings.trace_share)

    async def rank(self, question: Question) -> Ranked:
        """The documents of a question graded by its version, as far as its budget allows."""
        bundle = await self.students.get(question.version)
        limits = (self.settings.rank_reserve_ms, self.settings.max_texts)
        return await Ranking(question, bundle, self.encoder, self.pins, *limits, self.spans).run()

    async def prepare(self, version: str) -> None:
        """Open a version here and in the parts behind, before requests name it. Raises what opening raises."""
        await asyncio.gather(self.students.get(version), self.encoder.prepare(version), self.pins.prepare(version))
