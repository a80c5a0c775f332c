"""The inbox socket: a user's list of conversations."""

from typing import Never

from .. import store
from ..protocol import commands, events, objects
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..store import executor
from .base import Socket


class InboxConsumer(Socket):
    """One person's list of conversations."""

    async def enter(self) -> None:
        await self.mailbox.join(groups.person(self.user.pk))
        conversations, more = await executor.run(store.list_conversations, self.user.pk)
        you = objects.Person.of(self.user)
        await self.answer(events.InboxSnapshot(you=you, conversations=conversations, more=more))

    async def handle(self, command: commands.AnyCommand) -> None:
        match command:
            case commands.Ping(ref=ref):
                await self.answer(events.Pong(ref=ref))
            case _:
                self._nothing_else()

    def _nothing_else(self) -> Never:
        raise Refused(ErrorCode.UNKNOWN_COMMAND, "The inbox understands ping. Send this to a conversation's socket.")
