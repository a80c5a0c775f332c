"""Normalisation of a history for every wire, and the other parts of a request that the vendors' modules share.

Vendors refuse a call without a result, a result without a call, an id that occurs twice, a name that no tool can have,
and two turns of one side in a row. The histories of chats contain all of these.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ..exceptions import ConfigurationError
from ..messages import PLAIN_ID, Image, Message, Replay, ToolCall

logger = logging.getLogger("nous_chat.engine")

_MISSING_RESULT = "There is no result: the run ended before the tool did."

_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")  # Mistral's

# OpenAI and Anthropic accept these characters, Gemini no digit and no - at the beginning.
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")


def normalize(messages: Sequence[Message], model: str, *, short_ids: bool = False) -> list[Message]:
    """A history for that model (provider:model). Puts one result for each call right behind its turn, in the order of
    the calls, and drops empty messages.

    The model gets the ids back that it sent, whatever they are: Moonshot's models expect their `functions.name:0`, and
    some proxies hide a signature in the id. Other ids become unique, and of a form that the vendor accepts
    (`short_ids`: Mistral's); each always becomes the same. Names that no tool can have become similar ones that vendors
    accept.
    """
    normalized: list[Message] = []
    used_ids: set[str] = set()
    for position, message in enumerate(messages):
        if message.role == "tool" or not (message.text.strip() or message.images or message.tool_calls):
            continue
        if not message.tool_calls:
            normalized.append(message)
            continue
        unmatched = _results_of(messages, position)
        calls, results = [], []
        received: set[str] = set()  # the ids that the model gets back in this turn
        for call in message.tool_calls:
            identity, name = call.provider_id, _tool_name(call.name)
            if not identity or call.model != model or identity in received:
                identity = _unique_id(call.id, used_ids, _SHORT_ID if short_ids else PLAIN_ID)
            received.add(identity)
            used_ids.add(identity)
            calls.append(msgspec.structs.replace(call, id=identity, name=name))
            result = next((result for result in unmatched if _belongs(result, call)), None)
            if result is None:
                results.append(Message("tool", _MISSING_RESULT, name=name, call_id=identity, failed=True))
            else:
                unmatched.remove(result)
                results.append(msgspec.structs.replace(result, name=name, call_id=identity))
        normalized += [msgspec.structs.replace(message, tool_calls=tuple(calls)), *results]
        if unmatched:
            logger.debug("ignored: %d results of no call", len(unmatched))
    return normalized


def _results_of(messages: Sequence[Message], position: int) -> list[Message]:
    """The results between a turn and the next turn with calls. There may be messages of people in between."""
    found = []
    for message in messages[position + 1 :]:
        if message.tool_calls:
            break
        if message.role == "tool":
            found.append(message)
    return found


def _belongs(result: Message, call: ToolCall) -> bool:
    return result.call_id == call.id if result.call_id else result.name == call.name


def _unique_id(identity: str, used: set[str], form: re.Pattern[str]) -> str:
    """The id, or else a hash of it, which stays the same when the beginning of the history is left out."""
    unique, number = identity, 0
    while unique in used or not form.fullmatch(unique):
        unique = hashlib.sha256(f"{identity} {number}".encode("utf-8", "replace")).hexdigest()[:9]
        number += 1
    used.add(unique)
    return unique


def _tool_name(name: str) -> str:
    """The name, or one that is like it: models leave it empty, or let a piece of their template slip into it."""
    if _TOOL_NAME.fullmatch(name):
        return name
    return "_" + re.sub(r"[^a-zA-Z0-9_-]", "_", name.strip() or "unnamed")[:63]


def split_system(messages: Sequence[Message], instructions: str) -> tuple[str, Sequence[Message]]:
    """The instructions joined with the leading system messages, and the remaining messages. For wires that have one
    system prompt, outside of the messages."""
    first = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    texts = [instructions, *(message.text for message in messages[:first])]
    return "\n\n".join(text for text in texts if text.strip()), messages[first:]


def alternate_turns(
    parts: Iterable[tuple[bool, dict[str, Any]]], text_part: Callable[[str], dict[str, Any]]
) -> list[tuple[bool, list[dict[str, Any]]]]:
    """Group parts, each with "is it the model's?", into alternating turns of which the user has the first and the last.
    `text_part` makes a part in the vendor's form."""
    turns: list[tuple[bool, list[dict[str, Any]]]] = []
    for from_model, part in parts:
        if not turns and from_model:
            turns.append((False, [text_part("(The beginning is left out.)")]))
        if turns and turns[-1][0] is from_model:
            turns[-1][1].append(part)
        else:
            turns.append((from_model, [part]))
    if not turns or turns[-1][0]:
        turns.append((False, [text_part("(Go on.)")]))
    return turns


def alternate_messages(messages: Sequence[Message], instructions: str) -> tuple[str, list[Message]]:
    """The instructions, and the normalised messages with the user and the assistant in turns, beginning with the user.
    For servers that apply the chat template of a model: many templates (Gemma, Mistral) raise an error otherwise."""
    instructions, rest = split_system(messages, instructions)
    alternating: list[Message] = []
    for message in rest:
        if message.role == "system":
            message = Message("user", f"System: {message.text}")
        last = alternating[-1] if alternating else None
        if last is None and message.role == "assistant":
            alternating.append(Message("user", "(The beginning is left out.)"))
        if last is not None and last.role == message.role != "tool" and not last.tool_calls:
            text = "\n\n".join(filter(str.strip, (last.text_with_name, message.text_with_name)))
            images = (*last.images, *message.images)
            alternating[-1] = msgspec.structs.replace(message, text=text, name=None, images=images)
        else:
            alternating.append(message)
    return instructions, alternating


def replay_content(message: Message, wire: str) -> Any:
    """The content of the message's Replay if it belongs to this wire, else None."""
    return message.replay.content if isinstance(message.replay, Replay) and message.replay.wire == wire else None


def only(content: dict[str, Any], *fields: str) -> dict[str, Any]:
    """Those of the fields that are present. Vendors refuse fields that they do not know."""
    return {field: content[field] for field in fields if field in content}


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments, or {} if they were invalid: some servers refuse those, and the result says what was wrong."""
    return call.arguments or {}


class InlineImage(NamedTuple):
    """The bytes of an image in base64."""

    media_type: str
    base64: str


def inline_image(image: Image) -> InlineImage | None:
    """An image given as bytes or as a data: URL; None for one that the provider has to fetch."""
    if image.data is not None:
        return InlineImage(image.media_type, base64.b64encode(image.data).decode())
    if not image.url:
        raise ConfigurationError("An image needs a url or data.")
    if image.url.startswith("data:"):
        kind, _, data = image.url[5:].partition(";base64,")
        if data:
            return InlineImage(kind or image.media_type, data)
    return None


def schema_instruction(schema: dict[str, Any]) -> str:
    """An instruction to answer in JSON, for wires that have no field for the schema."""
    return f"Answer with JSON alone, according to this JSON Schema:\n{msgspec.json.encode(schema).decode()}"


def apply_settings(body: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Add the vendor's own fields (`Agent.settings`) to a request; they win over ours, and None leaves a field out.
    Objects are merged one level deep, and the vendor's own tools are appended to the agent's."""
    for key, value in settings.items():
        ours = body.get(key)
        if value is None:
            body.pop(key, None)
        elif isinstance(ours, dict) and isinstance(value, dict):
            body[key] = ours | value
        elif key == "tools" and isinstance(ours, list) and isinstance(value, list):
            body[key] = [*ours, *value]
        else:
            body[key] = value
    return body
