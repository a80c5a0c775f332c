"""HTTP requests get threads of earlier requests, and never one that is still at work."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async

from chat.node import http_threads
from chat.node.http_threads import finish_requests, reuse_threads


async def application(scope: dict[str, Any], *_: object) -> None:
    """Runs its synchronous `view` as Django does, and keeps what it returns."""
    async with ThreadSensitiveContext():
        scope["returned"] = await sync_to_async(scope["view"])()


class Site:
    """The application behind the middleware."""

    def __init__(self) -> None:
        self._application: Any = reuse_threads(application)

    async def ask(self, view: Callable[[], Any] = threading.current_thread) -> Any:
        scope: dict[str, Any] = {"view": view}
        await self._application(scope, None, None)
        return scope["returned"]


def test_requests_one_after_another_share_a_thread() -> None:
    async def ask() -> None:
        site = Site()
        threads = [await site.ask() for _ in range(3)]
        assert threads[0] is threads[1] is threads[2]
        assert threads[0] is not threading.current_thread()

    asyncio.run(ask())


def test_requests_at_the_same_time_have_threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_threads, "MAX_IDLE", 2)

    async def ask() -> None:
        site = Site()
        meeting = threading.Barrier(3)

        def meet() -> threading.Thread:
            meeting.wait(30)
            return threading.current_thread()

        threads = await asyncio.gather(*(site.ask(meet) for _ in range(3)))
        assert len(set(threads)) == 3
        async with asyncio.timeout(30):
            while sum(thread.is_alive() for thread in threads) > http_threads.MAX_IDLE:
                await asyncio.sleep(0.01)

    asyncio.run(ask())


def test_a_thread_that_is_still_at_work_is_not_lent() -> None:
    async def ask() -> None:
        site = Site()
        began, may_end = threading.Event(), threading.Event()

        def hang() -> None:
            began.set()
            assert may_end.wait(30)

        hanging = asyncio.create_task(site.ask(hang))
        await asyncio.to_thread(began.wait, 30)
        hanging.cancel()
        await asyncio.wait([hanging])
        async with asyncio.timeout(30):
            assert (await site.ask()).is_alive()
        may_end.set()

    asyncio.run(ask())


def test_what_outlives_its_request_keeps_working(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_threads, "MAX_IDLE", 0)

    async def ask() -> None:
        left: list[asyncio.Task[threading.Thread]] = []
        ended = asyncio.Event()

        async def go_on() -> threading.Thread:
            await ended.wait()
            return await sync_to_async(threading.current_thread)()

        async def leave_a_task(*_: object) -> None:
            left.append(asyncio.create_task(go_on()))

        site: Any = reuse_threads(leave_a_task)
        await site({}, None, None)
        ended.set()
        assert (await left[0]).is_alive()

    asyncio.run(ask())


def test_a_process_that_ends_waits_for_what_a_cancelled_request_still_announces() -> None:
    """daphne cancels requests when it ends; a thread that then finds no event loop would wait for ever."""

    async def ask() -> None:
        site = Site()
        began, may_announce = threading.Event(), threading.Event()
        announced: list[str] = []

        async def announce() -> None:
            announced.append("it")

        def commit() -> None:
            began.set()
            assert may_announce.wait(30)
            async_to_sync(announce)()

        request = asyncio.create_task(site.ask(commit))
        await asyncio.to_thread(began.wait, 30)
        request.cancel()
        await asyncio.wait([request])
        await finish_requests(0.01)
        assert not announced
        finishing = asyncio.create_task(finish_requests(30))
        await asyncio.sleep(0)
        may_announce.set()
        await finishing
        assert announced == ["it"]
        await finish_requests(-1)

    asyncio.run(ask())
