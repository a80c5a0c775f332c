"""A structure-aware fuzzer of the parsers: `python -m tests.chaos.wires --inputs 100000 --seed 1`.

It takes answers of every wire (its own, and where the recordings of real providers and the cases from reports are next
to the project, also those), changes the types, the order, the indices and the ids in them, puts other data between
them, frames them in another way, and cuts the body anywhere. Then must hold:

    never raises    whatever was sent, the decoder returns deltas, and an error of the engine or none
    any cut         the result does not depend on how the network cuts the body
    no quiet loss   if there is no error, each character in a known field for text is in the text, the thinking, or the
                    refusal, and each word in the arguments of a call is in the arguments of a call
    as written      the arguments of a call are an object that is in the body; {} only if {} is

The same seed gives the same inputs. A violation prints the body that caused it.
"""

import argparse
import copy
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from chat.engine import TextDelta, ThinkingDelta, ToolCall
from chat.engine.providers.errors import ProviderErrors
from chat.engine.providers.replay import PARSERS
from chat.engine.providers.response_decoder import ResponseDecoder
from chat.engine.sse import SSEDecoder

from ..support.servers import SHARED

Chunks = list[Any]

ERRORS = ProviderErrors("openai", "m", "https://api.example/v1", "OPENAI_API_KEY", "")


class AnyName:
    """A set of names that contains each of them."""

    def __contains__(self, name: object) -> bool:
        return True


class Outcome(NamedTuple):
    deltas: list[Any]
    calls: list[ToolCall]
    text: str
    code: str | None
    completion: Any


def decode(wire: str, pieces: Iterator[bytes]) -> Outcome:
    parser = PARSERS[wire]()
    decoder = ResponseDecoder(parser, ERRORS, may_be_empty=True, with_parameters=AnyName())  # type: ignore[arg-type]
    deltas: list[Any] = []
    while not decoder.done:
        deltas += decoder.decode(next(pieces, b""))
    completion = parser.completion()
    calls = [delta for delta in deltas if isinstance(delta, ToolCall)]
    texts = [delta for delta in deltas if isinstance(delta, TextDelta | ThinkingDelta)]
    text = "".join(delta.text for delta in texts) + completion.refusal
    return Outcome(texts, calls, text, decoder.error.code if decoder.error else None, completion)


# The answers that are changed.


def own_answers() -> Iterator[tuple[str, Chunks]]:
    """Answers with text, thoughts, and calls whole and in pieces, on every wire."""

    def choice(delta: Any, finish: str | None = None) -> Any:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    def call(index: int, arguments: Any, **fields: Any) -> Any:
        name = {"name": fields.pop("name")} if "name" in fields else {}
        piece = {"index": index, **fields, "function": {**name, "arguments": arguments}}
        return choice({"tool_calls": [piece]})

    texts = [choice({"content": f"word{n} "}) for n in range(4)]
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    yield "openai", [choice({"role": "assistant", "content": ""}), *texts, choice({}, "stop"), usage, "[DONE]"]
    yield "openai", [choice({"reasoning_content": "hm"}), choice({"reasoning": "so"}), *texts, choice({}, "stop")]
    yield "openai", [choice({"content": "<think>hm"}), choice({"content": "</think>yes"}), choice({}, "stop")]
    yield (
        "openai",
        [
            choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "yes"}]}),
            choice({"refusal": "but no"}),
            choice({}, "stop"),
            "[DONE]",
        ],
    )
    yield (
        "openai",
        [
            texts[0],
            call(0, "", id="call_1", name="look_up"),
            call(0, '{"word": "ti'),
            call(0, 'de"}'),
            call(1, "", id="call_2", name="clock"),
            call(1, '{"zone": ["utc", 7]}'),
            choice({}, "tool_calls"),
            "[DONE]",
        ],
    )
    yield (
        "openai",
        [
            call(0, '{"word": "tide"}', id="a", name="look_up"),
            call(1, '{"word": "moon"}', id="b", name="look_up"),
            choice({}, "tool_calls"),
        ],
    )
    yield (
        "openai",
        [{"choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}]}],
    )

    def event(kind: str, **fields: Any) -> Any:
        return {"type": kind, **fields}

    def block(index: int, *deltas: Any, **fields: Any) -> list[Any]:
        pieces = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        return [
            event("content_block_start", index=index, content_block=fields),
            *pieces,
            event("content_block_stop", index=index),
        ]

    stop = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
    begin = event("message_start", message={"content": [], "usage": {"input_tokens": 3}})
    parts = [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"word": "ti', 'de"}')]
    yield (
        "anthropic",
        [
            begin,
            *block(0, {"thinking": "hm"}, {"signature": "sig"}, type="thinking", thinking=""),
            *block(1, {"text": "one "}, {"text": "two"}, type="text", text=""),
            *block(2, *parts, type="tool_use", id="toolu_1", name="look_up", input={}),
            *block(3, type="tool_use", id="toolu_2", name="clock", input={"zone": "utc"}),
            stop,
            event("message_stop"),
        ],
    )
    yield "anthropic", [begin, *block(0, {"text": "three"}, type="text", text=""), stop, event("message_stop")]
    yield "anthropic", [{"content": [{"type": "text", "text": "whole"}], "stop_reason": "end_turn"}]

    def candidate(*parts: Any, **fields: Any) -> Any:
        return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **fields}]}

    yield (
        "gemini",
        [
            candidate({"text": "hm", "thought": True}),
            candidate({"text": "one "}, {"text": "two"}),
            candidate({"functionCall": {"name": "look_up", "args": {"word": "tide"}}, "thoughtSignature": "s"}),
            candidate({"text": ""}, finishReason="STOP") | {"usageMetadata": {"promptTokenCount": 3}},
        ],
    )

    def line(message: Any, **fields: Any) -> Any:
        return {"message": message, "done": False} | fields

    yield (
        "ollama",
        [
            line({"role": "assistant", "thinking": "hm"}),
            line({"content": "one "}),
            line({"content": "two"}),
            line({"tool_calls": [{"function": {"name": "look_up", "arguments": {"word": "tide"}}}]}),
            line({"content": ""}, done=True, done_reason="stop"),
        ],
    )


def found_answers() -> Iterator[tuple[str, Chunks]]:
    """The shapes of recorded answers and of the cases: at most twenty chunks of each, which fit into 6 KB."""
    for meta in sorted((SHARED / "recordings").rglob("*.json")):
        facts = json.loads(meta.read_text("utf-8"))
        body = meta.with_suffix(".sse")
        if facts.get("status") == 200 and facts.get("wire") in PARSERS and body.exists():
            yield facts["wire"], shortened(chunks_of(body.read_bytes()))
    for meta in sorted((SHARED / "cases" / "wire").glob("*.json")):
        wire, body = json.loads(meta.read_text("utf-8"))["wire"], meta.with_suffix(".http")
        if body.exists() and b" 200 " in body.read_bytes()[:20]:
            chunks = chunks_of(body.read_bytes().partition(b"\r\n\r\n")[2])
            yield wire if wire in PARSERS else "openai", shortened(chunks)


def chunks_of(body: bytes) -> Chunks:
    decoder = SSEDecoder()
    chunks: Chunks = []
    try:
        return [json.loads(body)]
    except ValueError:
        pass
    for _, data in [*decoder.decode(body), *decoder.flush()]:
        try:
            chunks.append(json.loads(data))
        except ValueError:
            if data.startswith(b"[DONE]"):
                chunks.append("[DONE]")
    return chunks


def shortened(chunks: Chunks) -> Chunks:
    chunks = chunks if len(chunks) <= 20 else [*chunks[:12], *chunks[-8:]]
    return chunks if len(json.dumps(chunks)) < 6000 else []


# The changes.


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each item of each container in a JSON value, as (container, key)."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        container = stack.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                stack.append(container[key])
    return found


def change_type(value: Any, pick: random.Random) -> Any:
    """The value in another type, as proxies and scripting languages send it."""
    forms: list[Callable[[], Any]] = [lambda: None, lambda: [value], list, dict]
    if isinstance(value, str):
        forms += [
            lambda: {"type": "text", "text": value},
            lambda: [value, None],
            lambda: pick.choice([0, 5, 0.005, True, 1e300]),
        ]
    elif isinstance(value, dict):
        forms += [lambda: [value, None], lambda: json.dumps(value), lambda: 7]
    elif isinstance(value, list):
        forms += [
            lambda: dict(zip(map(str, range(len(value))), value, strict=True)),
            lambda: [None, *value, {}],
            lambda: value[:1],
        ]
        forms += [lambda: value[0]] if value else []
    else:
        forms += [lambda: str(value), lambda: "text", lambda: float("nan"), lambda: -1]
    return pick.choice(forms)()


def mutate_type(chunks: Chunks, pick: random.Random) -> None:
    container, key = pick.choice(places(chunks))
    container[key] = change_type(container[key], pick)


def mutate_index(chunks: Chunks, pick: random.Random) -> None:
    """Indices and ids that grow, repeat, are missing, or are of another type."""
    keys = ("index", "id")
    found = [(container, key) for container, key in places(chunks) if key in keys]
    style = pick.choice(["one", "drop", "grow", "same", "text", "change"])
    for number, (container, key) in enumerate(found):
        if style == "one" and pick.random() < 0.8:
            continue
        if style == "drop":
            del container[key]
        elif style == "grow":
            container[key] = number if key == "index" else f"id{number}"
        elif style == "same":
            container[key] = 0 if key == "index" else "same"
        elif style == "text":
            container[key] = str(container[key])
        else:
            container[key] = pick.choice([None, 0, 1, 9, "x", "", [], {}, 2.0])


def mutate_order(chunks: Chunks, pick: random.Random) -> None:
    place, other = pick.randrange(len(chunks)), pick.randrange(len(chunks))
    match pick.randrange(4):
        case 0:
            chunks[place], chunks[other] = chunks[other], chunks[place]
        case 1:
            chunks.insert(place, copy.deepcopy(chunks[other]))
        case 2:
            del chunks[place:]
            chunks[:] = chunks or ["[DONE]"]
        case _:
            del chunks[place]
            chunks[:] = chunks or ["[DONE]"]


def mutate_key(chunks: Chunks, pick: random.Random) -> None:
    """A field that is missing, or one that nobody knows."""
    found = [(container, key) for container, key in places(chunks) if isinstance(container, dict)]
    if found:
        container, key = pick.choice(found)
        if pick.random() < 0.5:
            del container[key]
        else:
            container["unknown"] = pick.choice([None, 7, {"deep": [{}]}])


FOREIGN: list[Any] = [
    {"type": "ping"},
    {"error": ""},
    {"error": {"code": 0, "message": ""}},
    {"error": {"message": "No"}},
    None,
    [],
    7,
    "ping",
    {"detail": "Loading"},
    {"code": "Busy", "message": "Wait"},
    {"message": {"role": "assistant"}},
    {"usage": {"total_tokens": "7"}},
    {"choices": []},
    {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]},
    {"choices": [{"error": {"message": "x"}}]},
    {"base_resp": {"status_code": 1, "status_msg": "no"}},
    {"type": "error", "error": {}},
    "[DONE]",
]


def mutate_foreign(chunks: Chunks, pick: random.Random) -> None:
    chunks.insert(pick.randrange(len(chunks) + 1), copy.deepcopy(pick.choice(FOREIGN)))


MUTATIONS = [
    mutate_type,
    mutate_type,
    mutate_type,
    mutate_index,
    mutate_index,
    mutate_order,
    mutate_key,
    mutate_foreign,
]


# The frames.


def frame(wire: str, chunks: Chunks, pick: random.Random) -> bytes:
    """A body of the chunks. Forms without an end mark take it out of them."""
    encode: Callable[[Any], str] = json.dumps
    if pick.random() < 0.15:
        encode = pick.choice([lambda chunk: json.dumps(chunk, indent=1), in_utf_8])
    documents = [chunk if chunk == "[DONE]" else encode(chunk) for chunk in chunks]
    style = pick.choice(
        ["event"] * 6 + ["crlf", "bom", "nul", "twice", "single", "line", "array", "bare", "noise", "names"]
    )
    if wire == "ollama" and pick.random() < 0.7:
        style = "line"
    objects = [document.replace("\n", " ") for document in documents if document != "[DONE]"]
    if style in ("line", "array"):
        chunks[:] = [chunk for chunk in chunks if chunk != "[DONE]"]
    before, after = "data: ", "\n\n"
    match style:
        case "line":
            return "".join(f"{document}\n" for document in objects).encode()
        case "array":
            return f"[{','.join(objects)}]".encode()
        case "bom":
            before = "\ufeffdata: "
        case "nul":
            after = "\n\n\0"
        case "twice":
            before = "data: data: "
        case "single":
            after = "\n"
        case "noise":
            after = pick.choice(
                ["\n\n: ping\n\n", "\n\ndata: 12:00\n\n", "\n\ndata:\n\n", "\n\nevent: ping\ndata: {}\n\n"]
            )
        case "names":
            before = "event: chunk\ndata: "
    lines = [document.replace("\n", "\ndata: ") for document in documents]
    body = "".join(
        f"{document}\n"
        if style == "bare" and document != "[DONE]" and pick.random() < 0.3
        else f"{before}{document}{after}"
        for document in lines
    )
    return (body.replace("\n", "\r\n") if style == "crlf" else body).encode()


def in_utf_8(chunk: Any) -> str:
    text = json.dumps(chunk, ensure_ascii=False)
    return json.dumps(chunk) if re.search("[\ud800-\udfff]", text) else text


# The reference: all text and all arguments that are in the chunks, without regard to order.


def texts_in(value: Any) -> Iterator[str]:
    """The texts in the value of a known field."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool | int | float):
        yield json.dumps(value)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        keys = ("thinking", "refusal", "text", "value", "content")
        key = next((key for key in keys if key in value), None)
        numbered = bool(value) and all(name.isdecimal() for name in value)
        for item in [value[key]] if key else value.values() if numbered else ():
            yield from texts_in(item)


def dicts_in(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in the value of a known field for objects."""
    if isinstance(value, dict) and not (value and all(name.isdecimal() for name in value)):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from dicts_in(item)


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """As `dicts_in` in the place of an object, whose keys may be any."""
    yield from [value] if isinstance(value, dict) else dicts_in(value)


def decoded_twice(value: Any) -> Any:
    """A chunk, where it is a text that holds the chunk in JSON."""
    if isinstance(value, list):
        return [decoded_twice(item) for item in value]
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


class Reference:
    """What must not be lost without an error."""

    def __init__(self, wire: str, chunks: Chunks) -> None:
        self.texts: list[str] = []
        self.arguments: list[Any] = []
        self._first_index: Any = None
        self._has_role = False
        self._others: set[Any] = set()
        self._own_tools = False  # Anthropic's, whose arguments make no call; and Gemini's pieces
        read: Callable[[dict[str, Any]], bool] = getattr(self, wire)
        self._initial: list[Any] = []  # Anthropic's arguments, if no pieces follow
        for chunk in chunks:
            if wire == "openai" and (chunk == "[DONE]" or (isinstance(chunk, list) and "[DONE]" in chunk)):
                break
            if any(not read(part) for part in dicts_in(decoded_twice(chunk))):
                break
        if not any(self.arguments):
            self.arguments += self._initial
        self._objects = [*self.arguments, *self._initial]

    def openai(self, chunk: dict[str, Any]) -> bool:
        for choice in dicts_in(chunk.get("choices")):
            deltas = choice.get("delta")
            for delta in [{"content": deltas}] if isinstance(deltas, str) else objects_in(deltas):
                if not self._is_other(choice.get("index"), delta):
                    self._message(delta)
            if not any(self.texts) and not self.arguments:
                for message in objects_in(choice.get("message")):
                    self._message(message)
        return True

    def _is_other(self, index: Any, delta: dict[str, Any]) -> bool:
        if (isinstance(index, float) and index.is_integer()) or (isinstance(index, str) and index.isdecimal()):
            index = int(index)
        if isinstance(index, bool) or not isinstance(index, int):
            return False
        if self._first_index is None:
            self._first_index, self._has_role = index, bool(delta.get("role"))
        elif index != self._first_index and delta.get("role") and (self._has_role or self._begun()):
            self._others.add(index)
        return index in self._others

    def _begun(self) -> bool:
        return any(self.texts) or any(sent is not None for sent in self.arguments)

    def _message(self, message: dict[str, Any]) -> None:
        self.texts += texts_in(message.get("content"))
        if message.get("refusal"):  # 0 is none
            self.texts += texts_in(message.get("refusal"))
        thoughts = [message.get(name) for name in ("reasoning_content", "reasoning")]
        self.texts += texts_in(
            next((thought for thought in thoughts if thought not in (None, False, "", [], {})), None)
        )
        for call in dicts_in(message.get("tool_calls")):
            function = call.get("function")
            self.arguments += [part.get("arguments") for part in dicts_in(function if function else call)]

    def anthropic(self, chunk: dict[str, Any]) -> bool:
        match next(texts_in(chunk.get("type")), None):
            case None | "message" if not any(self.texts):
                content = chunk.get("content")
                for block in [{"type": "text", "text": content}] if isinstance(content, str) else dicts_in(content):
                    self.anthropic({"type": "content_block_start", "content_block": block})
            case "content_block_delta":
                delta = chunk.get("delta")
                for part in [{"text": delta}] if isinstance(delta, str) else objects_in(delta):
                    self.texts += [*texts_in(part.get("text")), *texts_in(part.get("thinking"))]
                    self.arguments.append(part.get("partial_json"))
            case "content_block_start":
                for block in dicts_in(chunk.get("content_block")):
                    if block.get("type") in ("text", "thinking"):
                        self.texts += texts_in(block.get(block["type"]))
                    if block.get("type") == "tool_use":
                        self._initial.append(block.get("input"))
                    elif "input" in block:
                        self._own_tools = True
            case "message_stop":
                return False
        return True

    def gemini(self, chunk: dict[str, Any]) -> bool:
        for candidate in dicts_in(chunk.get("candidates")):
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else content
            for part in parts if isinstance(parts, list) else list(dicts_in(parts)):
                self.texts += texts_in(part.get("text") if isinstance(part, dict) else part)
                for call in dicts_in(part.get("functionCall") if isinstance(part, dict) else None):
                    self.arguments += [call.get("args"), *dicts_in(call.get("partialArgs"))]
                    self._own_tools |= bool(call.get("partialArgs"))
        return True

    def ollama(self, chunk: dict[str, Any]) -> bool:
        sent = chunk.get("message")
        for message in objects_in(sent):
            self.texts += texts_in(message.get("content"))
            if message.get("thinking") is not False:
                self.texts += texts_in(message.get("thinking"))
            for call in dicts_in(message.get("tool_calls")):
                function = call.get("function")
                self.arguments += [part.get("arguments") for part in dicts_in(function if function else call)]
        if sent in (None, False, "", [], {}):
            self.texts += texts_in(chunk.get("response"))
        done = chunk.get("done")
        return not (done is True or done == 1 or done in ("true", "True", "1"))

    def lost(self, outcome: Outcome) -> str:
        """What the outcome lacks, "" if nothing."""
        written = _NOT_COMPARED.sub("", "".join(self.texts))
        if missing := Counter(written) - Counter(outcome.text):
            return f"text {''.join(missing)!r}"
        sent = "".join(map(as_text, self.arguments))
        raws = [call.raw for call in outcome.calls]
        if self._own_tools or any(
            raw and sent.count(raw) > 1 for raw in raws
        ):  # a document that comes twice counts once
            return ""
        if missing := words(sent) - words("".join(raws)):
            return f"arguments {''.join(missing)!r}"
        return ""

    def not_written(self, wire: str, calls: list[ToolCall]) -> str:
        """The arguments of a call that nobody wrote, "" if there are none."""
        sent = "".join(map(as_text, self._objects))
        has_object = "{}" in sent or any(part == [] or (part is None and wire == "gemini") for part in self._objects)
        for call in calls:
            if call.arguments is None:
                continue
            if call.arguments == {} and not has_object:
                return f"{call.name} {{}}"
            if words(json.dumps(call.arguments, ensure_ascii=False)) - words(sent):
                return f"{call.name} {call.arguments}"
        return ""


# Tags and blanks around them are removed; halves of characters may have lost their other half.
_NOT_COMPARED = re.compile("</?(think|thought)>|\\s|[\ud800-\udfff\ufffd]")


def as_text(sent: Any) -> str:
    return sent if isinstance(sent, str) else "" if sent is None else json.dumps(sent, ensure_ascii=False)


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w", text))


# One input, and what must hold.


class Input(NamedTuple):
    wire: str
    chunks: Chunks
    body: bytes
    cuts: list[int]


def make_input(answers: list[tuple[str, Chunks]], seed: int) -> Input:
    pick = random.Random(seed)
    wire, original = pick.choice(answers)
    chunks = copy.deepcopy(original)
    for _ in range(pick.choice([0, 1, 1, 1, 2, 2, 3, 5])):
        pick.choice(MUTATIONS)(chunks, pick)
    body = frame(wire, chunks, pick)
    return Input(wire, chunks, body, sorted(pick.randrange(len(body) + 1) for _ in range(pick.choice([1, 2, 5]))))


def violations(given: Input) -> Iterator[str]:
    wire, chunks, body, cuts = given
    whole = decode(wire, iter([body]))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if start < end]
    if comparable(decode(wire, iter(pieces))) != comparable(whole):
        yield "another result in other pieces"
    if whole.code is None:
        reference = Reference(wire, chunks)
        if lost := reference.lost(whole):
            yield f"lost without an error: {lost}"
        if invented := reference.not_written(wire, whole.calls):
            yield f"not written: {invented}"
    elif whole.calls:
        yield "calls of a failed answer"


def comparable(outcome: Outcome) -> Any:
    """Without the ids that are generated."""
    calls = [(call.name, call.arguments, call.raw) for call in outcome.calls]
    return json.dumps([[delta.text for delta in outcome.deltas], calls, outcome.code, repr(outcome.completion.usage)])


def run(inputs: int, seed: int) -> int:
    """Try that many inputs. Returns how many violated a property, and prints the first ten."""
    answers = [(wire, chunks) for wire, chunks in (*own_answers(), *found_answers()) if chunks]
    failed = 0
    begun = time.monotonic()
    for number in range(seed, seed + inputs):
        given = make_input(answers, number)
        try:
            found = list(violations(given))
        except Exception as error:
            found = [f"raised {error!r}"]
        if found:
            failed += 1
            if failed <= 10:
                print(f"input {number}, {given.wire}: {'; '.join(found)}\n{given.body[:3000]!r}\n", file=sys.stderr)
    seconds = time.monotonic() - begun
    print(f"{inputs} inputs from {len(answers)} answers in {seconds:.0f} s: {failed or 'no'} violations")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.chaos.wires", description="Change answers, and check what is decoded."
    )
    parser.add_argument("--inputs", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first input (%(default)s)")
    options = parser.parse_args()
    sys.exit(bool(run(options.inputs, options.seed)))


if __name__ == "__main__":
    main()
