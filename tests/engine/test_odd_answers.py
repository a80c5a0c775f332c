"""Answers in other forms than their wire documents, as servers, proxies and routers send them. No part of an answer is
lost without an error, a bad end is no good one, and the result does not depend on how the network cuts the body."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from chat.engine import Usage
from chat.engine.providers.replay import PARSERS

from .responses import STOP, Decoded, call, cut_everywhere, decode, delta, sse

A, B = delta(content="a"), delta(content="b")
TIDE, MOON = {"word": "tide"}, {"word": "moon"}


def lines(*objects: Any) -> bytes:
    """A body of one JSON object in each line."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in objects)


def one(**fields: Any) -> dict[str, Any]:
    """A chunk with one choice that has these fields."""
    return {"choices": [{"index": 0, **fields}]}


def events(*objects: dict[str, Any]) -> bytes:
    """A body of Anthropic's events, from message_start to message_stop."""
    whole = ({"type": "message_start", "message": {}}, *objects, {"type": "message_stop"})
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in whole)


def block(index: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def piece(index: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stopped(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


TOOL = block(type="tool_use", id="t1", name="look_up", input={})


def gemini(*parts: Any, finish: Any = "STOP", **fields: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish} | fields
    return sse({"candidates": [candidate]}, done=False)


def ollama(*messages: dict[str, Any], **fields: Any) -> bytes:
    return lines(*({"message": message, "done": False} for message in messages), {"message": {}, "done": True} | fields)


# A wire, a body, and the fields of Decoded that it must give. `calls` are (name, arguments), `quotes` is in the detail.
VALUES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "texts that were parsed on the way": (
        "openai",
        sse(*(delta(content=text) for text in ("It costs $", 0.005, " for ", 6, ", not ", 0, ": ", True)), STOP),
        {"text": "It costs $0.005 for 6, not 0: true"},
    ),
    "thoughts that are numbers": (
        "openai",
        sse(delta(reasoning=4), delta(content=2), STOP),
        {"thinking": "4", "text": "2"},
    ),
    "PHP's empty object": (
        "openai",
        sse(
            delta(content="Hello."), one(delta=[], finish_reason="length") | {"usage": {"total_tokens": 8}}, done=False
        ),
        {"text": "Hello.", "finish_reason": "length", "usage": Usage(total_tokens=8)},
    ),
    "null next to a choice": (
        "openai",
        sse({"choices": [None, *delta(content="a")["choices"], None]}, STOP),
        {"text": "a", "finish_reason": "stop"},
    ),
    "a choice that is no array": ("openai", sse({"choices": delta("stop", content="a")["choices"][0]}), {"text": "a"}),
    "choices with keys": ("openai", sse({"choices": {"0": delta("stop", content="a")["choices"][0]}}), {"text": "a"}),
    "content as one part": ("openai", sse(delta(content={"type": "text", "text": "Hello."}), STOP), {"text": "Hello."}),
    "a choice with a key": (
        "openai",
        sse({"choices": [{"0": delta("stop", content="a")["choices"][0]}]}),
        {"text": "a"},
    ),
    "content parts with keys": ("openai", sse(delta(content={"0": {"text": "a"}, "1": "b"}), STOP), {"text": "ab"}),
    "a delta that is a text": ("openai", sse(one(delta="Hello."), STOP), {"text": "Hello."}),
    "content that is no text": (
        "openai",
        sse(delta(content="a"), delta(content={"x": 1}), STOP),
        {"code": "bad_response"},
    ),
    "choices that are a number": ("openai", sse(delta(content="a"), {"choices": 7}, STOP), {"code": "bad_response"}),
    "tool calls that are a number": (
        "openai",
        sse(delta(content="a"), delta(tool_calls=7), STOP),
        {"text": "a", "code": "bad_response", "quotes": "'tool_calls' as a number"},
    ),
    "a finish reason in an object": (
        "openai",
        sse(delta(content="a"), one(finish_reason={"type": "length"})),
        {"finish_reason": "length"},
    ),
    "a finish reason that is the text null": (
        "openai",
        sse(one(delta={"content": "a"}, finish_reason="null"), done=False),
        {"code": "stream_cut"},
    ),
    "an answer in one event": (
        "openai",
        sse(one(message={"content": "A cached answer."}, finish_reason="stop")),
        {"text": "A cached answer."},
    ),
    "a list of chunks": ("openai", sse([delta(content="a"), delta(content="b"), STOP]), {"text": "ab"}),
    "tool calls with keys": (
        "openai",
        sse(
            delta(tool_calls={"0": {"function": {"name": "look_up", "arguments": '{"word":"tide"}'}, "id": "c"}}), STOP
        ),
        {"calls": [("look_up", TIDE)]},
    ),
    "tool calls with keys in keys": (
        "openai",
        sse(delta(tool_calls={"0": {"0": {"function": {"name": "look_up", "arguments": TIDE}, "id": "c"}}}), STOP),
        {"calls": [("look_up", TIDE)]},
    ),
    "tool calls without a frame": (
        "openai",
        sse(delta(tool_calls=[{"id": "c", "name": "look_up", "arguments": TIDE}]), STOP),
        {"calls": [("look_up", TIDE)]},
    ),
    "Anthropic's text as a number": (
        "anthropic",
        events(block(type="text", text=1), piece(text=2), piece(text=0.5), stopped()),
        {"text": "120.5"},
    ),
    "Anthropic's delta as a list": (
        "anthropic",
        events(block(type="text", text="a"), {"type": "content_block_delta", "delta": []}, stopped()),
        {"text": "a"},
    ),
    "Anthropic's text as an object": (
        "anthropic",
        events(block(type="text"), piece(text={"x": 1}), stopped()),
        {"code": "bad_response"},
    ),
    "Anthropic's message in one event": (
        "anthropic",
        sse({"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}, done=False),
        {"text": "a", "finish_reason": "end_turn"},
    ),
    "Anthropic's content as a text": (
        "anthropic",
        json.dumps({"content": "a", "stop_reason": "end_turn"}).encode(),
        {"text": "a"},
    ),
    "Anthropic's events without a type": (
        "anthropic",
        events(block(type="text", text="")) + b"",
        {"code": "empty_answer"},
    ),
    "Gemini's text as a number": ("gemini", gemini({"text": "a"}, {"text": 5}), {"text": "a5"}),
    "Gemini's parts as one object": (
        "gemini",
        sse({"candidates": [{"content": {"parts": {"text": "Hello."}}, "finishReason": "STOP"}]}),
        {"text": "Hello."},
    ),
    "Gemini's parts as texts": ("gemini", gemini("Hel", None, "lo."), {"text": "Hello."}),
    "Gemini's candidate under another index": ("gemini", gemini({"text": "Hello."}, index=1), {"text": "Hello."}),
    "Gemini's text next to a call": (
        "gemini",
        gemini({"text": "a", "functionCall": {"name": "f"}}),
        {"text": "a", "calls": [("f", {})]},
    ),
    "Gemini's call as a number": ("gemini", gemini({"text": "a"}, {"functionCall": 7}), {"code": "bad_response"}),
    "Ollama's content as a number": (
        "ollama",
        ollama({"content": "It is "}, {"content": 5}, {"content": " o'clock."}),
        {"text": "It is 5 o'clock."},
    ),
    "Ollama's message as a text": ("ollama", lines({"message": "a", "done": False}, {"done": "true"}), {"text": "a"}),
    "Ollama's content as an object": ("ollama", ollama({"content": {"x": 1}}), {"code": "bad_response"}),
}

ENDS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "a finish reason error": (
        "openai",
        sse(
            delta(content="Half of the ans"), one(finish_reason="error", native_finish_reason="MALFORMED_FUNCTION_CALL")
        ),
        {"text": "Half of the ans", "code": "server_error", "quotes": "error (MALFORMED_FUNCTION_CALL)"},
    ),
    "the error of the server behind a router": (
        "openai",
        sse(one(delta={}, finish_reason="stop", native_finish_reason="network_error")),
        {"code": "server_error", "quotes": "network_error"},
    ),
    "an interruption": (
        "openai",
        sse(delta(content="The first half of"), one(finish_reason="insufficient_system_resource")),
        {"text": "The first half of", "code": "server_error", "quotes": "insufficient_system_resource"},
    ),
    "a failure with a call": (
        "openai",
        sse(call(id="a", name="pay", arguments="{}"), one(finish_reason="error")),
        {"code": "server_error", "calls": []},
    ),
    "an error inside a choice": (
        "openai",
        sse(delta(content="a"), one(delta={"content": ""}, error={"code": 502, "message": "Gone away"})),
        {"text": "a", "code": "server_error", "quotes": "Gone away"},
    ),
    "an error next to a choice": (
        "openai",
        sse(delta(content="a") | {"error": {"message": "Gone away"}}),
        {"text": "a", "code": "server_error", "quotes": "Gone away"},
    ),
    "an error that says that nothing is wrong": (
        "openai",
        sse(
            delta(content="one ") | {"error": {"code": 0, "message": ""}}, delta("stop", content="two") | {"error": ""}
        ),
        {"text": "one two"},
    ),
    "Anthropic's failure": (
        "anthropic",
        events(block(type="text", text="a"), stopped("error")),
        {"code": "server_error"},
    ),
    "Gemini's malformed call after text": (
        "gemini",
        sse({"candidates": [{"content": {"parts": [{"text": "Let me look"}]}}]}, done=False)
        + gemini(finish="MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call: print(x"),
        {
            "text": "Let me look",
            "code": "server_error",
            "quotes": "MALFORMED_FUNCTION_CALL (Malformed function call: print(x",
        },
    ),
    "Gemini's end for an unknown reason": (
        "gemini",
        gemini({"text": "Let me"}, finish="OTHER"),
        {"text": "Let me", "code": "server_error", "quotes": "OTHER"},
    ),
    "Ollama's failure": ("ollama", ollama({"content": "a"}, done_reason="error"), {"code": "server_error"}),
    "nothing": (
        "openai",
        sse(delta(role="assistant", content=""), STOP),
        {"code": "empty_answer", "quotes": "was stop"},
    ),
    "nothing but [DONE]": ("openai", sse(), {"code": "empty_answer"}),
    "nothing but blanks": ("openai", sse(delta(content="\n\n"), STOP), {"code": "empty_answer"}),
    "nothing but thoughts": ("openai", sse(delta(reasoning="Hm."), STOP), {"thinking": "Hm.", "code": "empty_answer"}),
    "nothing before the limit": ("openai", sse(delta(reasoning="Hm."), delta("length")), {"finish_reason": "length"}),
    "nothing after the filter": ("openai", sse(delta("content_filter")), {"finish_reason": "content_filter"}),
    "a refusal alone": ("openai", sse(delta(refusal="No."), STOP), {"refusal": "No."}),
    "nothing from Anthropic": ("anthropic", events(block(type="text", text=""), stopped()), {"code": "empty_answer"}),
    "nothing from Gemini": ("gemini", gemini(), {"code": "empty_answer"}),
    "nothing from Ollama": ("ollama", ollama(done_reason="stop"), {"code": "empty_answer"}),
    "half a chunk after the finish reason": (
        "openai",
        sse(delta(content="a"), STOP, b'data: {"choices": [], "usa', done=False),
        {"text": "a", "finish_reason": "stop"},
    ),
    "half a chunk after Gemini's finish reason": (
        "gemini",
        gemini({"text": "a"}) + b'data: {"candidates": [{"content',
        {"text": "a", "code": "stream_cut"},
    ),
    "a last report of no tokens": (
        "anthropic",
        events(block(type="text", text="Hi."), stopped(input_tokens=1500), stopped(input_tokens=0, output_tokens=7)),
        {"usage": Usage(1500, 7, 1507)},
    ),
}

ERRORS: dict[str, tuple[str, bytes, str]] = {
    "MiniMax's": (
        "openai",
        b'{"choices": null, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}',
        "insufficient balance",
    ),
    "MiniMax's in a stream": (
        "openai",
        sse(delta(content="a"), {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        "insufficient balance",
    ),
    "a detail": ("openai", b'{"detail": "Model is still loading"}', "Model is still loading"),
    "a code and a message": ("openai", b'{"code": "Arrearage", "message": "Access denied."}', "Access denied."),
    "a code and a message in a stream": (
        "openai",
        sse(delta(content="a"), {"code": "Throttling", "message": "Quota exceeded"}),
        "Quota exceeded",
    ),
    "an error in an array after a finish reason": (
        "openai",
        json.dumps([A, STOP, {"error": {"message": "Gone"}}]).encode(),
        "failed: Gone.",
    ),
    "a list of errors": ("openai", b'{"success": false, "errors": [{"message": "No account"}]}', "No account"),
    "an error in an error": (
        "openai",
        b'{"error": {"message": "{\\"error\\": {\\"message\\": \\"Deep\\"}}"}}',
        "failed: Deep.",
    ),
    "a bare line": (
        "openai",
        sse(delta(content="a"), b'{"message":"Endpoint timed out"}', done=False),
        "Endpoint timed out",
    ),
    "many bare lines": (
        "openai",
        sse(delta(content="a"), json.dumps({"error": {"message": "Gone"}}, indent=2).encode() + b"\n", done=False),
        "Gone",
    ),
    "a text in the place of a chunk": (
        "openai",
        sse(delta(content="a"), b"data: upstream timed out\n\n"),
        "upstream timed out",
    ),
    "a line of text": ("openai", sse(delta(content="a"), b"upstream timed out\n", done=False), "upstream timed out"),
    "an event": ("openai", b'event: error\ndata: {"message": "Gone"}\n\n', "Gone"),
    "a pretty event": ("openai", b'event: error\ndata: {\ndata:   "error": "Gone"\ndata: }\n\n', "failed: Gone."),
    "a proxy's for Anthropic": ("anthropic", b'{"message": "Endpoint timed out"}', "Endpoint timed out"),
    "a proxy's in Anthropic's stream": (
        "anthropic",
        events(block(type="text", text="a"))[:-50] + b'\n\ndata: {"detail": "Gone"}\n\n',
        "Gone",
    ),
    "a proxy's for Gemini": ("gemini", b'{"message": "Endpoint timed out"}', "Endpoint timed out"),
    "a proxy's for Ollama": ("ollama", b'{"message": "Endpoint timed out"}\n', "Endpoint timed out"),
    "an event for Ollama": ("ollama", b'event: error\ndata: {"error": "Gone"}\n\n', "Gone"),
}

FRAMES: dict[str, tuple[str, bytes]] = {
    "a byte order mark before each event": (
        "openai",
        b"".join(b"\xef\xbb\xbf" + sse(c, done=False) for c in (A, B, STOP)),
    ),
    "a NUL after each event": ("openai", b"".join(sse(c, done=False) + b"\0" for c in (A, B, STOP))),
    "single line ends": ("openai", sse(A, B, STOP).replace(b"\n\n", b"\n")),
    "a single line end once": ("openai", sse(A, B, STOP).replace(b"\n\n", b"\n", 1)),
    "data twice": ("openai", sse(A, B, STOP).replace(b"data: ", b"data: data: ")),
    "two documents in an event": (
        "openai",
        b"data: " + json.dumps(A).encode() + json.dumps(B).encode() + b"\n\n" + sse(STOP),
    ),
    "JSON lines": ("openai", lines(A, B, STOP)),
    "a JSON array": ("openai", json.dumps([A, B, STOP], indent=1).encode()),
    "JSON lines among events": ("openai", sse(A, done=False) + lines(B) + sse(STOP)),
    "pretty JSON among events": ("openai", sse(A, done=False) + json.dumps(B, indent=2).encode() + b"\n" + sse(STOP)),
    "a byte order mark before JSON": (
        "openai",
        b"\xef\xbb\xbf" + json.dumps(one(message={"content": "ab"}, finish_reason="stop"), indent=2).encode(),
    ),
    "a heartbeat that is no JSON": ("openai", sse(A, b"data: 2024-04-07 20:20:50\n\n", B, STOP)),
    "a heartbeat in brackets": ("openai", sse(A, b"data: [heartbeat]\n\n", B, STOP)),
    "a heartbeat that is a status": ("openai", sse({"message": "Loading"}, A, {"detail": "Still here"}, B, STOP)),
    "a named event": ("openai", sse(A, b'event: status\ndata: {"message": "Searching"}\n\n', B, STOP)),
    "no data before the end": ("openai", sse(A, b"data:\n\ndata: \n\n", B, STOP)),
    "[DONE] as a JSON text": ("openai", sse(A, B, b'data: "[DONE]"\n\n', done=False)),
    "[DONE] in small letters": ("openai", sse(A, B, b"data: [done]\n\n", done=False)),
    "Anthropic's events as JSON lines": (
        "anthropic",
        lines(block(type="text", text="a"), piece(text="b"), stopped(), {"type": "message_stop"}),
    ),
    "Gemini's chunks as JSON lines": ("gemini", gemini({"text": "a"}, finish=None)[6:] + gemini({"text": "b"})[6:]),
    "Ollama's lines as events": (
        "ollama",
        sse({"message": {"content": "a"}}, {"message": {"content": "b"}}, {"done": True}, done=False),
    ),
}

HALVES: dict[str, tuple[str, list[bytes]]] = {
    "two escapes": (
        "openai",
        [rb'{"choices":[{"delta":{"content":"\ud83c"}}]}', rb'{"choices":[{"delta":{"content":"\udf0a"}}]}'],
    ),
    "bytes": (
        "openai",
        [b'{"choices":[{"delta":{"content":"\xf0\x9f"}}]}', b'{"choices":[{"delta":{"content":"\x8c\x8a"}}]}'],
    ),
    "Anthropic's": (
        "anthropic",
        [
            rb'{"type":"content_block_delta","index":0,"delta":{"text":"\ud83c"}}',
            rb'{"type":"content_block_delta","index":0,"delta":{"text":"\udf0a"}}',
            b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}',
        ],
    ),
    "Gemini's": (
        "gemini",
        [
            rb'{"candidates":[{"content":{"parts":[{"text":"\ud83c"}]}}]}',
            rb'{"candidates":[{"content":{"parts":[{"text":"\udf0a"}]},"finishReason":"STOP"}]}',
        ],
    ),
    "Ollama's": ("ollama", [rb'{"message":{"content":"\ud83c"}}', rb'{"message":{"content":"\udf0a"},"done":true}']),
}


def check(decoded: Decoded, expected: dict[str, Any]) -> None:
    expected = {"code": None, "calls": []} | expected
    for field, value in expected.items():
        match field:
            case "calls":
                assert [(c.name, c.arguments) for c in decoded.calls] == value
            case "quotes":
                assert value in decoded.detail
            case _:
                assert getattr(decoded, field) == value, decoded


def decode_however(wire: str, body: bytes) -> Decoded:
    """Decode a body in one chunk, which must give the same in any two chunks, and in chunks of one byte."""
    make = PARSERS[wire]
    whole = decode([body], make)
    splits: Iterable[list[bytes]] = ([body[:place], body[place:]] for place in range(1, len(body)))
    assert all(decode(split, make) == whole for split in splits)
    assert decode(cut_everywhere(body), make) == whole
    return whole


@pytest.mark.parametrize("name", VALUES)
def test_a_known_field_of_another_type_is_read_or_an_error(name: str) -> None:
    wire, body, expected = VALUES[name]
    check(decode_however(wire, body), expected)


@pytest.mark.parametrize("name", ENDS)
def test_a_bad_end_is_an_error_and_a_good_one_is_none(name: str) -> None:
    wire, body, expected = ENDS[name]
    check(decode_however(wire, body), expected)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_under_status_200_is_quoted_without_its_frame(name: str) -> None:
    wire, body, words = ERRORS[name]
    decoded = decode_however(wire, body)
    assert decoded.code not in (None, "stream_cut", "bad_response")
    assert words in decoded.detail
    assert "{" not in decoded.detail


@pytest.mark.parametrize("name", FRAMES)
def test_faults_of_framing_are_read_as_they_were_meant(name: str) -> None:
    decoded = decode_however(*FRAMES[name])
    assert (decoded.text, decoded.code) == ("ab", None)


@pytest.mark.parametrize("name", HALVES)
def test_halves_of_a_character_in_two_deltas_are_joined(name: str) -> None:
    wire, objects = HALVES[name]
    body = b"".join(b"data: " + data + b"\n\n" for data in objects) + (sse() if wire == "openai" else b"")
    decoded = decode_however(wire, body)
    assert (decoded.text, decoded.code) == ("🌊", None)
    assert decode([body[: body.index(b"\n\n") + 2]], PARSERS[wire]).text == "�"  # the other half never came


def test_halves_in_arguments_and_thoughts_are_joined_and_a_lost_half_makes_arguments_unreadable() -> None:
    pieces = [rb'{"word":"\ud83c', rb'\udf0a"}']
    chunks = [
        b'data: {"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"%s"}}]}}]}\n\n'
        % text.replace(b'"', b'\\"') for text in pieces
    ]  # fmt: skip
    thought = [
        rb'data: {"choices":[{"delta":{"reasoning":"\ud83c"}}]}',
        rb'data: {"choices":[{"delta":{"reasoning":"\udf0a"}}]}',
    ]
    decoded = decode_however("openai", b"\n\n".join([*thought, b""]) + sse(*chunks, STOP))
    assert decoded.thinking == "🌊"
    check(decoded, {"calls": [("f", {"word": "🌊"})]})
    assert decode([sse(chunks[0], call(arguments='"}'), STOP)]).calls[0].arguments is None


@pytest.mark.parametrize("beat", [b"data: 12:00\n\n", sse({"message": "Counting tokens"}, done=False)])
def test_a_heartbeat_before_the_finish_reason_does_not_fail_the_answer(beat: bytes) -> None:
    check(decode_however("openai", sse(A, beat, STOP)), {"text": "a", "finish_reason": "stop"})
    assert decode([sse(A, beat)]).code == "server_error"  # without a finish reason it is the last that was said


@pytest.mark.parametrize("words", [b"Rate limit exceeded", b"upstream timed out", b'{"detail": "The worker failed"}'])
def test_an_error_before_the_finish_reason_fails_the_answer(words: bytes) -> None:
    decoded = decode_however("openai", sse(A, b"data: " + words + b"\n\n", STOP))
    assert (decoded.text, decoded.code) == ("a", "rate_limited" if b"Rate" in words else "server_error")


def test_a_body_of_another_kind_is_quoted() -> None:
    decoded = decode_however("openai", b"upstream connect error sk-the-key-itself\nreset\n")
    assert decoded.code == "bad_response"
    assert "it sent something else: upstream connect error ***." in decoded.detail


@pytest.mark.parametrize(("wire", "body"), [
    ("openai", sse(delta(content="a"), one(finish_reason="st\ud83c"), done=False)),
    ("openai", sse(delta(refusal="no \ud83c"), STOP)),
    ("openai", sse(delta(content="a"), {"error": {"message": "no \ud83c"}})),
    ("openai", sse(delta(content="a"), {"detail": "no \ud83c"})),
    ("openai", sse(call(id="\ud83c", name="\ud83c", arguments="{}"), STOP)),
    ("anthropic", events(block(type="tool_use", id="\ud83c", name="\ud83c", input={"x": "\ud83c"}), stopped("\ud83c"))),
    ("gemini", gemini({"text": "a"}, finish="MALFORMED \ud83c")),
    ("ollama", ollama({"content": "a\ud83c"}, done_reason="\ud83c")),
])  # fmt: skip
def test_half_a_character_anywhere_leaves_text_that_can_be_stored(wire: str, body: bytes) -> None:
    decoded = decode_however(wire, body)
    calls = [text for made in decoded.calls for text in (made.id, made.name, made.raw)]
    for text in (decoded.text, decoded.finish_reason or "", decoded.refusal, decoded.detail, *calls):
        text.encode()


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_json_without_an_answer_is_quoted(wire: str) -> None:
    decoded = decode_however(wire, b'{"data": {"ok": false, "key": "sk-the-key-itself"}}')
    assert decoded.code == "bad_response"
    assert 'JSON without an answer: {"data": {"ok": false, "key": "***"}}' in decoded.detail
    assert len(decode([b'{"data": "' + b"x" * 5000 + b'"}'], PARSERS[wire]).detail) < 500
