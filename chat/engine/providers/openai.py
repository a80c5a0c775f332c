"""OpenAI's chat completions API, and the many servers compatible with it (vendors.py lists them).

    chunk                                             our event
    ------------------------------------------------  -----------------------------------------------------------
    choices[0].delta.content, a string                TextDelta; ThinkingDelta between leading <think> tags
    ... a list of parts (Mistral)                     TextDelta for `text` parts, ThinkingDelta for `thinking` parts
    choices[0].delta.reasoning_content, .reasoning    ThinkingDelta, from the first of the two that is present
    choices[0].delta.reasoning_details                ThinkingDelta, if neither of the two is present
    ... from vendors that want them back              Completion.replay, if there is a tool call
    choices[0].delta.refusal                          Completion.refusal
    choices[0].delta.tool_calls                       collected; ToolCall at the end
    choices[0].finish_reason                          Completion.finish_reason, the last that is not null
    usage, x_groq.usage                               Completion.usage, the last one
    error; x_groq.error; object "error"               the stream fails, after the rest of the chunk is read
    event: error; a line `error: {...}`               the same
    data: [DONE]                                      the end

Other choices than the first, and other fields, are ignored. Sources:
https://platform.openai.com/docs/api-reference/chat (requests) and .../chat-streaming, OpenRouter's "Reasoning tokens",
DeepSeek's "Thinking mode", and what servers were seen to send.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..messages import Image, Message, Replay
from ..usage import Usage
from .http_provider import HTTPProvider
from .normalize_history import (
    apply_settings,
    arguments_of,
    inline_image,
    normalize,
    replay_content,
    schema_instruction,
)
from .parser import Delta, NotJSONError, Parser, decode_json, parse_tool_call, token_count
from .provider import Completion, Request, ToolSpec
from .schema_transforms import is_strict
from .think_tags import ThinkTags


class OpenAIProvider(HTTPProvider):
    """`base_url` is the address without `/chat/completions`. `limit_field` is the server's name for the limit on output
    tokens. `strict` is for Mistral, which refuses unknown fields and other forms of call ids, and sends its usage
    without being asked. `replays` names the field of thoughts that the server wants back with a tool call. `schemas`
    is false for servers that take no JSON Schema for the answer.
    """

    wire = "openai"

    def __init__(
        self,
        name: str,
        model: str,
        base_url: str,
        key: str = "",
        key_variable: str = "the key",
        *,
        limit_field: str = "max_tokens",
        strict: bool = False,
        replays: str = "",
        schemas: bool = True,
    ) -> None:
        super().__init__(name, model, base_url, key, key_variable)
        self._limit_field = limit_field
        self._strict = strict
        self._replays = replays
        self._schemas = schemas

    def url(self) -> str:
        return f"{self.base_url}/chat/completions"

    def request_body(self, request: Request) -> dict[str, Any]:
        instructions = request.instructions
        body: dict[str, Any] = {"model": self.model, "messages": [], "stream": True}
        if not self._strict:
            body["stream_options"] = {"include_usage": True}
        if request.limits.max_output_tokens is not None:
            body[self._limit_field] = request.limits.max_output_tokens
        if request.tools:
            body["tools"] = [function_declaration(tool) for tool in request.tools]
        if request.output_schema is not None:
            if self._schemas:
                body["response_format"] = _response_format(request.output_schema)
            else:
                body["response_format"] = {"type": "json_object"}
                instructions = f"{instructions}\n\n{schema_instruction(request.output_schema)}".strip()
        if instructions:
            body["messages"].append({"role": "system", "content": instructions})
        body["messages"] += map(self._message, normalize(request.messages, self.name, short_ids=self._strict))
        return apply_settings(body, request.settings)

    def _message(self, message: Message) -> dict[str, Any]:
        match message.role:
            case "tool":
                return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
            case "user" if message.images:
                texts = [{"type": "text", "text": message.text_with_name}] if message.text.strip() else []
                return {"role": "user", "content": [*texts, *map(_image, message.images)]}
            case "assistant" if message.tool_calls:
                # DeepSeek requires the field in every turn with tool calls, even if there were no thoughts.
                placeholder = {self._replays: ""} if self._replays == "reasoning_content" else {}
                return {
                    "role": "assistant",
                    "content": message.text or None,
                    "tool_calls": [_call(call) for call in message.tool_calls],
                } | (replay_content(message, self.name) or placeholder)
        return {"role": message.role, "content": message.text_with_name}

    def parser(self) -> "OpenAIParser":
        return OpenAIParser(self.name, self._replays)


def function_declaration(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": msgspec.json.encode(arguments_of(call)).decode()}
    return {"id": call.id, "type": "function", "function": function}


def _image(image: Image) -> dict[str, Any]:
    inline = inline_image(image)
    url = f"data:{inline.media_type};base64,{inline.base64}" if inline else image.url
    return {"type": "image_url", "image_url": {"url": url}}


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """With `strict` the server enforces the schema, and refuses schemas with optional or additional properties."""
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", str(schema.get("title") or ""))[:64]
    json_schema = {"name": name or "answer", "schema": schema, "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": json_schema}


# Only the fields that we read: skipping the others is fast. Fields whose type varies between servers are Any.
class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: _Message | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None
    object: Any = None


class _WholeChoice(_Choice):
    message: _Message | None = None


class _Whole(_Chunk):
    choices: list[_WholeChoice] | None = None  # type: ignore[assignment]


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_whole_decoder = msgspec.json.Decoder(_Whole)

_FIRST_CHOICE = (0, None, "0")


class OpenAIParser(Parser):
    """`replays` names the field that goes back with a tool call, and only to the vendor of that `name`."""

    def __init__(self, name: str = "openai", replays: str = "") -> None:
        super().__init__()
        self._name = name
        self._replays = replays
        self._thoughts: list[str] = []
        self._thought_details: list[dict[str, Any]] = []
        self._tags = ThinkTags()
        self._calls: list[_Call] = []
        self._call_at: dict[object, _Call] = {}  # the newest call of each index
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if data.startswith(b"[DONE]"):
            self.started = self.complete = self.ended = True
        elif event == "message":
            if data:
                self._add_chunk(data, deltas)
        elif event == "error":
            self._fail(data)
        elif event:
            with suppress(NotJSONError):  # usually a ping; some servers send chunks under other names
                self._add_chunk(data, deltas)
        elif data.startswith((b"error:", b'{"error"')):
            self._fail(data.removeprefix(b"error:"))
        return deltas

    def parse_whole(self, body: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        answer = decode_json(_whole_decoder, body)
        if answer is None or not (answer.choices or answer.error or answer.object == "error"):
            raise NotJSONError("no answer and no error in it")
        self.started = self.complete = True
        for choice in answer.choices or ():
            if choice.index in _FIRST_CHOICE:
                self._add_choice(choice, choice.message, deltas)
        self._add_metadata(answer, body)
        return deltas

    def flush(self) -> Sequence[Delta]:
        return self._tags.flush()

    def tool_calls(self) -> list[ToolCall]:
        return [call.tool_call() for call in self._calls]

    def completion(self) -> Completion:
        return Completion(self._finish_reason, _usage(self._usage), self._refusal, self._replay())

    def _replay(self) -> Replay | None:
        sent = self._thought_details if self._replays == "reasoning_details" else "".join(self._thoughts)
        if not (self._replays and self._calls and self.complete and sent):
            return None
        return Replay(self._name, {self._replays: sent})

    def _add_chunk(self, data: bytes, deltas: list[Delta]) -> None:
        chunk = self._decode_chunk(_chunk_decoder, data)
        if chunk is None:
            return
        self.started = True
        for choice in chunk.choices or ():
            if choice.index in _FIRST_CHOICE:
                self._add_choice(choice, choice.delta, deltas)
        if chunk.usage or chunk.x_groq or chunk.error or chunk.object == "error":
            self._add_metadata(chunk, data)

    def _add_choice(self, choice: _Choice, message: _Message | None, deltas: list[Delta]) -> None:
        if message is not None:
            self._add_message(message, deltas)
        if choice.finish_reason:
            self._finish_reason = str(choice.finish_reason)
            self.complete = True

    def _add_message(self, message: _Message, deltas: list[Delta]) -> None:
        thinking = message.reasoning_content or message.reasoning
        if message.reasoning_details:
            details = self._add_details(message.reasoning_details)
            thinking = thinking or details
        if thinking and isinstance(thinking, str):
            deltas.append(ThinkingDelta(thinking))
            self.progress += 1
            if self._replays:
                self._thoughts.append(thinking)
        content = message.content
        if content:
            if isinstance(content, str):
                self._add_text(content, deltas)
            elif isinstance(content, list):
                self._add_parts(content, deltas)
        if message.refusal and isinstance(message.refusal, str):
            self._refusal += message.refusal
            self.progress += 1
        if message.tool_calls and isinstance(message.tool_calls, list):
            for piece in message.tool_calls:
                if isinstance(piece, dict):
                    self._add_call_piece(piece)
                    self.progress += 1

    def _add_text(self, text: str, deltas: list[Delta]) -> None:
        self.progress += 1
        if self._tags.done:
            deltas.append(TextDelta(text))
        else:
            deltas += self._tags.split(text)

    def _add_parts(self, parts: list[Any], deltas: list[Delta]) -> None:
        """Mistral's content: {"type": "text", "text": "..."} and {"type": "thinking", "thinking": [parts]}."""
        for part in parts:
            if not isinstance(part, dict):
                continue
            thinking = part.get("thinking")
            if isinstance(thinking, list):
                thinking = "".join(str(item.get("text") or "") for item in thinking if isinstance(item, dict))
            if thinking and isinstance(thinking, str):
                deltas.append(ThinkingDelta(thinking))
                self.progress += 1
            text = part.get("text")
            if text and isinstance(text, str):
                self._add_text(text, deltas)

    def _add_details(self, details: object) -> str:
        """The text in OpenRouter's and Snowflake's list of thoughts. Encrypted thoughts count as progress only."""
        texts = []
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self.progress += 1
                texts.append(detail.get("text") or detail.get("summary") or "")
                if self._replays:
                    _merge_detail(self._thought_details, detail)
        return "".join(text for text in texts if isinstance(text, str))

    def _add_call_piece(self, piece: dict[str, Any]) -> None:
        """Find the call that a piece belongs to, and add it.

        Servers mark it by `index` (which need not begin at 0), by a new `id`, or not at all: then the piece continues
        the last call. The id may come once, with every piece, or be "" in later pieces. Some servers give every call
        the same index, others give every piece another id. So a new id under a known index begins a new call only if
        the known call is complete.
        """
        index, identity, function = piece.get("index"), str(piece.get("id") or ""), piece.get("function")
        index = index if isinstance(index, (int, str)) else None
        function = function if isinstance(function, dict) else {}
        call = self._call_at.get(index)
        if call and identity and identity != call.id:
            begins_call = index is None or (function.get("name") and call.is_complete())
            call = None if begins_call else call
        if call is None:
            call = self._call_at[index] = _Call()
            self._calls.append(call)
        call.id = call.id or identity
        call.name = call.name or str(function.get("name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if isinstance(arguments, str):
            call.pieces.append(arguments)

    def _add_metadata(self, chunk: _Chunk, data: bytes) -> None:
        """The fields outside the choices. Several chunks may carry a growing usage: the last one counts."""
        groq = chunk.x_groq if isinstance(chunk.x_groq, dict) else {}
        usage = chunk.usage or groq.get("usage")
        if usage and isinstance(usage, dict):
            self._usage = usage
        if chunk.error or chunk.object == "error":
            self._fail(data)
        elif groq.get("error"):
            self.error = groq["error"]


class _Call:
    """A tool call and the pieces received of it."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []

    def is_complete(self) -> bool:
        call = self.tool_call()
        return bool(call.raw) and call.arguments is not None

    def tool_call(self) -> ToolCall:
        return parse_tool_call(self.id, self.name, "".join(self.pieces))


def _merge_detail(kept: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece of a detail: growing texts are joined, other fields (a signature) come once or in the last piece."""
    last = kept[-1] if kept else {}
    if not last or any(last.get(key) != piece.get(key) for key in ("type", "index")):
        kept.append(dict(piece))
        return
    for key, value in piece.items():
        if key in ("text", "summary", "data") and isinstance(last.get(key), str) and isinstance(value, str):
            last[key] += value
        elif value is not None:
            last[key] = value


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    if sent is None:
        return None
    return Usage(
        input_tokens=token_count(sent.get("prompt_tokens")),
        output_tokens=token_count(sent.get("completion_tokens")),
        total_tokens=token_count(sent.get("total_tokens")),
        cached_tokens=_detail(sent, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(sent, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(sent: dict[str, Any], group: str, name: str) -> int | None:
    details = sent.get(group)
    return token_count(details.get(name)) if isinstance(details, dict) else None
