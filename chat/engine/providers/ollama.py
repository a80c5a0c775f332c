"""Ollama's own API, /api/chat: one JSON object per line. It takes fields that Ollama's OpenAI-compatible API does not,
such as `options` with a `num_ctx`. Used if OLLAMA_BASE_URL has no `/v1` (vendors.py).

    line                        our event
    --------------------------  ------------------------------------------------------------
    message.content, response   TextDelta; ThinkingDelta between leading <think> tags
    message.thinking, thinking  ThinkingDelta
    message.tool_calls          ToolCall at the end, with an id that we generate
    done, done_reason           the end, Completion.finish_reason
    prompt_eval_count, ...      Completion.usage
    error                       the stream fails

Source: https://docs.ollama.com/api/chat, "Generate a chat message".
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..events import ThinkingDelta, ToolCall
from ..exceptions import ConfigurationError
from ..messages import Message
from ..usage import Usage
from .call_pieces import arguments_text, parse_call
from .fields import (
    flag_of,
    is_empty,
    is_error,
    is_failure,
    items_of,
    object_of,
    sum_counts,
    text_of,
    token_count,
    word_of,
)
from .http_provider import HTTPProvider
from .normalize_history import alternate_messages, apply_settings, arguments_of, inline_image, normalize
from .openai import function_declaration
from .parser import Delta, ForeignDataError, Parser, fields_of, generate_call_id
from .provider import Completion, Request
from .think_tags import ThinkTags


class OllamaProvider(HTTPProvider):
    wire = "ollama"

    def url(self) -> str:
        return f"{self.base_url.removesuffix('/api')}/api/chat"

    def request_body(self, request: Request) -> dict[str, Any]:
        instructions, alternating = alternate_messages(
            normalize(request.messages, self.provider_and_model), request.instructions
        )
        messages = [_message(message) for message in alternating]
        if instructions:
            messages.insert(0, {"role": "system", "content": instructions})
        body: dict[str, Any] = {"model": self.model, "messages": messages, "stream": True}
        options = {
            "num_predict": request.limits.max_output_tokens,
            "temperature": request.sampling.temperature,
        }
        if options := {name: value for name, value in options.items() if value is not None}:
            body["options"] = options
        if request.sampling.reasoning_effort is not None:
            body["think"] = request.sampling.reasoning_effort
        if request.tools:
            body["tools"] = [function_declaration(tool) for tool in request.tools]
        if request.output_schema is not None:
            body["format"] = request.output_schema
        return apply_settings(body, request.settings)

    def parser(self) -> "OllamaParser":
        return OllamaParser()


def _message(message: Message) -> dict[str, Any]:
    converted: dict[str, Any] = {"role": message.role, "content": message.text_with_name}
    if message.role == "tool":
        converted["tool_name"] = message.name
    if message.tool_calls:
        converted["tool_calls"] = [
            {"function": {"name": call.name, "arguments": arguments_of(call)}} for call in message.tool_calls
        ]
    if message.role == "user" and message.images:
        images = [inline_image(image) for image in message.images]
        if None in images:
            raise ConfigurationError("Ollama takes images as bytes only; it does not fetch addresses.")
        converted["images"] = [image.base64 for image in images if image]
    return converted


# Only the fields that we read. Leaf values are Any, and checked where they are used.
class _Message(msgspec.Struct):
    content: Any = None
    thinking: Any = None
    tool_calls: Any = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    response: Any = None
    thinking: Any = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


_line_decoder = msgspec.json.Decoder(_Line)


class OllamaParser(Parser[_Line]):
    streams_json = True

    def __init__(self) -> None:
        super().__init__()
        self._tags = ThinkTags()
        self._calls: list[ToolCall] = []
        self._argument_chars = 0
        self._done_reason: str | None = None
        self._usage: Usage | None = None

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if event == "error":
            self._fail(data)
            return deltas
        line = self._decode(_line_decoder, data) if data else None
        if line is None:
            return deltas
        if line.error and is_error(line.error):
            self._fail(data)
            return deltas
        done = line.done is True or flag_of(line.done)
        if line.message is None and line.response is None and not done:
            self._check_foreign(data)
            return deltas
        self.started = True
        self._add_message(line.message or _Message(line.response, line.thinking), deltas)
        if done:
            self._add_end(line)
        return deltas

    def parse_whole(self, body: bytes) -> list[Delta]:
        return self.feed("message", body)

    def flush(self) -> Sequence[Delta]:
        return self._tags.flush()

    def tool_calls(self) -> list[ToolCall]:
        return self._calls

    def completion(self) -> Completion:
        return Completion(self._done_reason, self._usage)

    def _coerce(self, chunk: dict[str, Any]) -> _Line:
        sent = chunk.get("message")
        if isinstance(sent, str) and "done" not in chunk:
            raise ForeignDataError(chunk)  # an error that a proxy sent
        message = _Message(content=sent) if isinstance(sent, str) else fields_of(_Message, sent, "message")
        return _Line(None if is_empty(sent) else message, *(chunk.get(field) for field in _Line.__struct_fields__[1:]))

    def _add_message(self, message: _Message, deltas: list[Delta]) -> None:
        thinking, content = message.thinking, message.content
        if thinking is not None and not is_empty(thinking):
            deltas.append(ThinkingDelta(text_of(thinking, "thinking")))
            self._tags.after_thoughts = True
            self.progress += 1
        if content is not None and content != "":
            deltas += self._tags.split(content if type(content) is str else text_of(content, "content"))
            self.progress += 1
        if message.tool_calls:
            for call in items_of(message.tool_calls, "tool_calls"):
                self._add_call(object_of(call, "tool_calls"))

    def _add_call(self, call: dict[str, Any]) -> None:
        function = object_of(call.get("function"), "function") or call
        name, sent = function.get("name"), function.get("arguments")
        raw = arguments_text(sent) or ("" if sent is None else "{}")
        self._argument_chars += len(raw)
        self._check_calls(len(self._calls) + 1, self._argument_chars)
        self._calls.append(parse_call(generate_call_id(), "" if is_empty(name) else text_of(name, "name"), raw))
        self.progress += 1

    def _add_end(self, line: _Line) -> None:
        self.complete = self.ended = True
        self._done_reason = word_of(line.done_reason) or None
        if is_failure(self._done_reason or ""):
            self.failure = self._done_reason or ""
        input_tokens, output_tokens = token_count(line.prompt_eval_count), token_count(line.eval_count)
        total = sum_counts(input_tokens, output_tokens)
        self._usage = None if total is None else Usage(input_tokens, output_tokens, total)
