"""Response bodies: builders for OpenAI's wire, and `decode`, which parses a body of any wire without a network."""

import itertools
import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from chat.engine import Replay, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.errors import ProviderErrors
from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.parser import Parser
from chat.engine.providers.response_decoder import ResponseDecoder

ERRORS = ProviderErrors("openai", "gpt-4o", "https://api.example/v1", "OPENAI_API_KEY", "sk-the-key-itself")


class Decoded(NamedTuple):
    """What a body was decoded to. `code` and `detail` are those of its error, if there was one."""

    text: str
    thinking: str
    calls: list[ToolCall]
    finish_reason: str | None
    usage: Usage | None
    refusal: str
    code: str | None
    detail: str
    replay: Replay | None
    deltas: list[Any]


def decode(
    chunks: Iterable[bytes], make_parser: Callable[[], Parser[Any]] = OpenAIParser, max_bytes: int = 8 * 1024 * 1024
) -> Decoded:
    """Decode a body that comes in these chunks. Generated call ids, which are random, become "generated"."""
    parser = make_parser()
    decoder = ResponseDecoder(parser, ERRORS, max_bytes)
    rest = itertools.chain(filter(None, chunks), itertools.repeat(b""))
    deltas = []
    while not decoder.done:
        deltas += decoder.decode(next(rest))
    deltas = [_with_stable_id(delta) if isinstance(delta, ToolCall) else delta for delta in deltas]
    completion = parser.completion()
    return Decoded(
        text="".join(delta.text for delta in deltas if isinstance(delta, TextDelta)),
        thinking="".join(delta.text for delta in deltas if isinstance(delta, ThinkingDelta)),
        calls=[delta for delta in deltas if isinstance(delta, ToolCall)],
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        refusal=completion.refusal,
        code=decoder.error.code if decoder.error else None,
        detail=decoder.error.detail if decoder.error else "",
        replay=completion.replay,
        deltas=deltas,
    )


def _with_stable_id(call: ToolCall) -> ToolCall:
    return msgspec.structs.replace(call, id=re.sub("^[0-9a-f]{9}$", "generated", call.id))


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """The body in chunks, cut at these places. Those beyond its end do not count."""
    bounds = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def cut_everywhere(body: bytes) -> list[bytes]:
    """The body in chunks of one byte."""
    return [body[index : index + 1] for index in range(len(body))]


def sse(*chunks: object, done: bool = True) -> bytes:
    """A body of server-sent events. Bytes among the chunks are not encoded."""
    lines = [c if isinstance(c, bytes) else b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks]
    return b"".join([*lines, b"data: [DONE]\n\n" if done else b""])


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def call(index: int | None = 0, **fields: Any) -> dict[str, Any]:
    """A chunk with a piece of a tool call: id, name, arguments."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    piece = {**fields, "function": function} | ({} if index is None else {"index": index})
    return delta(tool_calls=[piece])


STOP = delta("stop")
