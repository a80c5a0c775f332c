"""The inbox socket: a user's list of conversations, kept up to date."""

from collections.abc import Callable
from typing import Any

from chat.models import Conversation

from ..support.client import InProcess
from ..support.servers import Upstream

Scenario = Callable[..., Any]


def test_an_inbox_is_updated_when_a_conversation_changes(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["bob"]) as inbox, InProcess(people["ada"], room.pk) as ada:
            assert [c["id"] for c in inbox.events[0]["conversations"]] == [str(room.pk)]

            def running_flags() -> list[bool]:
                return [update["conversation"]["running"] for update in inbox.of_type("conversation.updated")]

            await ada.say("Hello")
            await ada.hear("run.delta")
            await inbox.until(lambda: True in running_flags())
            assert inbox.of_type("conversation.updated")[-1]["conversation"]["title"] == "Hello"
            upstream.release()
            await inbox.until(lambda: running_flags()[-1] is False)
            assert len(running_flags()) < 6, "changes that are close together make one update"
            await inbox.say("Not here", ref="x")
            assert (await inbox.answered("x"))["code"] == "unknown_command"
            await inbox.send("ping", ref="y")
            assert (await inbox.answered("y"))["type"] == "pong"

    scenario(talk)
