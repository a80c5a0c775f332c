"""The forms of a response body, whatever its content type says, on all wires and however the network cuts it."""

import json
import logging
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.replay import PARSERS
from chat.engine.providers.response_decoder import ResponseDecoder

from .responses import ERRORS, STOP, cut, cut_everywhere, decode, delta, sse


def test_blank_lines_and_a_byte_order_mark_may_precede_the_first_event() -> None:
    assert decode([b"\xef\xbb\xbf\r\n\r\n" + sse(delta(content="a"), STOP)]).text == "a"
    assert decode([b"\n" * 5000 + sse(delta(content="a"), STOP)]).text == "a"


def test_blanks_may_precede_json() -> None:
    assert decode([b'\n  \n {"choices": [{"message": {"content": "a"}}]}']).text == "a"


@pytest.mark.parametrize("body", [b"<html>", b"\n<!DOCTYPE html>", b"<?xml version='1.0'?>"])
def test_a_web_page_is_a_bad_response(body: bytes) -> None:
    decoded = decode([body])
    assert decoded.code == "bad_response"
    assert "a web page" in decoded.detail


@pytest.mark.parametrize("body", [b"", b"\n\n", b": only\n\n: comments\n\n", b"Hello there", b"data: {}"[:5]])
def test_a_body_without_an_answer_is_a_bad_response(body: bytes) -> None:
    assert decode([body]).code == "bad_response"


def test_an_endless_body_is_refused_while_memory_stays_small() -> None:
    tracemalloc.start()
    for start in (b"x", b"data: x", b'{"a": "x'):
        decoder = ResponseDecoder(OpenAIParser(), ERRORS)
        decoder.decode(start)
        for _ in range(2000):  # 128 MB
            if decoder.done:
                break
            decoder.decode(b"x" * 65536)
        assert decoder.error is not None
        assert decoder.error.code == "answer_too_large"
    assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    tracemalloc.stop()


def test_raw_events_are_logged_at_debug_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    body = sse(delta(content="sk-the-key-itself"), STOP)
    decode([body])
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, "nous_chat.engine"):
        decode([body])
    assert "finish_reason" in caplog.text
    assert "sk-the-key-itself" not in caplog.text


def test_an_answer_in_one_object_is_logged_at_debug_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "nous_chat.engine"):
        decode([b'{"choices": [{"message": {"content": "sk-the-key-itself"}}]}'])
    assert 'whole: {"choices"' in caplog.text
    assert "sk-the-key-itself" not in caplog.text


def objects(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


FRAGMENTS = {
    "openai": objects(delta(content="a🌊"), STOP, {"error": "no"}, {"choices": [{"message": {"content": "b"}}]}),
    "anthropic": objects(
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a🌊"}},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "b"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
        {"content": [{"type": "text", "text": "c"}]},
    ),
    "gemini": objects(
        {"candidates": [{"content": {"parts": [{"text": "a🌊"}]}}]},
        {"candidates": [{"finishReason": "STOP"}]},
        {"error": {"message": "no"}},
    ),
    "ollama": objects(
        {"message": {"content": "a🌊"}}, {"message": {"content": "b"}, "done": True}, {"response": "c"}, {"error": "no"}
    ),
}
BETWEEN = [
    *(b"data: ", b"data:", b"event: ", b"error: ", b": ", b"id: ", b"[DONE]", b"message", b"error", b"hello"),
    *(b"\n", b"\n\n", b"\r\n", b"\r", b" ", b"\xef\xbb\xbf", b"\xff", b"x" * 150, b" " * 1023),
    *(b"{", b"}", b"[", b"]", b",", b'"', b"\\", b"<", b"null", b"{]"),
]  # fmt: skip
WIRES = list(FRAGMENTS)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A wire, and fragments that are valid on it, with anything in front of them, between and behind them."""
    wire = draw(st.sampled_from(WIRES))
    fragment = st.sampled_from(FRAGMENTS[wire])
    event = fragment.map(lambda data: b"data: " + data + b"\n\n")
    line = fragment.map(lambda data: data + b"\n")
    return wire, b"".join(draw(st.lists(fragment | event | line | st.sampled_from(BETWEEN), max_size=10)))


C, D = objects({"candidates": [{"content": {"parts": [{"text": "c"}]}}]}, {"candidates": [{"finishReason": "STOP"}]})


@given(bodies(), st.lists(st.integers(0, 1500)), st.integers(60, 300))
@example(("gemini", C + b"data: " + D), [len(C)], 300).via("an object before text that is no JSON was lost")
@example(("ollama", b'{"done": true}\nhello'), [15], 300).via("text after the end failed an answer")
@example(("openai", b"data: [DONE]\n\n" + b"data: " + b"x" * 300), [14], 60).via("a long line hid the events before it")
@example(("openai", b": " + b"x" * 300 + b"\n" + sse(delta(content="a"))), [9], 60).via("a long comment passed whole")
def test_any_cut_of_any_body_gives_the_same_result(
    wire_and_body: tuple[str, bytes], cuts: list[int], max_bytes: int
) -> None:
    wire, body = wire_and_body
    whole = decode([body], PARSERS[wire], max_bytes)
    assert decode(cut(body, cuts), PARSERS[wire], max_bytes) == whole
    assert decode(cut_everywhere(body), PARSERS[wire], max_bytes) == whole


@given(st.sampled_from(WIRES), st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_any_cut_of_any_bytes_gives_the_same_result(wire: str, body: bytes, cuts: list[int]) -> None:
    whole = decode([body], PARSERS[wire])
    assert decode(cut(body, cuts), PARSERS[wire]) == decode(cut_everywhere(body), PARSERS[wire]) == whole
