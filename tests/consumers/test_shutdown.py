"""The drain of a process that is about to end: its sockets, its runs, and the run queued next."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chat import store
from chat.concurrency import detached
from chat.models import Conversation, Run
from chat.node import node
from chat.node.http_threads import RequestThread
from chat.realtime import site_signals
from chat.runs import run

from ..support.client import InProcess
from ..support.servers import Upstream

Scenario = Callable[..., Any]


def test_a_drain_closes_sockets_refuses_new_ones_and_interrupts_long_runs(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 2)
            draining = asyncio.create_task(node.current().drain(0.3))
            assert await ada.wait_closed() == 1012
            assert ada.events[-1]["type"] == "closing"
            async with InProcess(people["bob"], room.pk) as bob:
                assert await bob.wait_closed() == 1012
            await draining

    scenario(talk)
    run = Run.objects.get()
    assert (run.status, run.error_code) == ("interrupted", "shutdown")
    assert run.message is not None
    assert run.message.text


def test_the_next_run_in_the_queue_is_left_to_other_processes_during_a_drain(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    model("flowing")
    drains: list[asyncio.Task[None]] = []
    end = run.LiveRun._end

    async def end_during_drain(live: run.LiveRun, started: store.StartedRun) -> None:
        await end(live, started)
        if not drains:
            drains.append(asyncio.create_task(node.current().drain(5)))
            await asyncio.sleep(0.5)

    monkeypatch.setattr(run.LiveRun, "_end", end_during_drain)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta")
            await ada.say("And then?", mode="queue", ref="queued")
            assert (await ada.answered("queued"))["type"] == "ack"
            upstream.release()
            assert await ada.wait_closed() == 1012
            await drains[0]

    scenario(talk)
    queued = Run.objects.exclude(status="completed").get()
    assert (queued.status, queued.host) == ("queued", "")


def test_a_drain_ends_even_if_nothing_else_does(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process managers kill a process that does not end: docs/operating.md says how long it may take."""
    for name in ("ANNOUNCE_TIMEOUT", "WRITE_TIMEOUT", "AFTERWARDS", "CLOSE_TIMEOUT"):
        monkeypatch.setattr(node, name, 0.05)
    hanging = asyncio.Event()

    async def hang() -> None:
        while not hanging.is_set():
            with suppress(asyncio.CancelledError):
                await hanging.wait()

    async def talk() -> None:
        here = node.current()
        async with InProcess(people["ada"], room.pk):
            kinds = (here.tasks.writing, here.tasks.optional, here.tasks.watching, site_signals.sending)
            tasks = [detached(hang(), kind) for kind in kinds]
            await asyncio.sleep(0)  # a task that has not begun is simply cancelled
            monkeypatch.setattr(here.presence, "close", hanging.wait)
            monkeypatch.setattr(here.reporter, "close", hanging.wait)
            monkeypatch.setattr(here.read_markers, "write_all", hanging.wait)
            try:
                async with asyncio.timeout(30):
                    await here.drain(0)
            finally:
                hanging.set()
                await asyncio.gather(*tasks)

    scenario(talk)


def test_a_drain_waits_for_views_that_daphne_has_cancelled(scenario: Scenario, people: Any, room: Conversation) -> None:
    ended: list[str] = []
    may_end = threading.Event()

    def view() -> None:
        assert may_end.wait(30)
        ended.append("view")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk):
            RequestThread([]).submit(view)
            asyncio.get_running_loop().call_later(0.5, may_end.set)
            await node.current().drain(0)
            ended.append("drain")

    scenario(talk)
    assert ended == ["view", "drain"]
