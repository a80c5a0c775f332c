"""A message is posted: stored, told to everybody, and what follows from it is set going. Called by the socket of a
conversation, and by the form that is there without JavaScript.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from .. import store
from ..protocol import commands, events
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..runs.supervisor import Supervisor
from ..store import Posted, executor


async def post(
    here: Supervisor,
    user_id: Any,
    conversation_id: UUID,
    wanted: commands.MessageSend,
    launcher: str | None,
    acknowledge: Callable[[Posted], Awaitable[None]] | None = None,
) -> Posted:
    """`launcher` is as for `Supervisor.start`; `acknowledge` is awaited when the message is stored. Raises Refused.

    To be awaited by `Supervisor.see_through`: it writes.
    """
    refuse_while_draining(here)
    group = groups.conversation(conversation_id)
    with here.room() as host:
        posted = await executor.run(
            store.post_message,
            user_id,
            conversation_id,
            wanted.text,
            wanted.client_id,
            wanted.mode,
            host,
            wanted.reply_to,
            wanted.agent,
            attachments=wanted.attachments,
        )
        if acknowledge is not None:
            await acknowledge(posted)
        if posted.repeated:
            return posted
        await groups.publish(group, events.MessageCreated(message=posted.message))
        if posted.ended is not None:
            await groups.publish(group, events.RunFinished.of(posted.ended.run, posted.ended.message))
        if posted.start is not None:
            here.start(posted.start, conversation_id, launcher)
    if posted.stop is not None:
        await here.stop(posted.stop, conversation_id)
    here.lists.changed(conversation_id)
    return posted


def refuse_while_draining(here: Supervisor) -> None:
    """Raises Refused(UNAVAILABLE) in a process that is about to end."""
    if here.draining:
        raise Refused(ErrorCode.UNAVAILABLE, _("The server is restarting. Send it again in a moment."))
