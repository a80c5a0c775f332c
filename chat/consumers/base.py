"""What both kinds of sockets share: who is there, two loops, and an end that is always reached. `consumers` says what
is sent first and what a command does.

Channels' own dispatch hops to a thread for every message and handles them one after another, so that a slow query would
hold up deltas. Here the two directions are two loops: `_listen` hears commands, `_pump` passes frames through unread.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import uniform
from typing import Any
from uuid import UUID

from channels.consumer import AsyncConsumer
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.translation import activate, gettext_noop, override
from django.utils.translation import gettext as _

from .. import i18n, metrics, store
from ..concurrency import end, now
from ..protocol import commands, events, objects
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..realtime.revocation import session_name
from ..runs import supervisor
from ..runs.liveness import TICK
from ..store import executor

logger = logging.getLogger("nous_chat.sockets")

ANSWER_WITHIN = 5.0
"""Seconds after which a command is answered with `unavailable`, whatever it waits for. A write goes on all the same."""

STUCK = 3.0
"""Seconds without the reader taking anything, after which nothing more is gathered for him."""

GIVE_UP = 30.0
"""Seconds of the same after which he has to come again."""

LOOK_AGAIN = 60.0
"""Seconds between two looks whether who is connected may still be."""

RETRY = 2.0
UNAVAILABLE = gettext_noop("The server cannot store or load anything right now. Try again soon.")


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
        self._language = i18n.language_of(scope.get("query_string", b""))
        activate(self._language)  # in this socket's task, and in those that it starts
        self.supervisor = supervisor.current()
        self.reads: UUID | None = None
        self._renewing = asyncio.Event()
        self._sending = 0
        self._stuck_since = 0.0
        self._verdict: int | None = None
        self._role: str | None = None
        self._look_at = now() + LOOK_AGAIN
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
        await self.notify(code)
        await self._close(4011)

    # --- What the supervisor asks of it, in a context of its own

    async def notify(self, code: str) -> None:
        """Tell that something is away, or is back."""
        with override(self._language):
            notice = events.Notice(code=code, message=_(supervisor.NOTICES[code]))
        await self.answer(notice)

    async def restart(self) -> None:
        """The server is about to end: the browser is to come back, not all of them in the same moment."""
        with override(self._language):
            closing = events.Closing(reason=_("The server is restarting."), reconnect_in=uniform(1, 3))
        await self.answer(closing)
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
                # While the layer is away a conversation can be read and written to: `layer_back` makes it begin anew.
                async with groups.mailbox(away="layer" in self.supervisor.away) as self.mailbox:
                    await self.mailbox.join(groups.account(self.user.pk))
                    await self.enter()
                    for what in sorted(self.supervisor.away):
                        await self.notify(f"{what}_away")
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
                    await end(task)
            await self.leave()

    async def _pass_on(self, listening: "asyncio.Task[None]") -> None:
        """Until the reader has left, or the socket is to begin anew."""
        pump = asyncio.create_task(self._pump())
        renewing = asyncio.create_task(self._renewing.wait())
        try:
            await asyncio.wait([pump, renewing, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(pump)
            await end(renewing)
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
            await end(taken)

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
            await self._refuse(ref, ErrorCode.UNAVAILABLE, _(UNAVAILABLE), RETRY)
        except Closed:
            raise
        except Exception:
            logger.exception("A command failed")
            await self._refuse(ref, ErrorCode.INTERNAL, _(objects.OURS["internal"]))

    def _admit(self, command: commands.AnyCommand) -> None:
        """Raises Refused where the person asks too often, or where it is known that the database is away; Closed for
        who does not stop asking.
        """
        if isinstance(command, commands.RunAck):
            return
        wait = self._bucket.take(now())
        if wait:
            metrics.count("commands_rate_limited")
            if self._bucket.exhausted:
                raise Closed(4429)
            raise Refused(ErrorCode.RATE_LIMITED, _("You are asking too often. Wait a moment."), retry_after=wait)
        if "database" in self.supervisor.away and not isinstance(command, (commands.Ping, commands.Typing)):
            raise Refused(ErrorCode.UNAVAILABLE, _(UNAVAILABLE), retry_after=RETRY)

    async def _refuse(self, ref: str | None, code: ErrorCode, message: str, retry_after: float | None = None) -> None:
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
        self._look_at = now() + LOOK_AGAIN
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        else:  # it may have read already what has changed since
            self._look_at = 0

    async def _look(self) -> None:
        """May he still be there, and in this role? Started by `_look_soon`, ended by `_serve`; nothing escapes. Where
        the database is away, the next look tells.
        """
        try:
            found = await executor.run(store.check_access, self.user.pk, self.reads, self._session)
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


class UnknownConsumer(Socket):
    """Any other address below the prefix."""

    async def enter(self) -> None:
        raise Closed(4404)
