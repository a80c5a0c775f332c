"""A provider that does what the model's name says: `python -m tests.support.upstream PORT`, or `Upstream()` in a
thread of the test. On OpenAI's wire, where a base URL points to http://127.0.0.1:PORT/v1; on Anthropic's, Gemini's and
Ollama's own, where it points to http://127.0.0.1:PORT.

    words        n words (`text(n)` is what they are), then finish_reason, usage and [DONE]
    flowing      words, one every `delay` (20 where none is given), until GET /release; then one more, and the end as of
                 `words`: for what a test does in the middle of an answer, however long that takes
    documented   n deltas of `chars` characters of `document(n * chars)`, one every `delay`
    thinking     n words of thinking, then n words
    tools        a word, then two tool calls in pieces
    agent        a thought and a tool call; if the question has results of tools already, the results as its words
    echo         the last message's text, word by word
    whole        one JSON object, as from a server that does not stream
    deaf         never answers the request
    silent       headers, then nothing
    comments     headers, then comments for ever, one every `delay`
    stall        n words, then nothing
    drone        n words, then comments for ever, one every `delay`
    cut          n words, then the connection is reset
    unfinished   n words, then the body ends as if that were all
    garbage      bytes that are no event stream
    page         a web page
    line         one line of `size` bytes, in an event of its own
    endless      bytes without a line end for ever
    late         n words and finish_reason, then nothing, not even the end of the body
    fails        an error object after n words
    status       the HTTP status `code`, with an error body and `retry_after` where it is given
    told         what the last word of the last question says, which is such a name with its options

Options follow an "@", comma-separated: `words@n=100,delay=5`. n: how many words (20). delay: milliseconds before each
(0). first: milliseconds before the first (0). hold: wait after that many words for GET /release. split: write the body
in pieces of that many bytes. chars: letters added to each word. cut: reset the connection after that many bytes of it.

GET /stats   {"started", "finished", "aborted", "active", "connections", "words", "aborts": [{"model", "at", "words"}]};
             `aborted` are those that the client closed, `at` is time.time() of it, `words` how many had been sent, and
             outside of `aborts` of the one that finished last
GET /last    the last request's path, headers and JSON body
GET /release how many answers wait for this, standing still or flowing; they go on to their end
"""

import asyncio
import contextlib
import json
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, Self, cast


def text(n: int, chars: int = 0) -> str:
    """What `words@n=...` says. Each word is one delta; an emoji now and then, for the bytes."""
    return "".join(_word(i, chars) for i in range(n))


SECTION = """\
## Part {n}: how a wave moves

A wave carries **energy**, not water: what moves is the *shape*. See [the notes](https://example.org/{n}) for more, or
run `wave --speed {n}` yourself. Some sentences follow, so that there is a paragraph of the usual length.

- first point of part {n}, with `code`
- second point, a little **longer** than the first one
  1. something below it
  2. and one more

| quantity | value | unit |
|---|---:|---|
| speed | {n} | m/s |
| height | 2.5 | m |
| period | 8 | s |

```python
def wave_{n}(x: float, t: float) -> float:
    # The height of the water at a place and a time.
    phase = 2 * math.pi * (x / LENGTH - t / PERIOD)
    return HEIGHT / 2 * math.cos(phase) + {n}
```

> Water remembers nothing, but it repeats itself well.

"""


def document(length: int) -> str:
    """A long answer in Markdown, of that many characters; every tenth part is a long piece of code."""
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        n = len(parts) + 1
        code = "".join(f"    total_{i} = wave_{n}({i}, 0.5) * {i}  # the {i}th\n" for i in range(120))
        parts.append(SECTION.format(n=n) if n % 10 else f"```python\ndef all_{n}():\n{code}```\n\n")
    return "".join(parts)[:length]


def _word(i: int, chars: int = 0) -> str:
    return f"w{i}{'🌊' if i % 10 == 9 else ''}{'x' * chars} "


class Gone(Exception):
    """The client has closed the connection."""


class Cut(Exception):
    """We have."""


class Service:
    """The state that all connections of one upstream share."""

    def __init__(self) -> None:
        self.stats: dict[str, Any] = {
            "started": 0, "finished": 0, "aborted": 0, "active": 0, "connections": 0, "words": 0, "aborts": [],
        }  # fmt: skip
        self.last: dict[str, Any] = {}
        self.held: set[Answer] = set()

    async def listen(self, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self), "127.0.0.1", port)


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as is needed. `gone` is set the moment the client closes."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.gone = asyncio.Event()
        self._buffer = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.service.stats["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._next()

    def eof_received(self) -> None:
        self.gone.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def write(self, data: bytes) -> None:
        await self._writable.wait()
        if self.gone.is_set():
            raise Gone
        self.transport.write(data)

    async def pause(self, milliseconds: float) -> None:
        if milliseconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), milliseconds / 1000)
        if self.gone.is_set():
            raise Gone

    async def silence(self) -> None:
        await self.gone.wait()
        raise Gone

    def _next(self) -> None:
        head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = bytearray(rest[length:])
        self._task = asyncio.ensure_future(self._answer(method, path, headers, rest[:length]))

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        try:
            await self._route(method, path, headers, body)
        except (Gone, Cut):
            self.transport.abort()
        finally:
            self._task = None
        self._next()

    async def _route(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        service = self.service
        if path == "/stats":
            return await self.whole(200, service.stats)
        if path == "/last":
            return await self.whole(200, service.last)
        if path == "/release":
            held = len(service.held)
            service.held.clear()
            return await self.whole(200, held)
        wire = next((wire for ending, wire in WIRES.items() if ending in path), None)
        if method != "POST" or wire is None:
            return await self.whole(404, {"error": {"message": f"nothing at {path}"}})
        request = json.loads(body)
        service.last = {"path": path, "headers": headers, "body": request}
        if wire is GeminiAnswer:
            request["model"] = urllib.parse.unquote(path.partition("/models/")[2].partition(":stream")[0])
        name, _, options = request["model"].partition("@")
        if name == "told":
            asked = [message["content"] for message in request["messages"] if message["role"] == "user"]
            name, _, options = asked[-1].split()[-1].partition("@")
        answer = wire(self, request, dict(part.split("=", 1) for part in options.split(",") if "=" in part))
        behaviour = BEHAVIOURS.get(name)
        if behaviour is None:
            error = {"message": f"The model `{name}` does not exist", "code": "model_not_found"}
            return await self.whole(404, {"error": error})
        service.stats["started"] += 1
        service.stats["active"] += 1
        try:
            await behaviour(answer)
            service.stats["finished"] += 1
            service.stats["words"] = answer.words
        except Gone:
            service.stats["aborted"] += 1
            service.stats["aborts"].append({"model": request["model"], "at": time.time(), "words": answer.words})
            raise
        except Cut:
            service.stats["finished"] += 1
            raise
        finally:
            service.stats["active"] -= 1
        return None

    async def whole(
        self, status: int, content: object, headers: str = "", content_type: str = "application/json"
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        await self.write(head.encode() + body)


class Answer:
    """One streamed answer, in the making."""

    def __init__(self, connection: Connection, request: dict[str, Any], options: dict[str, str]) -> None:
        self.connection = connection
        self.request = request
        self.n = int(options.get("n", 20))
        self.delay = float(options.get("delay", 0))
        self.first = float(options.get("first", 0))
        self.hold = int(options["hold"]) if "hold" in options else None
        self.split = int(options.get("split", 0))
        self.chars = int(options.get("chars", 0))
        self.cut = int(options["cut"]) if "cut" in options else None
        self.size = int(options.get("size", 1024 * 1024))
        self.code = int(options.get("code", 500))
        self.retry_after = options.get("retry_after")
        self.words = 0

    async def begin(self, content_type: str = "text/event-stream") -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        await self.connection.write(head.encode())
        await self.connection.pause(self.first)

    async def raw(self, data: bytes) -> None:
        if self.cut is not None:
            data, self.cut = data[: self.cut], self.cut - len(data)
        for start in range(0, len(data), self.split or len(data)):
            piece = data[start : start + self.split] if self.split else data
            await self.connection.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if self.cut is not None and self.cut <= 0:
            raise Cut

    async def data(self, chunk: object) -> None:
        await self.raw(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")

    async def choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        await self.data({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.request["model"],
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        })  # fmt: skip

    async def say(self, words: list[str], field: str = "content") -> None:
        for word in words:
            if self.words == self.hold:
                await self.wait()
            await self.connection.pause(self.delay)
            await self.choice({field: word})
            self.words += 1

    async def wait(self) -> None:
        held = self.connection.service.held
        held.add(self)
        try:
            while self in held:
                await self.connection.pause(10)
        finally:
            held.discard(self)

    async def say_words(self) -> None:
        await self.say([_word(i, self.chars) for i in range(self.n)])

    async def finish(self, finish_reason: str = "stop") -> None:
        await self.choice({}, finish_reason)
        if (self.request.get("stream_options") or {}).get("include_usage"):
            asked = self.asked()
            usage = {"prompt_tokens": asked, "completion_tokens": self.words, "total_tokens": asked + self.words}
            await self.data({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        await self.raw(b"data: [DONE]\n\n")
        await self.end()

    async def end(self) -> None:
        await self.connection.write(b"0\r\n\r\n")

    def asked(self) -> int:
        return sum(len(str(message["content"]).split()) for message in self.request["messages"])

    def question(self) -> str:
        return str(self.request["messages"][-1]["content"])

    def results(self) -> list[str]:
        """What tools gave since the last turn of the model."""
        found: list[str] = []
        for message in self.request["messages"]:
            found = [] if message["role"] == "assistant" else found
            found += [message["content"]] if message["role"] == "tool" else []
        return found


class AnthropicAnswer(Answer):
    """The same deltas as events of Anthropic's wire."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.block = ""
        self.index = -1

    async def event(self, kind: str, **fields: object) -> None:
        await self.raw(b"event: %s\n" % kind.encode())
        await self.data({"type": kind, **fields})

    async def begin(self, content_type: str = "text/event-stream") -> None:
        await super().begin(content_type)
        usage = {"input_tokens": self.asked(), "cache_read_input_tokens": 0, "output_tokens": 1}
        await self.event("message_start", message={"role": "assistant", "content": [], "usage": usage})

    async def open(self, kind: str, **block: object) -> None:
        if self.block == "thinking":
            await self.delta("signature_delta", signature="signed-thought")
        if self.block:
            await self.event("content_block_stop", index=self.index)
        self.block = kind
        self.index += 1
        if kind:
            await self.event("content_block_start", index=self.index, content_block={"type": kind, **block})

    async def delta(self, kind: str, **fields: str) -> None:
        await self.event("content_block_delta", index=self.index, delta={"type": kind, **fields})

    async def choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        for field, kind in (("reasoning_content", "thinking"), ("content", "text")):
            if delta.get(field):
                if self.block != kind:
                    await self.open(kind, **{kind: ""})
                await self.delta(f"{kind}_delta", **{kind: delta[field]})
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                await self.open("tool_use", id=f"tool_{call['id']}", name=call["function"]["name"], input={})
            await self.delta("input_json_delta", partial_json=call["function"]["arguments"])

    async def finish(self, finish_reason: str = "stop") -> None:
        await self.open("")
        reason = {"stop": "end_turn", "tool_calls": "tool_use"}[finish_reason]
        await self.event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": self.words})
        await self.event("message_stop")
        await self.end()

    def asked(self) -> int:
        return sum(len(self.text(block).split()) for turn in self.request["messages"] for block in turn["content"])

    def question(self) -> str:
        return self.text(self.request["messages"][-1]["content"][-1])

    def results(self) -> list[str]:
        return [block["content"] for block in self.request["messages"][-1]["content"] if block["type"] == "tool_result"]

    def text(self, block: dict[str, Any]) -> str:
        return str(block.get("text", ""))


class GeminiAnswer(Answer):
    """The same deltas as chunks of Gemini's wire, where a call comes whole."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[dict[str, Any]] = []

    async def parts(self, *parts: dict[str, Any], **fields: object) -> None:
        await self.data({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0} | fields]})

    async def choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        if delta.get("reasoning_content"):
            await self.parts({"text": delta["reasoning_content"], "thought": True})
        if delta.get("content"):
            await self.parts({"text": delta["content"]})
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                self.calls.append({"name": call["function"]["name"], "arguments": ""})
            self.calls[-1]["arguments"] += call["function"]["arguments"]

    async def finish(self, finish_reason: str = "stop") -> None:
        for call in self.calls:
            whole = {"name": call["name"], "args": json.loads(call["arguments"])}
            await self.parts({"functionCall": whole, "thoughtSignature": "signed-call"})
        asked = self.asked()
        usage = {"promptTokenCount": asked, "candidatesTokenCount": self.words, "totalTokenCount": asked + self.words}
        await self.data({
            "candidates": [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}], "usageMetadata": usage,
        })  # fmt: skip
        await self.end()

    def asked(self) -> int:
        return sum(len(part.get("text", "").split()) for turn in self.request["contents"] for part in turn["parts"])

    def question(self) -> str:
        return str(self.request["contents"][-1]["parts"][-1].get("text", ""))

    def results(self) -> list[str]:
        parts = self.request["contents"][-1]["parts"]
        return [part["functionResponse"]["response"].get("output", "") for part in parts if "functionResponse" in part]


class OllamaAnswer(GeminiAnswer):
    """The same deltas as lines of Ollama's own wire."""

    async def data(self, chunk: object) -> None:
        await self.raw(json.dumps(chunk, ensure_ascii=False).encode() + b"\n")

    async def parts(self, *parts: dict[str, Any], **fields: object) -> None:
        for part in parts:
            said = {"content": ""} | ({"thinking": part["text"]} if "thought" in part else {"content": part["text"]})
            await self.data({"model": "m", "message": {"role": "assistant"} | said, "done": False})

    async def finish(self, finish_reason: str = "stop") -> None:
        calls = [
            {"function": {"name": call["name"], "arguments": json.loads(call["arguments"])}} for call in self.calls
        ]
        last: dict[str, Any] = {"message": {"role": "assistant", "content": "", "tool_calls": calls}, "done": True}
        await self.data(last | {"done_reason": "stop", "prompt_eval_count": self.asked(), "eval_count": self.words})
        await self.end()

    asked = Answer.asked
    question = Answer.question
    results = Answer.results


WIRES: dict[str, type[Answer]] = {
    "/chat/completions": Answer,
    "/v1/messages": AnthropicAnswer,
    ":streamGenerateContent": GeminiAnswer,
    "/api/chat": OllamaAnswer,
}


async def words(answer: Answer) -> None:
    await answer.begin()
    await answer.choice({"role": "assistant", "content": ""})
    await answer.say_words()
    await answer.finish()


async def flowing(answer: Answer) -> None:
    held = answer.connection.service.held
    await answer.begin()
    await answer.choice({"role": "assistant", "content": ""})
    held.add(answer)
    try:
        released = False
        while not released:
            released = answer not in held
            await answer.connection.pause(answer.delay or 20)
            await answer.choice({"content": _word(answer.words, answer.chars)})
            answer.words += 1
    finally:
        held.discard(answer)
    await answer.finish()


async def documented(answer: Answer) -> None:
    text = document(answer.n * answer.chars)
    await answer.begin()
    begun = time.monotonic()
    for i in range(answer.n):
        await answer.connection.pause((begun - time.monotonic()) * 1000 + i * answer.delay)
        await answer.choice({"content": text[i * answer.chars : (i + 1) * answer.chars]})
        answer.words += 1
    await answer.finish()


async def thinking(answer: Answer) -> None:
    await answer.begin()
    await answer.say([f"t{i} " for i in range(answer.n)], field="reasoning_content")
    await answer.say_words()
    await answer.finish()


async def tools(answer: Answer) -> None:
    await answer.begin()
    await answer.say(["Looking. "])
    for index, city in enumerate(("Oslo", "Rome")):
        call = {"index": index, "id": f"call_{index}", "type": "function"}
        await answer.choice({"tool_calls": [call | {"function": {"name": "weather", "arguments": ""}}]})
        for piece in ('{"city": ', f'"{city}"', "}"):
            await answer.connection.pause(answer.delay)
            await answer.choice({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    await answer.finish("tool_calls")


async def agent(answer: Answer) -> None:
    await answer.begin()
    if results := answer.results():
        await answer.say([f"{result} " for result in results])
        return await answer.finish()
    detail = {"type": "reasoning.text", "text": "Hm. ", "index": 0}
    await answer.choice({"reasoning_content": "Hm. ", "reasoning_details": [detail]})
    await answer.choice({"reasoning_details": [{"type": "reasoning.text", "signature": "signed-detail", "index": 0}]})
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "weather", "arguments": ""}}
    await answer.choice({"tool_calls": [call]})
    await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Oslo"}'}}]})
    await answer.finish("tool_calls")
    return None


async def echo(answer: Answer) -> None:
    await answer.begin()
    await answer.say([f"{word} " for word in answer.question().split(" ")])
    await answer.finish()


async def whole(answer: Answer) -> None:
    message = {"role": "assistant", "content": text(answer.n)}
    await answer.connection.pause(answer.delay)
    await answer.connection.whole(200, {
        "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": answer.n, "total_tokens": answer.n + 1},
    })  # fmt: skip


async def deaf(answer: Answer) -> None:
    await answer.connection.silence()


async def silent(answer: Answer) -> None:
    await answer.begin()
    await answer.connection.silence()


async def comments(answer: Answer) -> None:
    await answer.begin()
    while True:
        await answer.raw(b": still there\n\n")
        await answer.connection.pause(answer.delay or 10)


async def stall(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.connection.silence()


async def drone(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    while True:
        await answer.raw(b": still there\n\n")
        await answer.connection.pause(answer.delay or 10)


async def cut(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    answer.connection.transport.abort()


async def unfinished(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.end()


async def garbage(answer: Answer) -> None:
    await answer.begin()
    await answer.raw(bytes(range(256)) * 20)
    await answer.end()


async def page(answer: Answer) -> None:
    await answer.connection.whole(200, b"<!doctype html><title>Welcome</title><p>Hello", content_type="text/html")


async def line(answer: Answer) -> None:
    await answer.begin()
    await answer.choice({"content": "begun"})
    await answer.raw(b"data: ")
    for _ in range(answer.size // 65536):
        await answer.raw(b"x" * 65536)
        await asyncio.sleep(0)
    await answer.raw(b"\n\n")
    await answer.finish()


async def endless(answer: Answer) -> None:
    await answer.begin()
    while True:
        await answer.raw(b"x" * 65536)
        await asyncio.sleep(0)


async def late(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.choice({}, "stop")
    await answer.raw(b"data: [DONE]\n\n")
    await answer.connection.silence()


async def fails(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.data({"error": {"message": "The engine ran out of steam", "type": "server_error", "code": 502}})
    await answer.end()


async def status(answer: Answer) -> None:
    headers = f"retry-after: {answer.retry_after}\r\n" if answer.retry_after else ""
    error = {"message": f"Refused with {answer.code}", "type": "test_error", "code": None}
    await answer.connection.whole(answer.code, {"error": error}, headers)


BEHAVIOURS: dict[str, Callable[[Answer], Awaitable[None]]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        words, flowing, documented, thinking, tools, agent, echo, whole, deaf,
        silent, comments, stall, drone, cut, unfinished, garbage,
        page, line, endless, late, fails, status,
    )
}  # fmt: skip


class Upstream:
    """An upstream in a thread of this process, on a free port. A context manager."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._service = Service()
        server = self._loop.run_until_complete(self._service.listen(0))
        self.port = server.sockets[0].getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bare_url(self) -> str:
        """For wires whose base URL comes without a `/v1`."""
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, Any]:
        return self._get("/stats")

    def last(self) -> dict[str, Any]:
        return self._get("/last")

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


async def main(port: int) -> None:
    server = await Service().listen(port)
    print(f"an upstream is at http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
