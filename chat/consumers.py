"""The socket's edge: authenticate, commands in, frames out. What they mean is decided in `store` and `supervisor`.

Channels' own dispatch hops to a thread for every message and handles them one after another, so that a slow query would
hold up deltas. Here the two directions are two loops: `_listen` hears commands, `_pump` passes frames through unread.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import uniform
from typing import Any, Never
from uuid import UUID

from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from django.db import DatabaseError, InterfaceError, OperationalError

from . import commands, events, groups, metrics, objects, posting, store, supervisor
from .commands import Refused
from .credit import Credit
from .presence import Typing
from .pulse import TICK
from .revocation import session_name

logger = logging.getLogger("nous_chat.consumers")

ANSWER_WITHIN = 5.0
"""Seconds after which a command is answered with `unavailable`, whatever it waits for. A write goes on all the same."""

STUCK = 3.0
"""Seconds without the reader taking anything, after which nothing more is gathered for him."""

GIVE_UP = 30.0
"""Seconds of the same after which he has to come again."""

LOOK_AGAIN = 60.0
"""Seconds between two looks whether who is connected may still be."""

RETRY = 2.0
UNAVAILABLE = "The server cannot store or load anything right now. Try again soon."


class Closed(Exception):
    """This socket is not to stay open; `code` is one of docs/protocol.md."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Socket(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """What both kinds of sockets share: who is there, the two loops, and an end that is always reached."""

    mailbox: groups.Mailbox
    supervisor: supervisor.Supervisor

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.supervisor = supervisor.current()
        self.reads: UUID | None = None
        self._renewing = asyncio.Event()
        self._sending = 0
        self._stuck_since = 0.0
        self._verdict: int | None = None
        self._role: str | None = None
        self._look_at = _now() + LOOK_AGAIN
        self._looking: asyncio.Task[None] | None = None
        await receive()  # websocket.connect: a code can only be sent to a socket that was accepted
        await send({"type": "websocket.accept"})
        self.supervisor.sockets.add(self)
        try:
            if self.supervisor.draining:
                await self.restart()
                return
            self.user = scope["user"]
            if not self.user.is_authenticated:
                raise Closed(4401)
            self._bucket = self.supervisor.buckets.of(self.user.pk)
            await self.supervisor.open()
            await self._serve()
        except Closed as closed:
            await self._close(closed.code)
        except asyncio.CancelledError:
            if self.supervisor.draining:
                await self.restart()
            raise
        except groups.Away as error:
            await self._turn_away("layer_away", error)
        except (OperationalError, InterfaceError) as error:
            await self._turn_away("database_away", error)
        except Exception:
            logger.exception("A socket ended with an error")
            await self._close(4011)  # daphne's library refuses to send 1011, too
        finally:
            self.supervisor.sockets.discard(self)

    @property
    def channel(self) -> str:
        return self.mailbox.name if hasattr(self, "mailbox") else ""

    async def enter(self) -> None:
        """Join groups, then send the snapshot. Raises Closed."""
        raise NotImplementedError

    async def handle(self, command: commands.AnyCommand) -> None:
        """Do one command, and answer it. Raises Refused."""
        raise NotImplementedError

    async def leave(self) -> None:
        """The socket is gone."""

    def gave_up(self, at: float) -> bool:
        """Whether the reader, though he takes what is sent, does not say so."""
        return False

    async def _turn_away(self, code: str, error: Exception) -> None:
        """Something is away that no socket can be without: say so, and that the reader is to try again."""
        logger.warning("A socket could not be served: %s", error)
        await self.answer(events.Notice(code=code, message=supervisor.NOTICES[code]))
        await self._close(4011)

    # --- What the supervisor asks of it

    async def restart(self) -> None:
        """The server is about to end: the browser is to come back, not all of them in the same moment."""
        await self.answer(events.Closing(reason="The server is restarting.", reconnect_in=uniform(1, 3)))
        try:
            await self._send({"type": "websocket.close", "code": 1012})
        except Exception:  # daphne's library refuses to send what RFC 6455 reserves, 1012 too
            await self._close(4012)

    def renew(self) -> None:
        """Begin anew with a snapshot, because frames may have been lost."""
        self._renewing.set()

    def close(self, code: int) -> None:
        """Whoever is there may not stay."""
        self._verdict = code
        self._renewing.set()

    def watch(self, now: float) -> None:
        """Is the reader still taking what is sent? If not, nothing more is gathered for him, and in the end he has to
        come again. And may he still be there?
        """
        stuck = now - self._stuck_since if self._sending else 0
        if (stuck > GIVE_UP or self.gave_up(now)) and self._verdict is None:
            metrics.count("sockets_too_slow")
            self.close(4408)
        elif stuck > STUCK:
            self._renewing.set()
        if now > self._look_at:
            self._look_soon()

    # --- Its life

    async def _serve(self) -> None:
        """Enter, pass frames on and hear commands, until the reader leaves or has to. Whenever frames may have been
        lost since the last snapshot, all but the hearing begins anew, with a mailbox that is new, too.
        """
        listening: asyncio.Task[None] | None = None
        try:
            while listening is None or not listening.done():
                self._renewing.clear()
                async with groups.mailbox() as self.mailbox:
                    await self.mailbox.join(groups.account(self.user.pk))
                    await self.enter()
                    for notice in self.supervisor.notices.values():
                        await self.answer(notice)
                    listening = listening or asyncio.create_task(self._listen())
                    await self._pass_on(listening)
                if self._verdict is not None:
                    raise Closed(self._verdict)
                if not listening.done():
                    metrics.count("sockets_renewed")
                    await self._caught_up()
            await listening
        finally:
            for task in (listening, self._looking):
                if task is not None:
                    await _end(task)
            await self.leave()

    async def _pass_on(self, listening: "asyncio.Task[None]") -> None:
        """Until the reader has left, or the socket is to begin anew."""
        pump = asyncio.create_task(self._pump())
        renewing = asyncio.create_task(self._renewing.wait())
        try:
            await asyncio.wait([pump, renewing, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(pump)
            await _end(renewing)
        if not pump.cancelled():
            pump.result()

    async def _caught_up(self) -> None:
        """Wait until the reader has taken what was sent before: a server with write backpressure lets nothing pass
        until then.
        """
        taken = asyncio.create_task(self.answer(events.Pong(ref=None)))
        try:
            while not taken.done():
                if self._verdict is not None:
                    raise Closed(self._verdict)
                await asyncio.wait([taken], timeout=TICK)
        finally:
            await _end(taken)

    async def _listen(self) -> None:
        """Hear commands. Started and ended by `_serve`; Closed may escape from it."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._hear(message.get("text"))

    async def _hear(self, frame: str | None) -> None:
        ref = None
        try:
            command = commands.parse(frame)
            ref = command.ref
            self._admit(command)
            async with asyncio.timeout(ANSWER_WITHIN):
                await self.handle(command)
        except Refused as refused:
            metrics.count("commands_refused")
            await self._refuse(refused.ref or ref, refused.code, str(refused), refused.retry_after)
        except (OperationalError, InterfaceError, TimeoutError) as error:
            logger.warning("The database did not answer: %s", error)
            await self._refuse(ref, "unavailable", UNAVAILABLE, RETRY)
        except Closed:
            raise
        except Exception:
            logger.exception("A command failed")
            await self._refuse(ref, "internal", "Something went wrong here. It has been logged; try again.")

    def _admit(self, command: commands.AnyCommand) -> None:
        """Raises Refused where the person asks too often, or where it is known that the database is away; Closed for
        who does not stop asking.
        """
        if isinstance(command, commands.RunAck):
            return
        wait = self._bucket.take(_now())
        if wait:
            metrics.count("commands_rate_limited")
            if self._bucket.exhausted:
                raise Closed(4429)
            raise Refused("rate_limited", "You are asking too often. Wait a moment.", retry_after=wait)
        if "database" in self.supervisor.notices and not isinstance(command, (commands.Ping, commands.Typing)):
            raise Refused("unavailable", UNAVAILABLE, retry_after=RETRY)

    async def _refuse(self, ref: str | None, code: str, message: str, retry_after: float | None = None) -> None:
        await self.answer(events.Error(ref=ref, code=code, message=message, retry_after=retry_after))

    async def _pump(self) -> None:
        """Pass on what comes for this socket. Started and ended by `_pass_on`; what goes wrong closes the socket."""
        while True:
            await self.hand_over(await self.mailbox.receive())

    async def hand_over(self, message: groups.LayerMessage) -> None:
        match message:
            case {"type": "frame", "text": text}:
                await self.transmit(text)
            case {"type": "renew"}:
                self.renew()
            case {"type": "look"}:
                self._look_soon()
            case {"type": "signed_out", "session": name} if self._session is not None:
                if name == session_name(self._session):
                    self.close(4401)

    def _look_soon(self) -> None:
        self._look_at = _now() + LOOK_AGAIN
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        else:  # it may have read already what has changed since
            self._look_at = 0

    async def _look(self) -> None:
        """May he still be there, and in this role? Started by `_look_soon`, ended by `_serve`; nothing escapes. Where
        the database is away, the next look tells.
        """
        try:
            found = await database_sync_to_async(store.may_stay)(self.user.pk, self.reads, self._session)
        except (DatabaseError, InterfaceError):
            return
        if not found.signed_in:
            self.close(4401)
        elif self.reads is not None and found.role is None:
            self.close(4403)
        elif found.role != self._role:
            self.renew()

    @property
    def _session(self) -> str | None:
        """The session's key; None where the site knows people by other means."""
        session = self.scope.get("session")
        return getattr(session, "session_key", None)

    async def answer(self, event: events.Event) -> None:
        """Send an event to this socket alone."""
        await self.transmit(events.encode(event))

    async def transmit(self, text: str) -> None:
        """Under a server with write backpressure this lasts until the reader has taken enough (`watch`)."""
        loop = asyncio.get_running_loop()
        if not self._sending:
            self._stuck_since = loop.time()
        self._sending += 1
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):  # uvicorn raises these when the reader has left; daphne does not
            pass
        finally:
            self._sending -= 1
            self._stuck_since = loop.time()

    async def _close(self, code: int) -> None:
        with suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(1):
                await self._send({"type": "websocket.close", "code": code})


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _end(task: "asyncio.Task[Any]") -> None:
    """Cancel a task that only looks, and wait for it. More than once: on Python 3.11 `wait_for`, which redis-py uses,
    may swallow a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)


class ConversationConsumer(Socket):
    """One person in one conversation."""

    _typing: Typing | None = None
    _looking: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        try:
            self.conversation_id = UUID(self.scope["url_route"]["kwargs"]["conversation_id"])
        except ValueError:
            raise Closed(4404) from None
        await self.mailbox.join(groups.conversation(self.conversation_id))
        try:
            entered = await database_sync_to_async(store.enter)(self.user.pk, self.conversation_id)
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
        if self._looking is not None:
            self._looking.cancel()
        if self.reads is not None:
            self.reads = None
            self.supervisor.presence.leave(self.conversation_id, self)
            self.supervisor.left(self.conversation_id, self.mailbox.name)
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
        elif self._credit.admit(message["run"], message["seq"], len(message["text"]), _now()):
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
                await database_sync_to_async(store.check_membership)(self.user.pk, self.conversation_id)
                await self.supervisor.sync(run, self.conversation_id, self.mailbox.name, ref)
            case commands.RunAck(run=run, seq=seq, ref=ref):
                if self._credit.acknowledge(run.hex, seq):
                    await self.supervisor.sync(run, self.conversation_id, self.mailbox.name)
                await self._acknowledge(ref)
            case commands.HistoryLoad(before=before, limit=limit, ref=ref):
                page = database_sync_to_async(store.page)
                messages, more = await page(self.user.pk, self.conversation_id, before, limit)
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
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.create_task(self._tell_where_it_stands())

    async def _tell_where_it_stands(self) -> None:
        """What the layer loses at a conversation's end leaves no hole: only this shows it.

        Started by a ping, cancelled by `leave`; nothing escapes but bugs, which asyncio logs.
        """
        with suppress(OperationalError, InterfaceError):  # the next ping may find more
            standing = await database_sync_to_async(store.standing)(self.user.pk, self.conversation_id)
            if standing is not None:
                await self.answer(events.ConversationState(last_seq=standing.last_seq, run=standing.run))

    async def _send_message(self, command: commands.MessageSend) -> None:
        async def acknowledge(posted: store.Posted) -> None:
            await self.answer(events.Ack(ref=command.ref, message=posted.message.id, client_id=command.client_id))

        await posting.post(self.supervisor, self.user.pk, self.conversation_id, command, self.mailbox.name, acknowledge)

    async def _edit(self, command: commands.MessageEdit) -> None:
        if command.resend:
            self._refuse_while_draining()
        with self.supervisor.room() as host:
            edited = await database_sync_to_async(store.edit_message)(
                self.user.pk, self.conversation_id, command.message, command.text, command.resend, host
            )
            await self.answer(events.Ack(ref=command.ref, message=edited.message.id, run=edited.start))
            await self._publish(events.MessageUpdated(message=edited.message))
            for answer in edited.hidden:
                await self._publish(events.MessageUpdated(message=answer))
            if edited.start is not None:
                self.supervisor.start(edited.start, self.conversation_id, self.mailbox.name)
        self.supervisor.announce(self.conversation_id)

    async def _change(self, command: commands.MessageDelete | commands.MessageRestore | commands.MessageChoose) -> None:
        event: type[events.MessageUpdated | events.MessageDeleted] = events.MessageUpdated
        match command:
            case commands.MessageDelete():
                change, event = store.delete_message, events.MessageDeleted
            case commands.MessageRestore():
                change = store.restore_message
            case commands.MessageChoose():
                change = store.choose
        message = await database_sync_to_async(change)(self.user.pk, self.conversation_id, command.message)
        await self.answer(events.Ack(ref=command.ref, message=message.id))
        await self._publish(event(message=message))
        self.supervisor.announce(self.conversation_id)

    async def _start_run(self, command: commands.RunStart) -> None:
        self._refuse_while_draining()
        with self.supervisor.room() as host:
            run_id = await database_sync_to_async(store.request_run)(
                self.user.pk, self.conversation_id, command.message, host, command.agent, continues=command.continues
            )
            self.supervisor.start(run_id, self.conversation_id, self.mailbox.name)
        await self.answer(events.Ack(ref=command.ref, run=run_id))
        self.supervisor.announce(self.conversation_id)

    async def _stop_run(self, command: commands.RunStop) -> None:
        ended = await database_sync_to_async(store.request_stop)(
            self.user.pk, self.conversation_id, command.run, self.supervisor.host
        )
        await self.supervisor.stop(command.run, self.conversation_id)
        await self.answer(events.Ack(ref=command.ref, run=command.run))
        if ended is not None:
            await self._publish(events.RunFinished.of(ended.run, ended.message))
            if ended.next is not None:
                self.supervisor.start(ended.next, self.conversation_id, self.mailbox.name)
            self.supervisor.announce(self.conversation_id)

    async def _decide(self, command: commands.ToolDecide) -> None:
        self._refuse_while_draining()
        with self.supervisor.room() as host:
            decided = await database_sync_to_async(store.decide)(self.user.pk, self.conversation_id, command, host)
            if decided.start:
                self.supervisor.start(decided.run, self.conversation_id, self.mailbox.name)
        await self.answer(events.Ack(ref=command.ref, run=decided.run))
        await self._publish(events.RunTool(run=decided.run, seq=decided.seq, call=decided.call))

    async def _publish(self, event: events.Event) -> None:
        await groups.publish(groups.conversation(self.conversation_id), event)

    async def _acknowledge(self, ref: str | None) -> None:
        if ref is not None:
            await self.answer(events.Ack(ref=ref))

    def _refuse_while_draining(self) -> None:
        posting.refuse_while_draining(self.supervisor)


class InboxConsumer(Socket):
    """One person's list of conversations."""

    async def enter(self) -> None:
        await self.mailbox.join(groups.person(self.user.pk))
        conversations, more = await database_sync_to_async(store.conversations_of)(self.user.pk)
        you = objects.Person.of(self.user)
        await self.answer(events.InboxSnapshot(you=you, conversations=conversations, more=more))

    async def handle(self, command: commands.AnyCommand) -> None:
        match command:
            case commands.Ping(ref=ref):
                await self.answer(events.Pong(ref=ref))
            case _:
                self._nothing_else()

    def _nothing_else(self) -> Never:
        raise Refused("unknown_command", "The inbox understands ping. Send this to a conversation's socket.")


class UnknownConsumer(Socket):
    """Any other address below the prefix."""

    async def enter(self) -> None:
        raise Closed(4404)
