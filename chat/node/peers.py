"""Messages from server processes: what others ask of the runs that this one owns, what they report, and its own
echoes.
"""

import asyncio
import logging
from uuid import UUID

from ..concurrency import now
from ..monitoring.reporter import Reporter
from ..realtime.hub import Hub
from ..realtime.layer import LayerMessage
from ..realtime.mailbox import Mailbox
from ..realtime.outages import Outages
from ..runs.liveness import TICK, Process
from ..runs.supervisor import Supervisor

logger = logging.getLogger("nous_chat.node")


class Peers:
    """Receives messages to this process. `listen` is its task, started by `Node.open`, cancelled by `Node.drain`."""

    def __init__(
        self, process: Process, supervisor: Supervisor, hub: Hub, outages: Outages, reporter: Reporter
    ) -> None:
        self._process = process
        self._supervisor = supervisor
        self._hub = hub
        self._outages = outages
        self._reporter = reporter

    async def listen(self, mailbox: Mailbox) -> None:
        """Handle messages until cancelled. Nothing escapes."""
        while True:
            try:
                self._handle(await mailbox.receive())
            except Exception:
                logger.exception("A message to this process could not be handled")
                await asyncio.sleep(TICK)

    def _handle(self, message: LayerMessage) -> None:
        match message:
            case {"type": "stop", "run": run}:
                self._supervisor.stop_here(UUID(run))
            case {"type": "sync", "run": run, "channel": channel, "ref": ref}:
                why = message.get("why", "gap")  # processes of the version before send none
                self._supervisor.sync_here(UUID(run), channel, ref, why)
            case {"type": "reader_left", "conversation": conversation, "channel": channel}:
                self._supervisor.reader_left_here(UUID(conversation), channel)
            case {"type": "reader_present", "conversation": conversation}:
                self._supervisor.reader_present(UUID(conversation))
            case {"type": "echo", "server": server, "number": number}:
                missed = self._process.liveness.echo(server, number, now())
                if missed and server not in self._outages.servers_away:
                    self._hub.resnapshot("The channel layer lost messages", server)
            case _:
                self._reporter.handle(message)
