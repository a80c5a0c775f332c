"""Actions on messages: post, edit, delete, restore, choose an alternative, mark as read."""

import logging
from functools import partial
from uuid import UUID

from django.db import InterfaceError, OperationalError

from .. import hooks, store
from ..node import node
from ..protocol import commands, events
from ..protocol.errors import Refused
from ..realtime import groups, inbox, run_ends
from ..store import executor
from .caller import Caller

logger = logging.getLogger("nous_chat.runs")


async def post(caller: Caller, command: commands.MessageSend) -> store.Posted:
    """Store a message, publish it, and start the answers it asks for. Raises Refused."""
    caller.require_running_node()
    text = await hooks.acheck_message(caller.user_id, caller.conversation_id, command.text)
    with caller.reserve() as host, caller.claim_slot() as run_id:
        post_message = partial(
            store.post_message,
            caller.user_id,
            caller.conversation_id,
            text,
            command.client_id,
            command.mode,
            host,
            command.reply_to,
            command.agent,
            attachments=command.attachments,
            selection=command.selection,
            words=await store.extract_words(text),
            unattended=caller.unattended,
        )
        try:
            posted = await executor.run(post_message, run_id=run_id)
        except (Refused, OperationalError, InterfaceError):
            raise
        except Exception:  # an answer that cannot begin must not take the message along: it fails by itself
            logger.exception("A message could not be stored together with its answer")
            posted = await executor.run(post_message)
        await caller.reply(events.Ack(ref=command.ref, message=posted.message.id, client_id=command.client_id))
        await caller.explain(command.ref, posted.refused)
        if posted.repeated:
            return posted
        await caller.publish(events.MessageCreated(message=posted.message))
        if posted.ended is not None:
            await run_ends.publish(posted.ended)
        caller.start(posted.start, posted.started)
    if posted.stop is not None:
        await caller.node.supervisor.stop(posted.stop, caller.conversation_id)
    await caller.changed()
    return posted


async def announce(conversation_id: UUID, posted: store.Posted) -> None:
    """Publish a message that was stored without a process for its answer (host ""). If this one serves sockets, it
    makes the answer; else one that does adopts it, a second later.
    """
    group = groups.conversation(conversation_id)
    await groups.publish(group, events.MessageCreated(message=posted.message))
    if posted.ended is not None:
        await run_ends.publish(posted.ended)
    here = node.current()
    if posted.stop is not None:
        await here.supervisor.stop(posted.stop, conversation_id)
    if posted.start is not None and here.serving:
        await here.supervisor.adopt()
    await inbox.announce(conversation_id)


async def edit(caller: Caller, command: commands.MessageEdit) -> None:
    """Change a message's text; with `resend`, replace the answers that follow it. Raises Refused."""
    if command.resend:
        caller.require_running_node()
    text = await hooks.acheck_message(caller.user_id, caller.conversation_id, command.text)
    with caller.reserve() as host:
        edited = await executor.run(
            store.edit_message,
            caller.user_id,
            caller.conversation_id,
            command.message,
            text,
            command.resend,
            host,
            words=await store.extract_words(text),
            unattended=caller.unattended,
        )
        await caller.reply(events.Ack(ref=command.ref, message=edited.message.id, run=edited.start))
        await caller.explain(command.ref, edited.refused)
        await caller.publish(events.MessageUpdated(message=edited.message))
        for hidden in edited.hidden:
            await caller.publish(events.MessageUpdated(message=hidden))
        caller.start(edited.start)
    await caller.changed()


async def mark_read(caller: Caller, command: commands.Read) -> None:
    """Note how far the caller has read. It is stored after the next heartbeat, unless they may not see the
    conversation.
    """
    caller.node.read_markers.note(caller.conversation_id, caller.user_id, command.seq)
    if caller.elsewhere:  # there is no heartbeat
        await caller.node.read_markers.write()


async def change(
    caller: Caller, command: commands.MessageDelete | commands.MessageRestore | commands.MessageChoose
) -> None:
    """Delete or restore a message, or choose an alternative answer. Raises Refused."""
    event: type[events.MessageUpdated | events.MessageDeleted] = events.MessageUpdated
    match command:
        case commands.MessageDelete():
            work, event = store.delete_message, events.MessageDeleted
        case commands.MessageRestore():
            work = store.restore_message
        case commands.MessageChoose():
            work = store.choose_alternative
    message = await executor.run(work, caller.user_id, caller.conversation_id, command.message)
    await caller.reply(events.Ack(ref=command.ref, message=message.id))
    await caller.publish(event(message=message))
    await caller.changed()
