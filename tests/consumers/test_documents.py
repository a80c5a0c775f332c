"""Documents over sockets: everybody hears of each change, and catches up with those they missed."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat import engine, store
from chat.documents.changesets import ChangeSet
from chat.engine.providers.provider import Request
from chat.models import Conversation
from chat.runs.document_tools import DocumentTools
from chat.runs.document_tools import Edit as DocumentEdit
from chat.store import executor

from ..support.client import InProcess
from ..support.protocol_client import Frame
from ..support.store_helpers import HOST, begin, end

Scenario = Callable[..., Any]

CONTEXT = engine.ToolContext()


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


def test_many_who_type_at_once_need_no_second_push(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))
    key = str(document.id)

    async def talk() -> None:
        sockets = [InProcess(ada, room.pk) for _ in range(8)]
        async with InProcess(bob, room.pk) as reader, AsyncExitStack() as stack:
            for socket in sockets:
                await stack.enter_async_context(socket)
            ids = [str(uuid.uuid4()) for _ in sockets]

            async def type_a_word(number: int) -> Frame:
                change = {"version": 1, "changes": [3, [0, f" {number}"]], "client_id": ids[number], "rebase": True}
                await sockets[number].send("document.push", ref="push", document=key, **change)
                return await sockets[number].answered("push")

            run_together, arrived, all_are_there = executor.run_together, [], asyncio.Event()

            async def wait_for_all(work: Any, item: Any, key: Any = None) -> Any:
                """All pushes ask to be stored in the same moment."""
                if work is store.push_together:
                    arrived.append(item)
                    if len(arrived) == len(sockets):
                        all_are_there.set()
                    await all_are_there.wait()
                return await run_together(work, item, key)

            monkeypatch.setattr(executor, "run_together", wait_for_all)
            typing = asyncio.gather(*(type_a_word(number) for number in range(len(sockets))))
            assert {answer["type"] for answer in await typing} == {"ack"}
            frame = await reader.hear("document.updates")
            assert (frame["document"], frame["more"], frame["ref"]) == (key, False, None)
            assert reader.of_type("document.changed") == []
            log = frame["updates"]
            assert sorted(update["client_id"] for update in log) == sorted(ids)
            text = "one"
            for version, update in enumerate(log, 2):
                assert update["version"] == version
                text = ChangeSet.parse(update["changes"]).apply(text)
            opened = await sync_to_async(store.get_document)(bob.pk, document.id)
            assert (opened.version, opened.text) == (len(sockets) + 1, text)
            assert sorted(text.split()) == ["0", "1", "2", "3", "4", "5", "6", "7", "one"]

    scenario(talk)


def test_an_agent_writes_by_tools_and_everybody_sees_it(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[str] = []
    calls = [
        {"name": "create_document", "arguments": {"title": "Plan", "text": "# Plan\r\n\r\n- tea\r\n- tea 😀\r\n"}},
        {"name": "read_document", "arguments": {"document": "plan"}},
        {
            "name": "edit_document",
            "arguments": {
                "document": "Plan",
                "edits": [
                    {"search": "- tea", "replace": "- coffee"},
                    {"search": "tea 😀", "replace": "cake 😀"},
                    {"search": "- wine", "replace": "- water"},
                ],
            },
        },
        {"name": "edit_document", "arguments": {"document": "Nothing", "edits": [{"search": "a", "replace": "b"}]}},
        {"name": "rewrite_document", "arguments": {"document": "Plan", "text": "# Plan\n\n- tea\n- cake\n"}},
    ]

    def script(request: Request) -> Iterator[Any]:
        results[:] = [message.text for message in request.messages if message.role == "tool"]
        if len(results) < len(calls):
            call = calls[len(results)]
            raw = json.dumps(call["arguments"])
            yield engine.ToolCall(f"c{len(results)}", str(call["name"]), json.loads(raw), raw)
        else:
            yield engine.TextDelta("Done.")

    def scripted(model: str, **options: Any) -> engine.Agent:
        return engine_agent(engine.DemoProvider(script=script), **options)

    engine_agent = engine.Agent
    monkeypatch.setattr("chat.engine.Agent", scripted)
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {"documents": True, "model": "demo:words"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("@assistant write a plan")
            finished = await bob.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("completed", "Done.")
            (created,) = bob.of_type("document.created")
            run, text = finished["run"], "# Plan\n\n- tea\n- tea 😀\n"
            changed = bob.of_type("document.changed")
            assert [(each["version"], each["run"], each["author"]) for each in changed] == [
                (2, run, None),
                (3, run, None),
            ]
            for each in changed:
                text = ChangeSet.parse(each["changes"]).apply(text)
            assert text == "# Plan\n\n- tea\n- cake\n"
            opened = await sync_to_async(store.get_document)(people["bob"].pk, uuid.UUID(created["document"]["id"]))
            assert (opened.version, opened.text) == (3, text)

    scenario(talk)
    created, read, edited, unknown, rewritten = results
    assert created.startswith("Created the document 'Plan', version 1.")
    assert read == "Plan (markdown), version 1, lines 1 to 5 of 5.\n\n# Plan\n\n- tea\n- tea 😀\n"
    assert edited.startswith("Made 1 of 3 edits.\nEdit 1 failed. The search matches 2 places.")
    assert "3: - tea\n4: - tea 😀" in edited
    assert "Edit 3 failed. The search matches nothing." in edited
    assert "There is no document 'Nothing'" in unknown
    assert rewritten == "Rewrote 'Plan'."


def test_an_agent_is_told_who_changed_what_it_has_read(scenario: Scenario, people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one\ntwo\nthree"))
    started = begin(ada, room)
    run = started.message.run
    assert run is not None
    tools = DocumentTools(run.id, HOST, room.pk, executor, lambda *_: None)
    edit = [DocumentEdit("two", "2")]

    async def push(version: int, changes: list[Any]) -> None:
        parsed = ChangeSet.parse(changes)
        await sync_to_async(store.push_changes)(ada.pk, room.pk, document.id, version, parsed, None)

    async def talk() -> None:
        assert "lines 1 to 3 of 3" in await tools.read_document("Plan")
        assert "lines 2 to 2 of 3" in await tools.read_document(str(document.id), 2, 2)
        await push(1, [[0, "zero", ""], 13])  # elsewhere: the edit is made nevertheless
        assert await tools.edit_document(CONTEXT, "Plan", edit) == "Made 1 of 1 edits."
        with pytest.raises(engine.ToolError, match=r"matches nothing[^$]*ada changed it since you read it \(version 1"):
            await tools.edit_document(CONTEXT, "Plan", edit)
        with pytest.raises(engine.ToolError, match=r"ada changed it .* Read it again"):
            await tools.rewrite_document(CONTEXT, "Plan", "mine")
        await tools.read_document("Plan")
        assert await tools.rewrite_document(CONTEXT, "Plan", "mine") == "Rewrote 'Plan'."
        with pytest.raises(engine.ToolError, match="document can have up to"):
            await tools.rewrite_document(CONTEXT, "Plan", "x" * 500_001)
        with pytest.raises(engine.ToolError, match="title"):
            await tools.create_document(CONTEXT, title=" ", text="text")

        await sync_to_async(end)(started)  # a run that has ended writes nothing more
        for work in (
            tools.edit_document(CONTEXT, "Plan", [DocumentEdit("mine", "yours")]),
            tools.create_document(CONTEXT, title="B", text="b"),
        ):
            with pytest.raises(engine.ToolError, match="ended"):
                await work

    scenario(talk)
    opened = store.get_document(ada.pk, document.id)
    assert (opened.version, opened.text) == (4, "mine")


def test_what_a_deleted_account_has_written_is_not_overwritten_unread(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(bob.pk, room.pk, store.NewDocument("Plan", text="one"))
    run = begin(ada, room).message.run
    assert run is not None
    tools = DocumentTools(run.id, HOST, room.pk, executor, lambda *_: None)
    bob.delete()

    async def talk() -> None:
        with pytest.raises(engine.ToolError, match=r"account was deleted changed it .* Read it again"):
            await tools.rewrite_document(CONTEXT, "Plan", "two")

    scenario(talk)
    assert store.get_document(ada.pk, document.id).text == "one"


def test_edits_of_an_agent_and_of_a_person_at_the_same_time_are_all_kept(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    ada = people["ada"]
    lines = "\n".join(f"line {number}." for number in range(20))
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text=lines))
    run = begin(ada, room).message.run
    assert run is not None
    tools = DocumentTools(run.id, HOST, room.pk, executor, lambda *_: None)

    async def type_a_word() -> None:
        async with InProcess(ada, room.pk) as socket:
            version = 1
            for letter in "typed":
                answer = {"code": "stale"}
                while answer.get("code") == "stale":
                    opened = await sync_to_async(store.get_document)(ada.pk, document.id)
                    version, length = opened.version, len(opened.text)
                    ref = str(uuid.uuid4())
                    change = [length, [0, letter]]
                    await socket.send(
                        "document.push", ref=ref, document=str(document.id), version=version, changes=change
                    )
                    answer = await socket.answered(ref)
                assert answer["type"] == "ack"

    async def talk() -> None:
        edits = [DocumentEdit(f"line {number}.", f"changed {number}.") for number in range(20)]
        done, _ = await asyncio.gather(tools.edit_document(CONTEXT, "Plan", edits), type_a_word())
        assert done == "Made 20 of 20 edits."

    scenario(talk)
    assert store.get_document(ada.pk, document.id).text == lines.replace("line", "changed") + "typed"
