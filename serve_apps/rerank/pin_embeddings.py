"""Look pins up in the store that embed_pins wrote."""

from collections.abc import Sequence
from functools import partial

from pinrank.embeddings.store import PinStore
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.inline import inline
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.releases import first_version, open_pins
from serve_apps.rerank.settings import RerankSettings


class PinEmbeddings:
    """Deployment: the pin store, memory-mapped, so that the replicas of a node share its pages."""

    def __init__(self, settings: RerankSettings, version: str, stores: Opened[PinStore] | None = None) -> None:
        self.stores = stores or Opened(partial(open_pins, settings))
        first_version(settings, version, self.stores.now)

    async def lookup(self, version: str, pin_ids: Sequence[str]) -> Candidates:
        """The pins in the order asked; where no pin has the id, found is False and the row zero."""
        store = await self.stores.get(version)
        return await inline(len(pin_ids), lambda: lookup(store, pin_ids))

    async def prepare(self, version: str) -> None:
        """Open a version before requests name it. Raises what opening raises."""
        await self.stores.get(version)


def lookup(store: PinStore, pin_ids: Sequence[str]) -> Candidates:
    """Rows, terms and found flags of N pins, from one store."""
    found = store.lookup(pin_ids)
    return Candidates(rows_NR=found.rows_NR, terms=found.terms, found_N=found.found_N)
