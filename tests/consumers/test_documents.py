"""Documents over sockets: everybody hears of each change, and catches up with those they missed."""

import uuid
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async

from chat import store
from chat.changesets import ChangeSet
from chat.models import Conversation

from ..support.client import InProcess

Scenario = Callable[..., Any]


def test_two_people_type_at_once_and_end_with_the_same_text(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))
    key, mine = str(document.id), uuid.uuid4()

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first, InProcess(bob, room.pk) as second:
            push = {"document": key, "version": 1, "changes": [3, [0, "", "😀"]], "client_id": str(mine)}
            await first.send("document.push", ref="1", **push)
            assert (await first.answered("1"))["type"] == "ack"
            changed = await second.hear("document.changed")
            assert (changed["document"], changed["version"], changed["changes"]) == (key, 2, push["changes"])
            assert (changed["author"]["name"], changed["run"], changed["client_id"]) == ("ada", None, str(mine))

            await first.send("document.push", ref="again", **push)
            assert (await first.answered("again"))["type"] == "ack"

            typed = ChangeSet.parse([[0, "zero "], 3])
            await second.send("document.push", ref="2", document=key, version=1, changes=typed.to_json())
            assert (await second.answered("2"))["code"] == "stale"
            await second.send("document.sync", ref="3", document=key, version=1)
            missed = await second.answered("3")
            assert (missed["type"], missed["more"], len(missed["updates"])) == ("document.updates", False, 1)
            rebased = typed.map(ChangeSet.parse(missed["updates"][0]["changes"]))
            await second.send("document.push", ref="4", document=key, version=2, changes=rebased.to_json())
            assert (await second.answered("4"))["type"] == "ack"

            for ref, changes in {"a": [4], "b": [-1], "c": [8, [1]], "d": [[0, 1]], "e": [[[]]], "f": {}}.items():
                await first.send("document.push", ref=ref, document=key, version=3, changes=changes)
                assert (await first.answered(ref))["code"] == "invalid", changes
            opened = await sync_to_async(store.get_document)(bob.pk, document.id)
            assert (opened.version, opened.text) == (3, "zero one\n😀")

    scenario(talk)
