"""The sockets of the dashboard: what every process reports, once a second, with Stop; and the log of all processes
(docs/monitoring.md).
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from django.db import DatabaseError, InterfaceError

from .. import metrics, store
from ..actions import runs
from ..concurrency import now
from ..monitoring.reports import Missed, Watching, encode
from ..protocol import commands, events
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..realtime.layer import LayerMessage
from ..store import executor
from .base import DROP_AFTER, Closed, Socket

logger = logging.getLogger("nous_chat.consumers")

MAX_UNREAD = 4 * 1024 * 1024
"""Characters sent since the last `ping` beyond which nothing more is sent. The page pings every few seconds."""


class StaffSocket(Socket):
    """Staff who watch. What is watched is sent only while somebody has such a socket open."""

    kind = "dashboard"
    _rights = store.StaffRights()
    _unread = 0
    _withheld_since = 0.0
    _missed = 0
    """Lines of the log that were not sent."""

    def watching(self) -> AbstractContextManager[None]:
        """Entered while the socket shows something."""
        raise NotImplementedError

    async def ask(self) -> None:
        """Have the processes send what was before."""
        raise NotImplementedError

    async def enter(self) -> None:
        if not hasattr(self, "_watched"):
            self._watched = ExitStack()
        self._watched.close()
        self._watched.enter_context(self.watching())
        self._unread, self._withheld_since, self._missed = 0, 0.0, 0
        await self.transmit(encode(Watching(self.node.reporter.known_hosts())))
        await self.ask()

    async def leave(self) -> None:
        if hasattr(self, "_watched"):
            self._watched.close()

    async def handle(self, command: commands.AnyCommand) -> None:
        if not isinstance(command, commands.Ping):
            raise Refused(ErrorCode.UNKNOWN_COMMAND, "This socket does not take that command.")
        self._unread, self._withheld_since, missed, self._missed = 0, 0.0, self._missed, 0
        await self.answer(events.Pong(ref=command.ref))
        if missed:
            await self.transmit(encode(Missed(missed)))

    async def forward(self, message: LayerMessage) -> None:
        match message:
            case {"type": "report", "text": text}:
                await self._send_unless_behind(text)
            case {"type": "log", "text": text, "lines": lines}:
                await self._send_unless_behind(text, lines)
            case _:
                await super().forward(message)

    async def _send_unless_behind(self, text: str, lines: int = 0) -> None:
        """What a reader misses of reports is in the next ones; of the log, they are told how many lines."""
        if self._unread > MAX_UNREAD:
            self._withheld_since = self._withheld_since or now()
            self._missed += lines
            metrics.count("frames_withheld_total")
            return
        self._unread += len(text)
        await self.transmit(text)

    def is_exhausted(self, at: float) -> bool:
        return bool(self._withheld_since) and at - self._withheld_since > DROP_AFTER

    async def _authenticate(self, scope: dict[str, Any]) -> None:
        await super()._authenticate(scope)
        self._rights = await self._check_rights()

    async def _do_recheck(self) -> None:
        await super()._do_recheck()
        try:
            rights = await self._check_rights()
        except Closed as closed:
            self.close(closed.code)
        except (DatabaseError, InterfaceError):  # the next re-check decides
            pass
        else:
            if rights != self._rights:
                self._rights = rights
                self.resnapshot()

    async def _check_rights(self) -> store.StaffRights:
        """Raises Closed. Tokens are for programs that act in conversations: they do not open the dashboard."""
        rights = await executor.run(store.find_staff_rights, self.user_id)
        if not rights.watch or self._reauthenticate is not None:
            logger.warning("User %s may not see the dashboard", self.user_id)
            raise Closed(4403)
        return rights


class DashboardConsumer(StaffSocket):
    """Figures, and runs."""

    def groups(self) -> Sequence[str]:
        return [groups.watchers()]

    def watching(self) -> AbstractContextManager[None]:
        return self.node.reporter.watching()

    async def ask(self) -> None:
        await self.node.reporter.ask_past(self.mailbox.name)

    async def handle(self, command: commands.AnyCommand) -> None:
        if not isinstance(command, commands.RunStop):
            await super().handle(command)
            return
        try:
            await self.node.tasks.run_to_completion(runs.stop_from_dashboard(self.user_id, command.run))
        except Refused as refused:
            logger.warning("User %s did not stop run %s: %s", self.user_id, command.run, refused.code)
            raise
        await self.answer(events.Ack(ref=command.ref, run=command.run))


class LogConsumer(StaffSocket):
    """The log: with what people wrote for those who may read transcripts, without for all others."""

    def groups(self) -> Sequence[str]:
        return [groups.log_readers(self._rights.read)]

    def watching(self) -> AbstractContextManager[None]:
        return self.node.reporter.reading_log(self._rights.read)

    async def ask(self) -> None:
        await self.node.reporter.ask_log(self.mailbox.name, self._rights.read)
