"""Ollama's own wire: parsing of responses, and requests."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import ConfigurationError, Image, Limits, Message, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.ollama import OllamaParser, OllamaProvider
from chat.engine.providers.provider import Request, ToolSpec

from . import responses
from .responses import Decoded


def line(**message: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": ""} | message, "done": False}


DONE = line() | {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}


def decode(*lines: Any) -> Decoded:
    body = b"".join(piece if isinstance(piece, bytes) else json.dumps(piece).encode() + b"\n" for piece in lines)
    return responses.decode([body], OllamaParser)


def test_text_and_thinking_come_in_lines() -> None:
    decoded = decode(line(thinking="Hm"), line(content="Yes"), line(content="!"), DONE)
    assert decoded.deltas == [ThinkingDelta("Hm"), TextDelta("Yes"), TextDelta("!")]
    assert (decoded.finish_reason, decoded.usage, decoded.code) == ("stop", Usage(3, 2, 5), None)


def test_the_format_of_generate_is_understood() -> None:
    decoded = decode({"response": "a", "done": False}, {"response": "b", "thinking": "c", "done": True})
    assert (decoded.text, decoded.thinking, decoded.usage) == ("ab", "c", None)


def test_think_tags_are_split_off() -> None:
    decoded = decode(line(content="<think>Hm</th"), line(content="ink>\n\nYes"), DONE)
    assert (decoded.thinking, decoded.text) == ("Hm", "Yes")


def test_calls_get_generated_ids() -> None:
    calls = [{"function": {"name": "add", "arguments": {"x": 1}}}, {"function": {"name": "now"}}, None, {}]
    decoded = decode(line(tool_calls=calls), DONE)
    assert decoded.calls == [ToolCall("generated", "add", {"x": 1}, '{"x":1}'), ToolCall("generated", "now", {}, "")]


def test_without_the_last_line_the_stream_was_cut() -> None:
    assert decode(line(content="a")).code == "stream_cut"
    assert decode(line(content="a"), b'{"message": {"con').code == "stream_cut"


def test_lines_after_the_last_are_ignored() -> None:
    assert decode(line(content="a"), DONE, line(content="b")).text == "a"


def test_an_error_may_come_in_the_middle() -> None:
    decoded = decode(line(content="a"), {"error": "model 'x' not found, try pulling it first"})
    assert (decoded.text, decoded.code) == ("a", "model_not_found")


@pytest.mark.parametrize("unknown", [{}, {"message": []}, line(content=[]), line(tool_calls={}), b"\r\n", b"\n\n"])
def test_empty_lines_are_ignored(unknown: Any) -> None:
    assert decode(line(content="a"), unknown, line(content="b"), DONE).text == "ab"


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{]}", b"{}x"])
def test_other_json_is_a_bad_response(body: bytes) -> None:
    assert decode(body).code in ("bad_response", "stream_cut")


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(body: bytes) -> None:
    assert decode(body).code is not None
    assert decode(b'{"message":' + body) is not None


class TestRequest:
    def body(self, **fields: Any) -> dict[str, Any]:
        provider = OllamaProvider("ollama", "qwen3", "http://box:11434")
        return provider.request_body(Request(**({"messages": [Message("user", "Hi", name="Ada")]} | fields)))

    def test_a_request_is_minimal(self) -> None:
        messages = [{"role": "user", "content": "Ada: Hi"}]
        assert self.body() == {"model": "qwen3", "messages": messages, "stream": True}

    def test_instructions_limits_and_settings_have_their_fields(self) -> None:
        settings = {"options": {"num_ctx": 8192}, "think": False}
        body = self.body(instructions="Be brief.", limits=Limits(max_output_tokens=7), settings=settings)
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert body["options"] == {"num_predict": 7, "num_ctx": 8192}
        assert body["think"] is False

    def test_calls_and_results_are_sent_back_by_name(self) -> None:
        history = [
            Message("user", "Add."),
            Message("assistant", "", tool_calls=(ToolCall("a", "add", {"x": 1}),)),
            Message("tool", "2", name="add", call_id="a"),
        ]
        assert self.body(messages=history)["messages"][1:] == [
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"x": 1}}}]},
            {"role": "tool", "content": "2", "tool_name": "add"},
        ]

    def test_tools_and_an_output_schema_are_sent(self) -> None:
        schema = {"type": "object", "properties": {}}
        body = self.body(tools=[ToolSpec("now", "Tells the time.", schema)], output_schema=schema)
        function = {"name": "now", "description": "Tells the time.", "parameters": schema}
        assert body["tools"] == [{"type": "function", "function": function}]
        assert body["format"] == schema

    def test_images_are_sent_as_bytes_only(self) -> None:
        (message,) = self.body(messages=[Message("user", "What?", images=(Image(data=b"abc"),))])["messages"]
        assert message["images"] == ["YWJj"]
        with pytest.raises(ConfigurationError, match="as bytes only"):
            self.body(messages=[Message("user", "What?", images=(Image("https://x/y.png"),))])
        with pytest.raises(ConfigurationError, match="a url or data"):
            self.body(messages=[Message("user", "What?", images=(Image(),))])
