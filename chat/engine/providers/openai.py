"""The chat completions wire of OpenAI, and of everyone who speaks it (providers/__init__.py lists them).

    chunk                                             our event
    ------------------------------------------------  -----------------------------------------------------------
    choices[0].delta.content, a string                TextDelta; ThinkingDelta between <think> tags at the beginning
    ... a list of parts (Mistral)                     TextDelta of `text` parts, ThinkingDelta of `thinking` parts
    choices[0].delta.reasoning_content, .reasoning    ThinkingDelta, of the first that is there
    choices[0].delta.reasoning_details                ThinkingDelta, where neither of the two is there
    ... and, of vendors that want them back           Completion.replay, with a tool call
    choices[0].delta.refusal                          Completion.refusal
    choices[0].delta.tool_calls                       gathered; ToolCall at the end
    choices[0].finish_reason                          Completion.finish_reason, the last that is no null
    usage, x_groq.usage                               Completion.usage, the last one
    error; x_groq.error; object "error"               the stream fails, after what else the chunk says
    event: error; a line `error: {...}`               the same
    data: [DONE]                                      the end

Other choices than the first, and fields that are not named here, are ignored.
Sources: https://platform.openai.com/docs/api-reference/chat (requests) and .../chat-streaming, OpenRouter's "Reasoning
tokens", DeepSeek's "Thinking mode", and what servers were seen to send.
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
from .normalize_history import arguments, asking_for, inline, replayed, settled, with_settings
from .parser import Delta, NotJSONError, Parser, anything, count, decode, tool_call
from .provider import Completion, Request, ToolSpec
from .schema_transforms import is_strict
from .think_tags import ThinkTags


class OpenAIProvider(HTTPProvider):
    """`base_url` is what comes before `/chat/completions`. `limit_field` is what the server calls the limit on output.
    `strict` is for Mistral, which refuses fields and ids of another form than its own, and sends its usage unasked.
    `replays` is the field with thoughts that must come back with a tool call. `schemas`: whether the server takes a
    JSON Schema for its answer.
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

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"} if self._key else {}

    def body(self, request: Request) -> dict[str, Any]:
        instructions = request.instructions
        body: dict[str, Any] = {"model": self.model, "messages": [], "stream": True}
        if not self._strict:
            body["stream_options"] = {"include_usage": True}
        if request.limits.max_output_tokens is not None:
            body[self._limit_field] = request.limits.max_output_tokens
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if request.output_schema is not None:
            if self._schemas:
                body["response_format"] = {"type": "json_schema", "json_schema": _format(request.output_schema)}
            else:
                body["response_format"] = {"type": "json_object"}
                instructions = f"{instructions}\n\n{asking_for(request.output_schema)}".strip()
        if instructions:
            body["messages"].append({"role": "system", "content": instructions})
        body["messages"] += map(self._message, settled(request.messages, short_ids=self._strict))
        return with_settings(body, request.settings)

    def _message(self, message: Message) -> dict[str, Any]:
        match message.role:
            case "tool":
                return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
            case "user" if message.images:
                texts = [{"type": "text", "text": message.spoken}] if message.text.strip() else []
                return {"role": "user", "content": [*texts, *map(_image, message.images)]}
            case "assistant" if message.tool_calls:
                missed = {self._replays: ""} if self._replays == "reasoning_content" else {}
                return {
                    "role": "assistant",
                    "content": message.text or None,
                    "tool_calls": [_call(call) for call in message.tool_calls],
                } | (replayed(message, self.name) or missed)
        return {"role": message.role, "content": message.spoken}

    def parser(self) -> "OpenAIParser":
        return OpenAIParser(self.name, self._replays)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": msgspec.json.encode(arguments(call)).decode()}
    return {"id": call.id, "type": "function", "function": function}


def _image(image: Image) -> dict[str, Any]:
    data = inline(image)
    url = f"data:{data[0]};base64,{data[1]}" if data else image.url
    return {"type": "image_url", "image_url": {"url": url}}


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    """`strict` makes the server hold the model to the schema, and refuse schemas that leave anything open."""
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", str(schema.get("title") or ""))[:64]
    return {"name": name or "answer", "schema": schema, "strict": is_strict(schema)}


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

_FIRST = (0, None, "0")  # how the first choice may be numbered


class OpenAIParser(Parser):
    """`replays` is the field that goes back with a tool call, to the server of that `name` alone."""

    def __init__(self, name: str = "openai", replays: str = "") -> None:
        super().__init__()
        self._name = name
        self._replays = replays
        self._thoughts: list[str] = []
        self._thought_details: list[dict[str, Any]] = []
        self._tags = ThinkTags()
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

    def flush(self) -> Sequence[Delta]:
        return self._tags.flush()

    def end(self) -> list[ToolCall]:
        return [call.whole() for call in self._calls]

    def completion(self) -> Completion:
        return Completion(self._finish_reason, _usage(self._usage), self._refusal, self._replay())

    def _replay(self) -> Replay | None:
        sent = self._thought_details if self._replays == "reasoning_details" else "".join(self._thoughts)
        if not (self._replays and self._calls and self.complete and sent):
            return None
        return Replay(self._name, {self._replays: sent})

    def _chunk(self, data: bytes, deltas: list[Delta]) -> None:
        chunk = decode(_chunk, data)
        if chunk is None:
            loose = decode(anything, data)
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
        if message.reasoning_details:
            details = self._details(message.reasoning_details)
            thinking = thinking or details
        if thinking and isinstance(thinking, str):
            deltas.append(ThinkingDelta(thinking))
            self.progress += 1
            if self._replays:
                self._thoughts.append(thinking)
        content = message.content
        if content:
            if isinstance(content, str):
                self._text(content, deltas)
            elif isinstance(content, list):
                self._parts(content, deltas)
        if message.refusal and isinstance(message.refusal, str):
            self._refusal += message.refusal
            self.progress += 1
        if message.tool_calls and isinstance(message.tool_calls, list):
            for piece in message.tool_calls:
                if isinstance(piece, dict):
                    self._call(piece)
                    self.progress += 1

    def _text(self, text: str, deltas: list[Delta]) -> None:
        self.progress += 1
        if self._tags.over:
            deltas.append(TextDelta(text))
        else:
            deltas += self._tags.split(text)

    def _parts(self, parts: list[Any], deltas: list[Delta]) -> None:
        """Mistral's content: {"type": "text", "text"} and {"type": "thinking", "thinking": [parts]}."""
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
                self._text(text, deltas)

    def _details(self, details: object) -> str:
        """OpenRouter's and Snowflake's list of what was thought; encrypted thoughts are a sign of life only."""
        texts = []
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self.progress += 1
                texts.append(detail.get("text") or detail.get("summary") or "")
                if self._replays:
                    _keep(self._thought_details, detail)
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
            self.error = decode(anything, data) or text
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
        return tool_call(self.id, self.name, "".join(self.pieces))


def _keep(kept: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """A piece of a detail: what grows is put together, and the rest is said once or in the last piece (a signature)."""
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
        input_tokens=count(sent.get("prompt_tokens")),
        output_tokens=count(sent.get("completion_tokens")),
        total_tokens=count(sent.get("total_tokens")),
        cached_tokens=_detail(sent, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(sent, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(sent: dict[str, Any], group: str, name: str) -> int | None:
    details = sent.get(group)
    return count(details.get(name)) if isinstance(details, dict) else None
