"""Who is here and who is typing: told by each process, forgotten when it falls silent, never said by a viewer."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat.consumers import typing_indicator
from chat.models import Conversation, Participant
from chat.protocol import objects
from chat.realtime import groups, presence
from chat.realtime.mailbox import mailbox

from ..support.client import InProcess, Talker
from ..support.servers import Site

Scenario = Callable[..., Any]


def names(peer: Talker) -> set[str]:
    """The newest list of each host, all together, as docs/protocol.md tells a client to keep them."""
    newest = {frame["host"]: frame["people"] for frame in peer.of_type("presence")}
    return {person["name"] for people in newest.values() for person in people}


def test_everybody_sees_who_comes_and_goes(scenario: Scenario, people: Any, room: Conversation) -> None:
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


def test_however_many_come_at_once_few_frames_tell_of_it(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.hear("presence")
            before, began = len(ada.of_type("presence")), time.monotonic()
            peers = [InProcess(people["bob"], room.pk) for _ in range(20)]
            for peer in peers:
                await peer.__aenter__()
            await peers[-1].until(lambda: names(peers[-1]) == {"ada", "bob"})
            await asyncio.sleep(2 * presence.INTERVAL)
            heard, took = len(ada.of_type("presence")) - before, time.monotonic() - began
            for peer in peers:
                await peer.__aexit__()
            assert 1 <= heard <= took / presence.INTERVAL + 1

    scenario(talk)


def test_a_process_that_is_asked_tells_of_its_own(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.until(lambda: names(ada) == {"ada"})
            await asyncio.sleep(2 * presence.INTERVAL)
            before = len(ada.of_type("presence"))
            await groups.send(groups.conversation(room.pk), {"type": "who_is_here"})
            await ada.hear("presence", before + 1)

    scenario(talk)


def test_it_is_told_again_though_nothing_changes_and_a_process_that_ends_says_so(
    scenario: Scenario, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "REPEAT_AFTER", 0.2)
    monkeypatch.setattr(presence, "INTERVAL", 0.05)

    async def talk() -> None:
        async with mailbox() as box:
            await box.join(groups.conversation(room.pk))
            here = presence.Presence("one")
            here.enter(room.pk, "a socket", objects.Person("1", "ada"))
            following = asyncio.create_task(here.run())
            told: list[Any] = []
            async with asyncio.timeout(30):
                while len(told) < 3:
                    message = await box.receive()
                    told += [message] if message["type"] == "frame" else []
                following.cancel()
                await here.close()
                while '"people":[]' not in (last := await box.receive()).get("text", ""):
                    pass
            assert {json.loads(frame["text"])["host"] for frame in (*told, last)} == {"one"}

    scenario(talk)


def test_people_may_leave_while_a_process_that_ends_says_so(
    scenario: Scenario, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "INTERVAL", 0.01)
    told = []

    async def slowly(group: str, _: object) -> None:
        await asyncio.sleep(0.1)
        told.append(group)

    monkeypatch.setattr(groups, "publish", slowly)

    async def talk() -> None:
        here = presence.Presence("one")
        other = uuid.uuid4()
        here.enter(room.pk, "a socket", objects.Person("1", "ada"))
        here.enter(other, "another", objects.Person("2", "bob"))
        async with asyncio.timeout(30):
            following = asyncio.create_task(here.run())
            while len(told) < 2:
                await asyncio.sleep(0.01)
            closing = asyncio.create_task(here.close())
            await asyncio.sleep(0)
            here.leave(other, "another")
            await closing
            following.cancel()
        assert set(told[2:]) == {groups.conversation(room.pk), groups.conversation(other)}

    scenario(talk)


# --- Typing


def test_typing_reaches_the_lists_of_the_others_and_not_ones_own(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def talk() -> None:
        async with (
            InProcess(people["ada"]) as hers,
            InProcess(people["bob"]) as his,
            InProcess(people["eve"]) as stranger,
            InProcess(people["bob"], room.pk) as bob,
        ):
            await bob.send("typing", on=True)
            frame = await hers.hear("typing")
            assert (frame["conversation"], frame["user"]["name"], frame["on"]) == (str(room.pk), "bob", True)
            await bob.send("typing", on=False)
            assert not (await hers.hear("typing", 2))["on"]
            for peer in (his, stranger):
                await peer.send("ping")
                await peer.hear("pong")
                assert not peer.of_type("typing")

    scenario(talk)


def test_a_viewer_does_not_type(scenario: Scenario, people: Any, room: Conversation) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")

    async def talk() -> None:
        async with InProcess(people["eve"], room.pk) as eve, InProcess(people["ada"], room.pk) as ada:
            await eve.send("typing", on=True, ref="x")
            assert (await eve.answered("x"))["code"] == "forbidden"
            await ada.send("ping")
            await ada.hear("pong")
            assert not ada.of_type("typing")

    scenario(talk)


def test_who_begins_to_type_all_the_time_is_not_passed_on_all_the_time(
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
            await ada.hear("message.created")  # on the same way, after them
            assert len(ada.of_type("typing")) == 2 * typing_indicator.BURST

    scenario(talk)


# --- Over processes


def test_who_is_on_another_process_is_seen_and_after_its_crash_forgotten(
    start_site: Callable[..., Site], redis: str
) -> None:
    from asgiref.sync import async_to_sync

    from ..site.test_site import add_participant
    from ..support.client import signed_in

    site = start_site(REDIS_URL=redis)
    other = site.beside()

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
                    await one.hear("typing")  # on the same way, after all that the dead one had told
                    heard = len(one.of_type("presence"))
                    hosts = {frame["host"] for frame in one.of_type("presence") if frame["people"]}
                    assert len(hosts) == 2
                    async with ada.socket(conversation) as fresh:  # makes all who live tell of theirs
                        await one.until(lambda: len(one.of_type("presence")) > heard)
                        await fresh.until(lambda: names(fresh))
                        await asyncio.sleep(1)
                        assert names(fresh) == {"ada"}, "nobody tells of the dead"
                        silent = {frame["host"] for frame in one.of_type("presence")[heard:]}
                        assert len(silent) == 1, "so a client forgets the other host after a minute"

    try:
        async_to_sync(talk)()
    finally:
        if other.process.poll() is None:
            other.kill()
