"""Tool calls from pieces with ids, names and indices of every kind, and their arguments: they are what the model wrote,
or None."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import ToolCall
from chat.engine.providers.anthropic import AnthropicParser
from chat.engine.providers.call_pieces import CallPieces
from chat.engine.providers.gemini import GeminiParser
from chat.engine.providers.ollama import OllamaParser
from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.parser import Parser
from chat.engine.providers.response_decoder import ResponseDecoder

from . import responses
from .responses import ERRORS, STOP, call, decode, delta, sse

TIDE, MOON = '{"word":"tide"}', '{"word":"moon"}'


def joined(*pieces: tuple[int | None, str, str, object]) -> list[tuple[str, str, str]]:
    """The calls of pieces (index, id, name, arguments) as (id, name, raw)."""
    calls = CallPieces()
    for piece in pieces:
        calls.add(*piece)
    return [(made.id, made.name, made.raw) for made in calls.tool_calls()]


PIECES: dict[str, tuple[list[tuple[int | None, str, str, object]], list[tuple[str, str, str]]]] = {
    "by index": (
        [(0, "a", "f", ""), (1, "b", "f", ""), (0, "", "", '{"word":'), (1, "", "", MOON), (0, "", "", '"tide"}')],
        [("a", "f", TIDE), ("b", "f", MOON)],
    ),
    "an index that grows with each piece": (
        [(0, "a", "f", ""), (1, "", "", '{"word"'), (2, "", "", ':"tide"}'), (3, "b", "g", ""), (4, "", "", MOON)],
        [("a", "f", TIDE), ("b", "g", MOON)],
    ),
    "an index and an id that grow with each piece": (
        [(0, "a", "f", ""), (1, "b", "", '{"word"'), (2, "c", "", ':"tide"}')],
        [("a", "f", TIDE)],
    ),
    "an index that grows with each piece, and a repeated name": (
        [(0, "", "f", ""), (1, "", "f", '{"word"'), (2, "", "f", ':"tide"}')],
        [("", "f", TIDE)],
    ),
    "an index in the first piece only": ([(0, "a", "f", ""), (None, "", "", TIDE)], [("a", "f", TIDE)]),
    "an index from the second piece on": ([(None, "a", "f", ""), (0, "", "", TIDE)], [("a", "f", TIDE)]),
    "neither index nor id": ([(None, "", "f", TIDE), (None, "", "f", MOON)], [("", "f", TIDE), ("", "f", MOON)]),
    "neither index nor id, other names": ([(None, "", "f", ""), (None, "", "g", "")], [("", "f", ""), ("", "g", "")]),
    "ids without an index": (
        [(None, "a", "f", '{"word":'), (None, "b", "g", MOON), (None, "a", "", '"tide"}')],
        [("a", "f", TIDE), ("b", "g", MOON)],
    ),
    "one index for several ids": ([(0, "a", "f", TIDE), (0, "b", "f", MOON)], [("a", "f", TIDE), ("b", "f", MOON)]),
    "one index for several names without arguments": (
        [(0, "a", "clock", ""), (0, "b", "who", "")],
        [("a", "clock", ""), ("b", "who", "")],
    ),
    "one index for several names without ids": (
        [(0, "", "f", TIDE), (0, "", "g", "")],
        [("", "f", TIDE), ("", "g", "")],
    ),
    "one id for several calls": ([(0, "a", "f", TIDE), (1, "a", "f", MOON)], [("a", "f", TIDE), ("a", "f", MOON)]),
    "one id for several names": ([(0, "a", "f", ""), (0, "a", "g", "")], [("a", "f", ""), ("a", "g", "")]),
    "an id that changes with each piece": (
        [(0, "a", "f", '{"word"'), (0, "b", "f", ":"), (0, "c", "f", '"tide"}')],
        [("a", "f", TIDE)],
    ),
    "id and name with each piece": (
        [(0, "a", "f", '{"word":'), (0, "a", "f", '"tide"}'), (0, "a", "f", "")],
        [("a", "f", TIDE)],
    ),
    "an id before the name": ([(0, "a", "", ""), (0, "", "f", TIDE)], [("a", "f", TIDE)]),
    "several documents": ([(0, "a", "f", TIDE + MOON)], [("a", "f", TIDE), ("", "f", MOON)]),
    "several documents with commas": ([(0, "a", "f", f"{TIDE},\n{MOON}")], [("a", "f", TIDE), ("", "f", MOON)]),
    "one document twice": ([(0, "a", "f", TIDE), (0, "a", "f", TIDE)], [("a", "f", TIDE)]),
    "a placeholder before the arguments": ([(0, "a", "f", {}), (0, "", "", TIDE)], [("a", "f", TIDE)]),
    "a placeholder as text": ([(0, "a", "f", "{}"), (0, "", "", TIDE)], [("a", "f", TIDE)]),
    "nothing": ([(0, "", "", "")], []),
    "no name": ([(0, "a", "", TIDE)], [("a", "", TIDE)]),
}


@pytest.mark.parametrize("name", PIECES)
def test_pieces_are_put_together(name: str) -> None:
    pieces, calls = PIECES[name]
    assert joined(*pieces) == calls


@given(st.lists(st.sampled_from(["f", "g"]), min_size=1, max_size=4), st.data())
def test_calls_with_ids_and_indices_are_put_together_from_any_pieces(names: list[str], data: st.DataObject) -> None:
    """The documented form, in which the calls may be interleaved."""
    raws = [json.dumps({"n": number}) for number in range(len(names))]
    cuts = [data.draw(st.integers(0, len(raw))) for raw in raws]
    heads = [(number, f"id{number}", name, "") for number, name in enumerate(names)]
    first = [(number, "", "", raw[:at]) for number, (raw, at) in enumerate(zip(raws, cuts, strict=True))]
    rest = [(number, "", "", raw[at:]) for number, (raw, at) in enumerate(zip(raws, cuts, strict=True))]
    calls = joined(*heads, *data.draw(st.permutations(first)), *data.draw(st.permutations(rest)))
    assert calls == [(f"id{number}", *pair) for number, pair in enumerate(zip(names, raws, strict=True))]


UNREADABLE: list[Any] = [
    '{"word": 1e400}',
    '{"word": NaN}',
    "[]",
    '[{"word": "tide"}]',
    '"tide"',
    '"[]"',
    "7",
    "true",
    "tide",
    '{"word": "ti',
    '{"word": "tide"}}',
    '{"word": "tide"} and more',
    '{"a": 1}{"b":',
    '{"word": "\\ud83c"}',
    "{'word': 'tide'}",
    "\ufeff{}x",
    [TIDE],
    [{"word": "tide"}],
    7,
    True,
]


@pytest.mark.parametrize("sent", UNREADABLE)
def test_arguments_that_cannot_be_read_are_none_and_never_an_empty_object(sent: Any) -> None:
    (made,) = decode([sse(call(id="a", name="f", arguments=sent), STOP)]).calls
    assert made.arguments is None
    assert made.raw


READABLE: list[tuple[Any, dict[str, Any]]] = [
    ({"word": "tide"}, {"word": "tide"}),
    (TIDE, {"word": "tide"}),
    (json.dumps(TIDE), {"word": "tide"}),
    ("{}", {}),
    ({}, {}),
    ([], {}),
    ("", {}),
    (None, {}),
    ("null", {}),
    (" \n", {}),
    ('{"word": "two\nlines"}', {"word": "two\nlines"}),
    ('{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
]


@pytest.mark.parametrize(("sent", "arguments"), READABLE)
def test_arguments_are_read_on_every_wire(sent: Any, arguments: dict[str, Any]) -> None:
    function = {"name": "f", "arguments": sent}
    openai = sse(delta(tool_calls=[{"index": 0, "id": "a", "function": function}]), STOP)
    gemini = {
        "candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": sent}}]}, "finishReason": "STOP"}]
    }
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    anthropic = [
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"partial_json": sent}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    ]
    for body, parser in (
        (openai, OpenAIParser),
        (sse(gemini, done=False), GeminiParser),
        (sse(*anthropic, done=False), AnthropicParser),
        (json.dumps({"message": {"tool_calls": [{"function": function}]}, "done": True}).encode(), OllamaParser),
    ):
        assert [made.arguments for made in responses.decode([body], parser).calls] == [arguments]


@pytest.mark.parametrize("sent", ["[1]", [1], "tide", 7, '{"a": 1e400}'])
def test_arguments_that_cannot_be_read_are_none_on_every_wire(sent: Any) -> None:
    part = {"functionCall": {"name": "f", "args": sent}}
    gemini = sse({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}, done=False)
    message = {"content": [{"type": "tool_use", "id": "a", "name": "f", "input": sent}], "stop_reason": "tool_use"}
    ollama = {"message": {"tool_calls": [{"function": {"name": "f", "arguments": sent}}]}, "done": True}
    for body, parser in (
        (gemini, GeminiParser),
        (json.dumps(message).encode(), AnthropicParser),
        (json.dumps(ollama).encode(), OllamaParser),
    ):
        (made,) = responses.decode([body], parser).calls
        assert made.arguments is None
        assert made.raw


@pytest.mark.parametrize("indices", [(None, None), (1, 2), ("0", "0"), ([], {})])
def test_anthropics_arguments_find_their_call_without_an_index(indices: tuple[Any, Any]) -> None:
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    events = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {"type": "content_block_delta", "index": index, "delta": {"partial_json": part}}
            for index, part in zip(indices, ('{"word":', '"tide"}'), strict=True)
        ),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    ]
    decoded = responses.decode([sse(*events, done=False)], AnthropicParser)
    assert [(made.name, made.arguments) for made in decoded.calls] == [("f", {"word": "tide"})]


def test_anthropics_arguments_without_a_call_are_an_error() -> None:
    events = [{"type": "content_block_delta", "delta": {"partial_json": TIDE}}, {"type": "message_stop"}]
    decoded = responses.decode([sse(*events, done=False)], AnthropicParser)
    assert (decoded.code, decoded.calls) == ("bad_response", [])


@pytest.mark.parametrize(
    "partial",
    [
        [{"jsonPath": "$.a", "brandNewValue": 1}],
        [{"jsonPath": "no path", "numberValue": 1}, {"jsonPath": "$.a.", "numberValue": 1}],
        [{"numberValue": 1}],
        [{"jsonPath": "$.a[5]", "numberValue": 1}],
    ],
)
def test_a_part_of_geminis_arguments_without_a_place_makes_them_unreadable(partial: list[dict[str, Any]]) -> None:
    parts = [{"functionCall": {"name": "f", "willContinue": True}}, {"functionCall": {"partialArgs": partial}}]
    body = sse({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}, done=False)
    assert responses.decode([body], GeminiParser).calls[0].arguments is None


def test_a_call_of_gemini_that_is_still_open_at_the_end_was_cut_off() -> None:
    parts = [{"functionCall": {"name": "f", "willContinue": True}}]
    body = sse({"candidates": [{"content": {"parts": parts}, "finishReason": "MAX_TOKENS"}]}, done=False)
    assert responses.decode([body], GeminiParser).calls[0].arguments is None


def gemini(**piece: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"functionCall": piece}]}}]}


TEXT = "a" * 10_000

EXCESSIVE: dict[str, tuple[Callable[[], Parser[Any]], list[Any], Callable[[int], Any]]] = {
    "openai, calls": (OpenAIParser, [], lambda n: call(n, id=f"c{n}", name="f", arguments="{}")),
    "openai, calls without an index": (OpenAIParser, [], lambda n: call(None, id=f"c{n}", name="f")),
    "openai, calls that are no JSON": (OpenAIParser, [], lambda n: call(n, name="f", arguments="x")),
    "openai, calls that seem to be pieces": (OpenAIParser, [], lambda n: call(n, name="f", arguments="[")),
    "openai, arguments": (OpenAIParser, [], lambda n: call(0, id="c", name="f", arguments=TEXT)),
    "anthropic, calls": (
        AnthropicParser, [],
        lambda n: {"type": "content_block_start", "index": n, "content_block": {"type": "tool_use", "name": "f"}},
    ),
    "anthropic, arguments": (
        AnthropicParser, [{"type": "content_block_start", "content_block": {"type": "tool_use", "input": {}}}],
        lambda n: {"type": "content_block_delta", "index": 0, "delta": {"partial_json": TEXT}},
    ),
    "gemini, calls": (GeminiParser, [], lambda n: gemini(name="f", args={})),
    "gemini, arguments": (GeminiParser, [], lambda n: gemini(name="f", args={"text": TEXT})),
    "gemini, arguments in pieces": (
        GeminiParser, [],
        lambda n: gemini(name="f", willContinue=True, partialArgs=[{"jsonPath": "$.text", "stringValue": TEXT}]),
    ),
    "ollama, calls": (OllamaParser, [], lambda n: {"message": {"tool_calls": [{"function": {"name": "f"}}]}}),
    "ollama, arguments": (
        OllamaParser, [],
        lambda n: {"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"text": TEXT}}}]}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXCESSIVE)
def test_calls_without_end_are_refused_while_they_stream(name: str) -> None:
    make_parser, first, piece = EXCESSIVE[name]
    pieces = (sse(piece(number), done=False) for number in itertools.count())
    decoded = decode(itertools.chain([sse(*first, done=False)], pieces), make_parser)
    assert (decoded.code, decoded.calls) == ("answer_too_large", [])


def test_the_limits_apply_inside_one_event() -> None:
    pieces = [{"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": "{}"}} for n in range(20_000)]
    decoded = decode([sse(delta(tool_calls=pieces))])
    assert (decoded.code, decoded.calls) == ("answer_too_large", [])
    assert "more than 128 tool calls" in decoded.detail


def test_many_pieces_that_seem_to_be_calls_are_one_call() -> None:
    arguments = json.dumps({"text": "tide " * 500})
    pieces = [call(n, name="f", arguments=arguments[n : n + 1]) for n in range(len(arguments))]
    assert [made.raw for made in decode([sse(*pieces, STOP)]).calls] == [arguments]


def test_a_call_that_was_cut_off_before_its_arguments_has_lost_them() -> None:
    decoded = decode([sse(call(0, id="a", name="f"), call(1, id="b", name="g"), delta("length"))])
    assert [(made.name, made.arguments) for made in decoded.calls] == [("f", {}), ("g", None)]


def test_a_tool_that_takes_arguments_is_not_called_without_a_word_of_them() -> None:
    chunks = [
        call(0, id="a", name="look_up"),
        call(1, id="b", name="look_up", arguments="{}"),
        call(2, id="c", name="clock"),
    ]
    decoder = ResponseDecoder(OpenAIParser(), ERRORS, with_parameters={"look_up"})
    made = [delta for delta in decoder.decode(sse(*chunks, STOP)) if isinstance(delta, ToolCall)]
    assert [(one.id, one.arguments) for one in made] == [("a", None), ("b", {}), ("c", {})]
