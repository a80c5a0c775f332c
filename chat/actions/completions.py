"""Ask an agent in a conversation of its own, with a history that the client keeps; and stop that answer.

For foreign clients: their requests are independent of each other.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError
from msgspec import Struct
from msgspec.structs import replace

from .. import hooks, store
from ..node import node
from ..node.node import Node
from ..protocol import commands, events, objects
from ..protocol.errors import Refused, database_unavailable
from ..realtime.mailbox import Away
from ..runs.supervisor import NO_SOCKET
from ..store import executor
from . import conversations, messages, runs
from .caller import Caller


class Asked(Struct, frozen=True):
    """Who asked, and the run that answers."""

    user_id: Any
    conversation: UUID
    run: UUID
    copied: int = 0
    """How many messages were copied into the conversation."""
    before: objects.Message | None = None
    """What the client has of the answer already."""


async def ask(
    user: Any,
    agent: str,
    history: Sequence[store.Turn],
    text: str,
    *,
    after: UUID | None = None,
    chat: UUID | None = None,
) -> Asked:
    """Create a conversation in no list with this history, and ask an agent (a slug) in it. Raises Refused, and then
    leaves no conversation.

    `after` is a run: the history follows a copy of the conversation up to its answer. `chat` identifies what the client
    regards as one conversation: `find_active` finds its runs. Such a run has readers who come back, so it can be
    abandoned.

    BEFORE_MODEL checks the history too, answers included: all of it is what this user sends to a model.
    """
    here = await _open_node()
    launcher = NO_SOCKET if chat is None else ""
    caller = Caller(here, user.pk, uuid4(), launcher, _ignore)
    caller.require_running_node()
    if history:  # before the hook checks it: a guest could have the site's moderation called hundreds of times
        await executor.run_request(store.check_can_create, user)
    turns = [
        store.Turn(turn.role, await hooks.acheck_message(user.pk, caller.conversation_id, turn.text))
        for turn in history
    ]
    imported = partial(store.import_conversation, after=after)
    copied = await executor.run_request(imported, user, caller.conversation_id, agent, text, turns)
    try:
        posted = await messages.post(caller, commands.MessageSend(client_id=chat or uuid4(), text=text, agent=agent))
        if posted.refused is not None:
            raise posted.refused
    except Refused:
        with suppress(Refused):
            await conversations.delete(user.pk, caller.conversation_id)
        raise
    assert posted.start is not None  # nothing else happens in this conversation, so the run does not wait for another
    return Asked(user.pk, caller.conversation_id, posted.start, copied)


async def find_active(user_id: Any, chat: UUID) -> list[Asked]:
    """The runs of a `chat` that are not over, the newest first."""
    found = await executor.run_request(store.find_asked_runs, user_id, chat)
    return [Asked(user_id, conversation, run) for conversation, run in found]


async def decide(user_id: Any, decisions: Mapping[UUID, tuple[bool, str]]) -> Asked:
    """Approve or reject tool calls of one run, each with a reason. After the last decision, the run continues. Calls
    that are decided already are left as they are, so that a request can be repeated. Raises Refused.
    """
    here = await _open_node()
    stored = await executor.run_request(store.get_calling_run, user_id, next(iter(decisions)))
    caller = Caller(here, user_id, stored.run.conversation, NO_SOCKET, _ignore)
    calls = () if stored.message is None else stored.message.calls
    for call in calls:
        if call.status == "awaiting_approval" and call.id in decisions:
            is_approved, reason = decisions[call.id]
            decision: Literal["approve", "reject"] = "approve" if is_approved else "reject"
            await runs.decide(caller, commands.ToolDecide(call=call.id, decision=decision, reason=reason))
    before = None if stored.message is None else _before(stored.message, decisions)
    return Asked(user_id, stored.run.conversation, stored.run.id, before=before)


def _before(message: objects.Message, decided: Collection[UUID]) -> objects.Message:
    """The answer as it was when it waited for the decisions on these calls."""
    parts, text, thinking, calls = list(message.parts), 0, 0, set()
    while parts and not (isinstance(parts[-1], objects.CallPart) and parts[-1].call in decided):
        parts.pop()
    for part in parts:
        match part:
            case objects.TextPart(length=length):
                text += length
            case objects.ThinkingPart(length=length):
                thinking += length
            case objects.CallPart(call=call):
                calls.add(call)
    waiting = tuple(
        replace(call, status="awaiting_approval") if call.id in decided else call
        for call in message.calls
        if call.id in calls
    )
    return replace(message, text=message.text[:text], thinking=message.thinking[:thinking], calls=waiting)


async def stop(asked: Asked) -> None:
    """Stop the run if it is not over. A database that is away does not matter: nobody waits for this."""
    caller = Caller(node.current(), asked.user_id, asked.conversation, NO_SOCKET, _ignore)
    with suppress(Refused, OperationalError, InterfaceError):
        await runs.stop(caller, commands.RunStop(run=asked.run))


async def _open_node() -> Node:
    here = node.current()
    try:
        await here.open()
    except Away:
        raise database_unavailable() from None
    return here


async def _ignore(event: events.Event) -> None:
    pass
