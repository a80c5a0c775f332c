"""OpenAI's chat completions API, and the many servers compatible with it (vendors.py lists them).

    chunk                                             our event
    ------------------------------------------------  -----------------------------------------------------------
    choices[].delta.content, a string                 TextDelta; ThinkingDelta between leading <think> tags
    ... a list of parts (Mistral)                     TextDelta for `text` parts, ThinkingDelta for `thinking` parts
    choices[].delta.reasoning_content, .reasoning     ThinkingDelta, from the first of the two that is present
    choices[].delta.reasoning_details                 ThinkingDelta, if neither of the two is present
    ... from vendors that want them back              Completion.replay, if there is a tool call
    choices[].delta.refusal                           Completion.refusal
    choices[].delta.tool_calls                        collected (call_pieces.py); ToolCallDelta; ToolCall at the end
    ... .extra_content (Gemini's signatures)          Completion.replay
    choices[].message                                 as `delta`, if nothing came before
    choices[].finish_reason                           Completion.finish_reason, the last that is not null
    ... and .native_finish_reason (OpenRouter)        the stream fails at its end if either names a failure
    usage, x_groq.usage, choices[].usage (Moonshot)   Completion.usage, the last counts
    error; choices[].error; x_groq.error; base_resp   the stream fails, after the rest of the chunk is read
    object "error"; event: error                      the same
    data: [DONE], also in small letters               the end

A request asks for one choice, so each choice is a part of it, whatever its index; of several answers (`n` in the
settings) the first counts. Other fields are ignored. Sources:
https://platform.openai.com/docs/api-reference/chat (requests) and .../chat-streaming, OpenRouter's "Reasoning tokens",
DeepSeek's "Thinking mode", and what servers were seen to send.
"""

import re
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from ..messages import Image, Message, Replay
from ..usage import Usage
from .call_pieces import CallPieces
from .fields import (
    index_of,
    is_empty,
    is_error,
    is_failure,
    items_of,
    object_of,
    text_of,
    token_count,
    total_count,
    update_counts,
    with_indices,
    word_of,
)
from .http_provider import HTTPProvider
from .lenient_json import join_halves, read_json
from .normalize_history import (
    alternate_messages,
    apply_settings,
    arguments_of,
    inline_image,
    normalize,
    replay_content,
    schema_instruction,
)
from .parser import Delta, Parser, UnreadableError, fields_of, without_answer
from .provider import Completion, Request, ToolSpec
from .schema_transforms import is_strict
from .think_tags import ThinkTags

_without_stream_options: set[tuple[str, str]] = set()
"""Addresses and models that have refused `stream_options`. All come from the site's settings, so they are few."""


class OpenAIProvider(HTTPProvider):
    """`base_url` is the address without `/chat/completions`. `limit_field` is the server's name for the limit on output
    tokens. `strict` is for Mistral, which refuses unknown fields and other forms of call ids, and sends its usage
    without being asked. `replays` names the field of thoughts that the server wants back with a tool call. `schemas`
    is false for servers that take no JSON Schema for the answer. `alternate` is for servers that apply the chat
    template of a model (`alternate_messages`).
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
        alternate: bool = False,
    ) -> None:
        super().__init__(name, model, base_url, key, key_variable)
        self._limit_field = limit_field
        self._strict = strict
        self._replays = replays
        self._schemas = schemas
        self._alternate = alternate

    def url(self) -> str:
        return f"{self.base_url}/chat/completions"

    def request_body(self, request: Request) -> dict[str, Any]:
        instructions, messages = (
            request.instructions,
            normalize(request.messages, self.provider_and_model, short_ids=self._strict),
        )
        if self._alternate:
            instructions, messages = alternate_messages(messages, instructions)
        body: dict[str, Any] = {"model": self.model, "messages": [], "stream": True}
        if not self._strict and (self.base_url, self.model) not in _without_stream_options:
            body["stream_options"] = {"include_usage": True}
        if request.limits.max_output_tokens is not None:
            body[self._limit_field] = request.limits.max_output_tokens
        if request.sampling.temperature is not None:
            body["temperature"] = request.sampling.temperature
        if request.sampling.reasoning_effort is not None:
            body["reasoning_effort"] = request.sampling.reasoning_effort
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
        body["messages"] += map(self._message, messages)
        return apply_settings(body, request.settings)

    def drop_refused_field(self, body: dict[str, Any], error: bytes) -> bool:
        """Some servers refuse `stream_options`, which others need to send their usage. Later requests do without."""
        if b"stream_options" not in error or body.pop("stream_options", None) is None:
            return False
        _without_stream_options.add((self.base_url, self.model))
        return True

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
                replayed = placeholder | (replay_content(message, self.name) or {})
                extras = chain(replayed.pop("extra_content", ()), repeat({}))
                calls = [
                    _call(call) | ({"extra_content": extra} if extra else {})
                    for call, extra in zip(message.tool_calls, extras, strict=False)
                ]
                return {"role": "assistant", "content": message.text or None, "tool_calls": calls} | replayed
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
    role: Any = None
    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: Any = None
    native_finish_reason: Any = None
    error: Any = None
    index: Any = None
    usage: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None
    base_resp: Any = None
    object: Any = None


_chunk_decoder = msgspec.json.Decoder(_Chunk)


class OpenAIParser(Parser[_Chunk]):
    """`replays` names the field that goes back with a tool call, and only to the vendor of that `name`."""

    def __init__(self, name: str = "openai", replays: str = "") -> None:
        super().__init__()
        self._name = name
        self._replays = replays
        self._thoughts: list[str] = []
        self._thought_details: list[dict[str, Any]] = []
        self._tags = ThinkTags()
        self._calls = CallPieces()
        self._index: int | None = None  # of the first choice
        self._has_role = False  # the first choice
        self._other_indices: set[int] = set()
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal: list[str] = []

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if data.startswith((b"[DONE]", b"[done]")):
            self.started = self.complete = self.ended = True
            if self._other_indices and not self._finish_reason:
                raise UnreadableError("several choices, of which the first has no end")
        elif event == "error":
            self._fail(data)
        elif data:
            chunk = self._decode(_chunk_decoder, data)
            if chunk is not None:
                self._add_chunk(chunk, data, deltas)
        return deltas

    def _decode(self, decoder: msgspec.json.Decoder[_Chunk], data: bytes) -> _Chunk | None:
        chunk = super()._decode(decoder, data)
        if chunk is not None and chunk.choices and _Choice() in chunk.choices:  # it may be in a frame of its own
            return self._coerce(read_json(data))
        return chunk

    def parse_whole(self, body: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        answer = self._decode(_chunk_decoder, body)
        if answer is not None:
            self._add_chunk(answer, body, deltas)
        if not (self.started or self.error):
            raise UnreadableError(without_answer(body))
        self.complete = bool(answer and answer.choices)
        return deltas

    def flush(self) -> Sequence[Delta]:
        return self._tags.flush()

    def tool_calls(self) -> list[ToolCall]:
        return self._calls.tool_calls()

    def completion(self) -> Completion:
        refusal = join_halves("".join(self._refusal))
        return Completion(self._finish_reason, _usage(self._usage), refusal, self._replay())

    def _replay(self) -> Replay | None:
        """`extra_content`, one for each call, is not a field of the turn; `_message` puts it into the calls."""
        if not (self._calls and self.complete):
            return None
        details = [_join_detail(detail) for detail in self._thought_details]
        sent = details if self._replays == "reasoning_details" else "".join(self._thoughts)
        content: dict[str, Any] = {self._replays: sent} if self._replays and sent else {}
        if any(extras := self._calls.extras()):
            content["extra_content"] = extras
        return self._whole_replay(self._name, content) if content else None

    def _coerce(self, chunk: dict[str, Any]) -> _Chunk:
        if is_error(chunk.get("error")):  # whatever else it holds
            return _Chunk(error=chunk["error"])
        choices = [
            _Choice(
                _coerce_message(choice.get("delta"), "delta"),
                _coerce_message(choice.get("message"), "message"),
                choice.get("finish_reason"),
                choice.get("native_finish_reason"),
                choice.get("error"),
                choice.get("index"),
                choice.get("usage"),
            )
            for choice in (object_of(item, "choices") for item in items_of(chunk.get("choices"), "choices"))
        ]
        return _Chunk(choices, *(chunk.get(field) for field in _Chunk.__struct_fields__[1:]))

    def _add_chunk(self, chunk: _Chunk, data: bytes, deltas: list[Delta]) -> None:
        if chunk.choices:
            self.started = True
            for choice in chunk.choices:
                if choice.index == self._index or not self._is_other(choice):
                    self._add_choice(choice, deltas)
        if chunk.usage or chunk.x_groq or chunk.error or chunk.base_resp or chunk.object == "error":
            self._add_metadata(chunk, data)
        elif not chunk.choices:
            self._check_foreign(data)

    def _is_other(self, choice: _Choice) -> bool:
        """Whether a choice is not the first. Only those of several answers (`n`) begin with a role of their own; one
        answer may come under growing indices, too."""
        index, message = index_of(choice.index), choice.delta or choice.message
        if index is None or index == self._index or index in self._other_indices:
            return index in self._other_indices
        has_role = message is not None and bool(message.role)
        if self._index is None:
            self._index, self._has_role = index, has_role
        elif has_role and (self._has_role or self.progress):
            self._other_indices.add(index)
        return index in self._other_indices

    def _add_choice(self, choice: _Choice, deltas: list[Delta]) -> None:
        if choice.delta is not None:
            self._add_message(choice.delta, deltas)
        if choice.message is not None and not self.progress:  # later it repeats what came in the deltas
            self._add_message(choice.message, deltas)
        if choice.finish_reason or choice.native_finish_reason:
            self._add_end(choice)
        if choice.error and is_error(choice.error):
            self.error = {"error": choice.error}
        if choice.usage:
            self._add_usage(choice.usage)

    def _add_end(self, choice: _Choice) -> None:
        reason, native = word_of(choice.finish_reason), word_of(choice.native_finish_reason)
        if reason:
            self._finish_reason = reason
            self.complete = True
        if is_failure(reason):
            self.failure = f"{reason} ({native})" if native else reason
        elif is_failure(native):  # the word of the server behind a router
            self.failure = native

    def _add_message(self, message: _Message, deltas: list[Delta]) -> None:
        if message.reasoning_content is not None or message.reasoning is not None or message.reasoning_details:
            self._add_thinking(message, deltas)
        content = message.content
        if type(content) is str:
            if content:
                self._add_text(content, deltas)
        elif content is not None:
            self._add_content(content, deltas)
        if message.refusal:
            self._refusal.append(text_of(message.refusal, "refusal"))
            self.progress += 1
        if message.tool_calls:
            for piece in items_of(with_indices(message.tool_calls), "tool_calls"):
                delta = self._add_call_piece(object_of(piece, "tool_calls"))
                if delta is not None:
                    deltas.append(delta)
                self.progress += 1

    def _add_thinking(self, message: _Message, deltas: list[Delta]) -> None:
        """The first field that is present: the others repeat it."""
        sent = message.reasoning if is_empty(message.reasoning_content) else message.reasoning_content
        thinking = "" if is_empty(sent) else text_of(sent, "reasoning")
        if message.reasoning_details:
            details = self._add_details(message.reasoning_details)
            thinking = thinking or details
        if thinking:
            deltas.append(ThinkingDelta(thinking))
            self.progress += 1
            self._tags.after_thoughts = True
            if self._replays:
                self._thoughts.append(thinking)

    def _add_text(self, text: str, deltas: list[Delta]) -> None:
        self.progress += 1
        if self._tags.done:
            deltas.append(TextDelta(text))
        else:
            deltas += self._tags.split(text)

    def _add_content(self, content: Any, deltas: list[Delta]) -> None:
        """Content that is no text. Mistral's is a list of parts: {"type": "text", "text": "..."} and {"type":
        "thinking", "thinking": [parts]}. Parts of other types (references, images) are no text."""
        if not isinstance(content, list | dict):
            self._add_text(text_of(content, "content"), deltas)
            return
        for part in items_of(content, "content"):
            if not isinstance(part, dict):
                self._add_text(text_of(part, "content"), deltas)
            elif "thinking" in part:
                if thinking := text_of(part["thinking"], "thinking"):
                    deltas.append(ThinkingDelta(thinking))
                    self.progress += 1
            elif "refusal" in part:
                self._refusal.append(text_of(part["refusal"], "refusal"))
                self.progress += 1
            elif ("type" not in part or "text" in part) and (text := text_of(part, "content")):
                self._add_text(text, deltas)

    def _add_details(self, details: object) -> str:
        """The text in OpenRouter's and Snowflake's list of thoughts. Encrypted thoughts count as progress only."""
        texts = []
        for item in items_of(details, "reasoning_details"):
            detail = item if isinstance(item, dict) else {"text": text_of(item, "reasoning_details")}
            self.progress += 1
            texts.append(text_of(detail.get("text") or detail.get("summary"), "reasoning_details"))
            if self._replays:
                _merge_detail(self._thought_details, detail)
        return "".join(texts)

    def _add_call_piece(self, piece: dict[str, Any]) -> ToolCallDelta | None:
        function = object_of(piece.get("function"), "function") or piece  # some servers leave the frame out
        identity, name = piece.get("id"), function.get("name")
        delta = self._calls.add(
            index_of(piece.get("index")),
            "" if is_empty(identity) else text_of(identity, "id"),
            "" if is_empty(name) else text_of(name, "name"),
            function.get("arguments"),
            piece.get("extra_content"),
            self.streamed_tools,
        )
        self._check_calls(self._calls.number(self.limits.max_calls), self._calls.argument_chars)
        return delta

    def _add_metadata(self, chunk: _Chunk, data: bytes) -> None:
        """The fields outside the choices."""
        self.started = self.started or bool(chunk.usage or chunk.x_groq)
        groq = chunk.x_groq if isinstance(chunk.x_groq, dict) else {}
        self._add_usage(chunk.usage or groq.get("usage"))
        if is_error(chunk.error) or is_error(chunk.base_resp) or chunk.object == "error":
            self._fail(data)
        elif is_error(groq.get("error")):
            self.error = groq["error"]

    def _add_usage(self, usage: object) -> None:
        """Several chunks may carry a growing usage: the last one counts."""
        if usage and isinstance(usage, dict):
            counts = ("prompt_tokens", "completion_tokens", "total_tokens")
            self._usage = update_counts(self._usage, usage, *counts)


def _coerce_message(sent: object, field: str) -> _Message | None:
    if isinstance(sent, str):
        return _Message(content=sent)
    return None if is_empty(sent) else fields_of(_Message, sent, field)


_GROWING = ("text", "summary", "data")


def _merge_detail(kept: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece of a detail: growing texts are collected in lists (`_join_detail`), other fields (a signature) come
    once or in the last piece.
    """
    piece = {key: [value] if key in _GROWING and isinstance(value, str) else value for key, value in piece.items()}
    last = kept[-1] if kept else {}
    if not last or any(last.get(key) != piece.get(key) for key in ("type", "index")):
        kept.append(piece)
        return
    for key, value in piece.items():
        if key in _GROWING and isinstance(value, list) and isinstance(last.get(key), list):
            last[key] += value
        elif value is not None:
            last[key] = value


def _join_detail(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        key: "".join(value) if key in _GROWING and isinstance(value, list) else value for key, value in detail.items()
    }


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    if sent is None:
        return None
    input_tokens, output_tokens = token_count(sent.get("prompt_tokens")), token_count(sent.get("completion_tokens"))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=total_count(token_count(sent.get("total_tokens")), input_tokens, output_tokens),
        cached_tokens=_detail(sent, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(sent, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(sent: dict[str, Any], group: str, name: str) -> int | None:
    details = sent.get(group)
    return token_count(details.get(name)) if isinstance(details, dict) else None
