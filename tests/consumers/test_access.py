"""Sockets and commands that are refused: not a participant, another conversation's run."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Conversation, Participant

from ..support.client import InProcess

Scenario = Callable[..., Any]


@pytest.mark.parametrize("address", ["of others", "missing", "malformed"])
def test_a_foreign_conversation_closes_like_one_that_does_not_exist(
    scenario: Scenario, people: Any, room: Conversation, address: str
) -> None:
    conversation_id = {"of others": room.pk, "missing": uuid.uuid4(), "malformed": "not-a-uuid"}[address]

    async def talk() -> None:
        async with InProcess(people["eve"], conversation_id) as eve:
            assert await eve.wait_closed() == 4404
            assert eve.events == []

    scenario(talk)


def test_a_run_of_another_conversation_cannot_be_synced(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    """Bob was removed but knows the run; he is in another conversation of the same process."""
    model("flowing")
    Participant.objects.filter(user=people["bob"]).delete()
    other = Conversation.objects.create(agent="assistant")
    Participant.objects.create(conversation=other, user=people["bob"], role="owner")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], other.pk) as bob:
            await ada.say("Hello")
            run = (await ada.hear("run.delta"))["run"]
            await bob.send("run.sync", run=run, ref="1")
            assert (await bob.answered("1"))["code"] == "not_found"
            await ada.send("run.stop", run=run)
            await ada.hear("run.finished")

    scenario(talk)
