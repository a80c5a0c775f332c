"""Answers to foreign clients: what is lost, late, or changed on the way, and what is stored of them."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from chat.actions import completions
from chat.consumers.conversation import ConversationConsumer
from chat.consumers.run_response import RunResponse
from chat.hooks import HookContext, Rejected
from chat.models import Conversation, Message, Participant, Run
from chat.permissions import Permissions
from chat.protocol.adapters.ai_sdk import UIMessageAdapter
from chat.protocol.adapters.base import Adapter
from chat.protocol.adapters.completions import CompletionAdapter, CompletionRequest, RequestMessage
from chat.protocol.errors import ErrorCode, Refused
from chat.protocol.objects import Call
from chat.store import Turn

from ..support.event_stream import EventParser

Scenario = Callable[..., Any]
RUN = uuid.uuid4()


class Client:
    """One request."""

    def __init__(
        self,
        consumer: Any,
        asked: completions.Asked,
        user: Any = None,
        stream: bool = True,
        adapter: Adapter | None = None,
    ) -> None:
        request = CompletionRequest("assistant", [RequestMessage("user", "Hello")], stream=stream)
        adapter = adapter or CompletionAdapter(request, asked.run)
        self._response = RunResponse(consumer, adapter, asked, self._take)
        self._user = user
        self.start: dict[str, Any] = {}
        self.body = b""

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message["body"]

    async def run(self, leaves_when: Callable[[], bool] = lambda: False) -> None:
        async def receive() -> dict[str, Any]:
            while not leaves_when():
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        scope = {"type": "http", "headers": [], "path": "/", "query_string": b"", "user": self._user}
        async with asyncio.timeout(60):
            await self._response.respond(scope, receive)

    @property
    def events(self) -> list[dict[str, Any]]:
        return EventParser().feed(self.body.removesuffix(b"data: [DONE]\n\n"))

    @property
    def text(self) -> str:
        choices = [choice for event in self.events for choice in event.get("choices", ())]
        return "".join(choice["delta"].get("content", "") for choice in choices)

    @property
    def error(self) -> dict[str, Any]:
        """Of a stream's last event, or of a whole answer."""
        is_stream = dict(self.start["headers"])[b"content-type"] == b"text/event-stream"
        return dict((self.events[-1] if is_stream else json.loads(self.body))["error"])


def answer(text: str, seq: int, status: str = "running", **fields: Any) -> dict[str, Any]:
    run = {"id": str(RUN), "status": status, "seq": seq} | fields
    return {"seq": 2, "text": text, "thinking": "", "run": run}


def frame(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "run": str(RUN)} | fields


def delta(seq: int, text: str) -> dict[str, Any]:
    return frame("run.delta", seq=seq, text=text)


BEGUN = [
    {"type": "snapshot", "messages": [{"seq": 1, "text": "Hello", "thinking": "", "run": None}], "runs": []},
    frame("run.started", message=answer("", 0)),
]


def finished(text: str, status: str = "completed", **fields: Any) -> dict[str, Any]:
    return frame("run.finished", status=status, message=answer(text, 9, status, **fields))


def scripted(*frames: Any, close: int | None = None) -> Callable[..., Awaitable[None]]:
    """A consumer that sends these frames. A text stands for a command that it waits for."""

    async def consumer(scope: Any, receive: Any, send: Any) -> None:
        for each in frames:
            if isinstance(each, str):
                while json.loads((await receive()).get("text", "{}")).get("type") != each:
                    pass
            else:
                await send({"type": "websocket.send", "text": msgspec.json.encode(each).decode()})
        if close is not None:
            await send({"type": "websocket.close", "code": close})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    return consumer


def follow(scenario: Scenario, *frames: Any, stream: bool = True, close: int | None = None) -> Client:
    asked = completions.Asked(0, uuid.uuid4(), RUN)
    client = Client(scripted(*frames, close=close), asked, stream=stream)
    scenario(client.run)
    return client


def test_a_text_is_sent_once_whatever_is_lost_or_repeated(scenario: Scenario) -> None:
    behind = {"type": "snapshot", "messages": [answer("a", 1)], "runs": []}
    for frames in (
        [delta(1, "a"), delta(1, "a"), delta(2, "b"), finished("ab")],
        [delta(1, "a"), delta(3, "!"), "run.sync", frame("run.state", seq=3, message=answer("ab", 3)), finished("ab")],
        [delta(1, "a"), delta(2, "b"), behind, frame("run.state", seq=2, message=answer("ab", 2)), finished("ab")],
        [delta(1, "a"), delta(2, "b"), {"type": "snapshot", "messages": [answer("ab", 9, "completed")], "runs": []}],
        [finished("ab")],
    ):
        client = follow(scenario, *BEGUN, *frames)
        assert client.text == "ab"
        assert client.body.endswith(b"data: [DONE]\n\n")
        assert client.events[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_frames_of_other_runs_are_not_in_the_answer(scenario: Scenario) -> None:
    other = {"type": "run.delta", "run": str(uuid.uuid4()), "seq": 1, "text": "!"}
    assert follow(scenario, *BEGUN, other, delta(1, "a"), finished("a")).text == "a"


def test_an_answer_at_its_length_limit(scenario: Scenario) -> None:
    cut = finished("a", cut_off=True)
    assert follow(scenario, *BEGUN, cut).events[-1]["choices"][0]["finish_reason"] == "length"
    whole = json.loads(follow(scenario, *BEGUN, cut, stream=False).body)
    assert whole["choices"][0] | {"message": None} == {"index": 0, "message": None, "finish_reason": "length"}


def test_an_answer_that_was_changed_is_an_error_in_a_stream_only(scenario: Scenario) -> None:
    frames = [*BEGUN, delta(1, "a"), finished("x")]
    client = follow(scenario, *frames)
    assert (client.text, client.error["code"]) == ("a", "changed")
    assert b"[DONE]" not in client.body
    assert json.loads(follow(scenario, *frames, stream=False).body)["choices"][0]["message"]["content"] == "x"


def test_a_run_that_fails_after_its_last_words_were_lost(scenario: Scenario) -> None:
    error = {"code": "host_lost", "message": "The server restarted."}
    client = follow(scenario, *BEGUN, delta(1, "ab"), finished("a", "interrupted", error=error))
    assert (client.error["code"], client.error["message"]) == ("host_lost", "The server restarted.")


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_that_is_stopped_before_it_begins(scenario: Scenario, stream: bool) -> None:
    client = follow(scenario, BEGUN[0], frame("run.finished", status="stopped", message=None), stream=stream)
    assert client.start["status"] == 200
    assert b'"finish_reason":"stop"' in client.body


def test_a_socket_that_ends_first(scenario: Scenario) -> None:
    closes = ((1012, 503, "unavailable"), (4401, 401, "invalid_api_key"), (4429, 429, "rate_limit_exceeded"))
    for code, status, name in closes:
        client = follow(scenario, BEGUN[0], close=code)
        assert (client.start["status"], client.error["code"]) == (status, name)
        assert (b"retry-after" in dict(client.start["headers"])) == (status != 401)
    client = follow(scenario, *BEGUN, delta(1, "a"), close=1012)
    assert (client.start["status"], client.text, client.error["code"]) == (200, "a", "unavailable")


CALL = str(uuid.uuid4())
OVER = {"id": str(RUN), "status": "completed", "seq": 9}


def with_call(status: str, before: str = "a", after: str = "") -> dict[str, Any]:
    """An answer whose text has a tool call in its middle."""
    parts: list[dict[str, Any]] = [
        {"type": "text", "length": len(before)},
        {"type": "call", "call": CALL},
        {"type": "text", "length": len(after)},
    ]
    call = {"id": CALL, "name": "look_up", "arguments": {"order": 7}, "status": status, "result": "shipped"}
    return answer(before + after, 3) | {"calls": [call], "parts": [part for part in parts if part.get("length", 1)]}


def test_calls_keep_their_place_whatever_is_lost_or_late(scenario: Scenario) -> None:
    done = with_call("done", after="b")
    called = frame("run.tool", seq=2, call=with_call("running")["calls"][0])
    end = frame("run.finished", status="completed", message=done | {"run": OVER})
    behind = {"type": "snapshot", "messages": [with_call("running", before="") | {"text": ""}], "runs": []}
    for frames in (
        [*BEGUN, delta(1, "a"), called, frame("run.state", seq=4, message=done), end],
        [*BEGUN, delta(1, "a"), delta(3, "b"), "run.sync", frame("run.state", seq=4, message=done), end],
        [*BEGUN, end],
        [behind, frame("run.state", seq=2, message=with_call("running")), end],
    ):
        client = Client(scripted(*frames), completions.Asked(1, uuid.uuid4(), RUN), adapter=UIMessageAdapter(RUN))
        scenario(client.run)
        assert [event["type"] for event in client.events] == [
            *("start", "text-start", "text-delta", "text-end"),
            *("tool-input-available", "tool-output-available"),
            *("text-start", "text-delta", "text-end", "finish"),
        ]


def test_the_rest_of_an_answer_after_a_decision(scenario: Scenario) -> None:
    done = with_call("done", after="b") | {"run": OVER}
    finished = {"type": "snapshot", "messages": [done], "runs": []}  # it was faster than the client
    before = msgspec.convert(with_call("awaiting_approval"), type=Before)
    asked = completions.Asked(1, uuid.uuid4(), RUN, before=before)  # type: ignore[arg-type]
    client = Client(scripted(finished), asked, adapter=UIMessageAdapter(RUN))
    scenario(client.run)
    kinds = [event["type"] for event in client.events]
    assert kinds == ["start", "tool-output-available", "text-start", "text-delta", "text-end", "finish"]


class Before(msgspec.Struct):
    """What counts of the message that the client has."""

    text: str
    thinking: str
    calls: tuple[Call, ...]


# --- With the consumer itself


def test_a_run_that_waits_for_approval_is_stopped(scenario: Scenario, people: Any, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {"agent": "tests.sites.clerk.agent"}}}

    async def talk() -> None:
        asked = await completions.ask(people["ada"], "assistant", [], "refund")
        client = Client(ConversationConsumer.as_asgi(), asked, people["ada"])
        await client.run()
        assert client.error["code"] == "approval_required"

    scenario(talk)
    assert Run.objects.get().status == "stopped"


@pytest.mark.parametrize("policy", ["always", "abandoned", "never"])
def test_the_site_decides_what_happens_if_a_page_of_the_ai_sdk_goes(
    scenario: Scenario, people: Any, model: Any, policy: str
) -> None:
    model("flowing", CANCEL_ON_DISCONNECT=policy, DISCONNECT_GRACE=0.1)

    async def talk() -> None:
        ada, chat = people["ada"], uuid.uuid4()
        asked = await completions.ask(ada, "assistant", [], "Hello", chat=chat)
        client = Client(ConversationConsumer.as_asgi(), asked, ada, adapter=UIMessageAdapter(asked.run))
        await client.run(leaves_when=lambda: b"text-delta" in client.body)
        if policy == "never":
            assert [each.run for each in await completions.find_active(ada.pk, chat)] == [asked.run]
            await completions.stop(asked)
        async with asyncio.timeout(60):
            while await completions.find_active(ada.pk, chat):
                await asyncio.sleep(0.01)

    scenario(talk)
    run = Run.objects.get()
    assert (run.status, run.error_code) == ("stopped", "abandoned" if policy == "abandoned" else "")


def check(context: HookContext, text: str) -> str:
    if "forbidden" in text:
        raise Rejected("No.")
    return text.replace("secret", "[redacted]")


class NoAgents(Permissions):
    def can_ask_agent(self, participant: Participant, agent: str) -> bool:
        return False


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_the_hook_checks_the_history(scenario: Scenario, people: Any, model: Any, role: Any) -> None:
    model("words@n=1", BEFORE_MODEL=f"{__name__}.check")

    async def refused() -> None:
        with pytest.raises(Refused) as caught:
            await completions.ask(people["ada"], "assistant", [Turn(role, "forbidden")], "Hello")
        assert caught.value.code == ErrorCode.REJECTED

    scenario(refused)
    assert not Conversation.objects.exists()

    async def changed() -> None:
        asked = await completions.ask(people["ada"], "assistant", [Turn(role, "my secret")], "Hello")
        await Client(ConversationConsumer.as_asgi(), asked, people["ada"]).run()

    scenario(changed)
    assert Message.objects.get(seq=1).text == "my [redacted]"
    assert not Conversation.objects.get().listed


class NoConversations(Permissions):
    def can_create(self, user: Any) -> bool:
        return False


def test_the_hook_gets_no_history_of_users_who_may_not_ask(scenario: Scenario, people: Any, model: Any) -> None:
    model("words@n=1", BEFORE_MODEL=f"{__name__}.check", PERMISSIONS=f"{__name__}.NoConversations")

    async def talk() -> None:
        with pytest.raises(Refused) as caught:
            await completions.ask(people["ada"], "assistant", [Turn("user", "forbidden")], "Hello")
        assert caught.value.code == ErrorCode.FORBIDDEN

    scenario(talk)


def test_a_question_that_is_refused_leaves_no_conversation(scenario: Scenario, people: Any, model: Any) -> None:
    model("words@n=1", PERMISSIONS=f"{__name__}.NoAgents")

    async def talk() -> None:
        with pytest.raises(Refused) as caught:
            await completions.ask(people["ada"], "assistant", [Turn("user", "Hi")], "Hello")
        assert caught.value.code == ErrorCode.FORBIDDEN

    scenario(talk)
    assert not Conversation.objects.filter(deleted_at=None).exists()
    assert not Run.objects.exists()
