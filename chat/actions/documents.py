"""Actions on documents: create one, push a change."""

from typing import Any
from uuid import UUID

from .. import store
from ..documents.changesets import ChangeSet, InvalidChange
from ..protocol import commands, events, objects
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..store import executor
from .caller import Caller


async def create(user_id: Any, conversation_id: UUID, new: store.NewDocument) -> objects.Document:
    """Create a document, and tell everybody in the conversation. Raises Refused."""
    created = await executor.run_request(store.create_document, user_id, conversation_id, new)
    await groups.publish(groups.conversation(conversation_id), events.DocumentCreated(document=created))
    return created


async def push(caller: Caller, command: commands.DocumentPush) -> None:
    """Append a change to a document's log, and publish it. Raises Refused."""
    try:
        changes = ChangeSet.parse(command.changes)
    except InvalidChange as error:
        raise Refused(ErrorCode.INVALID, f"{error}.", command.ref) from None
    pushed = await executor.run(
        store.push_changes,
        caller.user_id,
        caller.conversation_id,
        command.document,
        command.version,
        changes,
        command.client_id,
    )
    await caller.reply(events.Ack(ref=command.ref, client_id=command.client_id))
    if not pushed.repeated:
        await caller.publish(events.DocumentChanged.of(command.document, pushed.update))
