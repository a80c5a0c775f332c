"""Records a run: its exchanges with providers, byte by byte, and when what happened. `nous_ask --record` writes the
last exchange to files that replay.py plays; the chat keeps whole recordings for the run inspector.

http_provider.py and retry.py fill the Recording of their context, if there is one. The run's caller may add to it.

An exchange is two files: NAME.sse, the body as it was received, and NAME.json, its metadata and the result that
replaying it must give. NAME.json holds provider, model, wire ("openai", "anthropic", "gemini", "ollama"), mode
("stream", "http-error"), status, headers (only those about the format and rate limits), request (the JSON that was
sent), url_path, body_bytes, body_sha256, fidelity, verified_by, and expected: text, thinking, tool_calls,
finish_reason, refusal, usage, error.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from ..exceptions import EngineError, mask
from ..messages import Result

recording: ContextVar["Recording | None"] = ContextVar("recording", default=None)
"""The Recording of what happens in this context, if there is one."""

MAX_BYTES = 2 * 1024 * 1024
"""How many bytes of requests and answers a bounded recording holds: the newest ones. That is an answer of about 8,000
tokens, of which most providers make some 250 bytes each.
"""

MAX_MOMENTS = 1000
"""How many moments a bounded recording holds: the first ones."""

MAX_PIECES = 5000
"""How many pieces of moments a bounded recording holds. Further ones are only counted."""

MAX_PIECE_CHARS = 256 * 1024
"""The same for the characters of all pieces."""

MAX_STRING, SHOWN_OF_LONGER = 50_000, 1000
"""The longest string of a request that a bounded recording holds whole, such as a message, and how much it holds of a
longer one, such as a picture. In characters.
"""

_RECORDED_HEADERS = re.compile(r"content-type|cache-control|transfer-encoding|retry-after.*|(x|anthropic)-ratelimit-.*")


class Moment(msgspec.Struct, omit_defaults=True):
    """Something that happened in a run, or `count` things of one kind in a row, of which `pieces` holds the time and
    the text of each. Times are seconds since the recording began.
    """

    at: float
    kind: str
    facts: dict[str, Any] = {}
    until: float = 0
    count: int = 0
    size: int = 0
    """How much the pieces are together, in characters or bytes."""
    pieces: list[tuple[float, str]] = []


class RecordedExchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """An exchange to keep. Nothing in it holds the provider's key."""

    metadata: dict[str, Any]
    body: str = ""
    """The body as text, or in Base64 if it is no UTF-8."""
    is_base64: bool = False
    left_out: Literal["", "size", "key"] = ""
    """Why the body is not there: it is too large, or holds the key in pieces that cannot be masked."""

    @property
    def can_be_replayed(self) -> bool:
        return not self.left_out and self.metadata["status"] is not None

    def read_body(self) -> bytes:
        return base64.b64decode(self.body) if self.is_base64 else self.body.encode()

    def files(self, result: Result, error: EngineError | None) -> tuple[bytes, bytes]:
        """The contents of NAME.sse and of NAME.json. `result` and `error` are what replaying must give."""
        body = self.read_body()
        metadata = self.metadata | {
            "expected": _expected(result, error),
            "fidelity": "as received; only keys are masked",
            "verified_by": "nous_chat's own parser",
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        return body, msgspec.json.format(msgspec.json.encode(metadata), indent=1) + b"\n"


class RecordedRun(msgspec.Struct, frozen=True):
    """A recording to keep. `began_at` is Unix time, `left_out` how many moments it lacks."""

    began_at: float
    moments: list[Moment]
    exchanges: list[RecordedExchange]
    left_out: int = 0


class Exchange:
    """A request to a provider, and its answer as it comes. Made by `Recording.begin_exchange`."""

    def __init__(self, tape: "Recording", number: int, metadata: dict[str, Any], request_size: int, key: str) -> None:
        self._tape = tape
        self._number = number
        self._metadata = metadata
        self._key = key
        self._is_whole = True
        self._request_size = self.size = request_size
        """In bytes, of the request and of the answer so far."""
        self.chunks: list[bytes] = []
        """The body, in the chunks in which it was read."""
        self.key_in_pieces = False
        """The answer contains the key in several pieces, which cannot be masked in the body."""

    def add_response(self, status: int, headers: Mapping[str, str]) -> None:
        self._metadata["status"] = status
        self._metadata["mode"] = "stream" if 200 <= status < 300 else "http-error"
        self._metadata["headers"] = {
            name.lower(): value for name, value in headers.items() if _RECORDED_HEADERS.fullmatch(name.lower())
        }
        self._tape.note("response", exchange=self._number, status=status)

    def add_chunk(self, chunk: bytes) -> None:
        if not chunk:
            return
        self._tape.add("received", str(len(chunk)), len(chunk))
        if self._is_whole and self._tape.make_room(self, len(chunk)):
            self.chunks.append(chunk)

    def drop_body(self) -> None:
        """Forget the answer, which is too large for the recording."""
        self._is_whole = False
        self.chunks, self.size = [], self._request_size

    def drop(self) -> None:
        """Forget the request, too."""
        self._metadata["request"], self._request_size = None, 0
        self.drop_body()

    def freeze(self) -> RecordedExchange:
        """As it is kept. Takes milliseconds if the request is long."""
        metadata = self._metadata | {"request": _masked(self._metadata["request"], self._key)}
        if self.key_in_pieces or not self._is_whole:
            return RecordedExchange(metadata, left_out="key" if self.key_in_pieces else "size")
        body = self._body()
        try:
            return RecordedExchange(metadata, body.decode())
        except UnicodeDecodeError:
            return RecordedExchange(metadata, base64.b64encode(body).decode(), is_base64=True)

    def _body(self) -> bytes:
        """Providers quote keys in errors, sometimes shortened, so in an error everything that looks like a key is
        masked. In an answer only the key itself is: a similar string may be a signature."""
        body = b"".join(self.chunks)
        if self._metadata["status"] != 200:
            return mask(body.decode("utf-8", "surrogateescape"), self._key).encode("utf-8", "surrogateescape")
        return body.replace(self._key.encode(), b"***") if len(self._key) > 3 else body


class Recording:
    """What happens in a run from now on. `bounded` limits its memory, for runs of anybody."""

    def __init__(self, *, bounded: bool = False) -> None:
        self.exchanges: list[Exchange] = []
        self._moments: list[Moment] = []
        self._open: dict[str, Moment] = {}
        """The moments that further pieces of their kinds belong to."""
        self._bounded = bounded
        self._left_out = self._pieces = self._piece_chars = 0
        self._began_at, self._start = time.time(), time.perf_counter()

    def note(self, kind: str, **facts: Any) -> None:
        """Something happens. Later pieces begin new moments, so that the order can be seen."""
        self._open.clear()
        self.note_aside(kind, **facts)

    def note_aside(self, kind: str, **facts: Any) -> None:
        """Something happens that has nothing to do with what comes in pieces."""
        self._append(Moment(self._now(), kind, facts))

    def add(self, kind: str, text: str, size: int | None = None) -> None:
        """One of many things of a kind happens. `size` is that of the text, unless it is given."""
        at = self._now()
        moment = self._open.get(kind)
        if moment is None:
            moment = self._open[kind] = Moment(at, kind, pieces=[])
            self._append(moment)
        moment.until = at
        moment.count += 1
        moment.size += len(text) if size is None else size
        self._pieces += 1
        self._piece_chars += len(text)
        if not self._bounded or (self._pieces <= MAX_PIECES and self._piece_chars <= MAX_PIECE_CHARS):
            moment.pieces.append((at, text))

    def begin_exchange(self, provider: str, model: str, wire: str, url: str, body: bytes, key: str) -> Exchange:
        """A request is sent."""
        parts = urlsplit(url)
        request, size = msgspec.json.decode(body), len(body)
        if self._bounded and size > MAX_STRING:
            request = _shorten(request)
            size = len(msgspec.json.encode(request))
        metadata = {
            "provider": provider,
            "model": model,
            "wire": wire,
            "mode": "stream",
            "status": None,
            "headers": {},
            "request": request,
            "url_path": mask(f"{parts.path}?{parts.query}" if parts.query else parts.path, key),
        }
        number = len(self.exchanges)
        exchange = Exchange(self, number, metadata, size, key)
        self.exchanges.append(exchange)
        address = mask(f"{parts.scheme}://{parts.netloc}{parts.path}", key)
        self.note("request", exchange=number, model=f"{provider}:{model}", address=address, bytes=len(body))
        if not self.make_room(exchange, 0):
            exchange.drop()
        return exchange

    def make_room(self, exchange: Exchange, size: int) -> bool:
        """Whether an exchange may hold so many bytes more. Older ones lose their contents for it."""
        exchange.size += size
        if not self._bounded:
            return True
        for oldest in self.exchanges:
            if sum(each.size for each in self.exchanges) <= MAX_BYTES:
                return True
            if oldest is not exchange:
                oldest.drop()
        if exchange.size <= MAX_BYTES:
            return True
        exchange.drop_body()
        return False

    def freeze(self) -> RecordedRun:
        """As it is kept, without keys. Takes milliseconds if there is much."""
        for moment in self._moments:
            moment.facts = _masked(moment.facts, "")
        exchanges = [exchange.freeze() for exchange in self.exchanges]
        return RecordedRun(self._began_at, self._moments, exchanges, self._left_out)

    def write(self, path: Path, result: Result, error: EngineError | None = None) -> Path:
        """Write both files of the last exchange, named after `path`. Returns the path of the body. Raises OSError, and
        ValueError if nothing was recorded, or if the key cannot be masked."""
        exchange = self.exchanges[-1].freeze() if self.exchanges else None
        if exchange is None or exchange.metadata["status"] is None:
            raise ValueError("nothing was sent over HTTP, or nothing came back")
        if exchange.left_out:
            raise ValueError("the answer contains the key, in pieces that cannot be masked")
        name = path.with_suffix("") if path.suffix in (".sse", ".json") else path
        body, metadata = exchange.files(result, error)
        name.parent.mkdir(parents=True, exist_ok=True)
        file = name.with_name(f"{name.name}.sse")
        file.write_bytes(body)
        name.with_name(f"{name.name}.json").write_bytes(metadata)
        return file

    def _append(self, moment: Moment) -> None:
        if self._bounded and len(self._moments) >= MAX_MOMENTS:
            self._left_out += 1
        else:
            self._moments.append(moment)

    def _now(self) -> float:
        return round(time.perf_counter() - self._start, 4)


def note(kind: str, **facts: Any) -> None:
    """Something happens in the run of this context, if it is recorded."""
    if (tape := recording.get()) is not None:
        tape.note(kind, **facts)


def encode(run: RecordedRun) -> str:
    """A recording as text. A lone surrogate, which UTF-8 cannot hold, becomes a question mark."""
    try:
        return msgspec.json.encode(run).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(run), ensure_ascii=False).encode("utf-8", "replace").decode()


def decode(text: str) -> RecordedRun:
    """The opposite of `encode`. Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=RecordedRun)


def _shorten(value: Any) -> Any:
    """Without what is too long, such as pictures."""
    if isinstance(value, str):
        left_out = len(value) - SHOWN_OF_LONGER
        return value if len(value) <= MAX_STRING else f"{value[:SHOWN_OF_LONGER]}… ({left_out:,} more characters)"
    if isinstance(value, dict):
        return {name: _shorten(inner) for name, inner in value.items()}
    return [_shorten(inner) for inner in value] if isinstance(value, list) else value


def _masked(value: Any, key: str) -> Any:
    if isinstance(value, str):
        return mask(value, key)
    if isinstance(value, dict):
        return {name: _masked(inner, key) for name, inner in value.items()}
    return [_masked(inner, key) for inner in value] if isinstance(value, list) else value


def _expected(result: Result, error: EngineError | None) -> dict[str, Any]:
    return {
        "text": result.text,
        "thinking": result.thinking,
        "tool_calls": [
            {"id": call.received_id, "name": call.name, "arguments": call.arguments, "arguments_raw": call.raw}
            for call in result.tool_calls
        ],
        "finish_reason": result.finish_reason,
        "refusal": result.refusal,
        "usage": result.usage,
        "error": error and {"code": error.code, "message": error.message},
    }
