"""Gemini's wire: parsing of responses, quirk by quirk, and requests."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.engine import Image, Limits, Message, Replay, TextDelta, ThinkingDelta, ToolCall, Usage
from chat.engine.providers.gemini import GeminiParser, GeminiProvider
from chat.engine.providers.provider import Request, ToolSpec

from . import responses
from .responses import Decoded, cut, cut_everywhere


def chunk(*parts: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    return {"candidates": [candidate | ({} if finish is None else {"finishReason": finish})]} | fields


def text(content: str, **fields: Any) -> dict[str, Any]:
    return chunk({"text": content} | fields)


def call(name: str = "add", **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name} | fields}


STOP = chunk(finish="STOP")
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def sse(*chunks: Any) -> bytes:
    return b"".join(c if isinstance(c, bytes) else b"data: %s\r\n\r\n" % json.dumps(c).encode() for c in chunks)


def decode(*chunks: Any) -> Decoded:
    return responses.decode([sse(*chunks)], GeminiParser)


def test_text_comes_in_deltas() -> None:
    decoded = decode(text("Hel"), text("lo"), chunk({"text": ""}, finish="STOP", usageMetadata=USAGE))
    assert decoded.deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert (decoded.finish_reason, decoded.usage, decoded.code, decoded.replay) == ("STOP", Usage(3, 2, 5), None, None)


def test_without_a_finish_reason_the_stream_was_cut() -> None:
    decoded = decode(text("a"))
    assert (decoded.text, decoded.code) == ("a", "stream_cut")
    assert responses.decode([sse(text("a"), STOP)[:-40]], GeminiParser).code == "stream_cut"


def test_the_last_event_counts_without_its_blank_line() -> None:
    assert responses.decode([sse(text("a"), STOP).rstrip()], GeminiParser).code is None


def test_a_json_array_is_streamed_like_events() -> None:
    body = b"[" + b"\n,\r\n".join(json.dumps(c, indent=2).encode() for c in (text("a[{"), text('"}]'), STOP)) + b"]\n"
    assert responses.decode([body], GeminiParser).deltas == [TextDelta("a[{"), TextDelta('"}]')]
    pieces = cut_everywhere(body)
    assert responses.decode(pieces, GeminiParser) == responses.decode([body], GeminiParser)
    assert responses.decode([body[:-60]], GeminiParser).code == "stream_cut"


def test_an_answer_may_come_in_one_object() -> None:
    body = chunk({"text": "a"}, finish="STOP", usageMetadata=USAGE)
    decoded = responses.decode([json.dumps(body, indent=2).encode()], GeminiParser)
    assert (decoded.text, decoded.finish_reason, decoded.usage) == ("a", "STOP", Usage(3, 2, 5))


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'[{"ok": 1}]', b"[1, 2]", b'["text"]', b"{]", b"[{}}]", b'{"candidates": 7}']
)
def test_other_json_is_a_bad_response(body: bytes) -> None:
    assert responses.decode([body], GeminiParser).code in ("bad_response", "stream_cut")


def test_a_finish_reason_may_repeat_or_be_unknown_or_a_number() -> None:
    old = chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="MAX_TOKENS")
    assert (decode(*old).text, decode(*old).finish_reason) == ("ab", "MAX_TOKENS")
    assert decode(chunk({"text": "a"}, finish="BRAND_NEW")).finish_reason == "BRAND_NEW"
    assert decode(chunk({"text": "a"}, finish=1)).finish_reason == "1"
    assert decode(chunk({"text": "a"}, finish="BRAND_NEW")).refusal == ""


def test_an_answer_may_come_under_any_index() -> None:
    other = {"candidates": [{"content": {"parts": [{"text": "b"}]}, "index": 1, "finishReason": "STOP"}]}
    assert (decode(text("a"), other).text, decode(other).text) == ("ab", "b")


def test_content_may_have_no_parts_and_a_candidate_no_content() -> None:
    bare = {"candidates": [{"content": {"role": "model"}}]}
    assert decode(text("a"), bare, {"candidates": [{}]}, {"candidates": [{"finishReason": "STOP"}]}).text == "a"


class TestUsage:
    def test_the_last_usage_counts_even_if_it_is_less(self) -> None:
        early = {"promptTokenCount": 169, "totalTokenCount": 169}
        assert decode(chunk(usageMetadata=early), STOP | {"usageMetadata": USAGE}).usage == Usage(3, 2, 5)

    def test_usage_without_counts_is_ignored(self) -> None:
        traffic = {"trafficType": "ON_DEMAND"}
        assert decode(STOP | {"usageMetadata": USAGE}, {"usageMetadata": traffic}).usage == Usage(3, 2, 5)
        assert decode(STOP | {"usageMetadata": traffic}).usage is None

    def test_thoughts_count_as_output(self) -> None:
        usage = USAGE | {"thoughtsTokenCount": 10, "totalTokenCount": 15, "cachedContentTokenCount": 1}
        assert decode(STOP | {"usageMetadata": usage}).usage == Usage(3, 12, 15, 1, 10)
        del usage["candidatesTokenCount"]
        assert decode(STOP | {"usageMetadata": usage}).usage == Usage(3, 10, 15, 1, 10)


class TestThinking:
    def test_a_part_marked_as_thought_is_thinking(self) -> None:
        decoded = decode(text("Hm", thought=True), text("Yes"), STOP)
        assert decoded.deltas == [ThinkingDelta("Hm"), TextDelta("Yes")]
        assert decoded.replay is None

    def test_signatures_are_replayed_on_their_parts(self) -> None:
        decoded = decode(
            text("Hm", thought=True), text("a"), text("b"), chunk(call(args={"x": 1}) | {"thoughtSignature": "s1"}),
            chunk(call(args={})), chunk({"text": "", "thoughtSignature": "s2"}, finish="STOP"),
        )  # fmt: skip
        assert (decoded.text, [c.name for c in decoded.calls]) == ("ab", ["add", "add"])
        assert decoded.replay == Replay("gemini", [
            {"text": "ab"},
            call(args={"x": 1}) | {"thoughtSignature": "s1"},
            call(args={}),
            {"text": "", "thoughtSignature": "s2"},
        ])  # fmt: skip

    def test_the_servers_own_tools_are_replayed_and_make_no_calls(self) -> None:
        code = {"executableCode": {"code": "1+1"}}, {"codeExecutionResult": {"output": "2"}}
        decoded = decode(text("a"), chunk(*code), text("b"), STOP)
        assert decoded.deltas == [TextDelta("a"), TextDelta("b")]
        assert decoded.replay == Replay("gemini", [{"text": "a"}, *code, {"text": "b"}])


class TestTools:
    def test_a_whole_call_gets_an_id(self) -> None:
        decoded = decode(chunk(call(args={"x": 1}), call("sub", args={})), STOP)
        assert decoded.deltas == [
            ToolCall("generated", "add", {"x": 1}, '{"x":1}'),
            ToolCall("generated", "sub", {}, "{}"),
        ]
        assert decoded.finish_reason == "STOP"

    def test_generated_ids_are_unique(self) -> None:
        parser = GeminiParser()
        parser.feed("message", json.dumps(chunk(call(), call(), finish="STOP")).encode())
        one, two = parser.tool_calls()
        assert one.id != two.id

    def test_an_id_that_was_sent_is_kept(self) -> None:
        assert decode(chunk(call(id="8f2b", args={})), STOP).calls[0].id == "8f2b"

    def test_arguments_may_be_missing(self) -> None:
        assert decode(chunk(call()), STOP).calls == [ToolCall("generated", "add", {}, "{}")]

    def test_arguments_may_come_in_pieces(self) -> None:
        def piece(**fields: Any) -> dict[str, Any]:
            return chunk({"functionCall": fields})

        def args(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
            return piece(partialArgs=[{"jsonPath": path} | value], willContinue=more)

        decoded = decode(
            chunk({"functionCall": {"name": "add", "willContinue": True}, "thoughtSignature": "s"}),
            args("$.city", stringValue="San "), args("$.city", stringValue="Francisco"), args("$.city", stringValue=""),
            args("$.days[0].n", numberValue=1), args("$.days[1].n", numberValue=2),
            args("$['odd key']", boolValue=True),
            args("$.none", nullValue="NULL_VALUE"), piece(), piece(name="sub", args={}), STOP,
        )  # fmt: skip
        given = {"city": "San Francisco", "days": [{"n": 1}, {"n": 2}], "odd key": True, "none": None}
        assert [(c.name, c.arguments) for c in decoded.calls] == [("add", given), ("sub", {})]
        assert decoded.replay is not None
        first = {"functionCall": {"name": "add", "args": given}, "thoughtSignature": "s"}
        assert decoded.replay.content == [first, {"functionCall": {"name": "sub", "args": {}}}]

    def test_a_piece_without_a_place_makes_the_arguments_unreadable(self) -> None:
        for path in ("$[" + "9" * 5000 + "]", "$.a[2]", "a..b", "$"):
            piece = {"name": "add", "partialArgs": [{"jsonPath": path, "stringValue": "x"}]}
            decoded = decode(chunk({"functionCall": piece}), STOP)
            assert (decoded.code, [each.arguments for each in decoded.calls]) == (None, [None])

    def test_a_failed_stream_has_no_calls(self) -> None:
        assert decode(chunk(call())).calls == []


class TestBlocked:
    def test_a_blocked_prompt_is_a_refusal(self) -> None:
        decoded = decode({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "No."}})
        assert (decoded.text, decoded.finish_reason, decoded.code) == ("", None, None)
        assert decoded.refusal == "The model declined to answer this."
        assert decode({"promptFeedback": {"safetyRatings": []}} | text("a"), STOP).refusal == ""

    def test_a_blocked_answer_is_a_refusal_that_keeps_its_text(self) -> None:
        decoded = decode(text("a"), chunk(finish="SAFETY"))
        assert (decoded.text, decoded.finish_reason, decoded.code) == ("a", "SAFETY", None)
        assert decoded.refusal == "The model stopped its answer here."
        assert decode({"candidates": [{"finishReason": "BRAND_NEW"}]}).refusal


class TestErrors:
    ERROR = {"error": {"code": 503, "message": "Overloaded, sorry", "status": "UNAVAILABLE"}}

    def test_an_error_may_come_in_the_middle(self) -> None:
        decoded = decode(text("a"), self.ERROR)
        assert (decoded.text, decoded.code) == ("a", "overloaded")
        assert "Overloaded, sorry" in decoded.detail

    def test_an_error_may_come_in_bare_lines_even_after_a_finish_reason(self) -> None:
        bare = json.dumps(self.ERROR, indent=2).encode()
        assert decode(chunk({"text": "a"}, finish="STOP"), bare).code == "overloaded"
        assert decode(chunk({"text": "a"}, finish="STOP"), bare + b"\n").code == "overloaded"
        assert decode(chunk({"text": "a"}, finish="STOP"), bare[:-9]).code == "stream_cut"

    def test_an_error_may_come_in_an_array(self) -> None:
        body = b"[" + json.dumps(text("a")).encode() + b",\n" + json.dumps(self.ERROR).encode() + b"]"
        decoded = responses.decode([body], GeminiParser)
        assert (decoded.text, decoded.code) == ("a", "overloaded")
        assert responses.decode([json.dumps([self.ERROR]).encode()], GeminiParser).code == "overloaded"


@pytest.mark.parametrize("unknown", [
    {"candidates": [None]}, {"candidates": [{"content": []}]}, {"candidates": {}}, chunk(None, []),
    chunk({"text": None}), chunk({"brandNew": 1}), chunk({"functionCall": []}), chunk({"functionCall": {}}),
    {"usageMetadata": 7}, {"promptFeedback": 7}, {"new": {}}, {"error": {"code": 0}}, [], 7,
    chunk({"functionCall": {"partialArgs": [{}]}}), b": comment\r\n\r\n",
    b"data:\r\n\r\n", b"event: new\r\n", b"id: 1\n",
])  # fmt: skip
def test_unknown_chunks_are_ignored(unknown: Any) -> None:
    decoded = decode(text("a"), unknown, text("b"), STOP)
    assert (decoded.text, decoded.finish_reason, decoded.code, decoded.calls) == ("ab", "STOP", None, [])


PIECES: list[Any] = [
    text("a🌊"), text("b", thought=True), chunk(call(args={"y": "🌊"})), STOP, STOP | {"usageMetadata": USAGE},
    chunk({"functionCall": {"name": "x", "willContinue": True}}), chunk({"functionCall": {}}), b": comment\n\n",
    chunk({"text": "", "thoughtSignature": "s"}), b"data: garbage\n\n",
    json.dumps({"error": {}}, indent=1).encode() + b"\n",
    b"\xff\n", b'{"a": 1}\n', b"}\n", b"[", b"]", b",", json.dumps(text("c")).encode(),
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.integers(0, 900)))
@example([json.dumps(text("c")).encode(), text("a🌊")], [86])
def test_any_cut_of_any_body_gives_the_same_answer(pieces: list[Any], cuts: list[int]) -> None:
    body = sse(*pieces)
    whole = responses.decode([body], GeminiParser)
    assert responses.decode(cut(body, cuts), GeminiParser) == whole


fields = st.sampled_from(["candidates", "content", "parts", "text", "functionCall", "partialArgs", "jsonPath", "error"])
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["$.a[0].b", "$", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_no_json_makes_the_parser_raise(value: Any) -> None:
    decoded = [
        {"candidates": value},
        {"candidates": [value]},
        chunk(value),
        value,
        {"usageMetadata": value, "error": value},
    ]
    decode(*decoded, chunk({"functionCall": {"name": "x", "args": value, "partialArgs": value, "willContinue": value}}))
    decode(
        chunk({"functionCall": {"name": "x", "willContinue": True}}), chunk({"functionCall": {"partialArgs": [value]}})
    )
    responses.decode([json.dumps(value).encode()], GeminiParser)
    responses.decode([json.dumps([value]).encode()], GeminiParser)


class TestRequest:
    def body(self, model: str = "gemini-2.5-flash", **fields: Any) -> dict[str, Any]:
        provider = GeminiProvider("gemini", model, "https://api.example", "key")
        return provider.request_body(Request(**({"messages": [Message("user", "Hi")]} | fields)))

    def contents(self, *messages: Message, model: str = "gemini-2.5-flash") -> Any:
        return self.body(model, messages=messages)["contents"]

    def test_a_request_is_minimal(self) -> None:
        assert self.body() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}

    def test_instructions_limits_and_settings_have_their_fields(self) -> None:
        settings = {"generationConfig": {"temperature": 0.2}, "safetySettings": []}
        messages = [Message("system", "Be kind."), Message("user", "Hi")]
        body = self.body(
            messages=messages, instructions="Be brief.", limits=Limits(max_output_tokens=7), settings=settings
        )
        assert body["systemInstruction"] == {"parts": [{"text": "Be brief.\n\nBe kind."}]}
        assert body["generationConfig"] == {"maxOutputTokens": 7, "temperature": 0.2}
        assert body["safetySettings"] == []

    def test_turns_alternate_and_the_user_has_the_first_and_the_last(self) -> None:
        assert self.contents(
            Message("assistant", "Hello"), Message("user", "Hi", name="Ada"), Message("user", " "),
            Message("system", "Bob came."), Message("assistant", "Hello, Bob"),
        ) == [
            {"role": "user", "parts": [{"text": "(The beginning is left out.)"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
            {"role": "user", "parts": [{"text": "Ada: Hi"}, {"text": "System: Bob came."}]},
            {"role": "model", "parts": [{"text": "Hello, Bob"}]},
            {"role": "user", "parts": [{"text": "(Go on.)"}]},
        ]  # fmt: skip

    def test_images_are_sent_as_bytes_or_addresses(self) -> None:
        images = (Image(data=b"abc", media_type="image/jpeg"), Image("https://x/y.webp?z=1"), Image("gs://x/y"))
        (turn,) = self.contents(Message("user", "What is this?", images=images))
        assert turn["parts"] == [
            {"inlineData": {"mimeType": "image/jpeg", "data": "YWJj"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://x/y.webp?z=1"}},
            {"fileData": {"mimeType": "image/png", "fileUri": "gs://x/y"}},
            {"text": "What is this?"},
        ]

    def test_calls_and_results_are_sent_back_by_name_and_order(self) -> None:
        calls = (ToolCall("a", "one", {"x": 1}), ToolCall("b", "two", None, "{wrong"))
        assert self.contents(
            Message("user", "Hi"), Message("assistant", "Look: ", tool_calls=calls),
            Message("tool", "No", name="two", call_id="b", failed=True),
            Message("tool", "Yes", name="one", call_id="a"),
        )[1:] == [
            {"role": "model", "parts": [
                {"text": "Look: "},
                {"functionCall": {"name": "one", "args": {"x": 1}}},
                {"functionCall": {"name": "two", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "one", "response": {"output": "Yes"}}},
                {"functionResponse": {"name": "two", "response": {"error": "No"}}},
            ]},
        ]  # fmt: skip

    def test_gemini_3_gets_a_placeholder_for_missing_signatures(self) -> None:
        calls = (ToolCall("a", "one", {}), ToolCall("b", "one", {}))
        history = [Message("user", "Hi"), Message("assistant", "", tool_calls=calls)]
        first, second = self.contents(*history, model="gemini-3.8-flash")[1]["parts"]
        assert first["thoughtSignature"] == "skip_thought_signature_validator"
        assert "thoughtSignature" not in second

    def test_its_own_turn_is_replayed_unchanged_with_its_own_ids(self) -> None:
        parts = [call("one", id="8f2b", args={}) | {"thoughtSignature": "s"}, call("two", args={})]
        calls = (ToolCall("8f2b", "one", {}), ToolCall("generated", "two", {}))
        history = [
            Message("user", "Hi"), Message("assistant", "", tool_calls=calls, replay=Replay("gemini", parts)),
            Message("tool", "1", name="one", call_id="8f2b"), Message("tool", "2", name="two", call_id="generated"),
        ]  # fmt: skip
        _, turn, results = self.contents(*history, model="gemini-3.8-flash")
        assert turn == {"role": "model", "parts": parts}
        assert results["parts"] == [
            {"functionResponse": {"name": "one", "response": {"output": "1"}, "id": "8f2b"}},
            {"functionResponse": {"name": "two", "response": {"output": "2"}}},
        ]

    def test_a_tool_without_arguments_has_no_parameters(self) -> None:
        tools = [ToolSpec("now", "Tells the time.", {"type": "object", "properties": {}})]
        assert self.body(tools=tools)["tools"] == [
            {"functionDeclarations": [{"name": "now", "description": "Tells the time."}]}
        ]

    def test_an_output_schema_is_a_field_or_with_tools_an_instruction(self) -> None:
        schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
        assert self.body(output_schema=schema)["generationConfig"] == {
            "responseMimeType": "application/json", "responseSchema": schema,
        }  # fmt: skip
        body = self.body(output_schema=schema, tools=[ToolSpec("add", "", schema)])
        assert '"required"' in body["systemInstruction"]["parts"][0]["text"]
        assert "generationConfig" not in body


@pytest.mark.parametrize(("schema", "converted"), [
    ({"type": "string", "default": "x", "format": "uri", "examples": []}, {"type": "string"}),
    ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "X"},
     {"type": "integer", "title": "X", "nullable": True}),
    ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    ({"anyOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"type": "null"}], "description": "D"},
     {"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "D", "nullable": True}),
    ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 0}),
    ({"const": "a"}, {"type": "string", "enum": ["a"]}),
    ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
    ({"enum": [1, 2], "description": "Which."}, {"type": "integer", "description": "Which. One of 1, 2."}),
    ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
    ({"type": "array", "prefixItems": [{"type": "integer"}]}, {"type": "array", "items": {"type": "integer"}}),
    ({"type": "array", "items": {"type": "string", "format": "uri"}}, {"type": "array", "items": {"type": "string"}}),
    ({"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}}]},
     {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}, "required": ["a"]}),
    ({"type": "object", "properties": {"format": {"type": "string"}}, "required": ["format", "lost"],
      "additionalProperties": False},
     {"type": "object", "properties": {"format": {"type": "string"}}, "required": ["format"]}),
    ({"$ref": "#/$defs/City", "$defs": {"City": {"type": "object", "properties": {"name": {"$ref": "#/$defs/Name"}}},
      "Name": {"type": "string", "minLength": 1}}},
     {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}}),
    ({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}}}},
     {"type": "object", "properties": {"next": {"type": "object"}}}),
])  # fmt: skip
def test_schemas_are_converted_to_what_gemini_accepts(schema: dict[str, Any], converted: dict[str, Any]) -> None:
    provider = GeminiProvider("gemini", "m", "https://api.example", "key")
    sent = provider.request_body(Request([Message("user", "Hi")], output_schema=schema))
    assert sent["generationConfig"]["responseSchema"] == converted
