"""Bodies through the OpenAI parser, without a network."""

import itertools
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from chat.engine import EngineError, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.body import Body
from chat.engine.providers.failures import Failures
from chat.engine.providers.openai import OpenAIParser

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
    deltas: list[Any]


def play(pieces: Iterable[bytes]) -> Played:
    """What comes of a body in these pieces."""
    parser = OpenAIParser()
    body = Body(parser, FAILURES)
    rest = itertools.chain(filter(None, pieces), itertools.repeat(b""))
    deltas = []
    while not body.done:
        deltas += body.take(next(rest))
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
        deltas=deltas,
    )


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
