"""The conversation socket: sends the snapshot, forwards frames, and turns commands into actions."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from random import uniform
from uuid import UUID

from django.db import InterfaceError, OperationalError

from .. import logs, metrics, store
from ..actions import documents, messages, rooms, runs
from ..actions.caller import Caller
from ..concurrency import cancel_and_wait, detached, now
from ..protocol import commands, events, objects
from ..protocol.errors import Refused
from ..realtime import groups, layer
from ..realtime.layer import LayerMessage
from ..store import executor
from .base import Closed, Socket
from .document_selection import DocumentSelection
from .flow_control import LIMIT, FlowControl
from .typing_indicator import TypingIndicator

SNAPSHOT_SPREAD = 20.0
"""Seconds over which readers who acknowledge nothing get their snapshot: all may be behind at the same moment."""


class ConversationConsumer(Socket):
    """One user in one conversation."""

    kind = "conversation"
    _launcher = ""
    """The name of its first mailbox, by which runs know this socket: each snapshot comes with a new mailbox."""
    _may_read = True
    """False after a snapshot that nothing was acknowledged for: a `run.ack` makes it true again."""
    _typing: TypingIndicator | None = None
    _selection: DocumentSelection | None = None
    _reporting: asyncio.Task[None] | None = None
    _models: frozenset[str] = frozenset()
    _in_trouble = False

    def groups(self) -> Sequence[str]:
        try:
            self.conversation_id = UUID(self._address["conversation_id"])
        except ValueError:
            raise Closed(4404) from None
        logs.bind(conversation=self.conversation_id)
        return [groups.conversation(self.conversation_id)]

    async def enter(self) -> None:
        self._launcher = self._launcher or self.mailbox.name
        snapshot = await self._read_snapshot()
        self._caller = Caller(self.node, self.user_id, self.conversation_id, self._launcher, self.answer)
        self.person = objects.Person(snapshot.you.id, snapshot.you.name, snapshot.you.picture)
        self._role = snapshot.you.role
        self._flow = FlowControl()
        self._models = frozenset(agent.model for agent in snapshot.conversation.agents)
        self._in_trouble = False
        self.reads = self.conversation_id
        await self.answer(snapshot)
        self.node.presence.enter(self.conversation_id, self, self.person)
        for run in snapshot.runs:
            await self.node.supervisor.sync(run.id, self.conversation_id, self.mailbox.name, why="opened")
        if any(run.status == "queued" for run in snapshot.runs):
            await self.node.supervisor.adopt()

    async def _read_snapshot(self) -> events.Snapshot:
        """Raises Closed if the user is not in the conversation, and its rule does not let them in if it is a room."""
        with suppress(Refused):
            return await self.node.snapshots.read(self.user_id, self.conversation_id)
        with suppress(Refused):
            if await rooms.areenter(self.user_id, self.conversation_id):
                return await self.node.snapshots.read(self.user_id, self.conversation_id)
        raise Closed(4404)

    async def leave(self) -> None:
        if self._reporting is not None:
            await cancel_and_wait(self._reporting)
        if self.reads is not None:
            self.reads = None
            self.node.presence.leave(self.conversation_id, self)
            self.node.supervisor.reader_left(self.conversation_id, self._launcher)
            if self._typing is not None:
                await self._typing.show(False)
            if self._selection is not None:
                await self._selection.leave()

    async def forward(self, message: LayerMessage) -> None:
        if message["type"] == "roll_call":
            present = {"type": "reader_present", "conversation": self.conversation_id.hex}
            await layer.send_to_group(groups.owner(self.conversation_id), present)
        elif message["type"] == "who_is_here":
            host = message.get("host", "")  # processes of the version before send none
            self.node.presence.publish_soon(self.conversation_id, host)
        elif self._flow.behind and len(message.get("text", "")) > LIMIT and "run" not in message:
            # The system takes megabytes from us that nobody reads. A snapshot in the place of such a frame is made once
            # for clients that acknowledge nothing, and then only for readers who have shown that they read.
            self._flow.withhold()
            metrics.count("frames_withheld_total")
            if self._may_read:
                self._may_read = False
                asyncio.get_running_loop().call_later(uniform(0, SNAPSHOT_SPREAD), self.resnapshot)
        elif "run" not in message:
            await super().forward(message)
            if "over" in message:
                self._flow.finish(message["over"])
        elif self._flow.admit(message["run"], message["seq"], len(message["text"]), now()):
            if "since" in message:  # by the clocks of two servers, which need not agree
                metrics.observe("delta_lag_seconds", max(0.0, time.time() - message["since"]))
            await super().forward(message)
        else:
            metrics.count("frames_withheld_total")

    def watch(self, now: float) -> None:
        """Tell the reader when the model of an agent here begins or ceases to have problems, also one who has not asked
        yet.
        """
        super().watch(now)
        in_trouble = not self.node.outages.troubled_models.isdisjoint(self._models)
        if self.reads is not None and in_trouble != self._in_trouble:
            self._in_trouble = in_trouble
            detached(self.notify("model_away" if in_trouble else "model_back"), self.node.tasks.watching)

    def is_exhausted(self, at: float) -> bool:
        return self.reads is not None and self._flow.exhausted(at)

    async def handle(self, command: commands.AnyCommand) -> None:
        complete = self.node.tasks.run_to_completion
        match command:
            case commands.MessageSend():
                await complete(messages.post(self._caller, command))
            case commands.MessageEdit():
                await complete(messages.edit(self._caller, command))
            case commands.MessageDelete() | commands.MessageRestore() | commands.MessageChoose():
                await complete(messages.change(self._caller, command))
            case commands.RunStart():
                await complete(runs.start(self._caller, command))
            case commands.RunStop():
                await complete(runs.stop(self._caller, command))
            case commands.ToolDecide():
                await complete(runs.decide(self._caller, command))
            case _ if action := documents.ACTIONS.get(type(command)):
                await complete(action(self._caller, command))
            case commands.DocumentSync(document=document, version=version, ref=ref):
                found = await executor.run(store.sync_document, self.user_id, self.conversation_id, document, version)
                await self.answer(
                    events.DocumentUpdates(
                        document=document, updates=found.updates, more=found.more, writing=found.writing, ref=ref
                    )
                )
            case commands.DocumentSelect(ref=ref):
                await self._select(command)
                await self._acknowledge(ref)
            case commands.RunSync(run=run, ref=ref):
                metrics.count("syncs_total")
                await executor.run(store.check_membership, self.user_id, self.conversation_id)
                await self.node.supervisor.sync(run, self.conversation_id, self.mailbox.name, ref)
            case commands.RunAck(run=run, seq=seq, ref=ref):
                self._may_read = True
                if self._flow.acknowledge(run.hex, seq):
                    if self._flow.needs_snapshot:
                        self.resnapshot()
                    else:
                        await self.node.supervisor.sync(run, self.conversation_id, self.mailbox.name, why="behind")
                await self._acknowledge(ref)
            case commands.HistoryLoad(before=before, limit=limit, ref=ref):
                page, more = await executor.run(store.list_messages, self.user_id, self.conversation_id, before, limit)
                await self.answer(events.HistoryPage(messages=page, more=more, ref=ref))
            case commands.Read(ref=ref):
                await messages.mark_read(self._caller, command)
                await self._acknowledge(ref)
            case commands.Typing(on=on, ref=ref):
                if self._typing is None:
                    bucket = self.node.typing.of(self.conversation_id)
                    self._typing = TypingIndicator(self.conversation_id, self.person, bucket, self.node.presence)
                await self._typing.show(on, self.user_id)
                await self._acknowledge(ref)
            case commands.Ping(ref=ref):
                await self.answer(events.Pong(ref=ref))
                # In a task of its own, so that a database that hangs does not hold up the next pong.
                if self._reporting is None or self._reporting.done():
                    self._reporting = asyncio.create_task(self._report_state())

    async def _report_state(self) -> None:
        """Send the conversation's newest numbers: a client that lost the very last frames cannot notice it otherwise.

        Started by a ping, cancelled by `leave`; only bugs escape, which asyncio logs.
        """
        with suppress(OperationalError, InterfaceError):  # the next ping tries again
            state = await executor.run(store.find_state, self.user_id, self.conversation_id)
            if state is not None:
                await self.answer(state)

    async def _select(self, command: commands.DocumentSelect) -> None:
        if self._selection is None:
            bucket = self.node.typing.of(self.conversation_id)
            self._selection = DocumentSelection(self.conversation_id, self.person, bucket, self.node.presence)
        await self._selection.show(command, self.user_id)

    async def _acknowledge(self, ref: str | None) -> None:
        if ref is not None:
            await self.answer(events.Ack(ref=ref))
