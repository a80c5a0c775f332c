"""Anthropic's wire: parsing of responses, quirk by quirk, and requests."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Image, Limits, Message, Replay, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.anthropic import AnthropicParser, AnthropicProvider
from chat.engine.providers.provider import Request, ToolSpec

from . import responses
from .responses import Decoded, cut


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind} | fields).encode())


def start(index: int, kind: str, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind} | block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind} | fields)


def text(content: str, index: int = 0) -> bytes:
    return delta(index, "text_delta", text=content)


def stop(reason: str = "end_turn", usage: Any = None, **fields: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason} | fields, usage=usage)


BEGIN = event("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}})
TEXT = start(0, "text", text="")
END = event("message_stop")
PING = event("ping")


def decode(*pieces: bytes) -> Decoded:
    return responses.decode(pieces, AnthropicParser)


def test_text_comes_in_deltas() -> None:
    decoded = decode(BEGIN, TEXT, PING, text("Hel"), text("lo"), event("content_block_stop", index=0), stop(), END)
    assert decoded.deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert (decoded.finish_reason, decoded.usage, decoded.code) == ("end_turn", Usage(3, 1, 4), None)
    assert decoded.replay is None


def test_text_after_the_end_is_ignored_and_a_stop_reason_is_an_end() -> None:
    assert decode(BEGIN, TEXT, text("a"), stop(), END, text("b")).text == "a"
    assert decode(BEGIN, TEXT, text("a"), stop()).code is None
    assert decode(BEGIN, TEXT, text("a"), stop().rstrip()).code is None


def test_without_an_end_the_stream_was_cut() -> None:
    decoded = decode(BEGIN, TEXT, text("a"), event("content_block_stop", index=0))
    assert (decoded.text, decoded.code, decoded.usage) == ("a", "stream_cut", Usage(3, 1, 4))


def test_a_block_may_start_with_its_text() -> None:
    decoded = decode(BEGIN, start(0, "thinking", thinking="Hm", signature=""), start(1, "text", text="Yes"), stop())
    assert decoded.deltas == [ThinkingDelta("Hm"), TextDelta("Yes")]


def test_blanks_inside_the_json_are_ignored() -> None:
    body = b'data: {"type": "content_block_delta", "index": 0, "delta": {"type":"text_delta","text":"a"}      }\n\n'
    assert decode(BEGIN, TEXT, body, stop()).text == "a"


class TestUsage:
    def test_later_usage_updates_earlier_usage_field_by_field(self) -> None:
        assert decode(BEGIN, stop(usage={"output_tokens": 9})).usage == Usage(3, 9, 12)
        assert decode(BEGIN, stop(usage={"input_tokens": 70, "output_tokens": 9})).usage == Usage(70, 9, 79)

    def test_cached_tokens_count_towards_the_total(self) -> None:
        usage = {"cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 9}
        assert decode(BEGIN, stop(usage=usage)).usage == Usage(3, 9, 122, 100)

    def test_reasoning_tokens_are_read(self) -> None:
        usage = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 5}}
        assert decode(BEGIN, stop(usage=usage)).usage == Usage(3, 9, 12, None, 5)

    def test_usage_may_be_missing(self) -> None:
        assert decode(TEXT, text("a"), stop(), END).usage is None


class TestTools:
    CALL = start(0, "tool_use", id="toolu_1", name="add", input={})

    def test_a_call_is_joined_from_pieces(self) -> None:
        pieces = [delta(0, "input_json_delta", partial_json=part) for part in ("", '{"x"', ": 1}")]
        decoded = decode(BEGIN, self.CALL, *pieces, stop("tool_use"), END)
        assert decoded.deltas == [ToolCall("toolu_1", "add", {"x": 1}, '{"x": 1}')]

    def test_missing_arguments_are_an_empty_object(self) -> None:
        decoded = decode(BEGIN, self.CALL, delta(0, "input_json_delta", partial_json=""), stop("tool_use"))
        assert decoded.calls == [ToolCall("toolu_1", "add", {}, "")]
        end = event("content_block_stop", index=0)
        assert decode(BEGIN, self.CALL, end, stop("max_tokens")).calls == [ToolCall("toolu_1", "add", {}, "{}")]

    def test_arguments_that_were_cut_off_before_they_began_are_none(self) -> None:
        assert decode(BEGIN, self.CALL, stop("max_tokens")).calls == [ToolCall("toolu_1", "add", None, "")]

    def test_cut_off_arguments_are_none_and_kept_raw(self) -> None:
        decoded = decode(BEGIN, self.CALL, delta(0, "input_json_delta", partial_json='{"x": "unf'), stop("max_tokens"))
        assert decoded.calls == [ToolCall("toolu_1", "add", None, '{"x": "unf')]

    def test_the_servers_own_tools_make_no_calls(self) -> None:
        server = start(0, "server_tool_use", id="srvtoolu_1", name="web_search", input={})
        query = delta(0, "input_json_delta", partial_json='{"query": "x"}')
        found = {"tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "encrypted_content": "e"}]}
        result = start(1, "web_search_tool_result", **found)
        decoded = decode(BEGIN, server, query, result, start(2, "text", text=""), text("a", 2), stop(), END)
        assert decoded.deltas == [TextDelta("a")]
        assert decoded.replay == Replay("anthropic", [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", **found},
            {"type": "text", "text": "a"},
        ])  # fmt: skip

    def test_a_failed_stream_has_no_calls(self) -> None:
        assert decode(BEGIN, self.CALL, delta(0, "input_json_delta", partial_json="{}")).calls == []


class TestThinking:
    BLOCK = start(0, "thinking", thinking="", signature="")
    THOUGHT = delta(0, "thinking_delta", thinking="Hm. "), delta(0, "thinking_delta", thinking="So.")
    SIGNATURE = delta(0, "signature_delta", signature="sig")
    CALL = start(1, "tool_use", id="toolu_1", name="add", input={})

    def test_signed_thinking_is_replayed_with_the_call(self) -> None:
        decoded = decode(BEGIN, self.BLOCK, *self.THOUGHT, self.SIGNATURE, self.CALL, stop("tool_use"))
        assert decoded.thinking == "Hm. So."
        assert decoded.replay == Replay("anthropic", [
            {"type": "thinking", "thinking": "Hm. So.", "signature": "sig"},
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
        ])  # fmt: skip

    def test_redacted_thinking_is_replayed(self) -> None:
        redacted = start(1, "redacted_thinking", data="EqkE")
        decoded = decode(BEGIN, self.BLOCK, self.SIGNATURE, redacted, start(2, "text", text=""), text("a", 2), stop())
        assert decoded.deltas == [TextDelta("a")]
        assert decoded.replay == Replay("anthropic", [
            {"type": "thinking", "thinking": "", "signature": "sig"},
            {"type": "redacted_thinking", "data": "EqkE"},
            {"type": "text", "text": "a"},
        ])  # fmt: skip

    def test_blocks_that_the_api_refuses_are_not_replayed(self) -> None:
        empty = start(2, "text", text="")
        decoded = decode(BEGIN, self.BLOCK, *self.THOUGHT, self.CALL, empty, stop("max_tokens"))
        assert decoded.replay == Replay("anthropic", [
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
        ])  # fmt: skip

    def test_an_answer_that_broke_off_has_no_replay(self) -> None:
        assert decode(BEGIN, self.BLOCK, *self.THOUGHT).replay is None

    def test_citations_and_compactions_are_replayed(self) -> None:
        cited = [delta(1, "citations_delta", citation={"cited_text": "x"}), text("a", 1)]
        summary = delta(0, "compaction_delta", content="so far")
        first_events = [start(0, "compaction", content=None), summary, start(1, "text", text="", citations=[])]
        decoded = decode(BEGIN, *first_events, *cited, stop())
        assert decoded.text == "a"
        assert decoded.replay == Replay("anthropic", [
            {"type": "compaction", "content": "so far"},
            {"type": "text", "text": "a", "citations": [{"cited_text": "x"}]},
        ])  # fmt: skip


def test_a_refusal_keeps_the_text_and_has_an_explanation() -> None:
    decoded = decode(BEGIN, TEXT, text("Hi"), stop("refusal", stop_details={"explanation": None}), END)
    assert (decoded.text, decoded.finish_reason, decoded.code) == ("Hi", "refusal", None)
    assert decoded.refusal == "The model declined to answer this."
    assert decode(BEGIN, stop("refusal", stop_details={"explanation": "Too hot."})).refusal == "Too hot."


class TestErrors:
    @pytest.mark.parametrize(("kind", "code"), [
        ("overloaded_error", "overloaded"),
        ("rate_limit_error", "rate_limited"),
        ("api_error", "server_error"),
        ("authentication_error", "authentication"),
        ("invalid_request_error", "bad_request"),
    ])  # fmt: skip
    def test_an_error_event_may_come_in_the_middle(self, kind: str, code: str) -> None:
        error = event("error", error={"type": kind, "message": "Too bad"})
        decoded = decode(BEGIN, TEXT, text("a"), error)
        assert (decoded.text, decoded.code, decoded.usage) == ("a", code, Usage(3, 1, 4))
        assert "Too bad" in decoded.detail

    def test_an_error_may_lack_its_type_or_its_frame(self) -> None:
        error = b'{"error": {"type": "overloaded_error", "message": "Overloaded"}}'
        assert decode(BEGIN, b"data: " + error + b"\n\n").code == "overloaded"
        assert decode(BEGIN, TEXT, error + b"\n").code == "overloaded"
        assert decode(BEGIN, TEXT, b"error: " + error + b"\n").code == "overloaded"
        assert decode(BEGIN, TEXT, b"event: error\ndata: overloaded\n\n").code == "overloaded"

    def test_an_event_with_invalid_json_is_a_bad_response(self) -> None:
        assert decode(BEGIN, TEXT, text("a"), b"event: content_block_delta\ndata: {x\n\n", END).code == "bad_response"


class TestWhole:
    def test_an_answer_may_come_in_one_object(self) -> None:
        usage = {"input_tokens": 3, "output_tokens": 2}
        body: dict[str, Any] = {"type": "message", "stop_reason": "tool_use", "usage": usage, "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "sig"}, {"type": "text", "text": "Yes"},
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"x": 1}}]}  # fmt: skip
        decoded = decode(json.dumps(body, indent=2).encode())
        assert decoded.deltas == [
            ThinkingDelta("Hm"),
            TextDelta("Yes"),
            ToolCall("toolu_1", "add", {"x": 1}, '{"x":1}'),
        ]
        assert (decoded.finish_reason, decoded.usage, decoded.code) == ("tool_use", Usage(3, 2, 5), None)
        assert decoded.replay == Replay("anthropic", body["content"])

    def test_an_object_may_be_an_error_under_status_200(self) -> None:
        assert decode(b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}').code == "overloaded"

    @pytest.mark.parametrize("body", [b"{}", b"[]", b'{"content": 7}', b'{"content": [{"ty', b"[{}]"])
    def test_another_object_is_a_bad_response(self, body: bytes) -> None:
        assert decode(body).code in ("bad_response", "stream_cut")


@pytest.mark.parametrize("unknown", [
    event("content_block_start", index=0, content_block=[]), event("content_block_start"),
    event("content_block_delta", index=0, delta={"type": "new_delta", "new": 1}), event("content_block_delta"),
    event("content_block_delta", index=[1], delta={"type": "text_delta"}), delta(99, "signature_delta", signature="x"),
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": None}), event("brand_new", x={"y": []}),
    event("message_start", message=[]), event("message_delta", delta=[]), event("message_delta", usage=7), PING,
    start(5, "brand_new_block", x=1), b": comment\n\n", b"data: 7\n\n", b"data:\n\n",
    b"event: ping\ndata: 12:00\n\n", b"hello there\n", b"data: []\n\n", b"data: null\n\n", b"id: 1\n",
])  # fmt: skip
def test_empty_and_unknown_events_are_ignored(unknown: bytes) -> None:
    decoded = decode(BEGIN, TEXT, text("a"), unknown, text("b"), stop(), END)
    assert (decoded.text, decoded.finish_reason, decoded.code) == ("ab", "end_turn", None)


PIECES = [
    BEGIN, TEXT, text("a🌊"), TestThinking.BLOCK, *TestThinking.THOUGHT, TestThinking.SIGNATURE, TestTools.CALL, PING,
    delta(0, "input_json_delta", partial_json='{"y": "🌊"}'), stop(usage={"output_tokens": 2}), END, b": comment\n\n",
    b"data: garbage\n\n", event("error", error={"message": "no"}), b'{"error": 1}\n', b"\xff\n", b'{"a": 1}',
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.integers(0, 900)))
def test_any_cut_of_any_body_gives_the_same_answer(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    assert decode(*cut(body, cuts)) == decode(body)


fields = st.sampled_from(["type", "index", "delta", "text", "content_block", "message", "usage", "error", "content"])
kinds = st.sampled_from(
    ["content_block_start", "content_block_delta", "message_start", "message_delta", "text", "error"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | kinds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=12,
)


@given(json_values, kinds)
def test_no_json_makes_the_parser_raise(value: Any, kind: str) -> None:
    inner = value if isinstance(value, dict) else {"x": value}
    decode(
        BEGIN,
        b"data: " + json.dumps(value).encode() + b"\n\n",
        event(kind, **{k: v for k, v in inner.items() if k != "type"}),
        END,
    )
    decode(json.dumps(value).encode())
    decode(json.dumps({"content": [value], "usage": value}).encode())


class TestRequest:
    def body(self, **fields: Any) -> dict[str, Any]:
        provider = AnthropicProvider("anthropic", "claude", "https://api.example", "sk-key")
        return provider.request_body(Request(**({"messages": [Message("user", "Hi")]} | fields)))

    def messages(self, *messages: Message) -> Any:
        return self.body(messages=messages)["messages"]

    def test_a_request_asks_for_a_stream_with_a_token_limit(self) -> None:
        assert self.body() == {
            "model": "claude",
            "max_tokens": 16384,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "stream": True,
        }
        assert self.body(limits=Limits(max_output_tokens=7))["max_tokens"] == 7
        assert self.body(settings={"thinking": {"type": "enabled", "budget_tokens": 20_000}})["max_tokens"] == 36_384

    def test_instructions_and_leading_system_messages_form_the_system_prompt(self) -> None:
        messages = [Message("system", "Be kind."), Message("user", "Hi")]
        body = self.body(messages=messages, instructions="Be brief.")
        assert body["system"] == "Be brief.\n\nBe kind."
        assert len(body["messages"]) == 1

    def test_later_system_messages_and_names_become_text_and_turns_alternate(self) -> None:
        assert self.messages(
            Message("user", "Hi", name="Ada"), Message("user", "And I", name="Bob"), Message("assistant", "Hello"),
            Message("assistant", " "), Message("assistant", "there"), Message("system", "Ada left."),
            Message("user", ""),
        ) == [
            {"role": "user", "content": [{"type": "text", "text": "Ada: Hi"}, {"type": "text", "text": "Bob: And I"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]},
            {"role": "user", "content": [{"type": "text", "text": "System: Ada left."}]},
        ]  # fmt: skip

    def test_the_user_has_the_first_and_the_last_turn(self) -> None:
        roles = [message["role"] for message in self.messages(Message("assistant", "Hello"))]
        assert roles == ["user", "assistant", "user"]
        assert [message["role"] for message in self.messages()] == ["user"]

    def test_images_are_sent_as_bytes_or_addresses(self) -> None:
        images = (
            Image(data=b"abc", media_type="image/jpeg"),
            Image("https://x/y.png"),
            Image("data:image/gif;base64,R0"),
        )
        (message,) = self.messages(Message("user", "What is this?", images=images))
        assert message["content"] == [
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "YWJj"}},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0"}},
            {"type": "text", "text": "What is this?"},
        ]

    def test_calls_and_results_are_sent_back(self) -> None:
        calls = (ToolCall("a", "one", {"x": 1}), ToolCall("b", "two", None, "{wrong"))
        assert self.messages(
            Message("user", "Hi"), Message("assistant", "Look: ", tool_calls=calls),
            Message("tool", "No", name="two", call_id="b", failed=True),
            Message("tool", "Yes", name="one", call_id="a"),
            Message("user", "So?"),
        )[1:] == [
            {"role": "assistant", "content": [
                {"type": "text", "text": "Look: "},
                {"type": "tool_use", "id": "a", "name": "one", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "two", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "Yes"},
                {"type": "tool_result", "tool_use_id": "b", "content": "No", "is_error": True},
                {"type": "text", "text": "So?"},
            ]},
        ]  # fmt: skip

    def test_only_replays_of_this_wire_are_used(self) -> None:
        call = (ToolCall("a", "one", {}),)
        mine, other = (
            Replay("anthropic", [{"type": "thinking", "thinking": "", "signature": "s"}]),
            Replay("gemini", [{}]),
        )
        sent = self.messages(
            Message("user", "Hi"),
            Message("assistant", "", tool_calls=call, replay=mine),
            Message("assistant", "b", replay=other),
        )
        assert sent[1]["content"] == [
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "tool_use", "id": "a", "name": "one", "input": {}},
        ]
        assert sent[3]["content"] == [{"type": "text", "text": "b"}]

    def test_tools_and_an_output_schema_are_sent(self) -> None:
        inner = {
            "type": "object",
            "properties": {"minimum": {"type": "integer", "minimum": 1}},
            "required": ["minimum"],
        }
        body = self.body(tools=[ToolSpec("add", "Adds.", inner)], output_schema=inner)
        assert body["tools"] == [{"name": "add", "description": "Adds.", "input_schema": inner}]
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {"minimum": {"type": "integer"}}, "required": ["minimum"],
            "additionalProperties": False,
        }}}  # fmt: skip

    def test_settings_are_added_as_the_vendors_own_fields(self) -> None:
        search = {"type": "web_search_20250305", "name": "web_search"}
        thinking = {"type": "adaptive"}
        settings = {"thinking": thinking, "tools": [search], "max_tokens": 9, "output_config": {"effort": "low"}}
        body = self.body(tools=[ToolSpec("add", "", {})], output_schema={"type": "string"}, settings=settings)
        assert (body["thinking"], body["max_tokens"]) == (thinking, 9)
        assert [tool["name"] for tool in body["tools"]] == ["add", "web_search"]
        assert set(body["output_config"]) == {"format", "effort"}
