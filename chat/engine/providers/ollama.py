"""Ollama's own wire, /api/chat: a JSON object a line. For what its OpenAI wire does not take, such as `options` with a
`num_ctx`. OLLAMA_BASE_URL without a `/v1` leads here (vendors.py).

    line                        our event
    --------------------------  ------------------------------------------------------------
    message.content, response   TextDelta; ThinkingDelta between <think> tags at the beginning
    message.thinking, thinking  ThinkingDelta
    message.tool_calls          ToolCall at the end, with an id of our making
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
from .normalize_history import arguments, inline, settled, with_settings
from .parser import Delta, Parser, anything, count, decode, made_up_id, total
from .provider import Completion, Request
from .think_tags import ThinkTags


class OllamaProvider(HTTPProvider):
    wire = "ollama"

    def url(self) -> str:
        return f"{self.base_url.removesuffix('/api')}/api/chat"

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"} if self._key else {}

    def body(self, request: Request) -> dict[str, Any]:
        messages = [_message(message) for message in settled(request.messages)]
        if request.instructions:
            messages.insert(0, {"role": "system", "content": request.instructions})
        body: dict[str, Any] = {"model": self.model, "messages": messages, "stream": True}
        if request.limits.max_output_tokens is not None:
            body["options"] = {"num_predict": request.limits.max_output_tokens}
        if request.tools:
            body["tools"] = [
                {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.schema}}
                for t in request.tools
            ]
        if request.output_schema is not None:
            body["format"] = request.output_schema
        return with_settings(body, request.settings)

    def parser(self) -> "OllamaParser":
        return OllamaParser()


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.spoken}
    if message.role == "tool":
        said["tool_name"] = message.name
    if message.tool_calls:
        said["tool_calls"] = [
            {"function": {"name": call.name, "arguments": arguments(call)}} for call in message.tool_calls
        ]
    if message.role == "user" and message.images:
        pictures = [inline(image) for image in message.images]
        if None in pictures:
            raise ConfigurationError("Ollama takes images as bytes only, and fetches none from an address.")
        said["images"] = [picture[1] for picture in pictures if picture]
    return said


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


_line = msgspec.json.Decoder(_Line)


class OllamaParser(Parser):
    objects = True

    def __init__(self) -> None:
        super().__init__()
        self._tags = ThinkTags()
        self._calls: list[ToolCall] = []
        self._done_reason: str | None = None
        self._usage: Usage | None = None

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        line = decode(_line, data) if data.startswith(b"{") else None
        if line is None:
            return deltas
        if line.error:
            self.begun = True
            self.error = decode(anything, data)
            return deltas
        self.begun |= line.message is not None or line.response is not None or bool(line.done)
        said = line.message or _Message(line.response, line.thinking)
        if said.thinking:
            deltas.append(ThinkingDelta(said.thinking))
            self.progress += 1
        if said.content:
            deltas += self._tags.split(said.content)
            self.progress += 1
        for call in said.tool_calls if isinstance(said.tool_calls, list) else ():
            self._call(call)
        if line.done:
            self.complete = self.over = True
            self._done_reason = str(line.done_reason) if line.done_reason else None
            put, out = count(line.prompt_eval_count), count(line.eval_count)
            self._usage = None if put is None and out is None else Usage(put, out, total(put, out))
        return deltas

    def flush(self) -> Sequence[Delta]:
        return self._tags.flush()

    def end(self) -> list[ToolCall]:
        return self._calls

    def completion(self) -> Completion:
        return Completion(self._done_reason, self._usage)

    def _call(self, call: object) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return
        sent = function.get("arguments")
        raw = msgspec.json.encode(sent).decode() if sent else ""
        given = sent if isinstance(sent, dict) else {} if not sent else None
        self._calls.append(ToolCall(made_up_id(), str(function.get("name") or ""), given, raw))
        self.progress += 1
