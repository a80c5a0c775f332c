"""The answer to a request of a foreign client: one run, written by an adapter, whole or as server-sent events.

Like an event stream, it is the socket of a conversation to its consumer (`LocalClient`). If its client goes, the run is
stopped, or the site's setting decides.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from ..actions import completions as actions
from ..concurrency import cancel_and_wait
from ..conf import conf
from ..node import node
from ..node.http import ASGIApplication, Receive, Send
from ..protocol import events, objects
from ..protocol.adapters import base
from .event_stream import END_TIMEOUT, HEADERS, reason
from .follower import Follower
from .local_client import LocalClient


class _Run(Struct):
    id: UUID
    status: str
    cut_off: bool = False
    usage: objects.Usage | None = None
    error: objects.Failure | None = None


class _Message(Struct):
    text: str = ""
    thinking: str = ""
    calls: tuple[objects.Call, ...] = ()
    parts: tuple[objects.Part, ...] = ()
    run: _Run | None = None


class _Frame(Struct):
    run: UUID | None = None
    text: str | None = None
    thinking: str | None = None
    message: _Message | None = None
    messages: list[_Message] = []
    call: objects.Call | None = None
    status: str = ""
    usage: objects.Usage | None = None
    error: objects.Failure | None = None


_decoder = msgspec.json.Decoder(_Frame)
_ACTIVE = ("queued", "running")
_FOLLOWED = {"snapshot", "run.started", "run.delta", "run.state", "run.tool", "run.finished"}


class RunResponse:
    """One response. `consumer` is the ASGI application of a conversation's sockets."""

    def __init__(self, consumer: ASGIApplication, adapter: base.Adapter, asked: actions.Asked, send: Send) -> None:
        self._adapter, self._asked, self._send_http = adapter, asked, send
        self._client = LocalClient(consumer, Follower())
        self._lock = asyncio.Lock()
        """Held while a frame is passed on, so that their texts are written in their order."""
        self._has_begun = self._has_started = self._has_ended = self._is_gone = self._is_over = False
        before = asked.before
        self._text = [before.text] if before else []
        self._thinking = [before.thinking] if before else []
        self._calls = {call.id: call.status for call in before.calls} if before else {}
        """What the client has of the answer; of its calls, their status."""

    async def respond(self, scope: dict[str, Any], receive: Receive) -> None:
        """Return when the response has ended, or the client is gone. Then the run is over, or stopped, unless the
        adapter lets it go on.
        """
        route = {"kwargs": {"conversation_id": str(self._asked.conversation)}}
        watching = asyncio.create_task(self._watch_client(receive))
        try:
            await self._client.run(scope | {"url_route": route}, self._send)
            if not self._is_gone:
                with suppress(TimeoutError):
                    async with asyncio.timeout(END_TIMEOUT):
                        await self._close(4408)
        finally:
            await cancel_and_wait(watching)
            await self._leave()

    async def _leave(self) -> None:
        here = node.current()
        if self._is_over:
            return
        if self._adapter.stops_on_leaving or conf.CANCEL_ON_DISCONNECT == "always":
            await here.tasks.run_to_completion(actions.stop(self._asked))
        else:  # the consumer has reported it too, unless the client went before it had begun
            here.supervisor.reader_left(self._asked.conversation, "")

    async def _watch_client(self, receive: Receive) -> None:
        """Tell the consumer when the client is gone. Started and cancelled by `respond`; nothing escapes."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._client.disconnect()

    async def _send(self, message: dict[str, Any]) -> None:
        """What the consumer sends."""
        match message["type"]:
            case "websocket.send":
                text = message["text"]
                kind = events.kind_of(text)
                async with self._lock:
                    if not self._has_ended and self._client.take(kind, text):
                        await self._follow(kind, text)
                        self._client.taken(text)
            case "websocket.close":
                async with self._lock:
                    await self._close(message.get("code"))
                self._client.disconnect()

    async def _follow(self, kind: str, text: str) -> None:
        if kind == "pong" and self._adapter.streams:
            await self._write(self._made(lambda: ": still here\n\n"))
        if kind not in _FOLLOWED:
            return
        frame = _decoder.decode(text)
        if kind == "snapshot" and self._adapter.begins_at_once:
            await self._write(self._made())
        messages = [message for message in frame.messages if message.run and message.run.id == self._asked.run]
        if kind == "snapshot":  # an active run's row is behind, and can have calls without the text before them
            messages = [message for message in messages if message.run and message.run.status not in _ACTIVE]
        if frame.run == self._asked.run and frame.message is not None:
            messages.append(frame.message)
        for message in messages:
            await self._replace(message)
        if frame.run != self._asked.run:
            return
        if kind == "run.delta":
            await self._write(self._add(frame.text or "", frame.thinking or ""))
        elif kind == "run.finished" and frame.message is None:  # it was stopped before it began
            await self._end(_Message(run=_Run(frame.run, frame.status, usage=frame.usage, error=frame.error)))
        elif frame.call is not None:
            await self._write(self._set_call(frame.call))

    async def _replace(self, message: _Message) -> None:
        """The whole answer so far, and perhaps the end."""
        run = message.run
        if run is None or self._has_ended:
            return
        sent_text, sent_thinking = "".join(self._text), "".join(self._thinking)
        if message.text.startswith(sent_text) and message.thinking.startswith(sent_thinking):
            await self._write(self._add_rest(message, len(sent_text), len(sent_thinking)))
        elif run.status == "completed":  # a lost run has lost words
            await self._fail(502, "changed", "The answer was changed after a part of it was sent.")
        if run.status == "awaiting_approval":
            await self._await_approval(message)
        elif run.status not in _ACTIVE:
            await self._end(message)

    # --- What is new

    def _add_rest(self, message: _Message, text_sent: int, thinking_sent: int) -> str:
        """The part after this much text and thinking, in the order of the message's parts."""
        calls = {call.id: call for call in message.calls}
        parts = objects.complete_parts(message.parts, message.text, message.thinking, message.calls)
        text_at = thinking_at = 0
        new = []
        for part in parts:
            match part:
                case objects.CallPart(call=key):
                    new.append(self._set_call(calls[key]))
                case objects.TextPart(length=length):
                    new.append(self._add(message.text[max(text_at, text_sent) : text_at + length], ""))
                    text_at += length
                case objects.ThinkingPart(length=length):
                    new.append(self._add("", message.thinking[max(thinking_at, thinking_sent) : thinking_at + length]))
                    thinking_at += length
        return "".join(new)

    def _add(self, text: str, thinking: str) -> str:
        if not self._adapter.streams:  # a whole answer comes with the run's end
            return ""
        self._text.append(text)
        self._thinking.append(thinking)
        new = self._made(self._adapter.add_thinking, thinking) if thinking else ""
        return new + self._made(self._adapter.add_text, text) if text else new

    def _set_call(self, call: objects.Call) -> str:
        before = self._calls.get(call.id)
        if not self._adapter.shows_calls or call.status == before:
            return ""
        self._calls[call.id] = call.status
        return self._made(self._adapter.set_call, call, before is None)

    def _made(self, make: Callable[..., str] = lambda: "", *args: Any) -> str:
        """What the adapter makes, after the stream's beginning."""
        begin = "" if self._has_begun else self._adapter.begin()
        self._has_begun = True
        return begin + make(*args)

    # --- The end

    async def _end(self, message: _Message) -> None:
        run = message.run
        if self._has_ended or run is None:
            return
        self._is_over = True
        if run.error is not None or run.status in ("failed", "interrupted"):
            failure = run.error or objects.Failure.from_code("internal")
            status = 429 if failure.code == "budget" else 502 if failure.retry_after is None else 503
            await self._fail(status, failure.code, failure.message, failure.retry_after)
            return
        is_complete = run.status == "completed"
        end = base.End(message.text, message.thinking, is_complete, is_complete and run.cut_off, run.usage)
        if self._adapter.streams:
            await self._write(self._made(self._adapter.end, end), is_last=True)
        else:
            await self._send_json(200, self._adapter.whole(end))

    async def _await_approval(self, message: _Message) -> None:
        if self._adapter.takes_decisions:
            self._is_over = True  # of this response: the decision comes with another request
            waiting = [call for call in message.calls if call.status == "awaiting_approval"]
            await self._write(self._made(self._adapter.await_decision, waiting), is_last=True)
            return
        why = "The agent wants to use a tool that needs approval, which can only be given in the chat."
        await self._fail(400, "approval_required", why)

    async def _close(self, code: int | None) -> None:
        """The socket has ended before the run."""
        why = reason(code)
        await self._fail(why.code.http_status, why.code, str(why), why.retry_after)

    async def _fail(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        if self._has_ended:
            return
        problem = base.Problem(status, code, message, retry_after)
        if self._has_started:
            await self._write(self._made(self._adapter.fail, problem), is_last=True)
        else:
            headers = self._adapter.refusal_headers(problem)
            more = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await self._send_json(status, self._adapter.refusal(problem), more)

    # --- Writing

    async def _write(self, text: str, is_last: bool = False) -> None:
        """Write it with one message to the server, which takes it before it waits for a slow client: the consumer
        cancels what waits for too long, and nothing sends a text again.
        """
        if not text:
            return
        if not self._has_started:
            self._has_started = True
            headers = [*HEADERS, *self._adapter.headers]
            await self._send_http({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send_body(text.encode(), is_last)

    async def _send_json(self, status: int, content: Struct, more: list[tuple[bytes, bytes]] | None = None) -> None:
        self._has_started = True
        body = msgspec.json.encode(content)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"private, no-store"),
            (b"x-content-type-options", b"nosniff"),
            *(more or ()),
        ]
        await self._send_http({"type": "http.response.start", "status": status, "headers": headers})
        await self._send_body(body, is_last=True)

    async def _send_body(self, body: bytes, is_last: bool) -> None:
        if is_last:
            self._has_ended = True
            self._client.disconnect()
        await self._send_http({"type": "http.response.body", "body": body, "more_body": not is_last})
