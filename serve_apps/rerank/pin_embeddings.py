"""Look pins up in the store that embed_pins wrote."""

import asyncio
from collections.abc import Sequence

from pinrank.embeddings.store import PinStore
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.one_student import refuse_other
from serve_apps.rerank.settings import RerankSettings


class PinEmbeddings:
    """Deployment: the pin store, memory-mapped, so that the replicas of a node share its pages."""

    def __init__(self, settings: RerankSettings, student_version: str) -> None:
        self.store = PinStore.open(settings.pin_store)
        refuse_other(self.store.student_version, student_version, settings.pin_store)

    async def lookup(self, pin_ids: Sequence[str]) -> Candidates:
        """The pins in the order asked; where no pin has the id, found is False and the row zero."""
        return await asyncio.to_thread(lookup, self.store, pin_ids)

    async def version(self) -> str:
        """The student whose rows lie here."""
        return self.store.student_version


def lookup(store: PinStore, pin_ids: Sequence[str]) -> Candidates:
    """Rows, terms and found flags of N pins, from one store."""
    found = store.lookup(pin_ids)
    return Candidates(rows_NR=found.rows_NR, terms=found.terms, found_N=found.found_N)
