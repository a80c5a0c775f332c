"""The inbox socket: a user's list of conversations, kept up to date."""

from collections.abc import Sequence

from .. import store
from ..protocol import commands, events
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..store import executor
from .base import Socket


class InboxConsumer(Socket):
    """One user's inbox."""

    kind = "inbox"

    def groups(self) -> Sequence[str]:
        return [groups.inbox(self.user_id)]

    async def enter(self) -> None:
        conversations, more = await executor.run(store.list_conversations, self.user_id)
        await self.answer(events.InboxSnapshot(you=self.person, conversations=conversations, more=more))

    async def handle(self, command: commands.AnyCommand) -> None:
        if not isinstance(command, commands.Ping):
            text = "The inbox takes ping only. Send this to a conversation's socket."
            raise Refused(ErrorCode.UNKNOWN_COMMAND, text)
        await self.answer(events.Pong(ref=command.ref))
