"""Whatever is lost, doubled or late between the run and its readers: all end with exactly the stored text."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer

from chat import metrics
from chat.models import Conversation, Message, Participant, Run
from chat.realtime.layer import send_to_group
from chat.realtime.mailbox import Away, mailbox

from ..support.client import InProcess, all_said
from ..support.servers import Upstream
from ..support.upstream import text

Scenario = Callable[..., Any]


@pytest.fixture
def room(people: dict[str, Any], upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    monkeypatch.setenv("CUSTOM_BASE_URL", f"{upstream.url}/v1")
    monkeypatch.setenv("CUSTOM_API_KEY", "sk-test-0123456789")
    settings.NOUS_CHAT = {"MODEL": "custom:flowing@delay=5"}
    room = Conversation.objects.create(agent="assistant", answers="always")
    for name in people:
        Participant.objects.create(conversation=room, user=people[name])
    return room


@pytest.fixture
def layer(settings: Any, request: pytest.FixtureRequest) -> Any:
    from channels.layers import channel_layers

    config = {"capacity": 5000, **request.param}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "tests.support.lossy_layer.LossyChannelLayer", "CONFIG": config}}
    return channel_layers["default"]


@pytest.mark.parametrize(
    "layer",
    [{"seed": 0}, *(pytest.param({"seed": seed}, marks=pytest.mark.slow) for seed in (1, 2))],
    indirect=True,
)
def test_dropped_doubled_and_late_frames_are_healed(
    scenario: Scenario, people: Any, room: Conversation, layer: Any, upstream: Upstream
) -> None:
    gaps = metrics.read()["syncs_total"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            await bob.until(lambda: bob.of_type("run.delta"))
            async with InProcess(people["eve"], room.pk) as eve:
                await ada.until(lambda: all(layer.counts.values()) and ada.of_type("run.state"))  # something was healed
                assert metrics.read()["syncs_total"] > gaps, "and counted"
                await eve.hear("run.delta", 20)
                upstream.release()
                for peer in (ada, bob, eve):
                    whole = all_said(await peer.hear("run.finished"))
                    # What the reader had put together before the end told it the whole:
                    assert peer.healed == whole[: len(peer.healed)]
                    assert peer.answer["text"] == whole
                    await peer.until(lambda peer=peer: len(peer.transcript) == 2)
                    assert peer.transcript == [("user", "Hello"), ("assistant", whole)]

    scenario(talk)
    assert Message.objects.get(role="assistant").text == text(upstream.stats()["words"])


@pytest.mark.parametrize("layer", [{"drop": 0, "double": 0, "delay": 0}], indirect=True)
def test_a_lost_end_is_found_by_asking(
    scenario: Scenario, people: Any, room: Conversation, layer: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:words@n=20"}
    send = layer.group_send

    async def without_ends(group: str, message: dict[str, Any]) -> None:
        if '"run.finished"' not in message.get("text", ""):
            await send(group, message)

    monkeypatch.setattr(layer, "group_send", without_ends)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            async with asyncio.timeout(20):
                while not await Run.objects.filter(status="completed").aexists():
                    await asyncio.sleep(0.05)
            assert not ada.finished
            await ada.send("run.sync", run=run)
            assert (await ada.hear("run.finished"))["message"]["text"] == text(20)

    scenario(talk)


@pytest.mark.parametrize("layer", [{}], indirect=True)
def test_a_layer_that_is_away_costs_frames_and_nothing_else(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    layer: Any,
    monkeypatch: pytest.MonkeyPatch,
    upstream: Upstream,
) -> None:
    send, away, lost = layer.group_send, False, asyncio.Event()

    async def flaky(group: str, message: dict[str, Any]) -> None:
        if away:
            lost.set()
            raise ConnectionError("Redis is away")
        await send(group, message)

    monkeypatch.setattr(layer, "group_send", flaky)

    async def talk() -> None:
        nonlocal away
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 3)
            away = True
            await lost.wait()
            away = False
            heard = len(ada.of_type("run.delta"))
            await ada.hear("run.delta", heard + 1)  # it is not left alone any more
            upstream.release()
            finished = await ada.hear("run.finished")
            whole = all_said(finished)
            assert finished["message"]["text"] == ada.answer["text"] == whole
            assert ada.healed == whole[: len(ada.healed)], "what it had put together before the end"

    scenario(talk)


@pytest.mark.parametrize("layer", [{}], indirect=True)
def test_what_was_lost_where_nothing_came_after_it_is_found_with_the_next_ping(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    layer: Any,
    monkeypatch: pytest.MonkeyPatch,
    upstream: Upstream,
) -> None:
    async def nothing(group: str, message: dict[str, Any]) -> None:
        """Frames to sockets are lost, all of them."""

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            monkeypatch.setattr(layer, "group_send", nothing)
            await ada.say("Hello")
            await ada.hear("ack")
            async with asyncio.timeout(20):
                while not await Run.objects.filter(status="running", message__isnull=False).aexists():
                    await asyncio.sleep(0.05)
            assert not bob.transcript
            await bob.send("ping")
            await bob.hear("run.state")
            async with asyncio.timeout(30):
                while not upstream.stats()["active"]:
                    await asyncio.sleep(0.05)
                upstream.release()
                while not await Run.objects.filter(status="completed").aexists():
                    await asyncio.sleep(0.05)
            whole = text(upstream.stats()["words"])
            for peer in (ada, bob):
                await peer.send("ping")
                await peer.until(lambda peer=peer: peer.transcript == [("user", "Hello"), ("assistant", whole)])
            for peer in (ada, bob):
                await peer.send("ping", ref="again")
                await peer.hear("conversation.state", len(peer.of_type("conversation.state")) + 1)
                assert not peer.apply(peer.of_type("conversation.state")[-1]), "nothing is missed any more"

    scenario(talk)


@pytest.mark.parametrize("layer", [{"drop": 0, "double": 0, "delay": 0}], indirect=True)
def test_a_change_that_the_layer_did_not_take_is_made_good_when_it_is_back(
    scenario: Scenario, people: Any, room: Conversation, layer: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:words@n=5"}
    send, away = layer.group_send, False

    async def flaky(group: str, message: dict[str, Any]) -> None:
        if away:
            raise ConnectionError("Redis is away")
        await send(group, message)

    monkeypatch.setattr(layer, "group_send", flaky)

    async def talk() -> None:
        nonlocal away
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            await bob.hear("run.finished")
            away = True
            (question,) = (message for message in ada.messages.values() if message["role"] == "user")
            await ada.send("message.delete", message=question["id"], ref="gone")
            assert (await ada.answered("gone"))["type"] == "ack"
            away = False
            await bob.until(lambda: bob.messages[question["id"]]["deleted_at"])
            assert not bob.of_type("message.deleted"), "a snapshot told"

    scenario(talk)


@pytest.mark.parametrize("reading", [True, False], ids=["while it is read", "between two reads"])
@pytest.mark.parametrize(
    "backend",
    [
        "channels.layers.InMemoryChannelLayer",
        "channels_redis.pubsub.RedisPubSubChannelLayer",
        "chat.channel_layer.RedisLayer",
    ],
)
def test_nothing_is_left_behind_by_a_mailbox(
    scenario: Scenario, settings: Any, request: pytest.FixtureRequest, backend: str, reading: bool
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend}}
    if "redis" in backend.lower():
        config = {"hosts": [request.getfixturevalue("redis")], "prefix": os.urandom(4).hex()}
        settings.CHANNEL_LAYERS["default"]["CONFIG"] = config

    async def talk() -> None:
        layer = get_channel_layer()
        async with asyncio.timeout(30) as limit, mailbox() as box:
            await box.join("somewhere")
            for _ in range(3):
                await send_to_group("somewhere", {"type": "frame", "text": "x"})
            assert (await box.receive())["text"] == "x"
            if reading:
                await box.receive(), await box.receive()
                pending = asyncio.create_task(box.receive())
                await asyncio.sleep(0.05)
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)
        assert not limit.expired(), "closing does not hang"
        assert not layer.channels
        assert not layer.groups

    scenario(talk)


def test_a_mailbox_that_redis_did_not_take_is_forgotten(scenario: Scenario, settings: Any) -> None:
    config = {"hosts": ["redis://127.0.0.1:1/0"]}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": config}
    }

    async def talk() -> None:
        with pytest.raises(Away, match="ConnectionError"):
            async with mailbox():
                pass
        layer = get_channel_layer()
        assert not layer.channels
        await layer.flush()

    scenario(talk)


def test_many_runs_leave_no_task_and_no_connection_behind(
    scenario: Scenario, people: Any, room: Conversation, upstream: Upstream
) -> None:
    before = upstream.stats()

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.send("ping", ref="1")
            await ada.answered("1")  # both of its loops run
            baseline = len(asyncio.all_tasks())
            for number in range(1, 21):
                await ada.say("Hello")
                run = (await ada.hear("run.started", number))["run"]
                await ada.send("run.stop", run=run)
                await ada.hear("run.finished", number)
            async with asyncio.timeout(30):  # what looks on may be at work just now
                while len(asyncio.all_tasks()) > baseline + 1:
                    await asyncio.sleep(0.05)

    scenario(talk)
    after = upstream.ended()
    assert Run.objects.filter(status="stopped").count() == 20
    assert after["aborted"] - before["aborted"] == after["started"] - before["started"]
