"""The answer to a chat completion of OpenAI's wire, whole or as server-sent events.

Like an event stream, it is the socket of a conversation to its consumer (`LocalClient`). It follows one run, and stops
it if the client goes.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ..actions import completions as actions
from ..concurrency import cancel_and_wait
from ..node import node
from ..node.http import ASGIApplication, Receive, Send
from ..protocol import events, objects, openai
from .event_stream import END_TIMEOUT, HEADERS, reason
from .follower import Follower
from .local_client import LocalClient


class _Run(Struct):
    id: str
    status: str
    cut_off: bool = False
    usage: objects.Usage | None = None
    error: objects.Failure | None = None


class _Message(Struct):
    text: str
    thinking: str
    run: _Run | None = None


class _Call(Struct):
    status: str


class _Frame(Struct):
    run: str = ""
    text: str | None = None
    thinking: str | None = None
    message: _Message | None = None
    messages: list[_Message] = []
    call: _Call | None = None
    status: str = ""
    usage: objects.Usage | None = None
    error: objects.Failure | None = None


_decoder = msgspec.json.Decoder(_Frame)
_FOLLOWED = {"snapshot", "run.started", "run.delta", "run.state", "run.tool", "run.finished"}


class CompletionResponse:
    """One response. `consumer` is the ASGI application of a conversation's sockets."""

    def __init__(
        self, consumer: ASGIApplication, request: openai.CompletionRequest, asked: actions.Asked, send: Send
    ) -> None:
        self._request, self._asked, self._send_http = request, asked, send
        self._run = str(asked.run)
        self._client = LocalClient(consumer, Follower())
        self._lock = asyncio.Lock()
        """Held while a frame is passed on, so that their texts are written in their order."""
        self._has_started = self._has_ended = self._is_gone = False
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{asked.run.hex}",
            "created": int(time.time()),
            "model": request.model,
        }

    async def respond(self, scope: dict[str, Any], receive: Receive) -> None:
        """Return when the response has ended, or the client is gone. Then the run is over, or stopped."""
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
            await node.current().tasks.run_to_completion(actions.stop(self._asked))

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
        if kind == "pong" and self._request.stream:
            await self._write(": still here\n\n")
        if kind not in _FOLLOWED:
            return
        frame = _decoder.decode(text)
        messages = [message for message in frame.messages if message.run and message.run.id == self._run]
        if frame.run == self._run and frame.message is not None:
            messages.append(frame.message)
        for message in messages:
            await self._replace(message)
        if frame.run != self._run:
            return
        if kind == "run.delta":
            await self._add(frame.text or "", frame.thinking or "")
        elif kind == "run.finished" and frame.message is None:  # it was stopped before it began
            await self._end(_Run(frame.run, frame.status, usage=frame.usage, error=frame.error), "", "")
        elif frame.call is not None and frame.call.status == "awaiting_approval":
            await self._await_approval()

    async def _replace(self, message: _Message) -> None:
        """The whole text so far, and perhaps the end."""
        run = message.run
        if run is None or self._has_ended:
            return
        sent_text, sent_thinking = "".join(self._text), "".join(self._thinking)
        if message.text.startswith(sent_text) and message.thinking.startswith(sent_thinking):
            await self._add(message.text[len(sent_text) :], message.thinking[len(sent_thinking) :])
        elif run.status == "completed":  # a snapshot of an active run may be behind, and a lost run has lost words
            await self._fail(502, "changed", "The answer was changed after a part of it was sent.")
        if run.status == "awaiting_approval":
            await self._await_approval()
        elif run.status not in ("queued", "running"):
            await self._end(run, message.text, message.thinking)

    async def _add(self, text: str, thinking: str) -> None:
        if not self._request.stream or not (text or thinking):
            return  # a whole answer comes with the run's end
        self._text.append(text)
        self._thinking.append(thinking)
        await self._write(self._choice(openai.Delta(content=text, reasoning_content=thinking)))

    # --- The end

    async def _end(self, run: _Run, text: str, thinking: str) -> None:
        if self._has_ended:
            return
        if run.error is not None or run.status in ("failed", "interrupted"):
            failure = run.error or objects.Failure.from_code("internal")
            status = 429 if failure.code == "budget" else 502 if failure.retry_after is None else 503
            await self._fail(status, failure.code, failure.message, failure.retry_after)
            return
        finish: Literal["stop", "length"] = "length" if run.status == "completed" and run.cut_off else "stop"
        usage = openai.CompletionUsage.of(run.usage) if run.usage is not None else None
        if self._request.stream:
            last = self._choice(openai.Delta(), finish)
            options = self._request.stream_options
            if options is not None and options.include_usage and usage is not None:
                last += _event(openai.Chunk(**self._head, choices=[], usage=usage))
            await self._write(f"{last}data: [DONE]\n\n", is_last=True)
        else:
            answer = openai.AnswerMessage(role="assistant", content=text, reasoning_content=thinking)
            choice = openai.Choice(answer, finish)
            await self._send_json(200, openai.Completion(**self._head, choices=[choice], usage=usage))

    async def _await_approval(self) -> None:
        message = "The agent wants to use a tool that needs approval, which can only be given in the chat."
        await self._fail(400, "approval_required", message)

    async def _close(self, code: int | None) -> None:
        """The socket has ended before the run."""
        why = reason(code)
        await self._fail(why.code.http_status, why.code, str(why), why.retry_after)

    async def _fail(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        if self._has_ended:
            return
        error = openai.ErrorBody.of(status, code, message)
        if self._has_started:
            await self._write(_event(error), is_last=True)
        else:
            await self._send_json(status, error, openai.retry_headers(code, retry_after))

    # --- Writing

    def _choice(self, delta: openai.Delta, finish: Literal["stop", "length"] | None = None) -> str:
        return _event(openai.Chunk(**self._head, choices=[openai.ChunkChoice(delta, finish)]))

    async def _write(self, text: str, is_last: bool = False) -> None:
        """Write it with one message to the server, which takes it before it waits for a slow client: the consumer
        cancels what waits for too long, and nothing sends a text again.
        """
        if not self._has_started:
            self._has_started = True
            text = self._choice(openai.Delta(role="assistant")) + text
            await self._send_http({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self._send_body(text.encode(), is_last)

    async def _send_json(self, status: int, content: Struct, more: Mapping[str, str] = MappingProxyType({})) -> None:
        self._has_started = True
        body = msgspec.json.encode(content)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"private, no-store"),
            (b"x-content-type-options", b"nosniff"),
            *((name.lower().encode(), value.encode()) for name, value in more.items()),
        ]
        await self._send_http({"type": "http.response.start", "status": status, "headers": headers})
        await self._send_body(body, is_last=True)

    async def _send_body(self, body: bytes, is_last: bool) -> None:
        if is_last:
            self._has_ended = True
            self._client.disconnect()
        await self._send_http({"type": "http.response.body", "body": body, "more_body": not is_last})


def _event(data: Struct) -> str:
    return f"data: {msgspec.json.encode(data).decode()}\n\n"
