"""Which release answers a request, while the registry's pointer moves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

from pinrank import registry as bundles
from pinrank.errors import PinrankError
from pinrank.traffic import Share, Traffic, read_traffic
from serve_apps.rerank.counts import count_refused
from serve_apps.rerank.remote import GONE, OVERLOADED

log = logging.getLogger("ray.serve")

Role = Literal["current", "canary"]


class Live:
    """Follows a registry: a release answers once `prepare` could open it everywhere, until then the one before does.

    opened False: nobody has opened `version` yet, so the first look does, or finds an older release that opens.
    """

    def __init__(
        self,
        registry: str | None,
        version: str,
        poll_s: float,
        prepare: Callable[[str], Awaitable[None]],
        opened: bool = True,
    ) -> None:
        self.registry = None if registry is None else Path(registry)
        self.current = version
        self.poll_s = poll_s
        self.canary: Share | None = None
        self.shadow: Share | None = None
        self._prepare = prepare
        self._is_opened = opened
        self._refused: dict[str, int | None] = {}
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow the registry from now on, in the running event loop; nothing without one."""
        if self.registry is not None and self._following is None:
            self._following = asyncio.create_task(self._follow())

    def choose(self, query: str) -> tuple[str, Role]:
        """The release that answers a query, and as what."""
        if self.canary is not None and self.canary.has(query):
            return self.canary.version, "canary"
        return self.current, "current"

    async def look(self) -> None:
        """Take over what the registry says now, as far as it can be opened."""
        assert self.registry is not None
        wanted, traffic = await asyncio.to_thread(read, self.registry)
        if wanted is not None and wanted != self.current and await self._can_open(wanted):
            log.info("release %s answers in place of %s", wanted, self.current)
            self.current, self._is_opened = wanted, True
        if not self._is_opened:
            await self._find_one_that_opens()
        self.canary = await self._opened(traffic.canary, self.canary)
        self.shadow = await self._opened(traffic.shadow, self.shadow)

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
            except (PinrankError, OSError, OVERLOADED, *GONE) as cause:
                log.warning("the registry could not be followed, %s goes on: %s", self.current, cause)
            except Exception:
                # Whatever it was: a replica that stopped following would answer by an old release for ever.
                log.exception("the registry could not be followed, %s goes on", self.current)
            await asyncio.sleep(self.poll_s)

    async def _find_one_that_opens(self) -> None:
        assert self.registry is not None
        standing = await asyncio.to_thread(bundles.promoted, self.registry)
        for version in dict.fromkeys([self.current, *reversed(standing)]):
            if await self._can_open(version):
                self.current, self._is_opened = version, True
                return

    async def _opened(self, wanted: Share | None, now: Share | None) -> Share | None:
        if wanted is None or (now is not None and now.version == wanted.version):
            return wanted
        return wanted if await self._can_open(wanted.version) else None

    async def _can_open(self, version: str) -> bool:
        """Whether every part opens a release. One that is refused is tried again only after it was put there anew.

        Raises what a call raises whose replica is gone or full: that says nothing of the release.
        """
        assert self.registry is not None
        put_there = put_there_at(self.registry, version)
        if version in self._refused and self._refused[version] == put_there:
            return False
        try:
            await self._prepare(version)
        except (PinrankError, OSError) as cause:
            log.error("release %s is refused while %s answers: %s", version, self.current, cause)
            count_refused()
            self._refused[version] = put_there
            return False
        self._refused.pop(version, None)
        return True


def put_there_at(registry: Path, version: str) -> int | None:
    """When a bundle's list of files was written, nanoseconds; None where there is none."""
    try:
        return (bundles.bundle_path(registry, version) / bundles.BUNDLE).stat().st_mtime_ns
    except (PinrankError, OSError):
        return None


def read(registry: Path) -> tuple[str | None, Traffic]:
    """The current release and the shares of others. Raises ModelError for a damaged file."""
    change = bundles.current(registry)
    return None if change is None else change.bundle, read_traffic(registry)
