"""Base class of the WebSocket consumers: authentication, a receive loop and a send loop, and cleanup that always runs.

Channels' own dispatch hops to a thread for every message and handles messages one after another, so a slow query would
hold up deltas. Here each direction is a loop of its own: `_receive_loop` handles commands, `_send_loop` passes frames
through unread.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from random import uniform
from typing import Any
from uuid import UUID

from channels.consumer import AsyncConsumer
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.translation import activate, override
from django.utils.translation import gettext as _

from .. import i18n, logs, metrics, ratelimit, store
from ..concurrency import cancel_and_wait, now
from ..node import node
from ..node.bearer import missing_scope
from ..permissions import asks_can_use, policy
from ..protocol import commands, events, objects
from ..protocol.errors import ErrorCode, Refused, database_unavailable
from ..ratelimit import too_many_requests
from ..realtime import groups
from ..realtime.layer import LayerMessage
from ..realtime.mailbox import Away, Mailbox, mailbox
from ..realtime.outages import NOTICES
from ..realtime.revocation import session_name
from ..store import executor
from ..turns import client
from .authentication import identify
from .local_client import LOCAL

logger = logging.getLogger("nous_chat.consumers")

COMMAND_TIMEOUT = 5.0
"""Seconds after which a command is answered with `unavailable`. A write that has begun is finished all the same."""

STALLED_AFTER = 3.0
"""Seconds without the client taking anything, after which its socket leaves its groups."""

DROP_AFTER = 30.0
"""Seconds without the client taking anything, after which its socket is closed."""

REFUSED_FOR = 2.0
"""Seconds that a socket beyond the rate limit is kept waiting before it is closed. A client that opens another one at
once would otherwise cost as much as one that is served.
"""

RECHECK_EVERY = 60.0
"""How often, in seconds, a socket re-checks that its user still has access."""


class Closed(Exception):
    """This socket has to close. `code` is one of the close codes in docs/protocol.md."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Socket(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """A user's WebSocket. Subclasses say what it sends first (`enter`) and what a command does (`handle`)."""

    kind = "other"
    """What it shows, for metrics. A stream over HTTP is a "stream", whatever it shows."""
    mailbox: Mailbox
    node: node.Node
    _session: str | None = None
    _reauthenticate: Callable[[], object] | None = None
    _may_write = True

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        self._receive, self._send = receive, send
        self._address: dict[str, Any] = scope["url_route"]["kwargs"]
        if LOCAL in scope:
            self.kind = "stream"
        logs.bind_request(scope.get("headers", ()))
        self._language = i18n.language_of(scope.get("query_string", b""))
        activate(self._language)  # in this socket's task, and in those that it starts
        self.node = node.current()
        self.reads: UUID | None = None
        self.shows: Sequence[str] = ()
        self._interrupted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending = 0
        self._stalled_since = 0.0
        self._closing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._role: str | None = None
        self._recheck_at = math.inf
        self._rechecking: asyncio.Task[None] | None = None
        # websocket.connect. Accepted before anything that may wait: servers give up a handshake after some seconds, and
        # a close code can only be sent to a socket that was accepted.
        await receive()
        await send({"type": "websocket.accept"})
        self.node.hub.sockets.add(self)
        try:
            if self.node.draining:
                await self.restart()
                return
            await self._authenticate(scope)
            self._recheck_at = now() + RECHECK_EVERY
            client.set(self._client)
            self._bucket = self.node.buckets.of(self._client)
            if self._bucket.take_socket(now()) or self._bucket.open >= ratelimit.MAX_OPEN_SOCKETS:
                metrics.count("sockets_rate_limited_total")
                await asyncio.sleep(REFUSED_FOR)
                raise Closed(4429)
            self._bucket.open += 1
            try:
                await self.node.open()
                await self._serve()
            finally:
                self._bucket.open -= 1
        except Closed as closed:
            await self._close(closed.code)
        except asyncio.CancelledError:
            if self.node.draining:
                await self.restart()
            raise
        except Away as error:
            await self._turn_away("layer_away", error)
        except (OperationalError, InterfaceError) as error:
            await self._turn_away("database_away", error)
        except Exception:
            logger.exception("A socket ended with an error")
            await self._close(4011)  # daphne's library refuses to send 1011
        finally:
            self.node.hub.sockets.discard(self)

    # --- For subclasses

    def groups(self) -> Sequence[str]:
        """The groups whose frames it forwards. Raises Closed."""
        return ()

    async def enter(self) -> None:
        """Send the snapshot. What is published while it is read arrives after it, because the groups are joined before;
        clients drop duplicates. Called again whenever frames may have been lost. Raises Closed.
        """
        raise NotImplementedError

    async def handle(self, command: commands.AnyCommand) -> None:
        """Do one command, and answer it. Raises Refused."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Clean up after the client has gone. Called once by `_serve`, however it ends."""

    def is_exhausted(self, at: float) -> bool:
        """Whether the reader takes what is sent but has not acknowledged it for too long."""
        return False

    # --- Called by the hub and by outages, outside this socket's task

    @property
    def channel(self) -> str:
        """Its mailbox's name. "" before it has one."""
        return self.mailbox.name if hasattr(self, "mailbox") else ""

    async def answer(self, event: events.Event) -> None:
        """Send an event to this socket alone."""
        await self.transmit(events.encode(event))

    async def notify(self, code: str) -> None:
        """Show the reader, in their language, one of NOTICES."""
        with override(self._language):
            notice = events.Notice(code=code, message=_(NOTICES[code]))
        await self.answer(notice)

    async def restart(self) -> None:
        """Ask the browser to reconnect, because the server is about to end. The delay is random, so that browsers do
        not all return at once.
        """
        with override(self._language):
            closing = events.Closing(reason=_("The server is restarting."), reconnect_in=uniform(0.1, 1.2))
        await self.answer(closing)
        try:
            await self._send({"type": "websocket.close", "code": 1012})
        except Exception:  # daphne's library refuses to send codes that RFC 6455 reserves, 1012 among them
            await self._close(4012)

    def resnapshot(self) -> None:
        """Send a new snapshot, because frames may have been lost."""
        self._interrupt()

    def close(self, code: int) -> None:
        """Close this socket soon, with this code."""
        if not self._closing.done():
            self._closing.set_result(code)
        self._interrupt()

    def recheck(self) -> None:
        """Join its groups again, and check whether its user still has access."""
        self._recheck_at = now() + RECHECK_EVERY
        if self._rechecking is None or self._rechecking.done():
            self._rechecking = asyncio.create_task(self._do_recheck())
        else:  # the running check may have read before the change; check once more
            self._recheck_at = 0

    def watch(self, now: float) -> None:
        """Drop a client that stops reading: first leave its groups, later close. Re-check access when that is due."""
        stalled = now - self._stalled_since if self._sending else 0
        if (stalled > DROP_AFTER or self.is_exhausted(now)) and not self._closing.done():
            metrics.count("sockets_too_slow_total")
            self.close(4408)
        elif stalled > STALLED_AFTER:
            self._interrupt()
        if now > self._recheck_at:
            self.recheck()

    # --- Its life

    async def _serve(self) -> None:
        """Enter, forward frames and handle commands until the reader leaves or has to.

        When frames may have been lost since the last snapshot, everything but the receive loop starts again, with a new
        mailbox.
        """
        receiving: asyncio.Task[None] | None = None
        try:
            while receiving is None or not receiving.done():
                self._interrupted = asyncio.get_running_loop().create_future()
                # Without the layer, a conversation can still be read and written to. A new round begins when the
                # layer is back.
                self.shows = self.groups()
                joined = (groups.account(self.user_id), *self.shows)
                async with mailbox(*joined, away=self.node.outages.servers_away) as self.mailbox:
                    await self._unless_gone(receiving, self._enter())
                    if self.node.outages.database_away:
                        await self.notify("database_away")
                    if self.node.outages.layer_away(*self.shows):
                        await self.notify("layer_away")
                    receiving = receiving or asyncio.create_task(self._receive_loop())
                    await self._forward_until_interrupted(receiving)
                if self._closing.done():
                    raise Closed(self._closing.result())
                if not receiving.done():
                    metrics.count("sockets_resynced_total")
                    await self._wait_for_reader(receiving)
            await receiving
        finally:
            for task in (receiving, self._rechecking):
                if task is not None:
                    await cancel_and_wait(task)
            await self.leave()

    async def _enter(self) -> None:
        async with self._bucket.entering:
            await self.enter()

    async def _forward_until_interrupted(self, receiving: "asyncio.Task[None]") -> None:
        sending = asyncio.create_task(self._send_loop())
        for task in (sending, receiving):
            task.add_done_callback(self._interrupt)
        try:
            await self._interrupted
        finally:
            receiving.remove_done_callback(self._interrupt)
            await cancel_and_wait(sending)
        if not sending.cancelled():
            sending.result()

    def _interrupt(self, _: object = None) -> None:
        if not self._interrupted.done():
            self._interrupted.set_result(None)

    async def _wait_for_reader(self, receiving: "asyncio.Task[None]") -> None:
        """Wait until the reader has taken what was sent before. Under a server with write backpressure, a new frame
        passes only then.
        """
        await self._unless_gone(receiving, self.answer(events.Pong(ref=None)))

    async def _unless_gone(self, receiving: "asyncio.Task[None] | None", sending: Coroutine[Any, Any, None]) -> None:
        """Send what a client that does not read would never take, unless it leaves. Raises Closed as soon as this
        socket has to close.
        """
        task = asyncio.create_task(sending)
        others = [self._closing] if receiving is None else [self._closing, receiving]
        try:
            await asyncio.wait([task, *others], return_when=asyncio.FIRST_COMPLETED)
            if self._closing.done() and not task.done():
                raise Closed(self._closing.result())
        finally:
            await cancel_and_wait(task)
        if not task.cancelled():
            task.result()

    async def _authenticate(self, scope: dict[str, Any]) -> None:
        """Find the user. If there is a token and it is not valid, an `error` says why. Raises Closed."""
        try:
            found = await identify(scope)
            if found is None:
                raise Closed(4401)
            if "read" not in found.scopes:
                raise missing_scope("read")
        except Refused as refused:
            await self._refuse(None, refused)
            raise Closed(4401 if refused.code == ErrorCode.UNAUTHORIZED else 4403) from None
        if asks_can_use() and not await executor.run(policy().can_use, found.user):
            raise Closed(4403)
        self.user_id, self.person = found.user.pk, objects.Person.of(found.user)
        logs.bind(user=self.user_id)
        self._client = ratelimit.client_of(found.user, (scope.get("client") or ("",))[0])
        # Not `found`: the user is a large row, and there are many sockets.
        self._session, self._reauthenticate = found.session, found.authenticate
        self._may_write = "write" in found.scopes

    # --- Receiving

    async def _receive_loop(self) -> None:
        """Handle commands until the client disconnects. Started and cancelled by `_serve`; Closed may escape."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._handle_frame(message)
            # The server may have received thousands of frames already, and neither taking the next one nor answering it
            # has to wait for anything: let other sockets have their turn.
            await asyncio.sleep(0)

    async def _handle_frame(self, message: dict[str, Any]) -> None:
        frame: str | None = message.get("text")
        if not self._bucket.take_frame(now(), len(frame if frame is not None else message["bytes"])):
            metrics.count("sockets_rate_limited_total")
            raise Closed(4429)
        ref = None
        try:
            command = self._parse(frame)
            ref = command.ref
            self._check_scope(command)
            self._check_database(command)
            async with asyncio.timeout(COMMAND_TIMEOUT):
                await self.handle(command)
        except Refused as refused:
            metrics.count("commands_refused_total")
            await self._refuse(ref, refused)
        except (OperationalError, InterfaceError, TimeoutError) as error:
            logger.warning("The database did not answer: %s", error)
            await self._refuse(ref, database_unavailable())
        except Closed:
            raise
        except Exception:
            logger.exception("A command failed")
            await self._refuse(ref, Refused(ErrorCode.INTERNAL, _(objects.FAILURES["internal"])))

    def _parse(self, frame: str | None) -> commands.AnyCommand:
        """Raises Refused if the frame is no command, or if the user sends too many; Closed if they do not slow down."""
        try:
            command = commands.parse(frame)
        except Refused as refused:
            self._take_token(refused.ref)
            raise
        if not isinstance(command, commands.RunAck):  # the page sends these by itself; `take_frame` limits them
            self._take_token(command.ref)
            if command.cost > 1:
                self._bucket.take(now(), command.cost - 1)  # the next ones wait for it
        return command

    def _take_token(self, ref: str | None) -> None:
        if wait := self._bucket.take(now()):
            metrics.count("commands_rate_limited_total")
            if self._bucket.exhausted:
                raise Closed(4429)
            raise too_many_requests(wait, ref)

    def _check_scope(self, command: commands.AnyCommand) -> None:
        """Raises Refused if the socket's token may only read, and the command does more."""
        reading = (commands.RunSync, commands.RunAck, commands.HistoryLoad, commands.Ping)
        if not self._may_write and not isinstance(command, reading):
            raise missing_scope("write")

    def _check_database(self, command: commands.AnyCommand) -> None:
        """Raises Refused if the database is known to be away. Commands that the page sends by itself pass."""
        passing = (commands.RunAck, commands.Ping, commands.Typing)
        if self.node.outages.database_away and not isinstance(command, passing):
            raise database_unavailable()

    async def _refuse(self, ref: str | None, refused: Refused) -> None:
        ref = refused.ref or ref
        await self.answer(
            events.Error(ref=ref, code=refused.code, message=str(refused), retry_after=refused.retry_after)
        )

    # --- Sending

    async def _send_loop(self) -> None:
        """Forward what the mailbox receives. Started and cancelled by `_forward_until_interrupted`; what escapes
        closes the socket.
        """
        while True:
            await self.forward(await self.mailbox.receive())

    async def forward(self, message: LayerMessage) -> None:
        """Send a layer message to the client, or act on it."""
        match message:
            case {"type": "frame", "text": text}:
                await self.transmit(text)
            case {"type": "resnapshot"}:
                self.resnapshot()
            case {"type": "check_access"}:
                self.recheck()
            case {"type": "signed_out", "session": name} if self._session is not None:
                if name == session_name(self._session):
                    self.close(4401)

    async def transmit(self, text: str) -> None:
        """Send one encoded frame. Under a server with write backpressure, this lasts until the client has taken enough;
        `watch` measures how long.
        """
        if not self._sending:
            self._stalled_since = now()
        self._sending += 1
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):  # uvicorn raises these when the client has left; daphne does not
            pass
        finally:
            self._sending -= 1
            self._stalled_since = now()

    async def _turn_away(self, code: str, error: Exception) -> None:
        """Close a socket that cannot be served during an outage, and ask its browser to try again."""
        logger.warning("A socket could not be served: %s", error)
        await self.notify(code)
        await self._close(4011)

    async def _close(self, code: int) -> None:
        with suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(1):
                await self._send({"type": "websocket.close", "code": code})

    # --- Access

    async def _do_recheck(self) -> None:
        """Join the groups again; check that the session or the token is still valid, and the user still a participant
        with the same role.

        Started by `recheck`, cancelled by `_serve`; only bugs of the site's AUTHENTICATE escape, which asyncio
        logs. If the database is away, the next re-check decides.
        """
        if hasattr(self, "mailbox"):
            await self.mailbox.renew(self.node.outages.servers_away)
        try:
            if self._reauthenticate is not None:
                await executor.run_request(self._reauthenticate)
            found = await executor.run(store.check_access, self.user_id, self.reads, self._session)
        except Refused:  # the token is not valid any more
            self.close(4401)
            return
        except (DatabaseError, InterfaceError):
            return
        if not found.signed_in:
            self.close(4401)
        elif not found.may_use or (self.reads is not None and found.role is None):
            self.close(4403)
        elif found.role != self._role:
            self.resnapshot()


class UnknownConsumer(Socket):
    """Closes the sockets of unknown addresses below the prefix."""

    async def enter(self) -> None:
        raise Closed(4404)
