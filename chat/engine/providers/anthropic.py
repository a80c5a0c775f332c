"""Anthropic's Messages API, and the servers compatible with it.

    event                                       our event
    ------------------------------------------  ---------------------------------------------------------------
    message_start.message.usage                 Completion.usage, updated by later events
    content_block_start, its block              the start of a block; text or thinking in it becomes a delta
    content_block_delta: text_delta             TextDelta
    ... thinking_delta                          ThinkingDelta
    ... input_json_delta                        collected; a ToolCall at the end if the block is a tool_use
    ... signature_delta, citations_delta, ...   collected for Completion.replay
    message_delta.delta.stop_reason             Completion.finish_reason; "refusal" also sets Completion.refusal
    message_delta.usage                         Completion.usage, the fields that are present
    message_stop                                the end
    error                                       the stream fails
    ping, content_block_stop, unknown events    ignored

Tools that the server runs itself (server_tool_use, mcp_tool_use and their results) make no event; they are sent back
with the turn. Sources: the pages "Streaming Messages", "Messages", "Extended thinking", "Tool use" and "Structured
outputs" of https://platform.claude.com/docs.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..messages import Image, Message, Replay
from ..usage import Usage
from .http_provider import HTTPProvider
from .normalize_history import (
    alternate_turns,
    apply_settings,
    arguments_of,
    inline_image,
    normalize,
    only,
    replay_content,
    split_system,
)
from .parser import (
    DECLINED,
    Delta,
    NotJSONError,
    Parser,
    any_json,
    decode_json,
    parse_tool_call,
    sum_counts,
    token_count,
)
from .provider import Completion, Request
from .schema_transforms import Schema, transform

_VERSION = "2023-06-01"
_MAX_TOKENS = 16_384  # the API requires a limit, and every current model accepts this one


class AnthropicProvider(HTTPProvider):
    """`base_url` with or without its `/v1`."""

    wire = "anthropic"

    def url(self) -> str:
        return f"{self.base_url.removesuffix('/v1')}/v1/messages"

    def headers(self) -> dict[str, str]:
        return {"x-api-key": self._key, "anthropic-version": _VERSION}

    def request_body(self, request: Request) -> dict[str, Any]:
        system, messages = split_system(request.messages, request.instructions)
        blocks = [
            (message.role == "assistant", block)
            for message in normalize(messages, self.name)
            for block in _blocks(message)
        ]
        thinking = request.settings.get("thinking")
        budget = thinking.get("budget_tokens", 0) if isinstance(thinking, dict) else 0  # max_tokens includes it
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.limits.max_output_tokens or _MAX_TOKENS + budget,
            "messages": [
                {"role": "assistant" if from_model else "user", "content": content}
                for from_model, content in alternate_turns(blocks, _text)
            ],
            "stream": True,
        }
        if system:
            body["system"] = system
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
                for tool in request.tools
            ]
        if request.output_schema is not None:
            schema = transform(request.output_schema, _supported)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return apply_settings(body, request.settings)

    def parser(self) -> "AnthropicParser":
        return AnthropicParser()


def _blocks(message: Message) -> list[dict[str, Any]]:
    """A message as content blocks. The API refuses empty texts, and system messages after the first message."""
    text = [_text(message.text_with_name)] if message.text.strip() else []
    match message.role:
        case "tool":
            return [_result(message)]
        case "assistant":
            calls = [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_of(call)}
                for call in message.tool_calls
            ]
            return _replayed_blocks(message, calls) or [*text, *calls]
        case "system":
            return [_text(f"System: {message.text}")]
    return [*map(_image, message.images), *text]


# The fields of blocks in a request. The API refuses all others, which compatible servers were seen to add. Blocks of
# other types go back unchanged. Source: "Messages", body parameter `messages`.
_FIELDS = {
    "text": ("type", "text", "citations"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
    "server_tool_use": ("type", "id", "name", "input", "caller"),
}


def _replayed_blocks(message: Message, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks of a Replay as the API takes them back, with the calls of the normalised history (`calls`, as blocks).
    Empty if there is no Replay of Anthropic."""
    blocks, rest = [], iter(calls)
    for block in replay_content(message, "anthropic") or ():
        if block.get("type") == "tool_use":
            call = next(rest, None)
            if call is not None:  # else one of too many calls, which the runner has dropped
                blocks.append(call | only(block, "caller"))
        else:
            blocks.append(only(block, *_FIELDS.get(str(block.get("type")), tuple(block))))
    return blocks


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _result(message: Message) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text}
    return result | ({"is_error": True} if message.failed else {})


def _image(image: Image) -> dict[str, Any]:
    inline = inline_image(image)
    if inline is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": inline.media_type, "data": inline.base64}}


# Source: "Structured outputs", JSON Schema limitations. We check these ourselves (structured_output.py).
_UNSUPPORTED = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "minProperties", "maxProperties",
}  # fmt: skip


def _supported(schema: Schema) -> Schema:
    """Without the keywords that the API refuses, and with the `additionalProperties: false` that it requires."""
    kept = {key: value for key, value in schema.items() if key not in _UNSUPPORTED}
    is_object = "properties" in kept or kept.get("type") == "object"
    return kept | ({"additionalProperties": False} if is_object else {})


# Only the fields that we read. A value of another type than given here does not belong to this wire.
class _Delta(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Any = None
    content: Any = None
    stop_reason: str | None = None
    stop_details: Any = None


class _Event(msgspec.Struct):
    type: str | None = None
    index: Any = None
    delta: _Delta | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None


_event_decoder = msgspec.json.Decoder(_Event)


class AnthropicParser(Parser):
    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[_Block] = []
        self._block_at: dict[int, _Block] = {}
        self._stop_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if not data or not (event or data.startswith((b"error:", b"{"))):
            return deltas
        try:
            parsed = decode_json(_event_decoder, data.removeprefix(b"error:"))
        except NotJSONError:
            if event == "error" or not event:
                self._fail(data)
            elif event.startswith(("message", "content_block")):
                raise
            return deltas
        if parsed is None:
            return deltas
        match parsed.type:
            case "content_block_delta":
                if parsed.delta is not None:
                    self._add_delta(parsed.index, parsed.delta, deltas)
            case "content_block_start":
                self._start_block(parsed.index, parsed.content_block, deltas)
            case "message_start":
                self.started = True
                self._update_usage(parsed.message.get("usage") if isinstance(parsed.message, dict) else None)
            case "message_delta":
                self._update_usage(parsed.usage)
                if parsed.delta is not None and parsed.delta.stop_reason:
                    self._stop(parsed.delta.stop_reason, parsed.delta.stop_details)
            case "message_stop":
                self.started = self.complete = self.ended = True
            case "error":
                self._fail(data)
            case _ if parsed.error or event == "error":
                self._fail(data)
        return deltas

    def parse_whole(self, body: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        message = decode_json(any_json, body)
        message = message if isinstance(message, dict) else {}
        if message.get("error"):
            self._fail(body)
        elif isinstance(message.get("content"), list):
            self.started = self.complete = True
            for index, block in enumerate(message["content"]):
                self._start_block(index, block, deltas)
            self._update_usage(message.get("usage"))
            self._stop(message.get("stop_reason"), message.get("stop_details"))
        else:
            raise NotJSONError("no answer and no error in it")
        return deltas

    def tool_calls(self) -> list[ToolCall]:
        return [block.tool_call() for block in self._blocks if block.kind == "tool_use"]

    def completion(self) -> Completion:
        return Completion(self._stop_reason, _usage(self._usage), self._refusal, self._replay())

    def _start_block(self, index: object, content: object, deltas: list[Delta]) -> None:
        if not isinstance(content, dict):
            return
        self.started = True
        self.progress += 1
        block = _Block(content)
        self._blocks.append(block)
        if isinstance(index, int):
            self._block_at[index] = block
        for field, kind in (("text", TextDelta), ("thinking", ThinkingDelta)):
            if block.kind == field and (text := content.get(field)) and isinstance(text, str):
                deltas.append(kind(text))

    def _add_delta(self, index: object, delta: _Delta, deltas: list[Delta]) -> None:
        self.started = True
        self.progress += 1
        if delta.text:
            deltas.append(TextDelta(delta.text))
        elif delta.thinking:
            deltas.append(ThinkingDelta(delta.thinking))
        block = self._block_at.get(index) if isinstance(index, int) else None
        if block is not None:
            block.deltas.append(delta)

    def _stop(self, reason: object, details: object) -> None:
        """`pause_turn` and `max_tokens` end the answer as well; the caller decides whether to continue it."""
        self._stop_reason = reason if isinstance(reason, str) else None
        self.complete = True
        if reason == "refusal":
            explanation = details.get("explanation") if isinstance(details, dict) else None
            self._refusal = explanation if isinstance(explanation, str) and explanation else DECLINED

    def _update_usage(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage = (self._usage or {}) | {key: value for key, value in usage.items() if value is not None}

    def _fail(self, data: bytes) -> None:
        super()._fail(data.removeprefix(b"error:"))

    def _replay(self) -> Replay | None:
        """The blocks, if there are others than text and tool calls: the API wants signed thoughts back unchanged, and
        the results of its own tools would be lost otherwise."""
        if not self.complete or all(block.kind in ("text", "tool_use") for block in self._blocks):
            return None
        return Replay("anthropic", [content for block in self._blocks if (content := block.content())])


class _Block:
    """A content block and the deltas received for it."""

    def __init__(self, start: dict[str, Any]) -> None:
        self.kind = str(start.get("type"))
        self.deltas: list[_Delta] = []
        self._start = start

    def tool_call(self) -> ToolCall:
        return parse_tool_call(str(self._start.get("id") or ""), str(self._start.get("name") or ""), self._json())

    def content(self) -> dict[str, Any] | None:
        """The whole block, in the form of a request. None for a block that the API refuses in a request: an empty
        text, or thinking without a signature."""
        block = dict(self._start)
        for field in ("text", "thinking", "signature"):
            if field in block or any(getattr(delta, field) for delta in self.deltas):
                block[field] = str(block.get(field) or "") + "".join(getattr(d, field) or "" for d in self.deltas)
        for delta in self.deltas:
            if delta.citation is not None:
                block["citations"] = [*(block.get("citations") or ()), delta.citation]
            if delta.content is not None:
                block["content"] = delta.content
        if "input" in block:
            block["input"] = self.tool_call().arguments or {}
        empty = self.kind == "text" and not str(block.get("text") or "").strip()
        unsigned = self.kind == "thinking" and not block.get("signature")
        return None if empty or unsigned else block

    def _json(self) -> str:
        raw = "".join(delta.partial_json or "" for delta in self.deltas)
        initial = self._start.get("input")
        return raw or (msgspec.json.encode(initial).decode() if initial else "")


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    """The API's `input_tokens` exclude tokens written to its cache or read from it; our total includes them."""
    if sent is None:
        return None
    input_tokens, output_tokens = token_count(sent.get("input_tokens")), token_count(sent.get("output_tokens"))
    written = token_count(sent.get("cache_creation_input_tokens"))
    cached = token_count(sent.get("cache_read_input_tokens"))
    details = sent.get("output_tokens_details")
    reasoning = token_count(details.get("thinking_tokens")) if isinstance(details, dict) else None
    total = sum_counts(input_tokens, written, cached, output_tokens)
    return Usage(input_tokens, output_tokens, total, cached, reasoning)
