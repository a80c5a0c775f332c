"""Rows in, engine messages out: what a model is sent of a conversation, within a token budget. Called by `store`."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from . import agents, engine, models
from .engine.approvals import pending
from .objects import Person

TOKENS_PER_MESSAGE = 4
CHARS_PER_TOKEN = 4
"""Vendors' guides give about four characters a token."""


def prompt(newest_first: Iterable[models.Message], budget: int, agent: str) -> list[engine.Message]:
    """The newest messages whose estimates fit into `budget` tokens, oldest first; at least the newest one.

    An answer is one piece: its tool calls and their results come with it or not at all. Answers that hold nothing are
    left out, so that a failed one does not make a model see an empty turn. The view is that of `agent` (a slug): its
    own answers are its turns, what others say is said to it, agents like people. Where several speak, each message
    carries its author's name. Notes of who came and left are not for models.
    """
    chosen: list[tuple[models.Message, list[engine.Message]]] = []
    for row in newest_first:
        turns = _turns(row, agent)
        budget -= sum(estimate(turn) for turn in turns)
        if budget < 0 and chosen:
            break
        if turns:
            chosen.append((row, turns))
    chosen.reverse()
    speakers = {(row.author_id, turn.name) for row, turns in chosen for turn in turns if turn.role == "user"}
    several = len(speakers) > 1
    return [
        replace(turn, name=Person.of(row.author).name) if several and row.author is not None else turn
        for row, turns in chosen
        for turn in turns
    ]


def estimate(turn: engine.Message) -> int:
    """Tokens, roughly: good enough to stay inside a budget."""
    calls = sum(len(call.raw) for call in turn.tool_calls)
    return TOKENS_PER_MESSAGE + (len(turn.text) + calls) // CHARS_PER_TOKEN


def transcript(run: models.Run) -> list[engine.Message]:
    """What a run added to the history, as it was stored; empty for one that called no tool."""
    return _decoder.decode(run.transcript) if run.transcript else []


def cut_off(row: models.Message) -> list[engine.Message]:
    """An answer that was cut off, and the wish that it goes on: every wire takes a person's words last."""
    said = transcript(row.run) or ([engine.Message("assistant", row.text)] if row.text else [])
    return [*said, engine.Message("user", engine.GO_ON)] if said else []


def stored(messages: Iterable[engine.Message]) -> str:
    """The same for the row: empty where it holds nothing but text, which the message holds already."""
    kept = list(messages)
    return msgspec.json.encode(kept).decode() if any(turn.tool_calls for turn in kept) else ""


def is_whole(messages: Iterable[engine.Message]) -> bool:
    """Whether each call has its result: no model takes a history where one is missing."""
    return not pending(list(messages))


def _turns(row: models.Message, agent: str) -> list[engine.Message]:
    run = getattr(row, "run", None)
    if row.role == models.Message.Role.SYSTEM:
        return []
    if run is not None and run.agent != agent:
        turns = [engine.Message("user", row.text, name=agents.find(run.agent).name)]
    elif run is not None and run.transcript and run.status == models.Run.Status.COMPLETED:
        return transcript(run)
    else:
        turns = [engine.Message(row.role, row.text)]  # type: ignore[arg-type]  # the choices of Role
    return turns if row.text else []


_decoder = msgspec.json.Decoder(list[engine.Message])
