"""Sockets that cannot be served because the channel layer fails, and readers whose model has problems."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from chat import agents, store
from chat.consumers import base
from chat.engine import ProviderError
from chat.realtime import run_ends

from ..support.client import InProcess
from ..support.servers import Upstream

Scenario = Callable[..., Any]


def test_a_socket_that_cannot_be_served_closes_with_a_code_that_every_server_can_send(
    scenario: Scenario, people: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the layer is away")

    async def talk() -> None:
        monkeypatch.setattr(base, "mailbox", fail)
        async with InProcess(people["ada"], room.pk) as ada:
            assert await ada.wait_closed() == 4011

    scenario(talk)


def test_a_socket_that_cannot_join_its_groups_is_told_that_the_layer_is_away(
    scenario: Scenario, people: Any, room: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    async def hang(*_: object) -> None:
        await asyncio.sleep(60)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.hear("snapshot")
            monkeypatch.setattr(InMemoryChannelLayer, "group_add", hang)
            async with InProcess(people["ada"], room.pk) as late:
                assert await late.wait_closed() == 4011
                assert [event["code"] for event in late.events] == ["layer_away"]

    scenario(talk)


def test_readers_are_told_while_the_model_of_their_agent_has_problems(
    scenario: Scenario, people: Any, room: Any, model: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a conversation in which nobody has asked."""
    model("words@n=3,hold=0")
    monkeypatch.setattr("chat.runs.supervisor.SLOW_AFTER", 1.0)
    other = store.create_conversation(people["bob"]).id

    def heard(peer: InProcess) -> list[str]:
        return [notice["code"] for notice in peer.of_type("notice")]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], other) as bob:
            await ada.say("Hello")
            await bob.until(lambda: heard(bob) == ["model_away"])
            assert bob.of_type("notice")[0]["message"].startswith("The model has problems right now.")
            async with InProcess(people["bob"], other) as late:
                await late.until(lambda: heard(late) == ["model_away"])
            upstream.release()
            await bob.until(lambda: heard(bob) == ["model_away", "model_back"])
            breakers = agents.breakers()
            for _ in range(breakers.failures):
                with pytest.raises(ProviderError), breakers.admit("custom", "words@n=3,hold=0"):
                    raise ProviderError("Busy", "overloaded", provider="custom")
            await bob.until(lambda: heard(bob)[2:] == ["model_away"])
            breakers.forget()
            await bob.until(lambda: heard(bob)[3:] == ["model_back"])

    scenario(talk)


@pytest.mark.parametrize("failure", ["status@code=500", "status@code=401"])
def test_readers_are_told_while_answers_fail_although_no_breaker_opens(
    scenario: Scenario, people: Any, room: Any, model: Any, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "0")
    model("told", BREAKER_FAILURES=0)
    other = store.create_conversation(people["bob"]).id

    def heard(peer: InProcess) -> list[str]:
        return [notice["code"] for notice in peer.of_type("notice")]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], other) as bob:
            await ada.say(failure)
            assert (await ada.hear("run.finished"))["status"] == "failed"
            assert run_ends.failing_models() == frozenset(), "one failure may be bad luck"
            await ada.say(failure)
            assert (await ada.hear("run.finished", 2))["status"] == "failed"
            await bob.until(lambda: heard(bob) == ["model_away"])
            await ada.say("words@n=3")
            assert (await ada.hear("run.finished", 3))["status"] == "completed"
            await bob.until(lambda: heard(bob) == ["model_away", "model_back"])

    scenario(talk)
