"""Look pins up in the store that embed_pins wrote."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.store import PinStore
from pinrank.text import normalise_id
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
    """Rows, terms and found flags of N pins, from one store, by their ids as sent or as build_pin_text spells them."""
    found = store.lookup(pin_ids)
    if not found.found_N.all() and (spelt := respelt(pin_ids, found.found_N)) != list(pin_ids):
        found = store.lookup(spelt)
    return Candidates(rows_NR=found.rows_NR, terms=found.terms, found_N=found.found_N)


def respelt(pin_ids: Sequence[str], found_N: NDArray[np.bool_]) -> list[str]:
    """The ids, of which those that were not found in the one spelling of their table; plain ASCII is in it already."""
    return [
        pin_id if found or (pin_id.isascii() and pin_id.isprintable()) else normalise_id(pin_id)
        for pin_id, found in zip(pin_ids, found_N.tolist(), strict=True)
    ]
