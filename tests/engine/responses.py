"""Bodies through a parser, OpenAI's where none is named, without a network."""

import itertools
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from chat.engine import EngineError, Replay, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.errors import Failures
from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.parser import Parser
from chat.engine.providers.response_decoder import Body

FAILURES = Failures("openai", "gpt-4o", "https://api.example/v1", "OPENAI_API_KEY", "sk-the-key-itself")


class Played(NamedTuple):
    text: str
    thinking: str
    calls: list[ToolCall]
    finish_reason: str | None
    usage: Usage | None
    refusal: str
    code: str | None
    message: str | None
    replay: Replay | None
    deltas: list[Any]


def play(pieces: Iterable[bytes], make: Callable[[], Parser] = OpenAIParser) -> Played:
    """What comes of a body in these pieces. Ids of our making, which are random, become "made-up"."""
    parser = make()
    body = Body(parser, FAILURES)
    rest = itertools.chain(filter(None, pieces), itertools.repeat(b""))
    deltas = []
    while not body.done:
        deltas += body.take(next(rest))
    deltas = [_named(delta) if isinstance(delta, ToolCall) else delta for delta in deltas]
    end = parser.completion()
    failure: EngineError | None = body.failure
    return Played(
        text="".join(d.text for d in deltas if isinstance(d, TextDelta)),
        thinking="".join(d.text for d in deltas if isinstance(d, ThinkingDelta)),
        calls=[d for d in deltas if isinstance(d, ToolCall)],
        finish_reason=end.finish_reason,
        usage=end.usage,
        refusal=end.refusal,
        code=failure and failure.code,
        message=failure and failure.message,
        replay=end.replay,
        deltas=deltas,
    )


def _named(call: ToolCall) -> ToolCall:
    return msgspec.structs.replace(call, id=re.sub("^[0-9a-f]{9}$", "made-up", call.id))


def sse(*chunks: object, done: bool = True) -> bytes:
    """Chunks as a body; bytes among them stay as they are."""
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
