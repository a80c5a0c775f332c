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
from .http_provider import HTTPProvider
from .normalize_history import apply_settings, arguments_of, inline_image, normalize
from .openai import function_declaration
from .parser import Delta, Parser, decode_json, generate_call_id, sum_counts, token_count
from .provider import Completion, Request
from .think_tags import ThinkTags


class OllamaProvider(HTTPProvider):
    wire = "ollama"

    def url(self) -> str:
        return f"{self.base_url.removesuffix('/api')}/api/chat"

    def request_body(self, request: Request) -> dict[str, Any]:
        messages = [_message(message) for message in normalize(request.messages, self.name)]
        if request.instructions:
            messages.insert(0, {"role": "system", "content": request.instructions})
        body: dict[str, Any] = {"model": self.model, "messages": messages, "stream": True}
        if request.limits.max_output_tokens is not None:
            body["options"] = {"num_predict": request.limits.max_output_tokens}
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


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: Any = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


_line_decoder = msgspec.json.Decoder(_Line)


class OllamaParser(Parser):
    streams_json = True

    def __init__(self) -> None:
        super().__init__()
        self._tags = ThinkTags()
        self._calls: list[ToolCall] = []
        self._done_reason: str | None = None
        self._usage: Usage | None = None

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        line = decode_json(_line_decoder, data) if data.startswith(b"{") else None
        if line is None:
            return deltas
        if line.error:
            self._fail(data)
            return deltas
        self.started |= line.message is not None or line.response is not None or bool(line.done)
        message = line.message or _Message(line.response, line.thinking)
        if message.thinking:
            deltas.append(ThinkingDelta(message.thinking))
            self.progress += 1
        if message.content:
            deltas += self._tags.split(message.content)
            self.progress += 1
        for call in message.tool_calls if isinstance(message.tool_calls, list) else ():
            self._add_call(call)
        if line.done:
            self.complete = self.ended = True
            self._done_reason = str(line.done_reason) if line.done_reason else None
            input_tokens, output_tokens = token_count(line.prompt_eval_count), token_count(line.eval_count)
            total = sum_counts(input_tokens, output_tokens)
            self._usage = None if total is None else Usage(input_tokens, output_tokens, total)
        return deltas

    def flush(self) -> Sequence[Delta]:
        return self._tags.flush()

    def tool_calls(self) -> list[ToolCall]:
        return self._calls

    def completion(self) -> Completion:
        return Completion(self._done_reason, self._usage)

    def _add_call(self, call: object) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return
        sent = function.get("arguments")
        raw = msgspec.json.encode(sent).decode() if sent else ""
        arguments = sent if isinstance(sent, dict) else {} if not sent else None
        self._calls.append(ToolCall(generate_call_id(), str(function.get("name") or ""), arguments, raw))
        self.progress += 1
