"""Gemini's generateContent: AI Studio with a key, Vertex AI with an access token.

    chunk                                     our event
    ----------------------------------------  ----------------------------------------------------------------
    candidates[0].content.parts[].text        TextDelta; ThinkingDelta where `thought` is true
    ... .functionCall                         ToolCall at the end, with an id of our making where none was sent
    ... .functionCall.partialArgs             gathered (Vertex, streamFunctionCallArguments)
    ... .thoughtSignature, .executableCode    Completion.replay, with the parts that they belong to
    candidates[0].finishReason, the last      Completion.finish_reason; of an answer that was blocked the refusal too
    promptFeedback.blockReason                the end, Completion.refusal
    usageMetadata, the last                   Completion.usage
    error, also on lines of its own           the stream fails

Chunks come as server-sent events or as a JSON array. Nothing marks the end: after a finishReason the body may end.
Sources: the pages "Generating content", "Function calling", "Thought signatures" and "Structured output" of
https://ai.google.dev/gemini-api/docs, and of Vertex AI "Generate content with the Gemini API".
"""

import mimetypes
import re
from typing import Any
from urllib.parse import quote

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..messages import Image, Message, Replay
from ..usage import Usage
from .gemini_schema import openapi
from .http_provider import HTTPProvider
from .normalize_history import alternating, arguments, asking_for, inline, opening, replayed, settled, with_settings
from .parser import Delta, NotJSONError, Parser, anything, count, decode, made_up_id, total
from .provider import Completion, Request, ToolSpec

# Gemini 3 refuses a call without the signature that it sent with it. This word stands for one where the call came from
# another model ("Thought signatures", FAQ).
_UNSIGNED = "skip_thought_signature_validator"


class GeminiProvider(HTTPProvider):
    """`base_url` of AI Studio comes without its `/v1beta`. One of Vertex AI ends in `/publishers/google`; with a
    `/projects/` in it, the key is an access token."""

    wire = "gemini"

    def url(self) -> str:
        model = self.model if "/" in self.model else f"models/{self.model}"
        place = self.base_url.removesuffix("/v1beta")
        if "/publishers/" not in place:
            place += "/v1beta"
        return f"{place}/{quote(model, safe='/@')}:streamGenerateContent?alt=sse"

    def headers(self) -> dict[str, str]:
        if "/projects/" in self.base_url:
            return {"authorization": f"Bearer {self._key}"}
        return {"x-goog-api-key": self._key}

    def body(self, request: Request) -> dict[str, Any]:
        instructions, messages = opening(request.messages, request.instructions)
        parts = [
            (message.role == "assistant", part)
            for message in _with_ids(settled(messages))
            for part in self._parts(message)
        ]
        body: dict[str, Any] = {
            "contents": [
                {"role": "model" if model else "user", "parts": content} for model, content in alternating(parts, _text)
            ]
        }
        config: dict[str, Any] = {}
        if request.limits.max_output_tokens is not None:
            config["maxOutputTokens"] = request.limits.max_output_tokens
        if request.tools:
            body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
            if request.output_schema is not None:  # most models refuse both together
                instructions = f"{instructions}\n\n{asking_for(request.output_schema)}".strip()
        elif request.output_schema is not None:
            config["responseMimeType"] = "application/json"
            config["responseSchema"] = openapi(request.output_schema)
        if instructions:
            body["systemInstruction"] = {"parts": [_text(instructions)]}
        if config:
            body["generationConfig"] = config
        return with_settings(body, request.settings)

    def _parts(self, message: Message) -> list[dict[str, Any]]:
        text = [_text(message.spoken)] if message.text.strip() else []
        match message.role:
            case "tool":
                response: dict[str, Any] = {"name": message.name, "response": _response(message)}
                return [{"functionResponse": response | ({"id": message.call_id} if message.call_id else {})}]
            case "assistant":
                calls: list[dict[str, Any]] = [
                    {"functionCall": {"name": call.name, "args": arguments(call)}} for call in message.tool_calls
                ]
                if calls and not re.match(r"(models/)?gemini-[12]\b", self.model):
                    calls[0]["thoughtSignature"] = _UNSIGNED
                return replayed(message, "gemini") or [*text, *calls]
            case "system":
                return [_text(f"System: {message.text}")]
        return [*map(_image, message.images), *text]

    def parser(self) -> "GeminiParser":
        return GeminiParser()


def _with_ids(messages: list[Message]) -> list[Message]:
    """Results with the id of their call where Gemini gave it one: only then does it want it back. Else the names and
    the order tell what belongs to what."""
    known: set[str] = set()
    told = []
    for message in messages:
        for part in replayed(message, "gemini") or ():
            known.add(part.get("functionCall", {}).get("id"))
        if message.role == "tool" and message.call_id not in known:
            message = msgspec.structs.replace(message, call_id="")
        told.append(message)
    return told


def _text(text: str) -> dict[str, Any]:
    return {"text": text}


def _response(message: Message) -> dict[str, Any]:
    return {"error" if message.failed else "output": message.text}


def _image(image: Image) -> dict[str, Any]:
    data = inline(image)
    if data:
        return {"inlineData": {"mimeType": data[0], "data": data[1]}}
    kind, _ = mimetypes.guess_type((image.url or "").partition("?")[0])
    return {"fileData": {"mimeType": kind or image.media_type, "fileUri": image.url}}


def _declaration(tool: ToolSpec) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.schema.get("properties"):  # an object without any is refused
        declared["parameters"] = openapi(tool.schema)
    return declared


# Only what we read; a part is Any, for it comes back as it was.
class _Content(msgspec.Struct):
    parts: list[Any] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    index: Any = 0
    finishReason: Any = None  # noqa: N815
    finishMessage: Any = None  # noqa: N815


class _Chunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    promptFeedback: Any = None  # noqa: N815
    usageMetadata: Any = None  # noqa: N815
    error: Any = None


_chunk = msgspec.json.Decoder(_Chunk)

_FINE = {"STOP", "MAX_TOKENS", "1", "2"}  # enum-encoding=int sends numbers
_BLOCKED = re.compile("SAFETY|PROHIBITED|RECITATION|BLOCKLIST|SPII")


class GeminiParser(Parser):
    objects = True

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[dict[str, Any]] = []  # without mere thoughts, texts put together: the turn for its replay
        self._calls: list[_Call] = []
        self._texts: list[str] = []  # of the last part
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""
        self._unframed = b""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if event:
            if data and not data.startswith(b"[DONE]"):
                self._chunk(data, deltas)
        elif self._unframed or data.startswith(b"{"):
            self._bare(data)
        return deltas

    def end(self) -> list[ToolCall]:
        return [call.whole() for call in self._calls]

    def completion(self) -> Completion:
        return Completion(self._finish_reason, _usage(self._usage), self._refusal, self._replay())

    def _chunk(self, data: bytes, deltas: list[Delta]) -> None:
        chunk = decode(_chunk, data)
        if chunk is None:
            loose = decode(anything, data)
            if isinstance(loose, dict) and loose.get("error"):
                self.error = loose
            return
        for candidate in chunk.candidates or ():
            if not candidate.index:
                self._candidate(candidate, deltas)
        if isinstance(chunk.usageMetadata, dict):
            self.begun = True
            if any(count(value) is not None for value in chunk.usageMetadata.values()):
                self._usage = chunk.usageMetadata
        if isinstance(chunk.promptFeedback, dict) and chunk.promptFeedback.get("blockReason"):
            self._blocked(chunk.promptFeedback)
        if chunk.error:
            self.begun = True
            self.error = decode(anything, data)

    def _bare(self, line: bytes) -> None:
        """An error in the middle comes as bare JSON over many lines, without its `data:`. Until it is whole, nothing
        is: it may come after a chunk that seemed to be the last."""
        self.begun = True
        self.complete = False
        self._unframed += line + b"\n"
        if line.startswith(b"}") or len(self._unframed) > 65536:
            try:
                self.error = decode(anything, self._unframed)
            except NotJSONError:
                self.error = self._unframed.decode("utf-8", "replace")

    def _candidate(self, candidate: _Candidate, deltas: list[Delta]) -> None:
        self.begun = True
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if isinstance(part, dict):
                    self._part(part, deltas)
        reason = candidate.finishReason
        if reason is not None and reason != "":  # old models send one with every chunk
            self._finish_reason = str(reason)
            self.complete = True
            nothing = not (self._parts or self._finish_reason in _FINE)
            if nothing or _BLOCKED.search(self._finish_reason):
                why = candidate.finishMessage if isinstance(candidate.finishMessage, str) else ""
                self._refusal = f"Gemini broke off its answer ({self._finish_reason}). {why}".strip()

    def _part(self, part: dict[str, Any], deltas: list[Delta]) -> None:
        self.progress += 1
        text = part.get("text")
        if isinstance(text, str):
            thought = part.get("thought") is True
            if text:
                deltas.append(ThinkingDelta(text) if thought else TextDelta(text))
            if not thought or "thoughtSignature" in part:
                self._keep(part, text)
            return
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._function_call(part, call)
        else:
            self._keep(part, None)

    def _keep(self, part: dict[str, Any], text: str | None) -> None:
        """For the replay. A text without a signature goes on with the one before."""
        if text is not None and self._texts and len(part) == 1:
            self._texts.append(text)
            return
        self._join()
        self._parts.append(part)
        self._texts = [text] if text is not None and len(part) == 1 else []

    def _join(self) -> None:
        if self._texts:
            self._parts[-1] = {"text": "".join(self._texts)}
            self._texts = []

    def _function_call(self, part: dict[str, Any], sent: dict[str, Any]) -> None:
        """A call is whole at once, or comes in pieces: its name, its arguments bit by bit, an empty one at its end."""
        call = self._calls[-1] if self._calls and self._calls[-1].open else None
        if call is None:
            if not sent.get("name"):
                return
            call = _Call()
            self._calls.append(call)
            self._join()
            self._parts.append({**part, "functionCall": call.sent})
        call.add(sent)

    def _blocked(self, feedback: dict[str, Any]) -> None:
        self.begun = self.complete = True
        reason, why = feedback["blockReason"], feedback.get("blockReasonMessage")
        self._refusal = f"Gemini does not answer this ({reason}). {why if isinstance(why, str) else ''}".strip()

    def _replay(self) -> Replay | None:
        """The parts, where they are more than texts and calls."""
        if not self.complete or all(
            len(part) == 1 and ("text" in part or "functionCall" in part) for part in self._parts
        ):
            return None
        self._join()
        return Replay("gemini", [part for part in self._parts if part != {"text": ""}])


class _Call:
    """A function call while its pieces come."""

    def __init__(self) -> None:
        self.open = False
        self.sent: dict[str, Any] = {}

    def add(self, piece: dict[str, Any]) -> None:
        for key in ("id", "name"):
            if isinstance(piece.get(key), str):
                self.sent.setdefault(key, piece[key])
        args = piece.get("args")
        if isinstance(args, dict):
            self.sent["args"] = {**self.sent.get("args", {}), **args}
        partial = piece.get("partialArgs")
        for part in partial if isinstance(partial, list) else ():
            if isinstance(part, dict):
                _set(self.sent.setdefault("args", {}), part)
        self.open = piece.get("willContinue") is True

    def whole(self) -> ToolCall:
        self.sent.setdefault("args", {})
        given = self.sent["args"]
        raw = msgspec.json.encode(given).decode() if given else ""
        return ToolCall(self.sent.get("id") or made_up_id(), self.sent.get("name", ""), given, raw)


_STEP = re.compile(r"\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\.?([^.\[\]]+)")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


def _set(root: dict[str, Any], piece: dict[str, Any]) -> None:
    """One of partialArgs, {"jsonPath": "$.a.b[0]", "stringValue"}: texts of one place come in pieces."""
    path = str(piece.get("jsonPath") or "").removeprefix("$")
    steps: list[str | int] = [int(n) if n else quoted or name for n, quoted, name in _STEP.findall(path)[:32]]
    key = next((key for key in _VALUES if key in piece), None)
    if not steps or key is None:
        return
    value = None if key == "nullValue" else piece[key]
    place: Any = root
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        deeper: Any = value if after is None else [] if isinstance(after, int) else {}
        if isinstance(place, list) and isinstance(step, int) and step <= min(len(place), 10_000):
            if step == len(place):
                place.append(deeper)
            elif after is None:
                place[step] = _longer(place[step], value)
            place = place[step]
        elif isinstance(place, dict) and isinstance(step, str):
            place[step] = _longer(place.get(step), value) if after is None else place.get(step, deeper)
            place = place[step]
        else:
            return


def _longer(text: object, more: object) -> object:
    return text + more if isinstance(text, str) and isinstance(more, str) else more


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    """The thoughts are not in `candidatesTokenCount`, but are paid for like the rest of what is written."""
    if sent is None:
        return None
    thought = count(sent.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count(sent.get("promptTokenCount")),
        output_tokens=total(count(sent.get("candidatesTokenCount")), thought),
        total_tokens=count(sent.get("totalTokenCount")),
        cached_tokens=count(sent.get("cachedContentTokenCount")),
        reasoning_tokens=thought,
    )
