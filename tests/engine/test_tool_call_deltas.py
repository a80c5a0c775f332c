"""The arguments of a tool call, while the model writes them: from the wires, through the runner, to its caller."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from chat.engine import (
    Agent,
    Finish,
    Limits,
    Message,
    ProviderError,
    Result,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolContext,
    tool,
)
from chat.engine.events import Event
from chat.engine.providers import anthropic
from chat.engine.providers.anthropic import AnthropicParser, AnthropicProvider
from chat.engine.providers.key_filter import KeyFilter
from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.parser import Parser
from chat.engine.providers.provider import Request
from chat.engine.providers.response_decoder import ResponseDecoder

from .responses import ERRORS, STOP, call, sse
from .scripted import ScriptedModel, events_of, failed, finished, results


def decode(parser: Parser[Any], chunks: Iterable[bytes]) -> list[Any]:
    parser.streamed_tools = {"write"}
    decoder = ResponseDecoder(parser, ERRORS)
    deltas: list[Any] = []
    for chunk in [*chunks, b""]:
        if not decoder.done:
            deltas += decoder.decode(chunk)
    return deltas


def block(*events: dict[str, Any]) -> list[bytes]:
    return [b"event: %s\ndata: %s\n\n" % (str(e["type"]).encode(), json.dumps(e).encode()) for e in events]


def test_openai_sends_each_piece_when_it_comes() -> None:
    body = sse(
        call(0, id="a", name="write", arguments=""),
        call(0, arguments='{"te'),
        call(0, arguments='xt": "Hi"}'),
        call(1, id="b", name="other", arguments='{"text": "not streamed"}'),
        call(2, id="c", name="write", arguments="{}"),
        STOP,
    )
    deltas = decode(OpenAIParser(), body.splitlines(keepends=True))
    assert deltas[:3] == [
        ToolCallDelta("1", "write", '{"te'),
        ToolCallDelta("1", "write", 'xt": "Hi"}'),
        ToolCallDelta("3", "write", "{}"),
    ]
    assert [each.id for each in deltas[3:]] == ["a", "b", "c"]


def test_a_piece_that_may_belong_to_the_call_before_it_is_not_streamed() -> None:
    deltas = decode(
        OpenAIParser(),
        [
            sse(
                call(0, id="a", name="write", arguments='{"te'),
                call(1, id="b", name="write", arguments='xt": 1}'),
                STOP,
            )
        ],
    )
    assert deltas == [ToolCallDelta("1", "write", '{"te'), ToolCall("a", "write", {"text": 1}, '{"text": 1}')]


def test_anthropic_sends_each_piece_when_it_comes() -> None:
    deltas = decode(
        AnthropicParser(),
        block(
            {"type": "message_start", "message": {"usage": {}}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_use", "id": "t1", "name": "write", "input": {}},
            },
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "server_tool_use", "id": "s1", "name": "write", "input": {}},
            },
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
            {"type": "message_stop"},
        ),
    )
    assert deltas == [
        ToolCallDelta("0", "write", '{"a"'),
        ToolCallDelta("0", "write", ": 1}"),
        ToolCall("t1", "write", {"a": 1}, '{"a": 1}'),
    ]


def test_a_character_that_was_cut_in_two_is_whole_in_one_piece() -> None:
    emoji = json.dumps({"text": "😀"}, ensure_ascii=False)
    frame = json.dumps(
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "write"}}]}}]}
    )
    halves = [emoji[:10] + "\ud83d", "\ude00" + emoji[11:]]
    chunks = [b"data: %s\n\n" % frame.encode()] + [
        b"data: %s\n\n"
        % json.dumps({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": half}}]}}]}).encode()
        for half in halves
    ]
    deltas = decode(OpenAIParser(), [*chunks, sse(STOP)])
    assert "".join(each.text for each in deltas if isinstance(each, ToolCallDelta)) == emoji


def test_only_tools_that_stream_ask_for_it() -> None:
    @tool(stream_arguments=True)
    def write(text: str) -> str:
        """Write."""
        return text

    @tool(stream_arguments=True, requires_approval=True)
    def send(text: str) -> str:
        """Send."""
        return text

    @tool
    def read() -> str:
        """Read."""
        return ""

    provider = AnthropicProvider("anthropic", "m", "https://api.example")
    request = Request([Message("user", "Hi")], tools=[each.spec for each in (write, send, read)])
    body = provider.request_body(request)
    assert [each.get("eager_input_streaming") for each in body["tools"]] == [True, None, None]
    assert not provider.drop_refused_field(body, b"tools.0: too many")
    assert provider.drop_refused_field(body, b"tools.0.custom.eager_input_streaming: Extra inputs are not permitted")
    try:
        for again in (body, provider.request_body(request)):
            assert [each.get("eager_input_streaming") for each in again["tools"]] == [None, None, None]
    finally:
        anthropic._without_eager_input.clear()


RAW = '{"text": "Hi"}'
CALL = ToolCall("call_1", "write", {"text": "Hi"}, RAW)


def agent(*scripts: Sequence[Any], **options: Any) -> Agent:
    @tool(stream_arguments=True)
    def write(context: ToolContext, text: str) -> str:
        """Write."""
        return f"{context.call_id}: {text}"

    return ScriptedModel(*scripts).agent(tools=[write], **options)


def test_the_deltas_have_the_id_of_their_call() -> None:
    first = [ToolCallDelta("1", "write", RAW[:5]), ToolCallDelta("1", "write", RAW[5:])]
    events = events_of(agent([*first, ToolCallDelta("2", "write", RAW), CALL, CALL], [TextDelta("Done.")]))
    deltas = [each for each in events if isinstance(each, ToolCallDelta)]
    calls = [each for each in events if isinstance(each, ToolCall)]
    assert [each.text for each in deltas] == [RAW[:5], RAW[5:], RAW]
    assert [each.id for each in deltas] == [calls[0].id, calls[0].id, calls[1].id]
    assert calls[0].id != calls[1].id
    assert [each.provider_id for each in calls] == ["call_1", "call_1"]
    assert [each.text for each in results(events)] == [f"{each.id}: Hi" for each in calls]
    assert finished(events).text == "Done."


def test_after_a_delta_nothing_is_retried_because_somebody_may_have_used_it() -> None:
    error = ProviderError("Busy.", "overloaded", provider="demo", retryable=True)
    events = events_of(agent([ToolCallDelta("1", "write", RAW[:5]), error], [TextDelta("Again.")]))
    assert [type(each) for each in events[:-1]] == [ToolCallDelta]
    assert failed(events).error.code == "overloaded"


def test_deltas_without_end_are_too_large() -> None:
    limits = Limits(max_argument_chars=100)
    events = events_of(
        agent([ToolCallDelta("1", "write", "x" * 150), ToolCallDelta("1", "write", "x" * 51)], limits=limits)
    )
    assert failed(events).error.code == "answer_too_large"


def test_calls_that_are_refused_because_there_are_too_many_are_not_streamed() -> None:
    begun = [ToolCallDelta(str(number), "write", part) for number in range(5) for part in (RAW[:5], RAW[5:])]
    limits = Limits(max_calls=3)
    events = events_of(agent([*begun, *[CALL] * 5], [TextDelta("Done.")], limits=limits))
    deltas = [each for each in events if isinstance(each, ToolCallDelta)]
    calls = [each.id for each in events if isinstance(each, ToolCall)]
    assert [each.id for each in deltas] == [each for each in calls[:3] for _ in range(2)]
    assert [each.failed for each in sorted(results(events), key=lambda each: calls.index(each.id))] == [
        *[False] * 3,
        *[True] * 2,
    ]


def test_custom_agents_send_deltas_too() -> None:
    class Own:
        def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncIterator[Event]:
            return self._stream()

        async def _stream(self) -> AsyncIterator[Event]:
            yield ToolCallDelta("a", "write", RAW)
            yield ToolCall("a", "write", {"text": "Hi"}, RAW)
            yield Finish(Result("Done."))

    events = events_of(Own())
    assert events[0] == ToolCallDelta("a", "write", RAW)
    assert isinstance(events[-1], Finish)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_providers_key_is_masked_in_deltas(size: int) -> None:
    key = "sk-0123456789abcdefghij"
    raw = json.dumps({"text": f"The key is {key}."})
    keys = KeyFilter(key)
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    passed: list[Any] = []
    for piece in pieces:
        passed += keys.feed([ToolCallDelta("1", "write", piece)])
    passed += keys.feed([ToolCallDelta("2", "write", "sk-0")])
    passed += keys.flush()
    assert "".join(each.text for each in passed if each.id == "1") == raw.replace(key, "***")
    assert "".join(each.text for each in passed if each.id == "2") == "sk-0"
