"""Starting, stopping, interrupting and queueing runs over a conversation's socket."""

from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Conversation
from chat.runs import supervisor

from ..support.client import InProcess
from ..support.servers import Upstream
from ..support.upstream import text

Scenario = Callable[..., Any]


def test_a_stop_keeps_the_partial_text_and_closes_the_providers_connection(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")
    aborted = upstream.stats()["aborted"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            await ada.hear("run.delta", 3)
            await ada.send("run.stop", run=run, ref="stop")
            assert (await ada.answered("stop"))["run"] == run
            for peer in (ada, bob):
                finished = await peer.hear("run.finished")
                assert finished["status"] == "stopped"
                assert finished["stopped_by"]["name"] == "ada"
                assert finished["error"] is None
                assert text(10_000).startswith(finished["message"]["text"])
                assert finished["message"]["text"]

    scenario(talk)
    assert upstream.ended()["aborted"] == aborted + 1


def test_a_run_can_be_stopped_before_its_first_token(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("silent")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.send("run.stop", run=(await ada.hear("run.started"))["run"])
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("stopped", "")

    scenario(talk)


def test_a_stop_whose_message_is_lost_takes_effect_with_the_next_heartbeat(
    scenario: Scenario, people: Any, room: Conversation, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The column in the row is the authority; the message is only faster."""
    model("flowing")

    async def lose_message(*_: Any) -> None:
        return None

    monkeypatch.setattr(supervisor.Supervisor, "stop", lose_message)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.send("run.stop", run=(await ada.hear("run.started"))["run"])
            assert (await ada.hear("run.finished"))["status"] == "stopped"

    scenario(talk)


def test_a_member_cannot_stop_a_run_that_another_user_launched(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            await bob.send("run.stop", run=(await bob.hear("run.started"))["run"], ref="x")
            assert (await bob.answered("x"))["code"] == "forbidden"
            await bob.send("ping", ref="y")
            assert (await bob.answered("y"))["type"] == "pong"
            await ada.send("run.stop", run=ada.of_type("run.started")[0]["run"])
            await ada.hear("run.finished")

    scenario(talk)


def test_a_finished_run_cannot_be_stopped_and_a_sync_returns_its_end(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.finished"))["run"]
            await ada.send("run.stop", run=run, ref="stop")
            assert (await ada.answered("stop"))["code"] == "run_over"
            await ada.send("run.sync", run=run, ref="sync")
            assert (await ada.answered("sync"))["message"]["text"] == text(30)
            await ada.send("run.ack", run=run, seq=3, ref="ack")
            assert (await ada.answered("ack"))["type"] == "ack"

    scenario(talk)


def test_a_message_during_your_own_run_interrupts_it_and_gets_its_own_answer(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("One")
            await ada.hear("run.delta", 2)
            model("echo")
            await ada.say("Two")
            await ada.hear("run.finished", 2)
            first, second = ada.finished
            assert (first["status"], second["status"]) == ("stopped", "completed")
            assert [role for role, _ in ada.transcript] == ["user", "assistant", "user", "assistant"]
            assert ada.answer["text"].strip() == "Two"

    scenario(talk)


def test_a_queued_message_is_answered_after_the_running_answer(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("One")
            await bob.hear("run.delta")
            await bob.say("Two")
            await bob.hear("message.created", 2)
            assert not bob.finished
            model("words@n=5")
            upstream.release()
            await ada.hear("run.finished", 2)
            assert [frame["status"] for frame in ada.finished] == ["completed", "completed"]
            assert ada.finished[1]["message"]["run"]["launched_by"]["name"] == "bob"

    scenario(talk)
