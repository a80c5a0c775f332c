"""The chat completions wire of OpenAI, and of everyone who speaks it (providers/__init__.py lists them).

    chunk                                             our event
    ------------------------------------------------  -----------------------------------------------------------
    choices[0].delta.content, a string                TextDelta
    ... a list of parts (Mistral)                     TextDelta of `text` parts, ThinkingDelta of `thinking` parts
    choices[0].delta.reasoning_content, .reasoning    ThinkingDelta, of the first that is there
    choices[0].delta.reasoning_details                ThinkingDelta, where neither of the two is there
    choices[0].delta.refusal                          Completion.refusal
    choices[0].delta.tool_calls                       gathered; ToolCall at the end
    choices[0].finish_reason                          Completion.finish_reason, the last that is no null
    usage, x_groq.usage                               Completion.usage, the last one
    error; x_groq.error; object "error"               the stream fails, after what else the chunk says
    event: error; a line `error: {...}`               the same
    data: [DONE]                                      the end

`<think>` tags in the text stay there. Other choices than the first, and fields that are not named here, are ignored.
Source: https://platform.openai.com/docs/api-reference/chat-streaming and what servers were seen to send.
"""

from contextlib import suppress
from typing import Any

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..usage import Usage
from .base import HTTPProvider
from .parser import Delta, NotJSONError, Parser, decode
from .provider import Completion, Request


class OpenAIProvider(HTTPProvider):
    """`base_url` is what comes before `/chat/completions`. `strict` is for servers that refuse fields which they do not
    know; they send their usage unasked. `limit_field` is what they call the limit on output."""

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
    ) -> None:
        super().__init__(name, model, base_url, key, key_variable)
        self._limit_field = limit_field
        self._strict = strict

    def url(self) -> str:
        return f"{self.base_url}/chat/completions"

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"} if self._key else {}

    def body(self, request: Request) -> dict[str, Any]:
        messages = [{"role": message.role, "content": message.spoken} for message in request.messages]
        if request.instructions:
            messages.insert(0, {"role": "system", "content": request.instructions})
        body: dict[str, Any] = {"model": self.model, "messages": messages, "stream": True}
        if not self._strict:
            body["stream_options"] = {"include_usage": True}
        if request.limits.max_output_tokens is not None:
            body[self._limit_field] = request.limits.max_output_tokens
        return body | dict(request.settings)

    def parser(self) -> "OpenAIParser":
        return OpenAIParser()


# Only what we read, so that the rest costs next to nothing; fields whose type varies between servers are Any.
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


_chunk = msgspec.json.Decoder(_Chunk)
_whole = msgspec.json.Decoder(_Whole)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)

_FIRST = (0, None, "0")  # how the first choice may be numbered


class OpenAIParser(Parser):
    def __init__(self) -> None:
        super().__init__()
        self._calls: list[_Call] = []
        self._call_at: dict[object, _Call] = {}  # by index, the newest
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if data.startswith(b"[DONE]"):
            self.begun = self.complete = self.over = True
        elif event == "message":
            if data:
                self._chunk(data, deltas)
        elif event == "error":
            self._fail(data)
        elif event:
            with suppress(NotJSONError):  # a ping, or whatever it may be; chunks under other names were seen too
                self._chunk(data, deltas)
        elif data.startswith((b"error:", b'{"error"')):
            self._fail(data.removeprefix(b"error:"))
        return deltas

    def whole(self, body: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        answer = decode(_whole, body)
        if answer is None or not (answer.choices or answer.error or answer.object == "error"):
            raise NotJSONError("no answer and no error in it")
        self.begun = self.complete = True
        for choice in answer.choices or ():
            if choice.index in _FIRST:
                self._choice(choice, choice.message, deltas)
        self._about(answer, body)
        return deltas

    def end(self) -> list[ToolCall]:
        return [call.whole() for call in self._calls]

    def completion(self) -> Completion:
        return Completion(self._finish_reason, _usage(self._usage), self._refusal)

    def _chunk(self, data: bytes, deltas: list[Delta]) -> None:
        chunk = decode(_chunk, data)
        if chunk is None:
            loose = decode(_any, data)
            if isinstance(loose, dict) and loose.get("error"):
                self.error = loose
            return
        self.begun = True
        for choice in chunk.choices or ():
            if choice.index in _FIRST:
                self._choice(choice, choice.delta, deltas)
        if chunk.usage or chunk.x_groq or chunk.error or chunk.object == "error":
            self._about(chunk, data)

    def _choice(self, choice: _Choice, message: _Message | None, deltas: list[Delta]) -> None:
        if message is not None:
            self._message(message, deltas)
        if choice.finish_reason:
            self._finish_reason = str(choice.finish_reason)
            self.complete = True

    def _message(self, message: _Message, deltas: list[Delta]) -> None:
        thinking = message.reasoning_content or message.reasoning
        if not thinking and message.reasoning_details:
            thinking = self._details(message.reasoning_details)
        if thinking and isinstance(thinking, str):
            deltas.append(ThinkingDelta(thinking))
        content = message.content
        if content:
            if isinstance(content, str):
                deltas.append(TextDelta(content))
            elif isinstance(content, list):
                _parts(content, deltas)
        self.progress += len(deltas)
        if message.refusal and isinstance(message.refusal, str):
            self._refusal += message.refusal
            self.progress += 1
        if message.tool_calls and isinstance(message.tool_calls, list):
            for piece in message.tool_calls:
                if isinstance(piece, dict):
                    self._call(piece)
                    self.progress += 1

    def _details(self, details: object) -> str:
        """OpenRouter's and Snowflake's list of what was thought; encrypted thoughts are a sign of life only."""
        texts = []
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self.progress += 1
                texts.append(detail.get("text") or detail.get("summary") or "")
        return "".join(text for text in texts if isinstance(text, str))

    def _call(self, piece: dict[str, Any]) -> None:
        """A piece of a tool call. Servers tell in different ways which call it belongs to: by `index` (which need not
        begin at 0), by a new `id`, or not at all, where it goes on with the last. The id may come once, in every piece,
        or be "" in later ones. Some give every call the same index, and some every piece another id: a new id under an
        old index begins a new call only where the old one is complete."""
        index, identity, function = piece.get("index"), str(piece.get("id") or ""), piece.get("function")
        index = index if isinstance(index, (int, str)) else None
        function = function if isinstance(function, dict) else {}
        call = self._call_at.get(index)
        if call and identity and identity != call.id and (index is None or (function.get("name") and call.is_whole())):
            call = None
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

    def _about(self, chunk: _Chunk, data: bytes) -> None:
        """What a chunk says beside its choices. Usage may come in several chunks, growing: the last counts."""
        groq = chunk.x_groq if isinstance(chunk.x_groq, dict) else {}
        usage = chunk.usage or groq.get("usage")
        if usage and isinstance(usage, dict):
            self._usage = usage
        if chunk.error or chunk.object == "error":
            self._fail(data)
        elif groq.get("error"):
            self.error = groq["error"]

    def _fail(self, data: bytes) -> None:
        self.begun = True
        text = data.decode("utf-8", "replace")
        try:
            self.error = decode(_any, data) or text
        except NotJSONError:
            self.error = text


class _Call:
    """A tool call while its pieces come."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []

    def is_whole(self) -> bool:
        call = self.whole()
        return bool(call.raw) and call.arguments is not None

    def whole(self) -> ToolCall:
        raw = "".join(self.pieces)
        try:
            arguments = decode(_any, raw.encode()) if raw.strip() else {}
        except NotJSONError:
            return ToolCall(self.id, self.name, None, raw)
        arguments = {} if arguments is None else arguments  # "null" means none
        return ToolCall(self.id, self.name, arguments if isinstance(arguments, dict) else None, raw)


def _parts(parts: list[Any], deltas: list[Delta]) -> None:
    """Mistral's content: {"type": "text", "text"} and {"type": "thinking", "thinking": [parts]}."""
    for part in parts:
        if not isinstance(part, dict):
            continue
        thinking = part.get("thinking")
        if isinstance(thinking, list):
            thinking = "".join(str(item.get("text") or "") for item in thinking if isinstance(item, dict))
        if thinking and isinstance(thinking, str):
            deltas.append(ThinkingDelta(thinking))
        text = part.get("text")
        if text and isinstance(text, str):
            deltas.append(TextDelta(text))


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    if sent is None:
        return None
    return Usage(
        input_tokens=_count(sent.get("prompt_tokens")),
        output_tokens=_count(sent.get("completion_tokens")),
        total_tokens=_count(sent.get("total_tokens")),
        cached_tokens=_detail(sent, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(sent, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(sent: dict[str, Any], group: str, name: str) -> int | None:
    details = sent.get(group)
    return _count(details.get(name)) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
