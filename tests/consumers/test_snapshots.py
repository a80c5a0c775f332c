"""Sockets that enter a large conversation wait for each other, and for nobody else."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat import store
from chat.models import Conversation, Participant
from chat.node import node, snapshots

from ..support.client import InProcess

Scenario = Callable[..., Any]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The readers of each unit of work that reads snapshots."""
    found: list[list[Any]] = []
    read_snapshots = store.read_snapshots

    def recorded(readers: Any) -> Any:
        found.append(list(readers))
        return read_snapshots(readers)

    monkeypatch.setattr(store, "read_snapshots", recorded)
    return found


async def entered(user: Any, room: Any) -> None:
    async with InProcess(user, room) as peer:
        assert peer.snapshot


def test_sockets_that_come_during_a_pause_are_read_together_after_it(
    scenario: Scenario, people: Any, room: Conversation, reads: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PAUSE_PER_PARTICIPANT", 3600)
    ada, bob = people["ada"], people["bob"]

    async def talk() -> None:
        reader = node.current().snapshots
        await reader.read(ada.pk, room.pk)
        waiting = [asyncio.create_task(reader.read(user.pk, room.pk)) for user in (ada, bob)]
        while len(reader._pausing[room.pk]) < 2:
            await asyncio.sleep(0)
        reader._end_pause(room.pk, 3600)
        assert [snapshot.you.name for snapshot in await asyncio.gather(*waiting)] == ["ada", "bob"]

    scenario(talk)
    assert reads == [[(ada.pk, room.pk)], [(ada.pk, room.pk), (bob.pk, room.pk)]]


def test_a_pause_of_one_conversation_holds_up_no_other(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PAUSE_PER_PARTICIPANT", 3600)
    other = Conversation.objects.create(agent="assistant")
    Participant.objects.create(conversation=other, user=people["ada"], role="owner")

    async def talk() -> None:
        await entered(people["ada"], room.pk)
        waiting = asyncio.create_task(node.current().snapshots.read(people["bob"].pk, room.pk))
        await entered(people["ada"], other.pk)
        assert not waiting.done()
        waiting.cancel()

    scenario(talk)


def test_nothing_is_remembered_of_conversations_that_nobody_enters(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PAUSE_PER_PARTICIPANT", 0.001)

    async def talk() -> None:
        await entered(people["ada"], room.pk)
        async with InProcess(people["eve"], uuid.uuid4()) as eve:
            assert await eve.wait_closed() == 4404
        async with asyncio.timeout(10):
            while node.current().snapshots._pausing:
                await asyncio.sleep(0.01)

    scenario(talk)
