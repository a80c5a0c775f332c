"""Anthropic's Messages API, and the servers compatible with it.

    event                                       our event
    ------------------------------------------  ---------------------------------------------------------------
    message_start.message.usage                 Completion.usage, updated by later events
    content_block_start, its block              the start of a block; text or thinking in it becomes a delta
    content_block_delta: text_delta             TextDelta
    ... thinking_delta                          ThinkingDelta
    ... input_json_delta                        collected; a ToolCall at the end if the block is a tool_use, and before
                                                ToolCallDeltas for a tool whose arguments are streamed
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

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from ..messages import Image, Message, Replay
from ..usage import Usage
from .call_pieces import arguments_text, parse_call
from .errors import find_message
from .fields import (
    index_of,
    is_empty,
    is_error,
    is_failure,
    items_of,
    object_of,
    sum_counts,
    text_of,
    token_count,
    unreadable,
    update_counts,
    word_of,
)
from .http_provider import HTTPProvider
from .lenient_json import join_halves, read_json
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
from .parser import DECLINED, Delta, ForeignDataError, Parser, UnreadableError, fields_of, without_answer
from .provider import Completion, Request
from .schema_transforms import Schema, transform

_VERSION = "2023-06-01"
_without_eager_input: set[tuple[str, str]] = set()
"""Addresses and models that have refused `eager_input_streaming`. All come from the site's settings: they are few."""
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
            for message in normalize(messages, self.provider_and_model)
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
                | ({"eager_input_streaming": True} if tool.stream_arguments and self._is_eager else {})
                for tool in request.tools
            ]
        if request.output_schema is not None:
            schema = transform(request.output_schema, _supported)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if request.sampling.temperature is not None:
            body["temperature"] = request.sampling.temperature
        if (effort := request.sampling.reasoning_effort) is not None:
            body["thinking"] = {"type": "adaptive"}
            body["output_config"] = body.get("output_config", {}) | {"effort": effort}
        return apply_settings(body, request.settings)

    @property
    def _is_eager(self) -> bool:
        return (self.base_url, self.model) not in _without_eager_input

    def drop_refused_field(self, body: dict[str, Any], error: bytes) -> bool:
        """Some servers refuse `eager_input_streaming`. Then arguments come in larger pieces."""
        if b"eager_input_streaming" not in error:
            return False
        eager = [tool for tool in body.get("tools", ()) if tool.pop("eager_input_streaming", None)]
        if not eager:
            return False
        _without_eager_input.add((self.base_url, self.model))
        return True

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
    replayed = replay_content(message, "anthropic")
    if not replayed:
        return []
    blocks, rest = [], iter(calls)
    for block in replayed:
        if block.get("type") == "tool_use":
            call = next(rest, None)
            if call is not None:  # else one of too many calls, which older versions left out
                blocks.append(call | only(block, "caller"))
        else:
            blocks.append(only(block, *_FIELDS.get(str(block.get("type")), tuple(block))))
    return [*blocks, *rest]


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


# Only the fields that we read. Leaf values are Any, and checked where they are used.
class _Delta(msgspec.Struct):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    signature: Any = None
    citation: Any = None
    content: Any = None
    stop_reason: Any = None
    stop_details: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    delta: _Delta | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None


_event_decoder = msgspec.json.Decoder(_Event)


class AnthropicParser(Parser[_Event]):
    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[_Block] = []
        self._block_at: dict[int, _Block] = {}
        self._call_count = self._argument_chars = 0
        self._stop_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if event == "error":
            self._fail(data)
            return deltas
        parsed = self._decode(_event_decoder, data) if data else None
        if parsed is None:
            return deltas
        match parsed.type if type(parsed.type) is str else _kind(parsed.type, event):
            case "content_block_delta":
                if parsed.delta is not None:
                    self._add_delta(parsed.index, parsed.delta, deltas)
            case "content_block_start":
                self._start_block(parsed.index, parsed.content_block, deltas)
            case "content_block_stop":
                number = index_of(parsed.index)
                for block in self._blocks[-1:] if number is None else filter(None, [self._block_at.get(number)]):
                    block.complete = True
            case "message_start":
                self.started = True
                message = object_of(parsed.message, "message")
                self._update_usage(message.get("usage"))
                for index, content in enumerate(items_of(message.get("content"), "content")):
                    self._start_block(index, content, deltas)
            case "message_delta":
                self._update_usage(parsed.usage)
                if parsed.delta is not None and parsed.delta.stop_reason:
                    self._stop(parsed.delta.stop_reason, parsed.delta.stop_details)
            case "message_stop":
                self.started = self.complete = self.ended = True
            case "message" if not self.progress:
                deltas += self.parse_whole(data)
            case "error":
                self._fail(data)
            case _ if is_error(parsed.error):
                self._fail(data)
            case "":
                self._check_foreign(data)
        return deltas

    def parse_whole(self, body: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        message = read_json(body)
        if not isinstance(message, dict):
            raise ForeignDataError(message)
        self.has_halves = True
        if is_error(message.get("error")):
            self._fail(body)
        elif "content" in message:
            self.started = self.complete = True
            content = message["content"]
            for index, block in enumerate([content] if isinstance(content, str) else items_of(content, "content")):
                self._start_block(index, _text(block) if isinstance(block, str) else block, deltas)
            for started in self._blocks:
                started.complete = True
            self._update_usage(message.get("usage"))
            self._stop(message.get("stop_reason"), message.get("stop_details"))
        elif find_message(message):
            raise ForeignDataError(message)
        else:
            raise UnreadableError(without_answer(body))
        return deltas

    def tool_calls(self) -> list[ToolCall]:
        return [block.tool_call() for block in self._blocks if block.kind == "tool_use"]

    def completion(self) -> Completion:
        return Completion(self._stop_reason, _usage(self._usage), self._refusal, self._replay())

    def _coerce(self, chunk: dict[str, Any]) -> _Event:
        sent = chunk.get("delta")
        delta = _Delta(text=sent) if isinstance(sent, str) else fields_of(_Delta, sent, "delta")
        return _Event(**{name: delta if name == "delta" else chunk.get(name) for name in _Event.__struct_fields__})

    def _start_block(self, index: object, content: object, deltas: list[Delta]) -> None:
        block = _Block(object_of(content, "content_block"), len(self._blocks))
        if not block.start:
            return
        self.started = True
        self.progress += 1
        self._blocks.append(block)
        if (number := index_of(index)) is not None:
            self._block_at[number] = block
        if block.kind == "tool_use":
            self._add_to_calls(1, arguments_text(block.start.get("input")))
        for field, kind in (("text", TextDelta), ("thinking", ThinkingDelta)):
            if block.kind == field and (text := text_of(block.start.get(field), field)):
                block.start[field] = text
                deltas.append(kind(text))

    def _add_delta(self, index: object, delta: _Delta, deltas: list[Delta]) -> None:
        self.started = True
        self.progress += 1
        if (text := delta.text) is not None:
            if type(text) is not str:
                text = delta.text = text_of(text, "text")
            if text:
                deltas.append(TextDelta(text))
        if (thinking := delta.thinking) is not None:
            if type(thinking) is not str:
                thinking = delta.thinking = text_of(thinking, "thinking")
            if thinking:
                deltas.append(ThinkingDelta(thinking))
        block = self._block_at.get(index) if type(index) is int else None
        if (json := delta.partial_json) is not None:
            if type(json) is not str:
                json = delta.partial_json = arguments_text(json)
            if json and (block is None or "input" not in block.start):
                block = self._find_call(index)
            self._add_to_calls(0, json)
            if json and block is not None and block.name in self.streamed_tools:
                deltas.append(ToolCallDelta(str(block.number), block.name, json))
        if delta.signature is not None and type(delta.signature) is not str:
            delta.signature = text_of(delta.signature, "signature")
        (block or self._find_block(index, delta)).deltas.append(delta)

    def _add_to_calls(self, calls: int, arguments: str) -> None:
        self._call_count += calls
        self._argument_chars += len(arguments)
        self._check_calls(self._call_count, self._argument_chars)

    def _find_block(self, index: object, delta: _Delta) -> "_Block":
        """The block of a delta whose index is missing or wrong: the last one, or a new one."""
        number = index_of(index)
        block = self._block_at.get(number) if number is not None else None
        if block is not None:
            return block
        if not self._blocks:
            self._blocks.append(_Block({"type": "thinking", "thinking": ""} if delta.thinking else _text(""), 0))
        return self._blocks[-1]

    def _find_call(self, index: object) -> "_Block":
        """The tool call of arguments whose index is missing or wrong: the last one."""
        number = index_of(index)
        block = self._block_at.get(number) if number is not None else None
        for candidate in filter(None, (block, *reversed(self._blocks))):
            if "input" in candidate.start:
                return candidate
        raise UnreadableError("arguments without a tool call")

    def _stop(self, reason: object, details: object) -> None:
        """`pause_turn` and `max_tokens` end the answer as well; the caller decides whether to continue it."""
        self._stop_reason = word_of(reason) or None
        self.complete = True
        if is_failure(self._stop_reason or ""):
            self.failure = self._stop_reason or ""
        if reason == "refusal":
            explanation = details.get("explanation") if isinstance(details, dict) else None
            self._refusal = join_halves(explanation) if isinstance(explanation, str) and explanation else DECLINED

    def _update_usage(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage = update_counts(self._usage, usage, "input_tokens", "output_tokens")

    def _replay(self) -> Replay | None:
        """The blocks, if there are others than text and tool calls: the API wants signed thoughts back unchanged, and
        the results of its own tools would be lost otherwise."""
        if not self.complete or all(block.kind in ("text", "tool_use") for block in self._blocks):
            return None
        blocks = self._blocks
        if self._stop_reason == "pause_turn":  # Continue is a new request: a call of the server gets no result
            answered = [block.start.get("tool_use_id") for block in blocks]
            blocks = [b for b in blocks if not (b.kind.endswith("_tool_use") and b.start.get("id") not in answered)]
        return self._whole_replay("anthropic", [content for block in blocks if (content := block.content())])


def _kind(sent: object, event: str) -> str:
    """The type of an event that is no text: missing, or in an array."""
    if is_empty(sent):
        return "" if event == "message" else event
    words = items_of(sent, "type")
    if len(words) == 1 and isinstance(words[0], str):
        return words[0]
    raise unreadable("type", sent)


class _Block:
    """A content block and the deltas received for it."""

    def __init__(self, start: dict[str, Any], number: int) -> None:
        self.number = number
        self.kind = str(start.get("type"))
        self.name = str(start.get("name") or "") if self.kind == "tool_use" else ""
        self.start = start
        self.deltas: list[_Delta] = []
        self.complete = False

    def tool_call(self) -> ToolCall:
        return parse_call(str(self.start.get("id") or ""), str(self.start.get("name") or ""), self._json())

    def content(self) -> dict[str, Any] | None:
        """The whole block, in the form of a request. None for a block that the API refuses in a request: an empty
        text, or thinking without a signature."""
        block = dict(self.start)
        for field in ("text", "thinking", "signature"):
            if field in block or any(getattr(delta, field) for delta in self.deltas):
                block[field] = str(block.get(field) or "") + "".join(getattr(d, field) or "" for d in self.deltas)
        for delta in self.deltas:
            if delta.citation is not None:
                block["citations"] = [*items_of(block.get("citations"), "citations"), delta.citation]
            if delta.content is not None:
                block["content"] = delta.content
        if "input" in block:
            block["input"] = self.tool_call().arguments or {}
        empty = self.kind == "text" and not str(block.get("text") or "").strip()
        unsigned = self.kind == "thinking" and not block.get("signature")
        return None if empty or unsigned else block

    def _json(self) -> str:
        """The pieces, or what the block began with. The {} there is a placeholder until the block is complete."""
        raw = "".join(delta.partial_json or "" for delta in self.deltas)
        initial = self.start.get("input")
        return raw or arguments_text(initial) or ("{}" if self.complete and initial in ({}, []) else "")


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
