"""A history in, one that every wire takes out. Vendors refuse a call without a result, a result without a call, an id
twice, two turns of one side; histories of chats hold all of these. The vendors' modules call it for each request."""

import base64
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ..exceptions import ConfigurationError
from ..messages import Image, Message, Replay, ToolCall

logger = logging.getLogger("nous_chat.engine")

_LOST = "There is no result: the run ended before the tool did."


# Anthropic takes letters, digits, _ and - only, OpenAI at most 40 characters; Mistral nine letters and digits.
_ANY_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


def settled(messages: Sequence[Message], *, short_ids: bool = False) -> list[Message]:
    """With the results right behind their calls and in the same order, one for each; with ids that are unique and of a
    form that the vendor takes; without messages that say nothing."""
    done: list[Message] = []
    used: set[str] = set()
    for place, message in enumerate(messages):
        if message.role == "tool" or not (message.text.strip() or message.images or message.tool_calls):
            continue
        if not message.tool_calls:
            done.append(message)
            continue
        results = _results(messages, place)
        calls, answers = [], []
        for call in message.tool_calls:
            identity = _identity(call.id, used, _SHORT_ID if short_ids else _ANY_ID)
            calls.append(msgspec.structs.replace(call, id=identity))
            found = next((result for result in results if _answers(result, call)), None)
            if found is None:
                answers.append(Message("tool", _LOST, name=call.name, call_id=identity, failed=True))
            else:
                results.remove(found)
                answers.append(msgspec.structs.replace(found, name=call.name, call_id=identity))
        done += [msgspec.structs.replace(message, tool_calls=tuple(calls)), *answers]
        if results:
            logger.debug("ignored: %d results of no call", len(results))
    return done


def _results(messages: Sequence[Message], place: int) -> list[Message]:
    """The results between a turn and the next one with calls. People may have written in between."""
    found = []
    for message in messages[place + 1 :]:
        if message.tool_calls:
            break
        if message.role == "tool":
            found.append(message)
    return found


def _answers(result: Message, call: ToolCall) -> bool:
    return result.call_id == call.id if result.call_id else result.name == call.name


def _identity(identity: str, used: set[str], form: re.Pattern[str]) -> str:
    number = len(used)
    while identity in used or not form.fullmatch(identity):
        identity = f"call{number:05}"
        number += 1
    used.add(identity)
    return identity


def opening(messages: Sequence[Message], instructions: str) -> tuple[str, Sequence[Message]]:
    """The instructions with the system messages that stand first, and the rest: for wires that take system messages at
    the beginning alone."""
    first = next((place for place, message in enumerate(messages) if message.role != "system"), len(messages))
    texts = [instructions, *(message.text for message in messages[:first])]
    return "\n\n".join(text for text in texts if text.strip()), messages[first:]


def alternating(
    parts: Iterable[tuple[bool, dict[str, Any]]], say: Callable[[str], dict[str, Any]]
) -> list[tuple[bool, list[dict[str, Any]]]]:
    """(of the model?, part) into turns, for wires where the sides take turns, and people begin and end."""
    turns: list[tuple[bool, list[dict[str, Any]]]] = []
    for side, part in parts:
        if not turns and side:
            turns.append((False, [say("(The beginning is left out.)")]))
        if turns and turns[-1][0] is side:
            turns[-1][1].append(part)
        else:
            turns.append((side, [part]))
    if not turns or turns[-1][0]:
        turns.append((False, [say("(Go on.)")]))
    return turns


def replayed(message: Message, wire: str) -> Any:
    """The content of its Replay, if it is of this wire."""
    return message.replay.content if isinstance(message.replay, Replay) and message.replay.wire == wire else None


def arguments(call: ToolCall) -> dict[str, Any]:
    """What was wrong is left out: some servers refuse it, and the result tells what was wrong with it."""
    return call.arguments or {}


def inline(image: Image) -> tuple[str, str] | None:
    """Media type and base64 of a picture that came as bytes or as a data: URL; None for one that has an address."""
    if image.data is not None:
        return image.media_type, base64.b64encode(image.data).decode()
    if not image.url:
        raise ConfigurationError("An image needs a url or data.")
    if image.url.startswith("data:"):
        kind, _, data = image.url[5:].partition(";base64,")
        if data:
            return kind or image.media_type, data
    return None


def asking_for(schema: dict[str, Any]) -> str:
    """The wish for a JSON answer in words, for wires that have no field for it."""
    return f"Answer with JSON alone, according to this JSON Schema:\n{msgspec.json.encode(schema).decode()}"


def with_settings(body: dict[str, Any], settings: Any) -> dict[str, Any]:
    """A request with the vendor's own fields of `Agent.settings`, which win. Objects are merged, one level deep, and
    the vendor's own tools stand beside ours."""
    for key, value in settings.items():
        ours = body.get(key)
        if isinstance(ours, dict) and isinstance(value, dict):
            body[key] = ours | value
        elif key == "tools" and isinstance(ours, list) and isinstance(value, list):
            body[key] = [*ours, *value]
        else:
            body[key] = value
    return body
