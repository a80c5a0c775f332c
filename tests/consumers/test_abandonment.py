"""What happens to a run when its readers leave."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Conversation, Run
from chat.node import node

from ..support.client import InProcess, all_said
from ..support.servers import Upstream
from ..support.upstream import text

Scenario = Callable[..., Any]


async def abandonment_checks_end() -> None:
    """Wait until no check for abandoned runs is left."""
    async with asyncio.timeout(30):
        while node.current().supervisor._abandonment._checks:
            await asyncio.sleep(0.05)


def test_a_run_without_readers_stops_after_the_grace_period_and_keeps_its_text(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing", DISCONNECT_GRACE=0.2)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 3)
        async with asyncio.timeout(30):
            while upstream.stats()["active"]:
                await asyncio.sleep(0.05)

    scenario(talk)
    run = Run.objects.get()
    assert (run.status, run.error_code, run.stopped_by) == ("stopped", "abandoned", None)
    assert run.message is not None
    assert run.message.text
    assert text(10_000).startswith(run.message.text)


@pytest.mark.parametrize("reader_name", ["ada", "bob"])
def test_a_run_continues_if_somebody_reads_it_within_the_grace_period(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, reader_name: str
) -> None:
    model("flowing", DISCONNECT_GRACE=3)  # seconds in which the reader has to join

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 2)
        async with InProcess(people[reader_name], room.pk) as reader:
            await abandonment_checks_end()
            upstream.release()
            finished = await reader.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("completed", all_said(finished))

    scenario(talk)


def test_a_run_stops_after_its_last_reader_leaves_even_if_another_user_launched_it(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing", DISCONNECT_GRACE=0.2)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                await bob.hear("run.delta", 2)
            await abandonment_checks_end()
            assert not bob.finished
        async with asyncio.timeout(30):
            while await Run.objects.filter(status="running").aexists():
                await asyncio.sleep(0.05)

    scenario(talk)
    assert Run.objects.get().error_code == "abandoned"


def test_two_tabs_closing_together_do_not_stop_a_run_that_somebody_else_reads(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing", DISCONNECT_GRACE=0.2)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as one, InProcess(people["ada"], room.pk) as two:
                await one.say("Hello")
                await two.hear("run.delta", 2)
                supervisor = node.current().supervisor
                for channel in ("one", "two"):
                    supervisor.reader_left(room.pk, channel)
            await abandonment_checks_end()
            upstream.release()
            assert (await bob.hear("run.finished"))["status"] == "completed"

    scenario(talk)


@pytest.mark.parametrize(("policy", "status"), [("always", "stopped"), ("never", "completed")])
def test_cancel_on_disconnect_decides_what_leaving_does(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, policy: str, status: str
) -> None:
    model("flowing", CANCEL_ON_DISCONNECT=policy, DISCONNECT_GRACE=0)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                await bob.hear("run.delta", 2)
            if status == "completed":
                heard = len(bob.of_type("run.delta"))
                await bob.hear("run.delta", heard + 20)
                upstream.release()
            assert (await bob.hear("run.finished"))["status"] == status

    scenario(talk)


def test_a_launcher_stays_the_launcher_after_a_new_snapshot(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing", CANCEL_ON_DISCONNECT="always")

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                await ada.hear("run.delta")
                for socket in node.current().hub.sockets:
                    socket.resnapshot()
                await ada.hear("snapshot", 2)
            assert (await bob.hear("run.finished"))["status"] == "stopped"

    scenario(talk)
