"""Documents grow while the model writes the arguments of its call: everybody sees it, and can take over."""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat import engine, metrics, store
from chat.documents.changesets import ChangeSet
from chat.engine.providers.provider import Request
from chat.models import Conversation, DocumentUpdate

from ..support.client import InProcess

Scenario = Callable[..., Any]
Steps = list[Any]


class Model:
    """A model whose turns are lists of steps (`DemoProvider`). `results` are what its calls gave."""

    def __init__(self, *turns: Steps) -> None:
        self.turns = turns
        self.results: list[str] = []

    def script(self, request: Request) -> Iterator[Any]:
        self.results = [message.text for message in request.messages if message.role == "tool"]
        turn = sum(bool(message.tool_calls) for message in request.messages)
        yield from self.turns[turn] if turn < len(self.turns) else [engine.TextDelta("Done.")]


@pytest.fixture
def answer_with(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[Model], None]:
    make = engine.Agent
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {"documents": True, "model": "demo:words"}}}

    def answer_with(model: Model) -> None:
        def scripted(model_name: str, **options: Any) -> engine.Agent:
            return make(engine.DemoProvider(script=model.script), **options)

        monkeypatch.setattr("chat.engine.Agent", scripted)

    return answer_with


def deltas(name: str, raw: str, *cuts: int, number: str = "1") -> list[engine.ToolCallDelta]:
    """The arguments of a call, cut at these places."""
    places = [0, *cuts, len(raw)]
    return [engine.ToolCallDelta(number, name, raw[a:b]) for a, b in pairwise(places)]


def call(name: str, raw: str, identity: str = "c") -> engine.ToolCall:
    try:
        return engine.ToolCall(identity, name, json.loads(raw), raw)
    except ValueError:
        return engine.ToolCall(identity, name, None, raw)


def letter_by_letter(name: str, raw: str, number: str = "1") -> list[engine.ToolCallDelta]:
    return deltas(name, raw, *range(1, len(raw)), number=number)


class Reader:
    """A client that follows a document by its frames alone."""

    def __init__(self, socket: InProcess, text: str = "", version: int = 0) -> None:
        self.socket = socket
        self._heard = 0
        self.text, self.version = text, version
        self.writing: dict[str, Any] | None = None

    async def created(self) -> dict[str, Any]:
        document: dict[str, Any] = (await self.socket.hear("document.created"))["document"]
        if document["writing"]:
            await self.changed()
            assert self.writing == document["writing"]
            return document
        first = await DocumentUpdate.objects.aget(document=document["id"], version=1)
        self.text, self.version = ChangeSet.parse(first.changes).apply(""), 1
        return document

    async def changed(self) -> dict[str, Any]:
        self._heard += 1
        frame: dict[str, Any] = await self.socket.hear("document.changed", self._heard)
        assert frame["version"] == self.version + 1
        self.text, self.version = ChangeSet.parse(frame["changes"]).apply(self.text), frame["version"]
        self.writing = frame["writing"]
        return frame

    @property
    def places(self) -> tuple[int, int, int] | None:
        return None if self.writing is None else (self.writing["from"], self.writing["at"], self.writing["to"])


async def text_of(user: Any, document: str) -> str:
    return (await sync_to_async(store.get_document)(user.pk, uuid.UUID(document))).text


def make_document(user: Any, room: Conversation, text: str, title: str = "Plan") -> str:
    return str(store.create_document(user.pk, room.pk, store.NewDocument(title, text=text)).id)


def test_a_text_travels_once_and_the_model_remembers_it_whole(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    text = "".join(f"Line {number} of a long text.\n" for number in range(2000))
    new = "".join(f"Another line {number}.\n" for number in range(100))
    edits = [{"search": "Line 7 of a long text.\n", "replace": new}, {"search": "Line 9 of", "replace": "9 of"}]
    created = {"title": "Plan", "text": text}
    edited = {"document": "Plan", "edits": edits}
    steps = [
        [*deltas(name, raw, *range(0, len(raw), 500)[1:]), call(name, raw, str(number))]
        for number, (name, raw) in enumerate(
            [("create_document", json.dumps(created)), ("edit_document", json.dumps(edited))]
        )
    ]
    model = Model(*steps)
    answer_with(model)
    histories: list[Any] = []
    script = model.script

    def remember(request: Request) -> Iterator[Any]:
        histories[:] = [call.arguments for message in request.messages for call in message.tool_calls]
        yield from script(request)

    model.script = remember  # type: ignore[method-assign]
    before = metrics.read()["streamed_characters_total"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant write")
            finished = await ada.hear("run.finished")
            first, second = (each["arguments"] for each in finished["message"]["calls"])
            assert first == {"title": "Plan", "text": {"omitted": len(text)}}
            assert second["edits"][0] == {"search": edits[0]["search"], "replace": {"omitted": len(new)}}
            assert second["edits"][1] == edits[1]
            assert sum(len(json.dumps(frame)) for frame in ada.events) < 1.5 * (len(text) + len(new))

    scenario(talk)
    assert histories == [created, edited]
    written = len(json.dumps(created)) + len(json.dumps(edited)) + len("Done.")
    assert metrics.read()["streamed_characters_total"] - before == written


def test_a_document_appears_with_its_first_letter_and_grows(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    raw = json.dumps({"title": "Plan", "kind": "code", "language": "python", "text": "a\r\nb = '😀'\r\n"})
    first, second = asyncio.Event(), asyncio.Event()
    begins = raw.index('"a') + 2
    emoji = raw.index("\\ud83d") + 8  # in the middle of a character
    pieces = deltas("create_document", raw, begins, raw.index("\\r") + 2, emoji)
    model = Model([*pieces[:2], first.wait, pieces[2], second.wait, pieces[3], call("create_document", raw)])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("@assistant write a plan")
            reader = Reader(bob)
            document = await reader.created()
            assert (document["title"], document["kind"], document["language"]) == ("Plan", "code", "python")
            assert (reader.text, reader.places) == ("a", (0, 1, 1))
            assert document["writing"]["agent"] == {"slug": "assistant", "name": "Assistant", "picture": ""}
            first.set()
            await reader.changed()
            assert (reader.text, reader.places) == ("a\nb = '", (0, 7, 7))
            second.set()
            await reader.changed()
            assert (reader.text, reader.writing) == ("a\nb = '😀'\n", None)
            finished = await bob.hear("run.finished")
            assert finished["message"]["calls"][0]["result"].startswith("Created the document 'Plan', version 3.")
            assert await text_of(people["ada"], document["id"]) == reader.text

    scenario(talk)


outside: Any = None
"""An agent that a test gives the site."""


def test_an_agent_of_pydantic_ai_writes_a_document_that_grows_and_reads_it(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ai = pytest.importorskip("pydantic_ai", reason="pydantic_ai is not installed")
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel

    from chat.engine.adapters.pydantic_ai import PydanticAIAgent

    raw = json.dumps({"title": "Plan", "text": "one two"})
    gate = asyncio.Event()
    heard: list[str] = []

    async def stream(messages: list[Any], info: Any) -> AsyncIterator[Any]:
        heard[:] = [part.content for each in messages for part in each.parts if part.part_kind == "tool-return"]
        if not heard:
            yield {0: DeltaToolCall(name="create_document", json_args=raw[: raw.index("two")], tool_call_id="c1")}
            await gate.wait()
            yield {0: DeltaToolCall(json_args=raw[raw.index("two") :])}
        elif len(heard) == 1:
            yield {0: DeltaToolCall(name="read_document", json_args='{"document": "Plan"}', tool_call_id="c2")}
        else:
            yield "Done."

    monkeypatch.setattr(
        sys.modules[__name__], "outside", PydanticAIAgent(ai.Agent(FunctionModel(stream_function=stream)))
    )
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {"documents": True, "agent": f"{__name__}.outside"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant write a plan")
            reader = Reader(ada)
            document = await reader.created()
            assert (reader.text, reader.places) == ("one ", (0, 4, 4))
            gate.set()
            await reader.changed()
            assert (reader.text, reader.writing) == ("one two", None)
            finished = await ada.hear("run.finished")
            assert finished["message"]["text"] == "Done."
            assert await text_of(people["ada"], document["id"]) == reader.text

    scenario(talk)
    assert heard[0].startswith("Created the document 'Plan', version 2.")
    assert heard[1].endswith("one two")


def test_what_comes_late_is_set_when_it_comes(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    raw = json.dumps({"title": "Plan", "text": "one two", "kind": "code", "language": "python"})
    rewrite = json.dumps({"text": "one three", "document": "Plan"})  # nothing is known before the text is whole
    gate = asyncio.Event()
    pieces = deltas("create_document", raw, raw.index("two"))
    answer_with(
        Model(
            [pieces[0], gate.wait, pieces[1], call("create_document", raw)],
            [*letter_by_letter("rewrite_document", rewrite), call("rewrite_document", rewrite)],
        )
    )

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant write a plan")
            created = (await ada.hear("document.created"))["document"]
            assert created["kind"] == "markdown"
            gate.set()
            updated = [frame["document"] async for frame in frames(ada, "document.updated")]
            assert (updated[-1]["kind"], updated[-1]["language"], updated[-1]["writing"]) == ("code", "python", None)
            assert await text_of(people["ada"], created["id"]) == "one three"

    async def frames(socket: InProcess, kind: str) -> Any:
        await socket.hear("run.finished")
        for frame in socket.of_type(kind):
            yield frame

    scenario(talk)


def test_a_new_text_grows_in_front_of_the_old_one(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    document = make_document(people["ada"], room, "# Plan\n\nold text\n")
    raw = json.dumps({"document": document, "text": "# Plan\n\nnew words\n"})
    gate = asyncio.Event()
    pieces = deltas("rewrite_document", raw, raw.index("new") + 3)
    read = json.dumps({"document": document})
    model = Model([call("read_document", read)], [pieces[0], gate.wait, pieces[1], call("rewrite_document", raw)])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            reader = Reader(ada, "# Plan\n\nold text\n", 1)
            await ada.say("@assistant rewrite it")
            await reader.changed()
            assert (reader.text, reader.places) == ("# Plan\n\nnewold text\n", (8, 11, 20))
            for ref, changes, code in (("in", [9, [0, "x"], 11], "conflict"), ("ends", [20, [0, "x"]], None)):
                await ada.send("document.push", ref=ref, document=document, version=2, changes=changes)
                assert (await ada.answered(ref)).get("code") == code
            await reader.changed()
            assert reader.places == (8, 11, 20)
            gate.set()
            await reader.changed()
            assert (reader.text, reader.writing) == ("# Plan\n\nnew words\nx", None)
            finished = await ada.hear("run.finished")
            assert finished["message"]["calls"][1]["result"] == "Rewrote 'Plan'."

    scenario(talk)


def test_each_edit_is_made_when_it_is_whole_and_fails_alone(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    document = make_document(people["ada"], room, "one\ntwo\ntwo\n  three\nfour\n")
    edits = [
        {"search": "one", "replace": "1"},
        {"search": "two", "replace": "2"},
        {"search": "\tfour", "replace": "\t4"},
        {"replace": "", "search": "nothing of this kind"},
        {"search": "1", "replace": "1"},
        {"search": "  three", "replace": "  3"},
    ]
    raw = json.dumps({"document": "plan", "edits": edits})
    gate = asyncio.Event()
    pieces = deltas("edit_document", raw, raw.index('{"search": "two"'))
    rest = letter_by_letter("edit_document", pieces[1].text)
    model = Model([pieces[0], gate.wait, *rest, call("edit_document", raw)])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            reader = Reader(ada, "one\ntwo\ntwo\n  three\nfour\n", 1)
            await ada.say("@assistant edit it")
            await reader.changed()
            assert (reader.text, reader.writing) == ("1\ntwo\ntwo\n  three\nfour\n", None)
            gate.set()
            result = (await ada.hear("run.finished"))["message"]["calls"][0]["result"]
            assert result.startswith("Made 3 of 6 edits.\nEdit 2 failed. The search matches 2 places.")
            assert "Edit 4 failed. The search matches nothing" in result
            assert "Edit 5 failed. The search and the replacement are the same" in result
            assert await text_of(people["ada"], document) == "1\ntwo\ntwo\n  3\n4\n"

    scenario(talk)


def test_a_person_takes_over_and_the_model_is_told(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    raw = json.dumps({"title": "Plan", "text": "one two three"})
    gate = asyncio.Event()
    pieces = deltas("create_document", raw, raw.index("one") + 4, raw.index("three"))
    model = Model([pieces[0], gate.wait, *pieces[1:], call("create_document", raw)])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("@assistant write a plan")
            document = (await bob.hear("document.created"))["document"]["id"]
            await bob.send("document.take_over", ref="t", document=document)
            assert (await bob.answered("t"))["type"] == "ack"
            assert (await ada.hear("document.updated"))["document"]["writing"] is None
            await bob.send("document.push", ref="p", document=document, version=1, changes=[1, [0, "x"], 3])
            assert (await bob.answered("p"))["type"] == "ack"
            gate.set()
            await ada.hear("run.finished")
            assert await text_of(people["ada"], document) == "oxne "

    scenario(talk)
    assert model.results == ["bob has taken over. What you have written so far stays in the document."]


@pytest.mark.parametrize("how", ["stop", "error", "broken", "cut"])
def test_what_came_before_a_call_breaks_off_stays(
    how: str, scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    document = make_document(people["ada"], room, "old text")
    raw = json.dumps({"document": document, "text": "new words"})
    written = raw[: raw.index("words") + 2]
    gate = asyncio.Event()
    rest: dict[str, Steps] = {
        "stop": [gate.wait],
        "error": [engine.ProviderError("Busy.", "overloaded", provider="demo")],
        "broken": [engine.ToolCallDelta("1", "rewrite_document", '\\x"}'), call("rewrite_document", written + '\\x"}')],
        "cut": [call("rewrite_document", written), engine.Completion("length")],
    }
    read = json.dumps({"document": document})
    steps = letter_by_letter("rewrite_document", written)
    model = Model([call("read_document", read)], [*steps, *rest[how]])
    answer_with(model)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant rewrite it")
            changed = await ada.hear("document.changed")
            if how == "stop":
                await ada.send("run.stop", ref="s", run=changed["run"])
            finished = await ada.hear("run.finished")
            assert finished["status"] == {"stop": "stopped", "error": "failed"}.get(how, "completed")
            opened = await sync_to_async(store.get_document)(people["ada"].pk, uuid.UUID(document))
            assert (opened.text, opened.writing) == ("new woold text", None)
            if how in ("broken", "cut"):
                assert ada.of_type("document.updated")[-1]["document"]["writing"] is None

    scenario(talk)
    if how in ("broken", "cut"):
        assert "not a JSON object" in model.results[1]
        assert model.results[1].endswith("The text broke off. The old text follows what came of the new one.")


def test_two_calls_of_one_turn_are_made_one_after_the_other(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    create = json.dumps({"title": "Plan", "text": "one two"})
    edit = json.dumps({"document": "Plan", "edits": [{"search": "two", "replace": "three"}]})
    lost = '{"document": "Plan", "edits": [{"search": "one", "replace": "f'
    gate = asyncio.Event()
    answer_with(
        Model(
            [
                *letter_by_letter("create_document", create, "1"),
                *letter_by_letter("edit_document", lost, "2"),  # its call never comes
                *letter_by_letter("edit_document", edit, "3"),
                gate.wait,
                call("create_document", create, "a"),
                call("edit_document", edit, "b"),
            ]
        )
    )

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant write a plan")
            reader = Reader(ada)
            await reader.created()
            while "three" not in reader.text:  # the edit is made before its call comes
                await reader.changed()
            gate.set()
            finished = await ada.hear("run.finished")
            (created,) = ada.of_type("document.created")
            results = [each["result"] for each in finished["message"]["calls"]]
            assert results[0].startswith("Created the document 'Plan'")
            assert await text_of(people["ada"], created["document"]["id"]) == "fone three"

    scenario(talk)


def test_an_agent_is_told_what_others_have_changed_since_its_last_answer(
    scenario: Scenario, people: Any, room: Conversation, answer_with: Callable[[Model], None]
) -> None:
    lines = "\n".join(f"line {number}" for number in range(40))
    create, rewrite = {"title": "Plan", "text": lines}, {"document": "Plan", "text": "all new"}
    prompts: list[list[str]] = []

    def script(request: Request) -> Iterator[Any]:
        prompts.append([f"{message.role}: {message.text}" for message in request.messages])
        calls = {1: ("create_document", create), 3: ("rewrite_document", rewrite)}
        if (made := calls.get(len(prompts))) is not None:
            yield call(made[0], json.dumps(made[1]))
        else:
            yield engine.TextDelta("Yes.")

    model = Model()
    model.script = script  # type: ignore[method-assign]
    answer_with(model)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant write a plan")
            await ada.hear("run.finished")
            document = uuid.UUID((await ada.hear("document.created"))["document"]["id"])
            other = await sync_to_async(make_document)(people["ada"], room, "of ada alone", "List")
            change = ChangeSet.replace(len(lines), [(0, 6, "LINE 0"), (lines.index("line 30"), len(lines), "end")])
            await sync_to_async(store.push_changes)(people["ada"].pk, room.pk, document, 1, change, None)
            await ada.say("@assistant what is new?")
            await ada.hear("run.finished", 2)
            await ada.say("@assistant and now?")
            await ada.hear("run.finished", 3)
            note = prompts[2][-2]
            begins = f'user: Since your last answer, ada changed the document "Plan" ({document}).\n```\n@@'
            assert note.startswith(begins)
            assert f"({other}).\n```\n@@ -1,1 +1,1 @@\n-\n+of ada alone\n```" in note

    scenario(talk)
    note = prompts[2][-2]
    assert prompts[2][-1].endswith("@assistant what is new?")
    assert "-line 0\n+LINE 0\n line 1\n line 2\n@@" in note
    assert "-line 39\n+end" in note
    assert "line 10" not in note
    assert prompts[3][-1] == "tool: Rewrote 'Plan'."  # it knows what ada wrote, so it need not read it again
    assert not any("Since your last answer" in text for prompt in (prompts[0], prompts[4]) for text in prompt)


class Secretary:
    """A custom agent of the site, which runs an Agent of its own."""

    model = Model()

    def run_stream(self, messages: Any, *, context: engine.ToolContext) -> Any:
        return engine.run_stream(engine.Agent(engine.DemoProvider(script=self.model.script)), messages, context=context)


secretary = Secretary()


def test_a_custom_agent_writes_documents_too(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.dumps({"title": "Plan", "text": "one two"})
    gate = asyncio.Event()
    pieces = deltas("create_document", raw, raw.index("one") + 3)
    model = Model([pieces[0], gate.wait, pieces[1], call("create_document", raw)])
    monkeypatch.setattr(secretary, "model", model)
    agent = {"agent": f"{__name__}.secretary", "documents": True}
    settings.NOUS_CHAT = {"AGENTS": {"assistant": agent}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("@assistant write a plan")
            reader = Reader(ada)
            await reader.created()
            assert reader.text == "one"
            gate.set()
            await reader.changed()
            assert reader.text == "one two"
            await ada.hear("run.finished")

    scenario(talk)
