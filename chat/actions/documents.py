"""Actions on documents: create, change, and delete them, push a change, take over from an agent, restore a version,
decide on a proposal.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from .. import store
from ..concurrency import after_commit
from ..documents.changesets import ChangeSet, InvalidChange
from ..documents.text_diff import diff_texts
from ..protocol import commands, events, objects
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..store import executor
from .caller import Caller

ATTEMPTS = 10
"""How often a version is restored, or a text is saved, while others change the document at the same moment."""


async def create(user_id: Any, conversation_id: UUID, new: store.NewDocument) -> objects.Document:
    """Create a document, and tell everybody in the conversation. Raises Refused."""
    created = await executor.run_request(store.create_document, user_id, conversation_id, new)
    await groups.publish(groups.conversation(conversation_id), events.DocumentCreated(document=created))
    return created


def open_field(obj: models.Model, name: str, user: Any) -> objects.Document:
    """The document of an object's field. Raises Refused, and LookupError."""
    opened = store.open_field(obj, name, user)
    after_commit(partial(_publish_field, opened))
    return opened.document


async def _publish_field(opened: store.OpenedField) -> None:
    group = groups.conversation(opened.document.conversation)
    if opened.created:
        await groups.publish(group, events.DocumentCreated(document=opened.document))
    if opened.pushed is not None:
        changed = events.DocumentChanged.of(opened.document.id, opened.pushed.update, opened.pushed.writing)
        await groups.publish(group, changed)


async def create_by_command(caller: Caller, command: commands.DocumentCreate) -> None:
    """The same for a command. Raises Refused."""
    new = store.NewDocument(command.title, command.kind, command.language, command.text, command.client_id)
    created = await executor.run(store.create_document, caller.user_id, caller.conversation_id, new)
    await caller.reply(events.Ack(ref=command.ref, client_id=command.client_id, document=created.id))
    await caller.publish(events.DocumentCreated(document=created))


async def update(caller: Caller, command: commands.DocumentUpdate) -> None:
    """Change a document's title, kind, or language. Raises Refused."""
    changes = store.DocumentChanges(command.title, command.kind, command.language)
    changed = await _run(store.change_document, caller, command.document, changes)
    await _acknowledge(caller, command)
    await caller.publish(events.DocumentUpdated(document=changed))


async def delete(caller: Caller, command: commands.DocumentDelete) -> None:
    """Delete a document for everyone. For UNDO_SECONDS it can be restored. Raises Refused."""
    await _run(store.delete_document, caller, command.document)
    await _acknowledge(caller, command)
    await caller.publish(events.DocumentDeleted(document=command.document))


async def undelete(caller: Caller, command: commands.DocumentUndelete) -> None:
    """Undo the deletion. Raises Refused."""
    restored = await _run(store.undelete_document, caller, command.document)
    await _acknowledge(caller, command)
    await caller.publish(events.DocumentCreated(document=restored))


async def push(caller: Caller, command: commands.DocumentPush) -> None:
    """Append a change to a document's log, and publish it with those that were stored together with it. Raises
    Refused.
    """
    try:
        changes = ChangeSet.parse(command.changes)
    except InvalidChange as error:
        raise Refused(ErrorCode.INVALID, f"{error}.", command.ref) from None
    pushed = await _push(caller, command.document, command.version, changes, command.client_id, command.rebase)
    await _publish(caller, command.document, pushed)  # first, because others wait for it too
    await caller.reply(events.Ack(ref=command.ref, client_id=command.client_id, document=command.document))


async def take_over(caller: Caller, command: commands.DocumentTakeOver) -> None:
    """Close what an agent is writing in a document, and tell everybody. Raises Refused."""
    taken = await _run(store.take_over_document, caller, command.document)
    await _acknowledge(caller, command)
    if not taken.repeated:
        await caller.publish(events.DocumentUpdated(document=taken.document))


async def restore(caller: Caller, command: commands.DocumentRestore) -> None:
    """Append the change that makes the text what it was at a version. Raises Refused."""

    async def make_change() -> tuple[int, ChangeSet]:
        newest, text, wanted = await _run(store.read_texts, caller, command.document, command.version)
        return newest, await asyncio.to_thread(diff_texts, text, wanted)

    pushed = await _push_again(caller, command.document, make_change)
    await _acknowledge(caller, command)
    if pushed is not None:
        await _publish(caller, command.document, pushed)


async def save(caller: Caller, document: UUID, version: int, text: str) -> bool:
    """Append what a user has changed in the text of a version, mapped over what others have changed since. Returns
    whether they have. Raises Refused.
    """
    wanted, merged = store.normalize_document(text), False

    async def make_change() -> tuple[int, ChangeSet]:
        nonlocal merged
        newest, before, later = await _run(store.read_changes_since, caller, document, version)
        merged = newest > version
        return newest, await asyncio.to_thread(_map_edit, before, wanted, later)

    pushed = await _push_again(caller, document, make_change)
    if pushed is not None:
        await _publish(caller, document, pushed)
    return merged


def _map_edit(before: str, after: str, later: Sequence[ChangeSet]) -> ChangeSet:
    changes = diff_texts(before, after)
    for each in later:
        changes = changes.map(each)
    return changes


async def name(caller: Caller, command: commands.DocumentName) -> None:
    """Name a version, or take its name away. Raises Refused."""
    stored = await _run(store.name_version, caller, command.document, command.version, command.name)
    await _acknowledge(caller, command)
    await caller.publish(events.DocumentNamed(document=command.document, version=command.version, name=stored))


async def resolve(caller: Caller, command: commands.DocumentResolve) -> None:
    """Remove a proposal that the caller has decided on. Raises Refused."""
    await _run(store.resolve_proposal, caller, command.document, command.proposal)
    await _acknowledge(caller, command)
    await caller.publish(events.DocumentResolved(document=command.document, proposal=command.proposal))


ACTIONS: dict[type[commands.Command], Callable[[Caller, Any], Coroutine[Any, Any, None]]] = {
    commands.DocumentCreate: create_by_command,
    commands.DocumentUpdate: update,
    commands.DocumentDelete: delete,
    commands.DocumentUndelete: undelete,
    commands.DocumentPush: push,
    commands.DocumentTakeOver: take_over,
    commands.DocumentName: name,
    commands.DocumentRestore: restore,
    commands.DocumentResolve: resolve,
}
"""What each command on a document does that writes."""


async def _run(work: Any, caller: Caller, document: UUID, *args: Any) -> Any:
    return await executor.run(work, caller.user_id, caller.conversation_id, document, *args)


async def _push(
    caller: Caller,
    document: UUID,
    version: int,
    changes: ChangeSet,
    client_id: UUID | None = None,
    rebase: bool = False,
) -> store.PushedChange:
    where = caller.user_id, caller.conversation_id, document, version
    push = store.Push(*where, changes, client_id, rebase, get_language() or "")
    return await executor.run_together(store.push_together, push, (caller.conversation_id, document))


async def _push_again(
    caller: Caller, document: UUID, make_change: Callable[[], Coroutine[Any, Any, tuple[int, ChangeSet]]]
) -> store.PushedChange | None:
    """Push a change that is made for the newest version, again if others are faster. None if it changes nothing."""
    for _attempt in range(ATTEMPTS):
        newest, changes = await make_change()
        if changes.is_empty:
            return None
        try:
            return await _push(caller, document, newest, changes)
        except Refused as refused:
            if refused.code != ErrorCode.STALE:
                raise
    raise Refused(ErrorCode.CONFLICT, _("Others are changing this document all the time. Try again later."))


async def _publish(caller: Caller, document: UUID, pushed: store.PushedChange) -> None:
    """Publish what was stored, unless the caller of the first one of several does."""
    match pushed.together:
        case [only]:
            await caller.publish(events.DocumentChanged.of(document, only.update, only.writing))
        case [*several, last]:
            updates = [each.update for each in (*several, last)]
            await caller.publish(
                events.DocumentUpdates(document=document, updates=updates, more=False, writing=last.writing, ref=None)
            )


async def _acknowledge(caller: Caller, command: Any) -> None:
    await caller.reply(events.Ack(ref=command.ref, document=command.document))
