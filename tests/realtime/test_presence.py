"""Presence and the typing indicator, in one process and over several."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chat import ratelimit
from chat.concurrency import now
from chat.consumers import typing_indicator
from chat.models import Conversation, Participant
from chat.node import node
from chat.protocol import objects
from chat.realtime import groups, layer, presence
from chat.realtime.mailbox import mailbox

from ..support.client import InProcess, Talker
from ..support.servers import Site

Scenario = Callable[..., Any]


def names(peer: Talker) -> set[str]:
    """The people in the newest list of each host, as docs/protocol.md tells a client to keep them."""
    newest = {frame["host"]: frame["people"] for frame in peer.of_type("presence")}
    return {person["name"] for people in newest.values() for person in people}


def test_everybody_sees_people_enter_and_leave(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.until(lambda: names(ada) == {"ada"})
            async with InProcess(people["bob"], room.pk) as bob, InProcess(people["bob"], room.pk):
                await bob.until(lambda: names(bob) == {"ada", "bob"})
                await ada.until(lambda: names(ada) == {"ada", "bob"})
                newest = ada.of_type("presence")[-1]
                assert len(newest["people"]) == 2, "two tabs are one person"
            await ada.until(lambda: names(ada) == {"ada"})

    scenario(talk)


def test_many_people_entering_at_once_make_few_frames(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.hear("presence")
            before, started = len(ada.of_type("presence")), time.monotonic()
            peers = [InProcess(people["bob"], room.pk) for _ in range(20)]
            for peer in peers:
                await peer.__aenter__()
            await peers[-1].until(lambda: names(peers[-1]) == {"ada", "bob"})
            await asyncio.sleep(2 * presence.INTERVAL)
            frames, seconds = len(ada.of_type("presence")) - before, time.monotonic() - started
            for peer in peers:
                await peer.__aexit__()
            assert 1 <= frames <= seconds / presence.INTERVAL + 1

    scenario(talk)


def test_a_process_publishes_its_people_when_asked(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.until(lambda: names(ada) == {"ada"})
            await asyncio.sleep(2 * presence.INTERVAL)
            before = len(ada.of_type("presence"))
            await layer.send_to_group(groups.conversation(room.pk), {"type": "who_is_here", "host": "another"})
            await ada.hear("presence", before + 1)

    scenario(talk)


def test_the_more_sockets_a_conversation_has_the_less_often_its_presence_is_published(
    scenario: Scenario, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "INTERVAL", 0.01)
    monkeypatch.setattr(presence, "PAUSE_PER_SOCKET", 600)
    published: list[tuple[str, int]] = []

    async def publish(group: str, event: Any) -> None:
        published.append((group, len(event.people)))

    monkeypatch.setattr(groups, "publish", publish)

    async def talk() -> None:
        people = presence.Presence("one")
        running = asyncio.create_task(people.run())
        other = uuid.uuid4()
        here, there = groups.conversation(room.pk), groups.conversation(other)
        async with asyncio.timeout(30):
            for number, (conversation_id, group) in enumerate(((room.pk, here), (room.pk, here), (other, there))):
                people.enter(conversation_id, f"socket {number}", objects.Person(str(number), "ada"))
                while number != 1 and (group, 1) not in published:
                    await asyncio.sleep(0.01)
            assert published == [(here, 1), (there, 1)]
            monkeypatch.setattr(presence, "PAUSE_PER_SOCKET", 0)
            while (here, 2) not in published:
                await asyncio.sleep(0.01)
            people.leave(room.pk, "socket 0")
            monkeypatch.setattr(presence, "PAUSE_PER_SOCKET", 600)
            people.leave(room.pk, "socket 1")
            while (here, 0) not in published:  # nobody is left to be spared
                await asyncio.sleep(0.01)
        running.cancel()

    scenario(talk)


def test_a_process_does_not_answer_its_own_question(
    scenario: Scenario, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "INTERVAL", 0.01)

    async def talk() -> None:
        async with mailbox() as box, mailbox() as box_of_other:
            other = uuid.uuid4()
            await box.join(groups.conversation(room.pk))
            await box_of_other.join(groups.conversation(other))
            people = presence.Presence("one")
            people.enter(room.pk, "a socket", objects.Person("1", "ada"))
            running = asyncio.create_task(people.run())
            async with asyncio.timeout(30):
                assert (await box.receive())["type"] == "frame"
                question = await box.receive()
                people.publish_soon(room.pk, question["host"])
                people.enter(other, "another socket", objects.Person("1", "ada"))
                assert (await box_of_other.receive())["type"] == "frame"
                people.publish_soon(room.pk, "another")
                people.enter(room.pk, "a third socket", objects.Person("2", "bob"))
                assert "bob" in (await box.receive())["text"], "the first frame since then"
            running.cancel()

    scenario(talk)


def test_presence_is_repeated_without_changes_and_emptied_by_close(
    scenario: Scenario, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "REPEAT_AFTER", 0.2)
    monkeypatch.setattr(presence, "INTERVAL", 0.05)

    async def talk() -> None:
        async with mailbox() as box:
            await box.join(groups.conversation(room.pk))
            people = presence.Presence("one")
            people.enter(room.pk, "a socket", objects.Person("1", "ada"))
            running = asyncio.create_task(people.run())
            frames: list[Any] = []
            async with asyncio.timeout(30):
                while len(frames) < 3:
                    message = await box.receive()
                    frames += [message] if message["type"] == "frame" else []
                running.cancel()
                await people.close()
                while '"people":[]' not in (last := await box.receive()).get("text", ""):
                    pass
            assert {json.loads(frame["text"])["host"] for frame in (*frames, last)} == {"one"}

    scenario(talk)


def test_people_may_leave_while_presence_closes(
    scenario: Scenario, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "INTERVAL", 0.01)
    published = []

    async def publish_slowly(group: str, _: object) -> None:
        await asyncio.sleep(0.1)
        published.append(group)

    monkeypatch.setattr(groups, "publish", publish_slowly)

    async def talk() -> None:
        people = presence.Presence("one")
        other = uuid.uuid4()
        people.enter(room.pk, "a socket", objects.Person("1", "ada"))
        people.enter(other, "another", objects.Person("2", "bob"))
        async with asyncio.timeout(30):
            running = asyncio.create_task(people.run())
            while len(published) < 2:
                await asyncio.sleep(0.01)
            closing = asyncio.create_task(people.close())
            await asyncio.sleep(0)
            people.leave(other, "another")
            await closing
            running.cancel()
        assert set(published[2:]) == {groups.conversation(room.pk), groups.conversation(other)}

    scenario(talk)


# --- Typing


def test_typing_reaches_the_inboxes_of_the_other_participants(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def talk() -> None:
        async with (
            InProcess(people["ada"]) as inbox_of_ada,
            InProcess(people["bob"]) as inbox_of_bob,
            InProcess(people["eve"]) as inbox_of_eve,
            InProcess(people["bob"], room.pk) as bob,
        ):
            await bob.send("typing", on=True)
            frame = await inbox_of_ada.hear("typing")
            assert (frame["conversation"], frame["user"]["name"], frame["on"]) == (str(room.pk), "bob", True)
            await bob.send("typing", on=False)
            assert not (await inbox_of_ada.hear("typing", 2))["on"]
            for peer in (inbox_of_bob, inbox_of_eve):
                await peer.send("ping")
                await peer.hear("pong")
                assert not peer.of_type("typing")

    scenario(talk)


def test_a_viewer_cannot_send_typing(scenario: Scenario, people: Any, room: Conversation) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")

    async def talk() -> None:
        async with InProcess(people["eve"], room.pk) as eve, InProcess(people["ada"], room.pk) as ada:
            await eve.send("typing", on=True, ref="x")
            assert (await eve.answered("x"))["code"] == "forbidden"
            await ada.send("ping")
            await ada.hear("pong")
            assert not ada.of_type("typing")

    scenario(talk)


def test_repeated_typing_is_published_only_a_limited_number_of_times(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typing_indicator, "WINDOW", 600.0)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            for number in range(10):
                await bob.send("typing", on=True)
                await bob.send("typing", on=False, ref=str(number))
                await bob.answered(str(number))
            await bob.say("That is all")
            await ada.hear("message.created")  # takes the same path, after the typing events
            assert len(ada.of_type("typing")) == 2 * typing_indicator.BURST

    scenario(talk)


@pytest.mark.parametrize(("readers", "shown"), [(0, ["ada", "bob"]), (5, ["ada"])])
def test_how_many_people_are_shown_to_type_depends_on_how_many_would_be_told(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    monkeypatch: pytest.MonkeyPatch,
    readers: int,
    shown: list[str],
) -> None:
    monkeypatch.setattr(ratelimit.TypingBucket, "rate", 0.0001)
    monkeypatch.setattr(ratelimit.TypingBucket, "burst", 10)  # `on` and `off` cost two sockets and an inbox six

    async def type_all() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(InProcess(people["eve"]))
            ada, bob = [await stack.enter_async_context(InProcess(people[name], room.pk)) for name in ("ada", "bob")]
            for _ in range(readers):
                await stack.enter_async_context(InProcess(people["bob"], room.pk))
            for peer in (ada, bob):
                await peer.send("typing", on=True, ref="typing")
                assert (await peer.answered("typing"))["type"] == "ack"
            await ada.say("That is all")
            await ada.hear("message.created")  # takes the same path, after the typing events
            assert [event["user"]["name"] for event in ada.of_type("typing")] == shown

    scenario(type_all)


def test_those_who_type_although_they_are_not_shown_do_not_silence_the_others(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratelimit.TypingBucket, "rate", 0.0001)
    monkeypatch.setattr(ratelimit.TypingBucket, "burst", 1)

    async def type_on() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.send("typing", on=True, ref="shown")
            await ada.answered("shown")
            bucket = node.current().typing.of(room.pk)
            wait = bucket.take(now(), 0)
            assert wait
            for number in range(20):
                await bob.send("typing", on=True, ref=str(number))
                await bob.answered(str(number))
            assert bucket.take(now(), 0) <= wait

    scenario(type_on)


# --- Over several processes


def test_people_of_another_process_are_shown_until_it_crashes(start_site: Callable[..., Site], redis: str) -> None:
    from asgiref.sync import async_to_sync

    from ..site.test_site import add_participant
    from ..support.client import signed_in

    site = start_site(REDIS_URL=redis)
    other = site.second_process()

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            conversation = await ada.new_conversation()
            add_participant(site, conversation, "bob")
            async with ada.socket(conversation) as one:
                async with bob.socket(conversation, other) as two:
                    await one.until(lambda: names(one) == {"ada", "bob"})
                    await two.until(lambda: names(two) == {"ada", "bob"})
                await one.until(lambda: names(one) == {"ada"})
                async with bob.socket(conversation, other):
                    await one.until(lambda: names(one) == {"ada", "bob"})
                    other.kill()
                    await one.send("typing", on=True)
                    await one.hear("typing")  # takes the same path, after everything that the dead process sent
                    before = len(one.of_type("presence"))
                    hosts = {frame["host"] for frame in one.of_type("presence") if frame["people"]}
                    assert len(hosts) == 2
                    async with ada.socket(conversation) as fresh:  # makes every live process publish its people
                        await one.until(lambda: len(one.of_type("presence")) > before)
                        await fresh.until(lambda: names(fresh))
                        await asyncio.sleep(1)
                        assert names(fresh) == {"ada"}, "nobody publishes the people of the dead process"
                        hosts = {frame["host"] for frame in one.of_type("presence")[before:]}
                        assert len(hosts) == 1, "so a client forgets the other host after a minute"

    try:
        async_to_sync(talk)()
    finally:
        if other.process.poll() is None:
            other.kill()
