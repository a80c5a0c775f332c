"""What an answer costs that comes in many pieces: CPU time grows with its length and no faster."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chat.engine.limits import Limits
from chat.engine.providers.anthropic import AnthropicParser
from chat.engine.providers.gemini import GeminiParser
from chat.engine.providers.ollama import OllamaParser
from chat.engine.providers.openai import OpenAIParser

from . import responses

Pieces = Callable[[int, str], list[Any]]


def _delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [part]}}]}


def _block(index: int, piece: str) -> list[Any]:
    delta = {"type": "input_json_delta", "partial_json": piece}
    return [{"type": "content_block_delta", "index": index, "delta": delta}]


def thoughts(number: int, piece: str) -> list[Any]:
    return [_delta(content="<think>"), *[_delta(content=f"{piece}<")] * number]


def refusal(number: int, piece: str) -> list[Any]:
    return [_delta(refusal=piece)] * number


def encrypted_thoughts(number: int, piece: str) -> list[Any]:
    return [_delta(reasoning_details=[{"type": "reasoning.encrypted", "data": piece}])] * number


def arguments(number: int, piece: str) -> list[Any]:
    begin = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":"'}}
    more = {"index": 0, "function": {"arguments": piece}}
    return [_delta(tool_calls=[begin]), *[_delta(tool_calls=[more])] * number]


def calls(number: int, piece: str) -> list[Any]:
    made = json.dumps({"a": piece})
    return [
        _delta(tool_calls=[{"index": i, "id": f"c{i}", "function": {"name": "f", "arguments": made}}])
        for i in range(number)
    ]


def calls_without_marks(number: int, piece: str) -> list[Any]:
    return [_delta(tool_calls=[{"function": {"name": "f", "arguments": piece}}])] * number


def anthropic_arguments(number: int, piece: str) -> list[Any]:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {}}}
    return [start, {"type": "content_block_start", "index": 0, "content_block": block}, *_block(0, piece) * number]


def gemini_calls(number: int, piece: str) -> list[Any]:
    return [_part({"functionCall": {"name": "f", "args": {"a": piece}}})] * number


def gemini_strings(number: int, piece: str) -> list[Any]:
    sent = [{"jsonPath": "$.a", "stringValue": piece}]
    return [_part({"functionCall": {"name": "f", "partialArgs": sent, "willContinue": True}})] * number


def gemini_fields(number: int, piece: str) -> list[Any]:
    return [
        _part({"functionCall": {"name": "f", "args": {f"a{i}": piece}, "willContinue": True}}) for i in range(number)
    ]


def ollama_calls(number: int, piece: str) -> list[Any]:
    called = {"function": {"name": "f", "arguments": {"a": piece}}}
    return [{"message": {"role": "assistant", "content": "", "tool_calls": [called]}, "done": False}] * number


WIRES: list[tuple[Pieces, Any]] = [
    (thoughts, OpenAIParser),
    (refusal, OpenAIParser),
    (encrypted_thoughts, lambda: OpenAIParser("openrouter", "reasoning_details")),
    (arguments, OpenAIParser),
    (calls, OpenAIParser),
    (calls_without_marks, OpenAIParser),
    (anthropic_arguments, AnthropicParser),
    (gemini_calls, GeminiParser),
    (gemini_strings, GeminiParser),
    (gemini_fields, GeminiParser),
    (ollama_calls, OllamaParser),
]


@pytest.mark.parametrize(("number", "length"), [(20_000, 20), (3_000, 3_000)], ids=["many", "large"])
@pytest.mark.parametrize(("pieces", "parser"), WIRES, ids=[pieces.__name__ for pieces, _ in WIRES])
def test_four_times_as_many_pieces_cost_four_times_as_much(
    pieces: Pieces, parser: Any, number: int, length: int
) -> None:
    """In CPU time of this process. What takes quadratic time costs more than ten times as much at these sizes. Other
    work on the machine makes memory slower: it would have to begin between two measurements, five times in a row.
    """
    ratios: list[float] = []
    while len(ratios) < 5 and (not ratios or ratios[-1] > 7):
        few = min(_cost(pieces(number // 4, "x" * length), parser) for _ in range(3))
        ratios.append(_cost(pieces(number, "x" * length), parser) / few)
    assert min(ratios) <= 7, ratios


def _cost(events: Sequence[Any], parser: Any) -> float:
    if parser is OllamaParser:
        body = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    else:
        body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    chunks = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    made = parser()
    made.limits = Limits(max_calls=1 << 30, max_argument_chars=1 << 30)
    began = time.process_time()
    responses.decode(chunks, lambda: made, 1 << 30)
    return time.process_time() - began
