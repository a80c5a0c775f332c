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
from django.db import InterfaceError, OperationalError

from . import commands, events, groups, inbox, objects, store, supervisor
from .commands import Refused
from .credit import Credit

logger = logging.getLogger("nous_chat.consumers")


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
            await self.supervisor.open()
            async with groups.mailbox() as self.mailbox:
                await self._serve()
        except Closed as closed:
            await self._close(closed.code)
        except asyncio.CancelledError:
            if self.supervisor.draining:
                await self.restart()
            raise
        except Exception:
            logger.exception("A socket ended with an error")
            await self._close(1011)
        finally:
            self.supervisor.sockets.discard(self)

    async def enter(self) -> None:
        """Join groups, then send the snapshot. Raises Closed."""
        raise NotImplementedError

    async def handle(self, command: commands.AnyCommand) -> None:
        """Do one command, and answer it. Raises Refused."""
        raise NotImplementedError

    async def leave(self) -> None:
        """The socket is gone."""

    async def restart(self) -> None:
        """The server is about to end: the browser is to come back, not all of them in the same moment."""
        await self.answer(events.Closing(reason="The server is restarting.", reconnect_in=uniform(1, 3)))
        try:
            await self._send({"type": "websocket.close", "code": 1012})
        except Exception:  # daphne's library refuses to send what RFC 6455 reserves, 1012 too
            await self._close(4012)

    async def _serve(self) -> None:
        await self.enter()
        pump = asyncio.create_task(self._pump())
        try:
            await self._listen()
        finally:
            while not pump.done():  # again: on Python 3.11 `wait_for`, which redis-py uses, may swallow one
                pump.cancel()
                await asyncio.wait([pump], timeout=1)
            await self.leave()

    async def _listen(self) -> None:
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
            await self.handle(command)
        except Refused as refused:
            await self._refuse(refused.ref or ref, refused.code, str(refused), refused.retry_after)
        except (OperationalError, InterfaceError):
            logger.exception("The database did not answer")
            await self._refuse(ref, "unavailable", "The server cannot store anything right now. Try again soon.")
        except Exception:
            logger.exception("A command failed")
            await self._refuse(ref, "internal", "Something went wrong here. It has been logged; try again.")

    async def _refuse(self, ref: str | None, code: str, message: str, retry_after: float | None = None) -> None:
        await self.answer(events.Error(ref=ref, code=code, message=message, retry_after=retry_after))

    async def _pump(self) -> None:
        """Pass on what comes for this socket. Started and cancelled by `_serve`; what goes wrong closes the socket."""
        try:
            while True:
                await self.hand_over(await self.mailbox.receive())
        except Exception:
            logger.exception("Frames can no longer be passed on")
            await self._close(1011)

    async def hand_over(self, message: groups.LayerMessage) -> None:
        if message["type"] == "frame":
            await self.transmit(message["text"])

    async def answer(self, event: events.Event) -> None:
        """Send an event to this socket alone."""
        await self.transmit(events.encode(event))

    async def transmit(self, text: str) -> None:
        with suppress(OSError, RuntimeError):  # uvicorn raises these when the reader has left; daphne does not
            await self._send({"type": "websocket.send", "text": text})

    async def _close(self, code: int) -> None:
        with suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": code})


class ConversationConsumer(Socket):
    """One person in one conversation."""

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
        self._credit = Credit()
        self._typing = False
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
        for run in entered.runs:
            await self.supervisor.sync(run.id, self.conversation_id, self.mailbox.name)

    async def leave(self) -> None:
        self.supervisor.left(self.conversation_id, self.mailbox.name)
        await self._show_typing(False)

    async def hand_over(self, message: groups.LayerMessage) -> None:
        if message["type"] == "roll_call":
            here = {"type": "present", "conversation": self.conversation_id.hex}
            await groups.tell(groups.owner(self.conversation_id), here)
        elif "run" not in message or self._credit.admit(message["run"], message["seq"], len(message["text"])):
            await super().hand_over(message)

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
                if await database_sync_to_async(store.mark_read)(self.user.pk, self.conversation_id, seq):
                    await inbox.announce_to(self.user.pk, self.conversation_id)
                await self._acknowledge(ref)
            case commands.Typing(on=on, ref=ref):
                await self._show_typing(on)
                await self._acknowledge(ref)
            case commands.Ping(ref=ref):
                await self.answer(events.Pong(ref=ref))

    async def _send_message(self, command: commands.MessageSend) -> None:
        self._refuse_while_draining()
        posted = await database_sync_to_async(store.post_message)(
            self.user.pk,
            self.conversation_id,
            command.text,
            command.client_id,
            command.mode,
            self.supervisor.host,
            attachments=command.attachments,
        )
        ack = events.Ack(ref=command.ref, message=posted.message.id, client_id=command.client_id)
        if posted.repeated:
            await self.answer(ack)
            return
        await self._publish(events.MessageCreated(message=posted.message))
        await self.answer(ack)
        if posted.ended is not None:
            await self._publish(events.RunFinished.of(posted.ended.run, posted.ended.message))
        if posted.start is not None:
            self.supervisor.start(posted.start, self.conversation_id, self.mailbox.name)
        if posted.stop is not None:
            await self.supervisor.stop(posted.stop, self.conversation_id)
        await inbox.announce(self.conversation_id)

    async def _edit(self, command: commands.MessageEdit) -> None:
        if command.resend:
            self._refuse_while_draining()
        edit = database_sync_to_async(store.edit_message)
        edited = await edit(
            self.user.pk, self.conversation_id, command.message, command.text, command.resend, self.supervisor.host
        )
        await self._publish(events.MessageUpdated(message=edited.message))
        for answer in edited.hidden:
            await self._publish(events.MessageUpdated(message=answer))
        await self.answer(events.Ack(ref=command.ref, message=edited.message.id, run=edited.start))
        if edited.start is not None:
            self.supervisor.start(edited.start, self.conversation_id, self.mailbox.name)
        await inbox.announce(self.conversation_id)

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
        await self._publish(event(message=message))
        await self.answer(events.Ack(ref=command.ref, message=message.id))
        await inbox.announce(self.conversation_id)

    async def _start_run(self, command: commands.RunStart) -> None:
        self._refuse_while_draining()
        run_id = await database_sync_to_async(store.request_run)(
            self.user.pk,
            self.conversation_id,
            command.message,
            self.supervisor.host,
            continues=command.continues,
        )
        await self.answer(events.Ack(ref=command.ref, run=run_id))
        self.supervisor.start(run_id, self.conversation_id, self.mailbox.name)
        await inbox.announce(self.conversation_id)

    async def _stop_run(self, command: commands.RunStop) -> None:
        ended = await database_sync_to_async(store.request_stop)(self.user.pk, self.conversation_id, command.run)
        await self.supervisor.stop(command.run, self.conversation_id)
        await self.answer(events.Ack(ref=command.ref, run=command.run))
        if ended is not None:
            await self._publish(events.RunFinished.of(ended.run, ended.message))
            await inbox.announce(self.conversation_id)

    async def _decide(self, command: commands.ToolDecide) -> None:
        self._refuse_while_draining()
        decided = await database_sync_to_async(store.decide)(
            self.user.pk, self.conversation_id, command, self.supervisor.host
        )
        await self._publish(events.RunTool(run=decided.run, seq=decided.seq, call=decided.call))
        await self.answer(events.Ack(ref=command.ref, run=decided.run))
        if decided.start:
            self.supervisor.start(decided.run, self.conversation_id, self.mailbox.name)

    async def _show_typing(self, on: bool) -> None:
        if on != self._typing:
            self._typing = on
            await self._publish(events.Typing(user=self._person, on=on))

    async def _publish(self, event: events.Event) -> None:
        await groups.publish(groups.conversation(self.conversation_id), event)

    async def _acknowledge(self, ref: str | None) -> None:
        if ref is not None:
            await self.answer(events.Ack(ref=ref))

    def _refuse_while_draining(self) -> None:
        if self.supervisor.draining:
            raise Refused("unavailable", "The server is restarting. Send it again in a moment.")


class InboxConsumer(Socket):
    """One person's list of conversations."""

    async def enter(self) -> None:
        await self.mailbox.join(groups.person(self.user.pk))
        conversations = await database_sync_to_async(store.conversations_of)(self.user.pk)
        await self.answer(events.InboxSnapshot(you=objects.Person.of(self.user), conversations=conversations))

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
