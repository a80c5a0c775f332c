"""Ask an agent in a conversation of its own, with a history that the client keeps; and stop that answer."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError
from msgspec import Struct

from .. import hooks, store
from ..node import node
from ..protocol import commands, events
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


async def ask(user: Any, agent: str, history: Sequence[store.Turn], text: str) -> Asked:
    """Create a conversation in no list with this history, and ask an agent (a slug) in it. Raises Refused, and then
    leaves no conversation.

    BEFORE_MODEL checks the history too, answers included: all of it is what this user sends to a model.
    """
    here = node.current()
    try:
        await here.open()
    except Away:
        raise database_unavailable() from None
    caller = _caller(user.pk, uuid4())
    caller.require_running_node()
    turns = [
        store.Turn(turn.role, await hooks.acheck_message(user.pk, caller.conversation_id, turn.text))
        for turn in history
    ]
    await executor.run_request(store.import_conversation, user, caller.conversation_id, agent, text, turns)
    try:
        posted = await messages.post(caller, commands.MessageSend(client_id=uuid4(), text=text, agent=agent))
        if posted.refused is not None:
            raise posted.refused
    except Refused:
        with suppress(Refused):
            await conversations.delete(user.pk, caller.conversation_id)
        raise
    assert posted.start is not None  # nothing else happens in this conversation, so the run does not wait for another
    return Asked(user.pk, caller.conversation_id, posted.start)


async def stop(asked: Asked) -> None:
    """Stop the run if it is not over. A database that is away does not matter: nobody waits for this."""
    with suppress(Refused, OperationalError, InterfaceError):
        await runs.stop(_caller(asked.user_id, asked.conversation), commands.RunStop(run=asked.run))


def _caller(user_id: Any, conversation_id: UUID) -> Caller:
    return Caller(node.current(), user_id, conversation_id, NO_SOCKET, _ignore)


async def _ignore(event: events.Event) -> None:
    pass
