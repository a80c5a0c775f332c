"""A provider that streams at a steady pace, with OpenAI's API: `python -m tests.benchmarks.upstream PORT`.

It is lean, so that 50 streams of 50 deltas per second leave the machine to the servers under test. The last message's
text is the Order (wire.py). It may order a call of `create_document` instead of an answer; the result of that call gets
an answer of a word.

GET /streams   {"streams": {stream: {"received", "first", "closed", "sent", "digest"}}, "late_ms": p99 of how late the
               deltas left}, since the last report; times are of the monotonic clock, `closed` is the client's hang-up
"""

import asyncio
import hashlib
import json
import sys
import time
from typing import Any, cast

import uvloop

from .measure import percentile
from .wire import Order, parse, token

# A chunk as a real provider sends it, around the text of the delta.
_BEFORE, _AFTER = (
    json.dumps(
        {
            "id": "chatcmpl-CkT0o1pQm2VbXr7yZs9dLw4uNf8aE",
            "object": "chat.completion.chunk",
            "created": 1793530000,
            "model": "bench",
            "service_tier": "default",
            "system_fingerprint": "fp_51e1070cf2",
            "choices": [{"index": 0, "delta": "@", "logprobs": None, "finish_reason": None}],
            "usage": None,
        },
        separators=(",", ":"),
    )
    .encode()
    .split(b'"@"')
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_BLOCK = 50  # deltas per write of an unpaced stream


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunk(delta: bytes) -> bytes:
    return _http_chunk(b"data: " + _BEFORE + delta + _AFTER + b"\n\n")


def _delta(text: str) -> bytes:
    return _chunk(b'{"content":"%b"}' % text.encode())


def _arguments(text: bytes, call: bytes = b"", name: bytes = b"") -> bytes:
    """A piece of the arguments of a call; `text` is escaped as inside a JSON string. `call` and `name` belong to the
    first piece.
    """
    return _chunk(b'{"tool_calls":[{"index":0,%b"function":{%b"arguments":"%b"}}]}' % (call, name, text))


def _end(deltas: int, reason: str = "stop") -> bytes:
    usage = {"prompt_tokens": 10, "completion_tokens": deltas, "total_tokens": deltas + 10}
    stop = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}
    return _http_chunk(f"data: {json.dumps(stop)}\n\n".encode()) + _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Service:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.streams: dict[str, dict[str, Any]] = {}
        self.late: list[float] = []

    def take_report(self) -> dict[str, Any]:
        report = {"streams": self.streams, "late_ms": percentile(self.late, 99)}
        self.streams, self.late = {}, []
        return report


class Connection(asyncio.Protocol):
    """A minimal HTTP/1.1 server connection with keep-alive."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) < int(length.split(b"\r\n")[0] or 0):
            return
        self._buffer = b""
        if head.startswith(b"GET"):
            report = json.dumps(self._service.take_report()).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(report), report))
            return
        last = json.loads(body)["messages"][-1]
        if last["role"] == "tool":
            self.transport.write(_HEAD + _delta("Done.") + _end(1))
            return
        order = parse(last["content"])
        self._stream = Stream(order, self.transport, self._service, self._loop)
        self._stream.begin()

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._stream.writable = True
            self._stream.pour()

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.writable = False

    def eof_received(self) -> None:
        self._hung_up()

    def connection_lost(self, error: Exception | None) -> None:
        self._hung_up()

    def _hung_up(self) -> None:
        if self._stream is not None:
            self._stream.close()


class Stream:
    """One answer."""

    def __init__(
        self, order: Order, transport: asyncio.Transport, service: Service, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.writable = True
        self._order = order
        self._transport = transport
        self._late = service.late
        self._loop = loop
        self._digest = hashlib.sha256()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self.facts: dict[str, Any] = {"received": time.monotonic(), "first": None, "closed": None, "sent": 0}
        service.streams[order.stream] = self.facts

    def begin(self) -> None:
        self._transport.write(_HEAD)
        if self._order.document:
            title = b'{\\"title\\":\\"%b\\",\\"text\\":\\"' % self._order.stream.encode()
            self._transport.write(_arguments(title, b'"id":"call_1","type":"function",', b'"name":"create_document",'))
        self.facts["first"] = time.monotonic()
        if self._order.rate:
            self._begun = self._loop.time()
            self._send_delta()
        else:
            self._block = _delta("x" * (self._order.chars - 1) + " ") * _BLOCK
            self.pour()

    def _send_delta(self) -> None:
        sent = self.facts["sent"]
        if sent == self._order.deltas:
            self._finish()
            return
        due = self._begun + sent / self._order.rate
        self._late.append((self._loop.time() - due) * 1000)
        text = token(self._order.chars)
        self._transport.write(_arguments(text.encode()) if self._order.document else _delta(text))
        self._digest.update(text.encode())
        self.facts["sent"] = sent + 1
        self._timer = self._loop.call_at(self._begun + (sent + 1) / self._order.rate, self._send_delta)

    def pour(self) -> None:
        """Write as fast as the reader takes it. The number of deltas must be a multiple of _BLOCK."""
        while not self._over and not self._order.rate and self.writable:
            if self.facts["sent"] >= self._order.deltas:
                self._finish()
                return
            self._transport.write(self._block)
            self.facts["sent"] += _BLOCK

    def _finish(self) -> None:
        self._over = True
        self.facts["digest"] = self._digest.hexdigest()
        if self._order.document:
            self._transport.write(_arguments(b'\\"}') + _end(self._order.deltas, "tool_calls"))
        else:
            self._transport.write(_end(self._order.deltas))

    def close(self) -> None:
        if self._over:
            return
        self._over = True
        self.facts["closed"] = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()


async def main(port: int) -> None:
    service = Service()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
