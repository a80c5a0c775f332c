"""The chat completions wire: parsing of responses, quirk by quirk, and requests."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Image, Limits, Message, Replay, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.openai import OpenAIParser, OpenAIProvider
from chat.engine.providers.provider import Request

from .responses import STOP, call, cut, cut_everywhere, decode, delta, sse

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_text_comes_in_deltas() -> None:
    decoded = decode([sse(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), STOP)])
    assert decoded.deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert (decoded.finish_reason, decoded.usage, decoded.code) == ("stop", None, None)


def test_a_finish_reason_is_an_end_without_done() -> None:
    assert decode([sse(delta(content="a"), STOP, done=False)]).code is None


def test_without_an_end_the_stream_was_cut() -> None:
    decoded = decode([sse(delta(content="a"), done=False)])
    assert (decoded.text, decoded.code) == ("a", "stream_cut")


def test_done_is_an_end_without_a_finish_reason() -> None:
    decoded = decode([sse(delta(content="a"))])
    assert (decoded.text, decoded.finish_reason, decoded.code) == ("a", None, None)


def test_half_a_chunk_at_the_end_means_that_the_stream_was_cut() -> None:
    assert decode([sse(delta(content="a"), b'data: {"choices": [{"del', done=False)]).code == "stream_cut"


def test_chunks_after_done_are_ignored() -> None:
    assert decode([sse(delta(content="a"), STOP) + sse(delta(content="b"))]).text == "a"


@pytest.mark.parametrize("reason", ["length", "eos", "content_filter", "tool_calls"])
def test_the_finish_reason_is_the_providers_own_word(reason: str) -> None:
    assert decode([sse(delta(reason), delta())]).finish_reason == reason


def test_a_chunk_may_have_no_choices_and_a_choice_no_delta() -> None:
    filtered: dict[str, Any] = {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]}
    first = {"choices": [], "id": "", "model": "", "prompt_filter_results": []}
    assert decode([sse(first, filtered, {"choices": None}, {}, delta(content="a"), STOP)]).text == "a"


def choice(index: Any, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with a choice of that index."""
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish_reason}]}


def test_of_several_answers_the_first_counts() -> None:
    chunks = [
        choice(0, role="assistant", content=""), choice(1, role="assistant", content=""),
        choice(0, content="yes"), choice(1, content="no"), choice(1, "length"), choice(None, content="!"),
    ]  # fmt: skip
    decoded = decode([sse(*chunks, choice(0, "stop"))])
    assert (decoded.text, decoded.finish_reason, decoded.code) == ("yes!", "stop", None)
    assert decode([sse(*chunks)]).code == "bad_response"  # the first has no end: a part may be lost


@pytest.mark.parametrize("indices", [(0, 1, 2, 3), (1, 1, 1, 1), ("0", "0", 0, 0.0), (None, 0, None, 0), (7, 2, 9, 4)])
def test_one_answer_may_come_under_any_indices(indices: tuple[Any, ...]) -> None:
    texts = ("Wh", "is", "per", "")
    chunks = [choice(index, content=text) for index, text in zip(indices, texts, strict=True)]
    decoded = decode([sse(choice(indices[0], role="assistant", content=""), *chunks, choice(indices[3], "stop"))])
    assert (decoded.text, decoded.finish_reason) == ("Whisper", "stop")


def test_copies_of_the_whole_text_next_to_the_delta_are_ignored() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "b"}, "message": {"content": "ab"}}], "search_results": [1]}
    assert decode([sse(delta(content="a"), chunk, STOP)]).text == "ab"


class TestUsage:
    def test_usage_may_come_after_the_end_in_its_own_chunk(self) -> None:
        decoded = decode([sse(STOP, {"choices": [], "usage": USAGE}, {"choices": [], "moderation": {}, "usage": None})])
        assert decoded.usage == Usage(3, 2, 5)

    def test_usage_may_come_with_the_finish_reason_or_with_an_empty_choice(self) -> None:
        assert decode([sse(STOP | {"usage": USAGE})]).usage == Usage(3, 2, 5)
        assert decode([sse(STOP, delta(content="") | {"usage": USAGE})]).usage == Usage(3, 2, 5)

    def test_the_last_usage_counts(self) -> None:
        early = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        assert decode([sse(delta(content="a") | {"usage": early}, STOP | {"usage": USAGE})]).usage == Usage(3, 2, 5)

    def test_usage_may_come_in_groqs_own_field(self) -> None:
        assert decode([sse(STOP | {"x_groq": {"id": "r", "usage": USAGE}})]).usage == Usage(3, 2, 5)

    def test_usage_may_come_in_the_choice(self) -> None:
        (choice,) = STOP["choices"]
        assert decode([sse({"choices": [choice | {"usage": USAGE}]})]).usage == Usage(3, 2, 5)

    def test_usage_may_be_missing(self) -> None:
        assert decode([sse(STOP | {"usage": None, "x_groq": {"id": "r"}})]).usage is None

    def test_usage_details_are_read(self) -> None:
        usage = USAGE | {
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": None},
            "completion_tokens_details": {"reasoning_tokens": 2},
        }
        assert decode([sse(STOP | {"usage": usage})]).usage == Usage(3, 2, 5, 1, 2)

    def test_counts_that_are_not_numbers_are_unknown(self) -> None:
        usage = {"prompt_tokens": "many", "completion_tokens": True, "total_tokens": -5, "prompt_tokens_details": 7}
        assert decode([sse(STOP | {"usage": usage})]).usage == Usage()

    def test_numbers_in_other_forms_are_counts(self) -> None:
        usage = {"prompt_tokens": "3", "completion_tokens": 12.0, "total_tokens": "15.0"}
        assert decode([sse(STOP | {"usage": usage})]).usage == Usage(3, 12, 15)

    def test_a_last_report_of_zero_does_not_undo_the_counts(self) -> None:
        early = {"prompt_tokens": 1500, "completion_tokens": 1, "total_tokens": 1501}
        last = {"prompt_tokens": 0, "completion_tokens": 7, "total_tokens": 7}
        assert decode([sse(STOP | {"usage": early}, {"choices": [], "usage": last})]).usage == Usage(1500, 7, 1507)


class TestThinking:
    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_thinking_comes_in_fields_of_several_names(self, field: str) -> None:
        decoded = decode([sse(delta(**{field: "Hm. "}), delta(**{field: None, "content": "Yes"}), STOP)])
        assert decoded.deltas == [ThinkingDelta("Hm. "), TextDelta("Yes")]

    def test_details_next_to_a_thinking_field_are_not_repeated(self) -> None:
        details = [{"type": "reasoning.text", "text": "Hm"}]
        decoded = decode([sse(delta(reasoning="Hm", reasoning_details=details), STOP)])
        assert decoded.thinking == "Hm"

    def test_details_alone_are_thinking(self) -> None:
        details = [{"type": "reasoning.text", "text": "Hm"}, {"type": "reasoning.summary", "summary": "!"}]
        assert decode([sse(delta(reasoning_details=details), STOP)]).thinking == "Hm!"

    def test_encrypted_details_make_no_delta(self) -> None:
        details = [{"type": "reasoning.encrypted", "data": "gAAAA"}, {"text": None}, None]
        assert decode([sse(delta(reasoning=None, reasoning_details=details), STOP)]).thinking == ""

    def test_content_may_be_a_list_of_parts(self) -> None:
        parts = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm "}, {"type": "text", "text": "so"}]},
            {"type": "text", "text": "Yes"},
            {"type": "reference", "reference_ids": [1]},
            None,
            ", she",
        ]
        decoded = decode([sse(delta(content=parts), delta(content="!"), STOP)])
        assert decoded.deltas == [ThinkingDelta("Hm so"), TextDelta("Yes"), TextDelta(", she"), TextDelta("!")]

    def test_leading_think_tags_are_split_off(self) -> None:
        decoded = decode([sse(delta(content="<thi"), delta(content="nk>a</think>\n\nb"), STOP)])
        assert decoded.deltas == [ThinkingDelta("a"), TextDelta("b")]


def test_a_refusal_is_not_part_of_the_text() -> None:
    decoded = decode([sse(delta(refusal="I can"), delta(content=None, refusal="not."), delta(refusal=None), STOP)])
    assert (decoded.text, decoded.refusal, decoded.finish_reason) == ("", "I cannot.", "stop")


class TestToolCalls:
    def test_a_call_is_joined_from_pieces(self) -> None:
        decoded = decode(
            [sse(call(id="a", name="add", arguments=""), call(arguments='{"x"'), call(arguments=": 1}"), STOP)]
        )
        assert decoded.deltas == [ToolCall("a", "add", {"x": 1}, '{"x": 1}')]

    def test_a_call_may_come_in_the_only_chunk(self) -> None:
        chunk = call(id="a", name="add", arguments='{"x": 1}') | {"usage": USAGE}
        chunk["choices"][0]["finish_reason"] = "tool_calls"
        decoded = decode([sse(chunk)])
        assert (decoded.calls[0].arguments, decoded.finish_reason, decoded.usage) == (
            {"x": 1},
            "tool_calls",
            Usage(3, 2, 5),
        )

    def test_calls_may_be_interleaved_and_begin_at_any_index(self) -> None:
        decoded = decode([sse(
            call(1, id="a", name="one", arguments="{"), call(2, id="b", name="two", arguments="{"),
            call(1, arguments="}"), call(2, arguments="}"), STOP,
        )])  # fmt: skip
        assert [(c.id, c.name, c.arguments) for c in decoded.calls] == [("a", "one", {}), ("b", "two", {})]

    def test_the_finish_reason_may_come_before_the_last_call(self) -> None:
        decoded = decode([sse(call(0, id="a", name="one", arguments="{}"), delta("tool_calls"),
                           call(1, id="b", name="two", arguments="{}"))])  # fmt: skip
        assert [c.id for c in decoded.calls] == ["a", "b"]

    def test_later_pieces_may_have_an_empty_id_and_no_name(self) -> None:
        decoded = decode([sse(call(id="a", name="add", arguments="{"), call(id="", arguments="}"), STOP)])
        assert decoded.calls == [ToolCall("a", "add", {}, "{}")]

    def test_later_pieces_may_repeat_id_and_name(self) -> None:
        pieces = [call(id="0", name="add", arguments=part) for part in ("", "{", "}")]
        assert decode([sse(*pieces)]).calls == [ToolCall("0", "add", {}, "{}")]

    def test_arguments_may_be_null_empty_or_an_object_already(self) -> None:
        assert decode([sse(call(id="a", name="x", arguments=None), call(arguments='{"y": 2}'))]).calls[0].arguments == {
            "y": 2
        }
        assert decode([sse(call(id="a", name="x"))]).calls == [ToolCall("a", "x", {}, "")]
        assert decode([sse(call(id="a", name="x", arguments={"y": 2}))]).calls[0].arguments == {"y": 2}
        assert decode([sse(call(id="a", name="x", arguments="null"))]).calls[0].arguments == {}

    def test_cut_off_arguments_are_none_and_kept_raw(self) -> None:
        decoded = decode([sse(call(id="a", name="x", arguments='{"y": "unfin'), delta("length"))])
        assert decoded.calls == [ToolCall("a", "x", None, '{"y": "unfin')]

    def test_whole_calls_without_an_index_are_separated_by_id(self) -> None:
        decoded = decode(
            [sse(call(None, id="a", name="x", arguments="{}"), call(None, id="b", name="x", arguments="{}"))]
        )
        assert [c.id for c in decoded.calls] == ["a", "b"]

    def test_whole_calls_with_the_same_index_are_separated_by_id(self) -> None:
        decoded = decode([sse(*(call(0, id=i, name="x", arguments='{"y": 1}') for i in "ab"))])
        assert [c.id for c in decoded.calls] == ["a", "b"]

    def test_pieces_with_changing_ids_are_one_call(self) -> None:
        pieces = [call(0, id=str(i), name="x", arguments=part) for i, part in enumerate(['{"y"', ": ", "1}"])]
        assert decode([sse(*pieces)]).calls == [ToolCall("0", "x", {"y": 1}, '{"y": 1}')]

    def test_a_failed_stream_has_no_calls(self) -> None:
        assert decode([sse(call(id="a", name="x", arguments="{}"), done=False)]).calls == []


class TestReplay:
    """The fields sent back with a tool call: OpenRouter's reasoning_details and DeepSeek's reasoning_content."""

    CALL = call(id="a", name="x", arguments="{}")

    def decode(self, name: str, replays: str, *chunks: Any) -> Replay | None:
        return decode([sse(*chunks)], lambda: OpenAIParser(name, replays)).replay

    def test_details_are_joined_from_pieces_for_the_replay(self) -> None:
        def details(*pieces: dict[str, Any]) -> Any:
            return delta(reasoning="Hm", reasoning_details=[{"index": 0} | piece for piece in pieces])

        assert self.decode(
            "openrouter", "reasoning_details",
            details({"type": "reasoning.text", "text": "Hm ", "signature": None}),
            details({"type": "reasoning.text", "text": "so"}),
            details({"type": "reasoning.text", "signature": "sig"}),
            details({"type": "reasoning.encrypted", "data": "gA", "index": 1}),
            self.CALL,
        ) == Replay("openrouter", {"reasoning_details": [
            {"index": 0, "type": "reasoning.text", "text": "Hm so", "signature": "sig"},
            {"index": 1, "type": "reasoning.encrypted", "data": "gA"},
        ]})  # fmt: skip

    def test_thoughts_are_joined_for_the_replay(self) -> None:
        thoughts = [delta(reasoning_content="Hm "), delta(reasoning_content="so")]
        replay = self.decode("deepseek", "reasoning_content", *thoughts, self.CALL)
        assert replay == Replay("deepseek", {"reasoning_content": "Hm so"})
        assert self.decode("deepseek", "reasoning_content", *thoughts, STOP) is None
        assert self.decode("groq", "", *thoughts, self.CALL) is None

    def test_a_call_without_thoughts_gets_an_empty_field_if_the_vendor_requires_it(self) -> None:
        deepseek = OpenAIProvider("deepseek", "m", "https://x/v1", "k", replays="reasoning_content")
        history = [Message("assistant", "", tool_calls=(ToolCall("a", "x", {}),)), Message("tool", "1", call_id="a")]
        assert deepseek.request_body(Request(history))["messages"][0]["reasoning_content"] == ""


class TestErrors:
    def test_an_error_may_come_as_a_chunk(self) -> None:
        decoded = decode(
            [sse(delta(content="a"), {"error": {"message": "Out of steam", "code": 502}}, delta(content="b"))]
        )
        assert (decoded.text, decoded.code) == ("a", "server_error")
        assert "Out of steam" in decoded.detail

    def test_the_rest_of_a_chunk_with_an_error_is_read(self) -> None:
        last = delta(content="b") | {"error": {"code": 400, "message": "Limit"}, "usage": USAGE}
        decoded = decode([sse(delta("length", content="a"), last)])
        assert (decoded.text, decoded.finish_reason, decoded.usage, decoded.code) == (
            "ab",
            "length",
            Usage(3, 2, 5),
            "bad_request",
        )

    def test_an_error_may_come_as_an_event_named_error(self) -> None:
        body = b'event: error\ndata: {"error": {"message": "No", "status_code": 429}}\n\n'
        assert decode([sse(delta(content="a"), body, done=False)]).code == "rate_limited"
        assert decode([sse(delta(content="a"), b"event: error\ndata: overloaded\n\n")]).code == "overloaded"

    def test_an_error_may_come_in_a_line_that_starts_with_error(self) -> None:
        decoded = decode([sse(delta(content="a"), b'error: {"error": {"message": "No"}}\n', done=False)])
        assert (decoded.text, decoded.code) == ("a", "server_error")
        assert "No" in decoded.detail

    def test_an_error_may_come_in_a_bare_line(self) -> None:
        assert decode([sse(delta(content="a"), b'{"error": {"message": "No"}}\n', done=False)]).code == "server_error"

    def test_an_error_may_come_flat_as_vllm_sends_it(self) -> None:
        body = {"object": "error", "message": "too large", "type": "BadRequestError", "code": 400}
        assert decode([sse(delta(content="a"), body)]).code == "bad_request"

    def test_an_error_may_come_in_groqs_own_field(self) -> None:
        decoded = decode([sse(delta(content="a") | {"x_groq": {"id": "r", "error": "over_capacity"}})])
        assert (decoded.text, decoded.code) == ("a", "server_error")
        assert "over_capacity" in decoded.detail

    def test_an_error_may_come_in_a_malformed_chunk(self) -> None:
        assert decode([sse(delta(content="a"), {"choices": "none", "error": "No"})]).code == "server_error"


class TestWhole:
    """One JSON object as the response to a streaming request."""

    def test_an_answer_may_come_in_one_object(self) -> None:
        message = {"content": "Yes", "reasoning_content": "Hm", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}}]}  # fmt: skip
        body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
        decoded = decode([json.dumps(body, indent=2).encode()])
        assert decoded.deltas == [ThinkingDelta("Hm"), TextDelta("Yes"), ToolCall("a", "x", {}, "{}")]
        assert (decoded.finish_reason, decoded.usage, decoded.code) == ("stop", Usage(3, 2, 5), None)

    def test_the_choice_of_an_object_may_lack_a_message(self) -> None:
        decoded = decode([json.dumps({"choices": [{"finish_reason": "content_filter"}]}).encode()])
        assert (decoded.text, decoded.finish_reason, decoded.code) == ("", "content_filter", None)

    def test_an_object_may_be_an_error_under_status_200(self) -> None:
        assert (
            decode([b'{"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}']).code == "rate_limited"
        )

    @pytest.mark.parametrize("body", [b"{}", b'{"ok": true}', b"[]", b'{"choices": 3}', b'{"a": oops}'])
    def test_another_object_is_a_bad_response(self, body: bytes) -> None:
        assert decode([body]).code == "bad_response"

    def test_half_an_object_was_cut(self) -> None:
        assert decode([b'{"choices": [{"mess']).code == "stream_cut"


class TestTolerance:
    @pytest.mark.parametrize("chunk", [
        [], 7, "ping", None, {"choices": [None]}, {"choices": []}, {"choices": {}}, {"choices": [{"delta": []}]},
        delta(content=[]), delta(content={}), delta(tool_calls=[None, {}]), delta(tool_calls={}), delta(refusal=[]),
        delta(reasoning=False, tool_calls=False, refusal=False), delta(reasoning_details={"a": 1}),
        {"usage": 7}, {"usage": {}}, {"x_groq": 7}, {"unknown": {"deep": [1, {}]}}, {"choices": [{"error": {}}]},
        {"error": ""}, {"error": {"code": 0, "message": ""}}, {"base_resp": {"status_code": 0, "status_msg": "ok"}},
    ])  # fmt: skip
    def test_empty_and_unknown_chunks_are_ignored(self, chunk: Any) -> None:
        decoded = decode([sse(delta(content="a"), chunk, delta(content="b"), STOP)])
        assert (decoded.text, decoded.finish_reason, decoded.code) == ("ab", "stop", None)

    def test_events_of_other_names_are_ignored(self) -> None:
        body = sse(b"event: ping\ndata: 12:00\n\n", b"event: chunk\n", delta(content="a"), b"data:\n\n", STOP)
        assert decode([body]).text == "a"

    def test_invalid_utf_8_costs_one_character(self) -> None:
        body = sse(delta(content="a"), b'data: {"choices":[{"delta":{"content":"b\xffc"}}]}\n\n', STOP)
        assert decode([body]).text == "ab�c"

    def test_a_lone_surrogate_costs_one_character(self) -> None:
        body = sse(b'data: {"choices":[{"delta":{"content":"b\\ud83dc"}}]}\n\n', STOP)
        assert decode([body]).text == "b�c"

    def test_nan_and_control_characters_are_accepted(self) -> None:
        body = b'data: {"choices":[{"delta":{"content":"a\x01b"},"logprobs":[NaN,-Infinity]}]}\n\n'
        assert decode([sse(body, STOP)]).text == "a\x01b"

    def test_line_separators_inside_strings_are_text(self) -> None:
        body = 'data: {"choices":[{"delta":{"content":"a\u2028b\u0085c"}}]}\n\n'.encode()
        assert decode([sse(body, STOP)]).text == "a\u2028b\u0085c"

    def test_crlf_and_comments_are_accepted(self) -> None:
        body = sse(delta(content="a"), delta(content="b"), STOP).replace(b"\n", b"\r\n")
        assert decode([b": PROCESSING\r\n\r\n" * 17 + body.replace(b"data", b": PROCESSING\r\n\r\ndata")]).text == "ab"

    def test_data_that_is_broken_json_is_a_bad_response(self) -> None:
        for broken in (b'{"choices": oops}', b'{"choices": [{"delta": {"content": "b'):
            decoded = decode([sse(delta(content="a"), b"data: " + broken + b"\n\n", delta(content="c"))])
            assert (decoded.text, decoded.code) == ("a", "bad_response")

    @pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000])
    def test_deeply_nested_json_is_a_bad_response(self, deep: bytes) -> None:
        assert decode([sse(delta(content="a"), b"data: " + deep + b"\n\n")]).code == "bad_response"


PIECES: list[Any] = [
    delta(content="a🌊"), delta(reasoning="b"), call(0, id="a", name="x", arguments='{"y": "🌊"}'), STOP,
    {"error": "no"}, STOP | {"usage": USAGE}, b": comment\n\n", b"data: garbage\n\n", b"event: ping\n",
    b"error: {}\n", b"\xff\n", b'{"a": 1}', delta(content=[{"text": "c"}]), b"data: [DONE]\n\n", delta(refusal="d"),
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.integers(0, 900)), st.booleans())
def test_any_cut_of_any_body_gives_the_same_answer(pieces: list[Any], cuts: list[int], crlf: bool) -> None:
    body = sse(*pieces, done=False)
    body = body.replace(b"\n", b"\r\n") if crlf else body
    assert decode(cut(body, cuts)) == decode([body]) == decode(cut_everywhere(body))


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(body: bytes) -> None:
    assert decode([body]).code is not None
    assert decode([b"data: " + body + b"\n\n"]) is not None


fields = st.sampled_from(
    ["choices", "delta", "content", "tool_calls", "function", "usage", "error", "index", "id", "text"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_no_json_makes_the_parser_raise(value: Any) -> None:
    decode(
        [sse({"choices": [{"delta": value}]}, {"choices": [value]}, value, delta(content=value, tool_calls=[value]))]
    )
    decode([json.dumps(value).encode()])
    decode([json.dumps({"choices": [{"message": value}], "usage": value, "error": value}).encode()])


class TestRequest:
    def body(self, provider: OpenAIProvider | None = None, **fields: Any) -> dict[str, Any]:
        provider = provider or OpenAIProvider("openai", "gpt-4o", "https://api.example/v1/", "sk-key")
        return provider.request_body(Request(**({"messages": [Message("user", "Hi")]} | fields)))

    def test_a_request_asks_for_a_stream_with_usage(self) -> None:
        assert self.body() == {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def test_instructions_come_first_and_names_precede_the_text(self) -> None:
        messages = [Message("user", "Hi", name="Ada"), Message("assistant", "Hello")]
        assert self.body(messages=messages, instructions="Be brief.")["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Ada: Hi"},
            {"role": "assistant", "content": "Hello"},
        ]

    def test_settings_are_the_vendors_own_fields_and_override_ours(self) -> None:
        assert self.body(settings={"temperature": 0.2, "stream_options": None})["temperature"] == 0.2

    def test_the_output_limit_has_the_servers_field_name(self) -> None:
        limits = Limits(max_output_tokens=7)
        assert self.body(limits=limits)["max_tokens"] == 7
        openai = OpenAIProvider("openai", "m", "https://x/v1", "k", limit_field="max_completion_tokens")
        assert self.body(openai, limits=limits)["max_completion_tokens"] == 7

    def test_a_strict_server_gets_no_extra_fields(self) -> None:
        mistral = OpenAIProvider("mistral", "m", "https://x/v1", "k", strict=True)
        assert set(self.body(mistral)) == {"model", "messages", "stream"}

    def test_calls_and_results_are_sent_back(self) -> None:
        calls = (ToolCall("a", "one", {"x": 1}, '{"x": 1}'), ToolCall("b", "two", None, "{wrong"))
        history = [
            Message("assistant", "Look: ", tool_calls=calls),
            Message("tool", "Yes", name="one", call_id="a"),
            Message("tool", "No", name="two", call_id="b", failed=True),
        ]
        functions = [{"name": "one", "arguments": '{"x":1}'}, {"name": "two", "arguments": "{}"}]
        assert self.body(messages=history)["messages"] == [
            {"role": "assistant", "content": "Look: ", "tool_calls": [
                {"id": identity, "type": "function", "function": function}
                for identity, function in zip("ab", functions, strict=True)
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "Yes"},
            {"role": "tool", "tool_call_id": "b", "content": "No"},
        ]  # fmt: skip

    def test_system_messages_keep_their_place_and_empty_messages_are_dropped(self) -> None:
        messages = [Message("user", "Hi"), Message("system", "Ada left."), Message("assistant", "")]
        assert [message["role"] for message in self.body(messages=messages)["messages"]] == ["user", "system"]

    def test_images_are_sent_as_bytes_or_addresses(self) -> None:
        images = (Image(data=b"abc", media_type="image/jpeg"), Image("https://x/y.png"))
        content = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,YWJj"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ]
        assert (
            self.body(messages=[Message("user", "What is this?", images=images)])["messages"][0]["content"] == content
        )
        assert self.body(messages=[Message("user", "", images=images)])["messages"][0]["content"] == content[1:]

    def test_a_closed_schema_is_enforced(self) -> None:
        schema: dict[str, Any] = {"title": "A city!", "type": "object", "properties": {"x": {"type": "string"}}}
        sent = self.body(output_schema=schema)["response_format"]
        assert sent == {
            "type": "json_schema", "json_schema": {"name": "A_city_", "schema": schema, "strict": False},
        }  # fmt: skip
        schema |= {"required": ["x"], "additionalProperties": False}
        assert self.body(output_schema=schema)["response_format"]["json_schema"]["strict"] is True

    def test_a_server_without_schemas_gets_an_instruction(self) -> None:
        deepseek = OpenAIProvider("deepseek", "m", "https://x/v1", "k", schemas=False)
        body = self.body(deepseek, output_schema={"type": "string"}, instructions="Be brief.")
        assert body["response_format"] == {"type": "json_object"}
        assert body["messages"][0]["content"].startswith("Be brief.\n\nAnswer with JSON alone")
        assert '{"type":"string"}' in body["messages"][0]["content"]

    def test_the_address_and_the_key_are_used(self) -> None:
        provider = OpenAIProvider("openai", "gpt-4o", "https://api.example/v1/", "sk-key")
        assert provider.url() == "https://api.example/v1/chat/completions"
        assert provider.headers() == {"authorization": "Bearer sk-key"}
        assert OpenAIProvider("ollama", "x", "http://x/v1").headers() == {}
        assert "sk-key" not in repr(provider)
