"""Ask an agent in a conversation of its own, with a history that the client keeps; and stop that answer.

For foreign clients: their requests are independent of each other.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError
from msgspec import Struct

from .. import hooks, store
from ..node import node
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
    here = node.current()
    try:
        await here.open()
    except Away:
        raise database_unavailable() from None
    launcher = NO_SOCKET if chat is None else ""
    caller = Caller(here, user.pk, uuid4(), launcher, _ignore)
    caller.require_running_node()
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


async def stop(asked: Asked) -> None:
    """Stop the run if it is not over. A database that is away does not matter: nobody waits for this."""
    caller = Caller(node.current(), asked.user_id, asked.conversation, NO_SOCKET, _ignore)
    with suppress(Refused, OperationalError, InterfaceError):
        await runs.stop(caller, commands.RunStop(run=asked.run))


async def _ignore(event: events.Event) -> None:
    pass
