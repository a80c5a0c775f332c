"""Gemini's generateContent: AI Studio with a key, Vertex AI with an access token.

    chunk                                     our event
    ----------------------------------------  ----------------------------------------------------------------
    candidates[].content.parts[].text         TextDelta; ThinkingDelta if `thought` is true
    ... .functionCall                         ToolCall at the end; we generate an id if none was sent
    ... .functionCall.partialArgs             collected (Vertex AI, streamFunctionCallArguments)
    ... .thoughtSignature, .executableCode    Completion.replay, with the parts that they belong to
    candidates[].finishReason, the last       Completion.finish_reason; Completion.refusal if the answer was blocked;
                                              the stream fails at its end if it names a failure
    promptFeedback.blockReason                the end, Completion.refusal
    usageMetadata, the last                   Completion.usage
    error, also as bare lines                 the stream fails

A request asks for one candidate, so each candidate is a part of it, whatever its index.
Chunks come as server-sent events or as a JSON array. Nothing marks the end: after a finishReason the body may end.
Sources: the pages "Generating content", "Function calling", "Thought signatures" and "Structured output" of
https://ai.google.dev/gemini-api/docs, and "Generate content with the Gemini API" of Vertex AI.
"""

import logging
import mimetypes
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..messages import Image, Message, Replay
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
    total_count,
    update_counts,
    word_of,
)
from .gemini_schema import to_openapi
from .http_provider import HTTPProvider
from .lenient_json import join_halves
from .normalize_history import (
    alternate_turns,
    apply_settings,
    arguments_of,
    inline_image,
    normalize,
    only,
    replay_content,
    schema_instruction,
    split_system,
)
from .parser import DECLINED, Delta, Parser, generate_call_id
from .provider import Completion, Request, ToolSpec

logger = logging.getLogger("nous_chat.engine")

# Gemini 3 refuses a call without the signature it was sent with. This word replaces the signature of a call that
# another model made. Source: "Thought signatures", FAQ.
_UNSIGNED = "skip_thought_signature_validator"


class GeminiProvider(HTTPProvider):
    """`base_url` is that of AI Studio, with or without `/v1beta`, or one of Vertex AI that ends in
    `/publishers/google`. If it contains `/projects/`, the key is an access token."""

    wire = "gemini"

    def url(self) -> str:
        model = self.model if "/" in self.model else f"models/{self.model}"
        base = self.base_url.removesuffix("/v1beta")
        if "/publishers/" not in base:
            base += "/v1beta"
        return f"{base}/{quote(model, safe='/@')}:streamGenerateContent?alt=sse"

    def headers(self) -> Mapping[str, str]:
        if "/projects/" in self.base_url:
            return super().headers()
        return {"x-goog-api-key": self._key}

    def request_body(self, request: Request) -> dict[str, Any]:
        instructions, messages = split_system(request.messages, request.instructions)
        parts = [
            (message.role == "assistant", part)
            for message in _with_gemini_ids(normalize(messages, self.provider_and_model))
            for part in self._parts(message)
        ]
        body: dict[str, Any] = {
            "contents": [
                {"role": "model" if from_model else "user", "parts": content}
                for from_model, content in alternate_turns(parts, _text)
            ]
        }
        config: dict[str, Any] = {}
        if request.limits.max_output_tokens is not None:
            config["maxOutputTokens"] = request.limits.max_output_tokens
        if request.sampling.temperature is not None:
            config["temperature"] = request.sampling.temperature
        if request.sampling.reasoning_effort is not None:
            config["thinkingConfig"] = {"thinkingLevel": request.sampling.reasoning_effort}
        if request.tools:
            body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
            if request.output_schema is not None:  # most models refuse tools together with a responseSchema
                instructions = f"{instructions}\n\n{schema_instruction(request.output_schema)}".strip()
        elif request.output_schema is not None:
            config["responseMimeType"] = "application/json"
            config["responseSchema"] = to_openapi(request.output_schema)
        if instructions:
            body["systemInstruction"] = {"parts": [_text(instructions)]}
        if config:
            body["generationConfig"] = config
        return apply_settings(body, request.settings)

    def _parts(self, message: Message) -> list[dict[str, Any]]:
        text = [_text(message.text_with_name)] if message.text.strip() else []
        match message.role:
            case "tool":
                response: dict[str, Any] = {"name": message.name, "response": _response(message)}
                return [{"functionResponse": response | ({"id": message.call_id} if message.call_id else {})}]
            case "assistant":
                calls: list[dict[str, Any]] = [
                    {"functionCall": {"name": call.name, "args": arguments_of(call)}} for call in message.tool_calls
                ]
                if calls and not re.match(r"(models/)?gemini-[12]\b", self.model):
                    calls[0]["thoughtSignature"] = _UNSIGNED
                return _replayed_parts(message) or [*text, *calls]
            case "system":
                return [_text(f"System: {message.text}")]
        return [*map(_image, message.images), *text]

    def parser(self) -> "GeminiParser":
        return GeminiParser()


def _with_gemini_ids(messages: list[Message]) -> list[Message]:
    """Remove the call ids that did not come from Gemini. It wants its own ids back in the results, and matches other
    results to their calls by name and order."""
    known: set[str] = set()
    changed = []
    for message in messages:
        if message.tool_calls:  # its results come next
            known = {part.get("functionCall", {}).get("id") for part in _replayed_parts(message)}
        if message.role == "tool" and message.call_id not in known:
            message = msgspec.structs.replace(message, call_id="")
        changed.append(message)
    return changed


def _replayed_parts(message: Message) -> list[dict[str, Any]]:
    """The parts of a Replay as Gemini takes them back: with the ids, names and arguments of the normalised history, and
    without fields that a proxy has added, which the API refuses. Empty if there is no Replay of Gemini."""
    replayed = replay_content(message, "gemini")
    if not replayed:
        return []
    parts, calls = [], iter(message.tool_calls)
    for part in replayed:
        if "functionCall" in part:
            call = next(calls, None)
            if call is None:  # one of too many calls, which older versions left out
                continue
            identity = {"id": call.id} if "id" in part["functionCall"] else {}
            function = {**identity, "name": call.name, "args": arguments_of(call)}
            parts.append({"functionCall": function} | only(part, "thoughtSignature"))
        elif "text" in part:
            parts.append(only(part, "text", "thought", "thoughtSignature"))
        else:
            parts.append(part)
    return [*parts, *({"functionCall": {"name": call.name, "args": arguments_of(call)}} for call in calls)]


def _text(text: str) -> dict[str, Any]:
    return {"text": text}


def _response(message: Message) -> dict[str, Any]:
    return {"error" if message.failed else "output": message.text}


def _image(image: Image) -> dict[str, Any]:
    if (inline := inline_image(image)) is not None:
        return {"inlineData": {"mimeType": inline.media_type, "data": inline.base64}}
    kind, _ = mimetypes.guess_type((image.url or "").partition("?")[0])
    return {"fileData": {"mimeType": kind or image.media_type, "fileUri": image.url}}


def _declaration(tool: ToolSpec) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.schema.get("properties"):  # the API refuses an object without properties
        declaration["parameters"] = to_openapi(tool.schema)
    return declaration


# Only the fields that we read. A part is Any because it goes back unchanged.
class _Content(msgspec.Struct):
    parts: list[Any] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finishReason: Any = None  # noqa: N815
    finishMessage: Any = None  # noqa: N815


class _Chunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    promptFeedback: Any = None  # noqa: N815
    usageMetadata: Any = None  # noqa: N815
    error: Any = None


_chunk_decoder = msgspec.json.Decoder(_Chunk)

_NORMAL = {"STOP", "MAX_TOKENS", "1", "2"}  # numbers come with enum-encoding=int
_BROKEN_OFF = {"OTHER", "LANGUAGE", "IMAGE_OTHER"}  # after the beginning of an answer; before it the model declined
_BLOCKED = re.compile("SAFETY|PROHIBITED|RECITATION|BLOCKLIST|SPII")


class GeminiParser(Parser[_Chunk]):
    streams_json = True
    text_after_end = True  # old models send a finish reason with every chunk

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[dict[str, Any]] = []  # for the replay: no unsigned thoughts, adjacent texts merged
        self._calls: list[_Call] = []
        self._argument_chars = 0
        self._texts: list[str] = []  # the pieces of the last part, not merged yet
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if event == "error":
            self._fail(data)
            return deltas
        chunk = self._decode(_chunk_decoder, data) if data else None
        if chunk is not None:
            self._add_chunk(chunk, data, deltas)
        return deltas

    def parse_whole(self, body: bytes) -> list[Delta]:
        return self.feed("message", body)

    def tool_calls(self) -> list[ToolCall]:
        return [call.tool_call() for call in self._calls]

    def completion(self) -> Completion:
        return Completion(self._finish_reason, _usage(self._usage), self._refusal, self._replay())

    def _coerce(self, chunk: dict[str, Any]) -> _Chunk:
        candidates = []
        for item in items_of(chunk.get("candidates"), "candidates"):
            candidate = object_of(item, "candidates")
            content = candidate.get("content")
            parts = items_of(content.get("parts") if isinstance(content, dict) else content, "parts")
            reason, message = candidate.get("finishReason"), candidate.get("finishMessage")
            candidates.append(_Candidate(_Content(parts), reason, message))
        return _Chunk(candidates, *(chunk.get(field) for field in _Chunk.__struct_fields__[1:]))

    def _add_chunk(self, chunk: _Chunk, data: bytes, deltas: list[Delta]) -> None:
        for candidate in chunk.candidates or ():
            self._add_candidate(candidate, deltas)
        if isinstance(chunk.usageMetadata, dict):
            self.started = True
            if any(token_count(value) is not None for value in chunk.usageMetadata.values()):
                counts = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
                self._usage = update_counts(self._usage, chunk.usageMetadata, *counts)
        if isinstance(chunk.promptFeedback, dict) and chunk.promptFeedback.get("blockReason"):
            self._block_prompt(chunk.promptFeedback)
        if chunk.error and is_error(chunk.error):
            self._fail(data)
        elif not (chunk.candidates or chunk.usageMetadata or chunk.promptFeedback):
            self._check_foreign(data)

    def _add_candidate(self, candidate: _Candidate, deltas: list[Delta]) -> None:
        self.started = True
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if type(part) is dict:
                    self._add_part(part, deltas)
                elif not is_empty(part):
                    self._add_part({"text": text_of(part, "parts")}, deltas)
        if candidate.finishReason is not None:  # old models send one with every chunk
            self._add_end(word_of(candidate.finishReason), word_of(candidate.finishMessage))

    def _add_end(self, reason: str, message: str) -> None:
        if reason in ("", "FINISH_REASON_UNSPECIFIED"):
            return
        self._finish_reason = reason
        self.complete = True
        if is_failure(reason) or (self._parts and reason in _BROKEN_OFF):
            self.failure = f"{reason} ({message})" if message else reason
            return
        blocked = _BLOCKED.search(reason)
        if blocked or not (self._parts or reason in _NORMAL):
            logger.info("Gemini ended its answer: %s, %s", reason, message)
            if self._parts:
                self._refusal = "The model stopped its answer here."
            else:
                self._refusal = DECLINED if blocked else "The model stopped without an answer."

    def _add_part(self, part: dict[str, Any], deltas: list[Delta]) -> None:
        self.progress += 1
        text, sent = part.get("text"), part.get("functionCall")
        if text is not None:
            if type(text) is not str:
                text = text_of(text, "text")
                part = {**part, "text": text}
            thought = "thought" in part and flag_of(part["thought"])
            if text:
                deltas.append(ThinkingDelta(text) if thought else TextDelta(text))
            if thought and "thoughtSignature" not in part:
                return
        if not sent and not isinstance(sent, dict | list):
            self._keep_for_replay(part, text)
            return
        for call in [sent] if isinstance(sent, dict) else [{}] if sent == [] else items_of(sent, "functionCall"):
            self._add_function_call(part, object_of(call, "functionCall"))

    def _keep_for_replay(self, part: dict[str, Any], text: str | None) -> None:
        """A text without a signature is merged with the one before it."""
        if text is not None and self._texts and len(part) == 1:
            self._texts.append(text)
            return
        self._merge_texts()
        self._parts.append(part)
        self._texts = [text] if text is not None and len(part) == 1 else []

    def _merge_texts(self) -> None:
        if self._texts:
            self._parts[-1] = {"text": "".join(self._texts)}
            self._texts = []

    def _add_function_call(self, part: dict[str, Any], piece: dict[str, Any]) -> None:
        """A call comes whole, or in pieces: first its name, then bits of its arguments, an empty piece at the end."""
        call = self._calls[-1] if self._calls and self._calls[-1].open else None
        if call is not None and piece.get("name") not in (None, "", call.received.get("name")):
            call = None
        if call is None:
            if not (piece.get("name") or piece.get("args") or items_of(piece.get("partialArgs"), "partialArgs")):
                return
            call = _Call()
            self._calls.append(call)
            self._merge_texts()
            self._parts.append({**part, "functionCall": call.received})
        self._argument_chars += call.add(piece)
        self._check_calls(len(self._calls), self._argument_chars)

    def _block_prompt(self, feedback: dict[str, Any]) -> None:
        self.started = self.complete = True
        logger.info("Gemini blocked a prompt: %s, %s", feedback["blockReason"], feedback.get("blockReasonMessage"))
        self._refusal = DECLINED

    def _replay(self) -> Replay | None:
        """The parts, if they hold more than plain texts and calls."""
        if not self.complete or all(
            len(part) == 1 and ("text" in part or "functionCall" in part) for part in self._parts
        ):
            return None
        self._merge_texts()
        for call in self._calls:
            call.join_texts()
        return self._whole_replay("gemini", [part for part in self._parts if part != {"text": ""}])


class _Call:
    """A function call and the pieces received of it."""

    def __init__(self) -> None:
        self.open = False
        self.received: dict[str, Any] = {}
        self._unreadable = ""  # arguments that are no object, or a piece of them that has no place

    def add(self, piece: dict[str, Any]) -> int:
        """Returns how many characters of arguments the piece has."""
        chars = 0
        for key in ("id", "name"):
            if not is_empty(piece.get(key)):
                self.received.setdefault(key, text_of(piece[key], key))
        if not is_empty(piece.get("args")):
            sent = parse_call("", "", arguments_text(piece["args"]))
            chars += len(sent.raw)
            if sent.arguments is None:
                self._unreadable = sent.raw
            else:
                self.received.setdefault("args", {}).update(sent.arguments)
        for item in items_of(piece.get("partialArgs"), "partialArgs"):
            part = object_of(item, "partialArgs")
            if not _set_partial(self.received.setdefault("args", {}), part):
                self._unreadable = arguments_text(item)
            chars += len(str(part.get("stringValue", "")))
        self.open = flag_of(piece.get("willContinue"))
        return chars

    def join_texts(self) -> None:
        """Make strings of those that came in pieces."""
        if "args" in self.received:
            self.received["args"] = _join_texts(self.received["args"])

    def tool_call(self) -> ToolCall:
        """The API leaves empty arguments out. A call that is still open was cut off."""
        self.join_texts()
        arguments = self.received.setdefault("args", {})
        identity, name = self.received.get("id") or generate_call_id(), self.received.get("name", "")
        raw = self._unreadable or arguments_text(arguments) or "{}"
        if self._unreadable or self.open:
            return ToolCall(join_halves(identity), join_halves(name), None, join_halves(raw))
        return parse_call(identity, name, raw)


_STEP = re.compile(r"\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\.?([^.\[\]]+)")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


def _set_partial(root: dict[str, Any], piece: dict[str, Any]) -> bool:
    """Apply one item of partialArgs, such as {"jsonPath": "$.a.b[0]", "stringValue": "x"}. A string may come in several
    pieces with the same path. False for a value that has no place."""
    key = next((key for key in _VALUES if key in piece), None)
    if key is None:
        return not piece.keys() - {"jsonPath", "willContinue"}
    path = str(piece.get("jsonPath") or "").removeprefix("$")
    found = list(_STEP.finditer(path))
    steps: list[str | int] = [int(step[1]) if step[1] else step[2] or step[3] for step in found]
    if not 0 < len(steps) <= 32 or "".join(step[0] for step in found) != path:
        return False
    value = None if key == "nullValue" else piece[key]
    container: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        child: Any = _append_text(None, value) if following is None else [] if isinstance(following, int) else {}
        if isinstance(container, list) and isinstance(step, int) and step <= min(len(container), 10_000):
            if step == len(container):
                container.append(child)
            elif following is None:
                container[step] = _append_text(container[step], value)
            container = container[step]
        elif isinstance(container, dict) and isinstance(step, str):
            is_last = following is None
            container[step] = _append_text(container.get(step), value) if is_last else container.get(step, child)
            container = container[step]
        else:
            return False
    return True


class _Text:
    """A string that comes in pieces."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)


def _append_text(text: object, more: object) -> object:
    if not isinstance(more, str):
        return more
    if isinstance(text, _Text):
        text.pieces.append(more)
        return text
    return _Text(text, more) if isinstance(text, str) else _Text(more)


def _join_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _join_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_join_texts(item) for item in value]
    return "".join(value.pieces) if isinstance(value, _Text) else value


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    """`candidatesTokenCount` excludes the thoughts, which are billed as output; our output includes them."""
    if sent is None:
        return None
    reasoning = token_count(sent.get("thoughtsTokenCount"))
    input_tokens = token_count(sent.get("promptTokenCount"))
    output_tokens = sum_counts(token_count(sent.get("candidatesTokenCount")), reasoning)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=total_count(token_count(sent.get("totalTokenCount")), input_tokens, output_tokens),
        cached_tokens=token_count(sent.get("cachedContentTokenCount")),
        reasoning_tokens=reasoning,
    )
