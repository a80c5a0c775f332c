"""The sockets' edge: what each sends first, commands in, frames out. What they mean is decided in `store` and
`supervisor`; how a socket lives and ends, in `sockets`.
"""

import asyncio
from contextlib import suppress
from uuid import UUID

from django.db import InterfaceError, OperationalError

from .. import metrics, store
from ..actions import messages as posting
from ..concurrency import end, now
from ..protocol import commands, events, objects
from ..protocol.errors import Refused
from ..realtime import groups
from ..store import executor
from .base import Closed, Socket
from .flow_control import Credit
from .typing_indicator import Typing


class ConversationConsumer(Socket):
    """One person in one conversation."""

    _name = ""
    """The channel of its first mailbox, by which its runs know it: it has another whenever it begins anew."""
    _typing: Typing | None = None
    _telling: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        try:
            self.conversation_id = UUID(self.scope["url_route"]["kwargs"]["conversation_id"])
        except ValueError:
            raise Closed(4404) from None
        self._name = self._name or self.mailbox.name
        await self.mailbox.join(groups.conversation(self.conversation_id))
        try:
            entered = await executor.run(store.read_snapshot, self.user.pk, self.conversation_id)
        except Refused:
            raise Closed(4404) from None
        self._person = objects.Person(entered.you.id, entered.you.name)
        self._role = entered.you.role
        self._typing = self._typing or Typing(self.conversation_id, self._person)
        self._credit = Credit()
        self.reads = self.conversation_id
        await self.answer(
            events.Snapshot(
                you=entered.you,
                conversation=entered.conversation,
                participants=entered.participants,
                messages=entered.messages,
                more=entered.more,
                runs=entered.runs,
            )
        )
        self.supervisor.presence.enter(self.conversation_id, self, self._person)
        for run in entered.runs:
            await self.supervisor.sync(run.id, self.conversation_id, self.mailbox.name)
        if any(run.status == "queued" for run in entered.runs):
            await self.supervisor.take_up()

    async def leave(self) -> None:
        if self._telling is not None:
            await end(self._telling)
        if self.reads is not None:
            self.reads = None
            self.supervisor.presence.leave(self.conversation_id, self)
            self.supervisor.left(self.conversation_id, self._name)
            if self._typing is not None:
                await self._typing.show(False)

    async def hand_over(self, message: groups.LayerMessage) -> None:
        if message["type"] == "roll_call":
            here = {"type": "present", "conversation": self.conversation_id.hex}
            await groups.tell(groups.owner(self.conversation_id), here)
        elif message["type"] == "who":
            self.supervisor.presence.asked(self.conversation_id)
        elif "run" not in message:
            await super().hand_over(message)
            if "over" in message:
                self._credit.finish(message["over"])
        elif self._credit.admit(message["run"], message["seq"], len(message["text"]), now()):
            await super().hand_over(message)
        else:
            metrics.count("frames_withheld")

    def gave_up(self, at: float) -> bool:
        return self.reads is not None and self._credit.exhausted(at)

    async def handle(self, command: commands.AnyCommand) -> None:
        match command:
            case commands.MessageSend():
                await self.supervisor.see_through(self._send_message(command))
            case commands.MessageEdit():
                await self.supervisor.see_through(self._edit(command))
            case commands.MessageDelete() | commands.MessageRestore() | commands.MessageChoose():
                await self.supervisor.see_through(self._change(command))
            case commands.RunStart():
                await self.supervisor.see_through(self._start_run(command))
            case commands.RunStop():
                await self.supervisor.see_through(self._stop_run(command))
            case commands.ToolDecide():
                await self.supervisor.see_through(self._decide(command))
            case commands.RunSync(run=run, ref=ref):
                metrics.count("gaps_total")
                await executor.run(store.check_membership, self.user.pk, self.conversation_id)
                await self.supervisor.sync(run, self.conversation_id, self.mailbox.name, ref)
            case commands.RunAck(run=run, seq=seq, ref=ref):
                if self._credit.acknowledge(run.hex, seq):
                    await self.supervisor.sync(run, self.conversation_id, self.mailbox.name)
                await self._acknowledge(ref)
            case commands.HistoryLoad(before=before, limit=limit, ref=ref):
                messages, more = await executor.run(
                    store.list_messages, self.user.pk, self.conversation_id, before, limit
                )
                await self.answer(events.HistoryPage(messages=messages, more=more, ref=ref))
            case commands.Read(seq=seq, ref=ref):
                self.supervisor.markers.note(self.conversation_id, self.user.pk, seq)
                await self._acknowledge(ref)
            case commands.Typing(on=on, ref=ref):
                assert self._typing is not None
                await self._typing.show(on, self.user.pk)
                await self._acknowledge(ref)
            case commands.Ping(ref=ref):
                await self.answer(events.Pong(ref=ref))
                # Beside the commands: a database that hangs does not hold up the next pong.
                if self._telling is None or self._telling.done():
                    self._telling = asyncio.create_task(self._tell_where_it_stands())

    async def _tell_where_it_stands(self) -> None:
        """What the layer loses at a conversation's end leaves no hole: only this shows it.

        Started by a ping, ended by `leave`; nothing escapes but bugs, which asyncio logs.
        """
        with suppress(OperationalError, InterfaceError):  # the next ping may find more
            standing = await executor.run(store.find_state, self.user.pk, self.conversation_id)
            if standing is not None:
                await self.answer(events.ConversationState(last_seq=standing.last_seq, run=standing.run))

    async def _send_message(self, command: commands.MessageSend) -> None:
        async def acknowledge(posted: store.Posted) -> None:
            await self.answer(events.Ack(ref=command.ref, message=posted.message.id, client_id=command.client_id))
            await self._told(command, posted.refused)

        await posting.post(self.supervisor, self.user.pk, self.conversation_id, command, self._name, acknowledge)

    async def _told(self, command: commands.Command, refused: Refused | None) -> None:
        """Why an agent does not answer what was stored all the same."""
        if refused is not None:
            await self._refuse(command.ref, refused.code, str(refused))

    async def _edit(self, command: commands.MessageEdit) -> None:
        if command.resend:
            posting.refuse_while_draining(self.supervisor)
        with self.supervisor.room() as host:
            edited = await executor.run(
                store.edit_message,
                self.user.pk,
                self.conversation_id,
                command.message,
                command.text,
                command.resend,
                host,
            )
            await self.answer(events.Ack(ref=command.ref, message=edited.message.id, run=edited.start))
            await self._told(command, edited.refused)
            await self._publish(events.MessageUpdated(message=edited.message))
            for answer in edited.hidden:
                await self._publish(events.MessageUpdated(message=answer))
            if edited.start is not None:
                self.supervisor.start(edited.start, self.conversation_id, self._name)
        self.supervisor.lists.changed(self.conversation_id)

    async def _change(self, command: commands.MessageDelete | commands.MessageRestore | commands.MessageChoose) -> None:
        event: type[events.MessageUpdated | events.MessageDeleted] = events.MessageUpdated
        match command:
            case commands.MessageDelete():
                change, event = store.delete_message, events.MessageDeleted
            case commands.MessageRestore():
                change = store.restore_message
            case commands.MessageChoose():
                change = store.choose_alternative
        message = await executor.run(change, self.user.pk, self.conversation_id, command.message)
        await self.answer(events.Ack(ref=command.ref, message=message.id))
        await self._publish(event(message=message))
        self.supervisor.lists.changed(self.conversation_id)

    async def _start_run(self, command: commands.RunStart) -> None:
        posting.refuse_while_draining(self.supervisor)
        with self.supervisor.room() as host:
            run_id = await executor.run(
                store.request_run,
                self.user.pk,
                self.conversation_id,
                command.message,
                host,
                command.agent,
                continues=command.continues,
            )
            self.supervisor.start(run_id, self.conversation_id, self._name)
        await self.answer(events.Ack(ref=command.ref, run=run_id))
        self.supervisor.lists.changed(self.conversation_id)

    async def _stop_run(self, command: commands.RunStop) -> None:
        ended = await executor.run_urgent(
            store.request_stop, self.user.pk, self.conversation_id, command.run, self.supervisor.host
        )
        await self.supervisor.stop(command.run, self.conversation_id)
        await self.answer(events.Ack(ref=command.ref, run=command.run))
        if ended is not None:
            await self._publish(events.RunFinished.of(ended.run, ended.message))
            if ended.next is not None:
                self.supervisor.start(ended.next, self.conversation_id, self._name)
            self.supervisor.lists.changed(self.conversation_id)

    async def _decide(self, command: commands.ToolDecide) -> None:
        posting.refuse_while_draining(self.supervisor)
        with self.supervisor.room() as host:
            decided = await executor.run(store.decide_call, self.user.pk, self.conversation_id, command, host)
            if decided.start:
                self.supervisor.start(decided.run, self.conversation_id, self._name)
                self.supervisor.lists.changed(self.conversation_id)
        await self.answer(events.Ack(ref=command.ref, run=decided.run))
        await self._publish(events.RunTool(run=decided.run, seq=decided.seq, call=decided.call))

    async def _publish(self, event: events.Event) -> None:
        await groups.publish(groups.conversation(self.conversation_id), event)

    async def _acknowledge(self, ref: str | None) -> None:
        if ref is not None:
            await self.answer(events.Ack(ref=ref))
