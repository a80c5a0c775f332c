"""Anthropic's Messages, and whoever speaks that wire.

    event                                       our event
    ------------------------------------------  ---------------------------------------------------------------
    message_start.message.usage                 Completion.usage, overlaid with what comes later
    content_block_start, its block              what the block holds already; a client's tool_use is a ToolCall
    content_block_delta: text_delta             TextDelta
    ... thinking_delta                          ThinkingDelta
    ... input_json_delta                        gathered; ToolCall at the end, if the block is a tool_use
    ... signature_delta, citations_delta, ...   gathered for Completion.replay
    message_delta.delta.stop_reason             Completion.finish_reason; with "refusal" Completion.refusal too
    message_delta.usage                         Completion.usage, the fields that are there
    message_stop                                the end
    error                                       the stream fails
    ping, content_block_stop, unknown ones      nothing

Tools that the server runs itself (server_tool_use, mcp_tool_use and their results) make no event, and go back with the
turn. Sources: the pages "Streaming Messages", "Messages", "Extended thinking", "Tool use" and "Structured outputs" of
https://platform.claude.com/docs.
"""

from typing import Any

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..messages import Image, Message, Replay
from ..usage import Usage
from .http_provider import HTTPProvider
from .normalize_history import alternating, arguments, inline, opening, replayed, settled, with_settings
from .parser import Delta, NotJSONError, Parser, anything, count, decode, tool_call, total
from .provider import Completion, Request
from .schema_transforms import Schema, mapped

_VERSION = "2023-06-01"
_MOST_TOKENS = 16_384  # of an answer; the API wants a limit, and every model that is sold takes this one


class AnthropicProvider(HTTPProvider):
    """`base_url` comes without its `/v1`; with it is right too."""

    wire = "anthropic"

    def url(self) -> str:
        return f"{self.base_url.removesuffix('/v1')}/v1/messages"

    def headers(self) -> dict[str, str]:
        return {"x-api-key": self._key, "anthropic-version": _VERSION}

    def body(self, request: Request) -> dict[str, Any]:
        system, messages = opening(request.messages, request.instructions)
        parts = [(message.role == "assistant", block) for message in settled(messages) for block in _blocks(message)]
        thinking = request.settings.get("thinking")
        budget = thinking.get("budget_tokens", 0) if isinstance(thinking, dict) else 0  # counts into max_tokens
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.limits.max_output_tokens or _MOST_TOKENS + budget,
            "messages": [
                {"role": "assistant" if model else "user", "content": content}
                for model, content in alternating(parts, _text)
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
            schema = mapped(request.output_schema, _closed)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return with_settings(body, request.settings)

    def parser(self) -> "AnthropicParser":
        return AnthropicParser()


def _blocks(message: Message) -> list[dict[str, Any]]:
    """A message as content blocks. Empty texts are refused, and so is a `system` that does not stand first."""
    text = [_text(message.spoken)] if message.text.strip() else []
    match message.role:
        case "tool":
            return [_result(message)]
        case "assistant":
            calls = [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments(call)}
                for call in message.tool_calls
            ]
            return replayed(message, "anthropic") or [*text, *calls]
        case "system":
            return [_text(f"System: {message.text}")]
    return [*map(_image, message.images), *text]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _result(message: Message) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text}
    return result | ({"is_error": True} if message.failed else {})


def _image(image: Image) -> dict[str, Any]:
    data = inline(image)
    source = {"type": "base64", "media_type": data[0], "data": data[1]} if data else {"type": "url", "url": image.url}
    return {"type": "image", "source": source}


# "Structured outputs", JSON Schema limitations. What a vendor cannot enforce we check ourselves.
_LOOSE = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "minProperties", "maxProperties",
}  # fmt: skip


def _closed(schema: Schema) -> Schema:
    """Objects must say that they take no other properties, and limits are refused."""
    kept = {key: value for key, value in schema.items() if key not in _LOOSE}
    is_object = "properties" in kept or kept.get("type") == "object"
    return kept | ({"additionalProperties": False} if is_object else {})


# Only what we read; what is of another type than here was not sent by this wire.
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


_event = msgspec.json.Decoder(_Event)


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
            said = decode(_event, data.removeprefix(b"error:"))
        except NotJSONError:
            if event == "error" or not event:
                self._fail(data)
            elif event.startswith(("message", "content_block")):
                raise
            return deltas
        if said is None:
            return deltas
        match said.type:
            case "content_block_delta":
                if said.delta is not None:
                    self._delta(said.index, said.delta, deltas)
            case "content_block_start":
                self._start(said.index, said.content_block, deltas)
            case "message_start":
                self.begun = True
                self._count(said.message.get("usage") if isinstance(said.message, dict) else None)
            case "message_delta":
                self._count(said.usage)
                if said.delta is not None and said.delta.stop_reason:
                    self._stop(said.delta.stop_reason, said.delta.stop_details)
            case "message_stop":
                self.begun = self.complete = self.over = True
            case "error":
                self._fail(data)
            case _ if said.error or event == "error":
                self._fail(data)
        return deltas

    def whole(self, body: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        message = decode(anything, body)
        message = message if isinstance(message, dict) else {}
        if message.get("error"):
            self._fail(body)
        elif isinstance(message.get("content"), list):
            self.begun = self.complete = True
            for index, block in enumerate(message["content"]):
                self._start(index, block, deltas)
            self._count(message.get("usage"))
            self._stop(message.get("stop_reason"), message.get("stop_details"))
        else:
            raise NotJSONError("no answer and no error in it")
        return deltas

    def end(self) -> list[ToolCall]:
        return [block.call() for block in self._blocks if block.kind == "tool_use"]

    def completion(self) -> Completion:
        return Completion(self._stop_reason, _usage(self._usage), self._refusal, self._replay())

    def _start(self, index: object, content: object, deltas: list[Delta]) -> None:
        if not isinstance(content, dict):
            return
        self.begun = True
        self.progress += 1
        block = _Block(content)
        self._blocks.append(block)
        if isinstance(index, int):
            self._block_at[index] = block
        for field, kind in (("text", TextDelta), ("thinking", ThinkingDelta)):
            if block.kind == field and (text := content.get(field)) and isinstance(text, str):
                deltas.append(kind(text))

    def _delta(self, index: object, delta: _Delta, deltas: list[Delta]) -> None:
        self.begun = True
        self.progress += 1
        if delta.text:
            deltas.append(TextDelta(delta.text))
        elif delta.thinking:
            deltas.append(ThinkingDelta(delta.thinking))
        block = self._block_at.get(index) if isinstance(index, int) else None
        if block is not None:
            block.deltas.append(delta)

    def _stop(self, reason: object, details: object) -> None:
        """`pause_turn` and `max_tokens` are ends too: it is for the caller to go on."""
        self._stop_reason = reason if isinstance(reason, str) else None
        self.complete = True
        if reason == "refusal":
            why = details.get("explanation") if isinstance(details, dict) else None
            self._refusal = why if isinstance(why, str) and why else "The model declined to answer this."

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage = (self._usage or {}) | {key: value for key, value in usage.items() if value is not None}

    def _fail(self, data: bytes) -> None:
        self.begun = True
        try:
            self.error = decode(anything, data.removeprefix(b"error:"))
        except NotJSONError:
            self.error = data.decode("utf-8", "replace")

    def _replay(self) -> Replay | None:
        """The blocks, where there are others than texts and tool calls: signed thoughts must come back unchanged, and
        what the server's own tools found is lost otherwise."""
        if not self.complete or all(block.kind in ("text", "tool_use") for block in self._blocks):
            return None
        return Replay("anthropic", [content for block in self._blocks if (content := block.content())])


class _Block:
    """A content block while its deltas come."""

    def __init__(self, start: dict[str, Any]) -> None:
        self.kind = str(start.get("type"))
        self.deltas: list[_Delta] = []
        self._start = start

    def call(self) -> ToolCall:
        return tool_call(str(self._start.get("id") or ""), str(self._start.get("name") or ""), self._json())

    def content(self) -> dict[str, Any] | None:
        """The whole block as a request holds it; None for one that may not come back: an empty text, thoughts without
        a signature."""
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
            block["input"] = self.call().arguments or {}
        if (self.kind == "text" and not block["text"].strip()) or (self.kind == "thinking" and not block["signature"]):
            return None
        return block

    def _json(self) -> str:
        raw = "".join(delta.partial_json or "" for delta in self.deltas)
        begun = self._start.get("input")
        return raw or (msgspec.json.encode(begun).decode() if begun else "")


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    """`input_tokens` are without those that were written to the cache or read from it; the total is with them."""
    if sent is None:
        return None
    put, out = count(sent.get("input_tokens")), count(sent.get("output_tokens"))
    written, read = count(sent.get("cache_creation_input_tokens")), count(sent.get("cache_read_input_tokens"))
    details = sent.get("output_tokens_details")
    thought = count(details.get("thinking_tokens")) if isinstance(details, dict) else None
    return Usage(put, out, total(put, written, read, out), read, thought)
