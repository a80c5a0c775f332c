"""Gemini's generateContent: AI Studio with a key, Vertex AI with an access token.

    chunk                                     our event
    ----------------------------------------  ----------------------------------------------------------------
    candidates[0].content.parts[].text        TextDelta; ThinkingDelta if `thought` is true
    ... .functionCall                         ToolCall at the end; we generate an id if none was sent
    ... .functionCall.partialArgs             collected (Vertex AI, streamFunctionCallArguments)
    ... .thoughtSignature, .executableCode    Completion.replay, with the parts that they belong to
    candidates[0].finishReason, the last      Completion.finish_reason; Completion.refusal if the answer was blocked
    promptFeedback.blockReason                the end, Completion.refusal
    usageMetadata, the last                   Completion.usage
    error, also as bare lines                 the stream fails

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
from .gemini_schema import to_openapi
from .http_provider import HTTPProvider
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
from .parser import (
    DECLINED,
    Delta,
    Parser,
    generate_call_id,
    sum_counts,
    token_count,
)
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
            for message in _with_gemini_ids(normalize(messages, self.name))
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
        for part in _replayed_parts(message):
            known.add(part.get("functionCall", {}).get("id"))
        if message.role == "tool" and message.call_id not in known:
            message = msgspec.structs.replace(message, call_id="")
        changed.append(message)
    return changed


def _replayed_parts(message: Message) -> list[dict[str, Any]]:
    """The parts of a Replay as Gemini takes them back: with the ids, names and arguments of the normalised history, and
    without fields that a proxy has added, which the API refuses. Empty if there is no Replay of Gemini."""
    parts, calls = [], iter(message.tool_calls)
    for part in replay_content(message, "gemini") or ():
        if "functionCall" in part:
            call = next(calls, None)
            if call is None:  # one of too many calls, which the runner has dropped
                continue
            identity = {"id": call.id} if "id" in part["functionCall"] else {}
            function = {**identity, "name": call.name, "args": arguments_of(call)}
            parts.append({"functionCall": function} | only(part, "thoughtSignature"))
        elif "text" in part:
            parts.append(only(part, "text", "thought", "thoughtSignature"))
        else:
            parts.append(part)
    return parts


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
    index: Any = 0
    finishReason: Any = None  # noqa: N815
    finishMessage: Any = None  # noqa: N815


class _Chunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    promptFeedback: Any = None  # noqa: N815
    usageMetadata: Any = None  # noqa: N815
    error: Any = None


_chunk_decoder = msgspec.json.Decoder(_Chunk)

_NORMAL = {"STOP", "MAX_TOKENS", "1", "2"}  # numbers come with enum-encoding=int
_BLOCKED = re.compile("SAFETY|PROHIBITED|RECITATION|BLOCKLIST|SPII")


class GeminiParser(Parser):
    streams_json = True

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[dict[str, Any]] = []  # for the replay: no unsigned thoughts, adjacent texts merged
        self._calls: list[_Call] = []
        self._texts: list[str] = []  # the pieces of the last part, not merged yet
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._refusal = ""
        self._bare_error = b""

    def feed(self, event: str, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        if event:
            if data and not data.startswith(b"[DONE]"):
                self._add_chunk(data, deltas)
        elif self._bare_error or data.startswith(b"{"):
            self._add_bare_line(data)
        return deltas

    def tool_calls(self) -> list[ToolCall]:
        return [call.tool_call() for call in self._calls]

    def completion(self) -> Completion:
        return Completion(self._finish_reason, _usage(self._usage), self._refusal, self._replay())

    def _add_chunk(self, data: bytes, deltas: list[Delta]) -> None:
        chunk = self._decode_chunk(_chunk_decoder, data)
        if chunk is None:
            return
        for candidate in chunk.candidates or ():
            if not candidate.index:
                self._add_candidate(candidate, deltas)
        if isinstance(chunk.usageMetadata, dict):
            self.started = True
            if any(token_count(value) is not None for value in chunk.usageMetadata.values()):
                self._usage = chunk.usageMetadata
        if isinstance(chunk.promptFeedback, dict) and chunk.promptFeedback.get("blockReason"):
            self._block_prompt(chunk.promptFeedback)
        if chunk.error:
            self._fail(data)

    def _add_bare_line(self, line: bytes) -> None:
        """An error in mid-stream comes as bare JSON over many lines, without `data:`. It may come after a chunk that
        seemed to be the last, so the answer is incomplete until the error is whole."""
        self.started = True
        self.complete = False
        self._bare_error += line + b"\n"
        if line.startswith(b"}") or len(self._bare_error) > 65536:
            self._fail(self._bare_error)

    def _add_candidate(self, candidate: _Candidate, deltas: list[Delta]) -> None:
        self.started = True
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if isinstance(part, dict):
                    self._add_part(part, deltas)
        reason = candidate.finishReason
        if reason is not None and reason != "":  # old models send one with every chunk
            self._finish_reason = str(reason)
            self.complete = True
            blocked = _BLOCKED.search(self._finish_reason)
            if blocked or not (self._parts or self._finish_reason in _NORMAL):
                logger.info("Gemini ended its answer: %s, %s", self._finish_reason, candidate.finishMessage)
                if self._parts:
                    self._refusal = "The model stopped its answer here."
                else:
                    self._refusal = DECLINED if blocked else "The model stopped without an answer."

    def _add_part(self, part: dict[str, Any], deltas: list[Delta]) -> None:
        self.progress += 1
        text = part.get("text")
        if isinstance(text, str):
            thought = part.get("thought") is True
            if text:
                deltas.append(ThinkingDelta(text) if thought else TextDelta(text))
            if not thought or "thoughtSignature" in part:
                self._keep_for_replay(part, text)
            return
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._add_function_call(part, call)
        else:
            self._keep_for_replay(part, None)

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
        if call is None:
            if not piece.get("name"):
                return
            call = _Call()
            self._calls.append(call)
            self._merge_texts()
            self._parts.append({**part, "functionCall": call.received})
        call.add(piece)

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
        return Replay("gemini", [part for part in self._parts if part != {"text": ""}])


class _Call:
    """A function call and the pieces received of it."""

    def __init__(self) -> None:
        self.open = False
        self.received: dict[str, Any] = {}

    def add(self, piece: dict[str, Any]) -> None:
        for key in ("id", "name"):
            if isinstance(piece.get(key), str):
                self.received.setdefault(key, piece[key])
        args = piece.get("args")
        if isinstance(args, dict):
            self.received["args"] = {**self.received.get("args", {}), **args}
        partial = piece.get("partialArgs")
        for part in partial if isinstance(partial, list) else ():
            if isinstance(part, dict):
                _set_partial(self.received.setdefault("args", {}), part)
        self.open = piece.get("willContinue") is True

    def tool_call(self) -> ToolCall:
        arguments = self.received.setdefault("args", {})
        raw = msgspec.json.encode(arguments).decode() if arguments else ""
        return ToolCall(self.received.get("id") or generate_call_id(), self.received.get("name", ""), arguments, raw)


_STEP = re.compile(r"\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\.?([^.\[\]]+)")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


def _set_partial(root: dict[str, Any], piece: dict[str, Any]) -> None:
    """Apply one item of partialArgs, such as {"jsonPath": "$.a.b[0]", "stringValue": "x"}. A string may come in several
    pieces with the same path."""
    path = str(piece.get("jsonPath") or "").removeprefix("$")
    steps: list[str | int] = [int(n) if n else quoted or name for n, quoted, name in _STEP.findall(path)[:32]]
    key = next((key for key in _VALUES if key in piece), None)
    if not steps or key is None:
        return
    value = None if key == "nullValue" else piece[key]
    container: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        child: Any = value if following is None else [] if isinstance(following, int) else {}
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
            return


def _append_text(text: object, more: object) -> object:
    return text + more if isinstance(text, str) and isinstance(more, str) else more


def _usage(sent: dict[str, Any] | None) -> Usage | None:
    """`candidatesTokenCount` excludes the thoughts, which are billed as output; our output includes them."""
    if sent is None:
        return None
    reasoning = token_count(sent.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=token_count(sent.get("promptTokenCount")),
        output_tokens=sum_counts(token_count(sent.get("candidatesTokenCount")), reasoning),
        total_tokens=token_count(sent.get("totalTokenCount")),
        cached_tokens=token_count(sent.get("cachedContentTokenCount")),
        reasoning_tokens=reasoning,
    )
