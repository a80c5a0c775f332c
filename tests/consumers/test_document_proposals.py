"""An agent that is asked about a selected part of a document proposes its changes, and people decide."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat import engine, store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation

from ..support.client import InProcess
from .test_document_streams import Model, call, deltas, letter_by_letter, make_document

Scenario = Callable[..., Any]


@pytest.fixture
def answer_with(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[Model], None]:
    make = engine.Agent
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {"documents": True, "model": "demo:words"}}}

    def answer_with(model: Model) -> None:
        monkeypatch.setattr(
            "chat.engine.Agent", lambda model_name, **options: make(engine.DemoProvider(script=model.script), **options)
        )

    return answer_with


def test_what_an_agent_wants_to_change_is_proposed_and_accepted_by_part(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = make_document(ada, room, "one\ntwo\nthree\n")
    edits = [
        {"search": "one", "replace": "1"},
        {"search": "three", "replace": "3\r\n4"},
        {"search": "1\n", "replace": "eins\n"},  # of what the first one has made
        {"search": "nothing", "replace": "x"},
    ]
    raw = json.dumps({"document": "Plan", "edits": edits})
    model = Model([*letter_by_letter("edit_document", raw), call("edit_document", raw)])
    answer_with(model)
    selection = {"document": document, "version": 1, "from": 0, "to": 3}

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first, InProcess(bob, room.pk) as second:
            await first.say("@assistant count", selection=selection)
            posted = await second.hear("message.created")
            assert posted["message"]["selection"] == {**selection, "title": "Plan", "text": "one"}
            proposed = await second.hear("document.proposed")
            assert proposed["document"] == document
            proposal = proposed["proposal"]
            assert (proposal["version"], proposal["agent"]["slug"]) == (1, "assistant")
            assert proposal["changes"] == [[3, "eins"], 5, [5, "3", "4"], 1]
            await second.hear("run.finished")
            assert not second.of_type("document.changed")

            part = ChangeSet.parse([[3, "eins"], 11])
            await second.send("document.push", ref="1", document=document, version=1, changes=part.to_json())
            assert (await second.answered("1"))["type"] == "ack"
            await second.send("document.resolve", ref="2", document=document, proposal=proposal["id"])
            assert (await first.hear("document.resolved"))["proposal"] == proposal["id"]
            await first.send("document.resolve", ref="3", document=document, proposal=proposal["id"])
            assert (await first.answered("3"))["code"] == "not_found"
            opened = await sync_to_async(store.get_document)(ada.pk, uuid.UUID(document))
            assert opened.text == "eins\ntwo\nthree\n"

    scenario(talk)
    (result,) = model.results
    assert result.startswith("Proposed 3 of 4 edits. People decide on it; until then, the document is unchanged.")
    assert "Edit 4 failed." in result


@pytest.mark.parametrize("streamed", [True, False])
def test_a_new_text_is_proposed_as_what_differs(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None], streamed: bool
) -> None:
    ada = people["ada"]
    document = make_document(ada, room, "one\ntwo\nthree\n")
    raw = json.dumps({"document": "Plan", "text": "one\nzwei\nthree\n"})
    edit = json.dumps({"document": "Plan", "edits": [{"search": "two", "replace": "zwei"}]})
    streamed_first = letter_by_letter("rewrite_document", raw) if streamed else []
    model = Model([*streamed_first, call("rewrite_document", raw)])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(ada, room.pk) as socket:
            selection = {"document": document, "version": 1, "from": 4, "to": 7}
            await socket.say("@assistant in German", selection=selection)
            await socket.hear("run.finished")
            (proposed,) = socket.of_type("document.proposed")
            assert proposed["proposal"]["changes"] == [4, [3, "zwei"], 7]
            found = await sync_to_async(store.list_proposals)(ada.pk, uuid.UUID(document))
            assert [str(each.id) for each in found] == [proposed["proposal"]["id"]]
            assert not socket.of_type("document.changed")

            model.turns = (*model.turns, [call("edit_document", edit)])
            await socket.say("@assistant now do it")  # without a selection
            await socket.hear("run.finished", 2)
            (changed,) = socket.of_type("document.changed")
            assert changed["changes"] == [4, [3, "zwei"], 7]

    scenario(talk)
    assert model.results == [
        "Proposed another text. People decide on it; until then, the document is unchanged.",
        "Made 1 of 1 edits.",
    ]


@pytest.mark.parametrize("tool", ["edit_document", "rewrite_document"])
@pytest.mark.parametrize("end", ["proposed", "stopped"])
def test_a_proposal_shows_as_a_call_while_the_model_writes_it(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None], tool: str, end: str
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = make_document(ada, room, "one\ntwo\n")
    given = {"edits": [{"search": "one", "replace": "1"}]} if tool == "edit_document" else {"text": "1\ntwo\n"}
    raw = json.dumps({"document": "Plan", **given})
    gate = asyncio.Event()
    first, rest = deltas(tool, raw, raw.index("1"))
    answer_with(Model([engine.TextDelta("Well."), first, gate.wait, rest, call(tool, raw)]))

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first, InProcess(bob, room.pk) as second:
            selection = {"document": document, "version": 1, "from": 0, "to": 3}
            await first.say("@assistant count", selection=selection)
            begun = (await second.hear("run.tool"))["call"]
            assert (begun["name"], begun["arguments"], begun["status"]) == (tool, {"document": "Plan"}, "running")
            async with InProcess(bob, room.pk) as late:  # somebody who comes now sees it, too
                assert late.snapshot is not None
                (message,) = [each for each in late.snapshot["messages"] if each["role"] == "assistant"]
                assert [each["id"] for each in message["calls"]] == [begun["id"]]
            if end == "stopped":
                await first.send("run.stop", ref="s", run=begun_by(second))
            else:
                gate.set()
            finished = await second.hear("run.finished")
            (made,) = finished["message"]["calls"]
            assert made["id"] == begun["id"]
            assert [part["type"] for part in finished["message"]["parts"]][:2] == ["text", "call"]
            if end == "stopped":
                assert (made["status"], made["arguments"]) == ("stopped", {"document": "Plan"})
                assert not second.of_type("document.proposed")
            else:
                assert (made["status"], made["arguments"]) == ("done", {"document": "Plan", **given})
                assert [frame["call"]["id"] for frame in second.of_type("run.tool")] == [begun["id"]] * 3

    def begun_by(socket: InProcess) -> str:
        run: str = socket.of_type("run.tool")[0]["run"]
        return run

    scenario(talk)


def test_arguments_that_break_off_propose_nothing(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    ada = people["ada"]
    document = make_document(ada, room, "one")
    raw = '{"document": "Plan", "text": "on'
    answer_with(Model([*letter_by_letter("rewrite_document", raw), call("rewrite_document", raw)]))

    async def talk() -> None:
        async with InProcess(ada, room.pk) as socket:
            selection = {"document": document, "version": 1, "from": 0, "to": 3}
            await socket.say("@assistant shorter", selection=selection)
            await socket.hear("run.finished")
            assert not socket.of_type("document.proposed")
            assert not socket.of_type("document.changed")

    scenario(talk)


@pytest.mark.parametrize("edits", [[], [{"search": "x", "replace": "y"}], [{"search": "one", "replace": "1"}] * 51])
def test_edits_of_which_none_can_be_made_propose_nothing(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None], edits: list[Any]
) -> None:
    ada = people["ada"]
    document = make_document(ada, room, "one")
    raw = json.dumps({"document": "Plan", "edits": edits})
    model = Model([call("edit_document", raw)])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(ada, room.pk) as socket:
            selection = {"document": document, "version": 1, "from": 0, "to": 3}
            await socket.say("@assistant shorter", selection=selection)
            await socket.hear("run.finished")
            assert not socket.of_type("document.proposed")

    scenario(talk)
    assert "Nothing is proposed" in model.results[0] or "Give 1 to 50 edits" in model.results[0]
