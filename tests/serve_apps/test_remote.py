"""A part behind a handle: what a handle raises and answers is given, the rest is real."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError

from pinrank.errors import ModelError
from serve_apps.rerank.remote import Remote


class Handle:
    """A deployment's handle whose replicas answer a broadcast, and whose calls end, as given."""

    def __init__(self, replicas: Sequence[Any] = (), calls: Sequence[Any] = ()) -> None:
        self.replicas, self.calls = list(replicas), list(calls)

    def broadcast(self, method: str, version: str) -> "Handle":
        assert (method, version) == ("prepare", "student@1")
        return self

    async def results_async(self, return_exceptions: bool) -> list[Any]:
        assert return_exceptions
        return self.replicas

    @property
    def rank(self) -> "Handle":
        return self

    async def remote(self, *given: Any) -> Any:
        answer = self.calls.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def prepared(*replicas: Any) -> None:
    asyncio.run(Remote(Handle(replicas)).prepare("student@1"))


def test_a_version_is_prepared_when_every_replica_that_lives_opens_it() -> None:
    prepared(None, None)
    prepared(None, RayActorError())
    with pytest.raises(ModelError, match="damaged"):
        prepared(None, RayActorError(), ModelError("damaged"))


def test_a_version_is_not_prepared_where_nobody_lives() -> None:
    with pytest.raises(RayActorError):
        prepared(RayActorError(), RayActorError())


def test_a_call_whose_replica_dies_is_made_once_more_and_no_third_time() -> None:
    handle = Handle(calls=[RayActorError(), "ranked"])
    assert asyncio.run(Remote(handle).rank("question")) == "ranked"
    handle = Handle(calls=[RayActorError(), RayActorError(), "ranked"])
    with pytest.raises(RayActorError):
        asyncio.run(Remote(handle).rank("question"))


def test_an_error_of_ours_keeps_its_message_without_the_traceback_of_the_replica() -> None:
    def told() -> Exception:
        return RayTaskError("embed", "Traceback ... /srv/pinrank", ModelError("damaged")).as_instanceof_cause()

    for raising in (Remote(Handle(calls=[told()])).rank("question"), Remote(Handle([told()])).prepare("student@1")):
        with pytest.raises(ModelError) as raised:
            asyncio.run(raising)
        assert str(raised.value) == "damaged"
