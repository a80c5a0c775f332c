"""Limits for the bodies of HTTP requests, as ASGI middleware around the site's application (`limit_bodies`).

Django reads a request's body whole before it knows who sent it or which view it is for: into memory, and from
FILE_UPLOAD_MAX_MEMORY_SIZE on into a temporary file. For the chat's own URLs, this middleware decides what it may read.
What it leaves out, nobody reads: Django gets an empty or a cut body, and the view refuses it as it would have refused
the whole one. Requests to all other URLs pass unchanged, unless the site gives a limit for them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from django.conf import settings
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils.translation import get_language_from_path, override

from ..addresses import below_prefix
from ..conf import conf
from ..protocol.errors import Refused
from ..store import executor
from . import bearer, sessions

MAX_BODY = 64 * 1024
"""The longest body of a request that is neither an upload nor holds a message, in bytes."""

BRING_HISTORY = {"api-completions", "api-responses", "api-ai-sdk", "api-ag-ui"}
"""Addresses of requests that bring their conversation along."""

BYTES_PER_CHAR = 12
"""A character can be four bytes in UTF-8, each of them escaped as `%F0` in a form, or two escapes `\\ud83d` in JSON."""

MAX_HISTORY_BODY = 2 * 1024 * 1024
"""The longest body of a request that brings its conversation along, in bytes, if a message may not be longer."""

UPLOADS_AT_ONCE = 4
"""How many long bodies of one user a process reads at the same time. Further ones wait unread."""

NOTHING = -1
"""The limit of a body that is not read at all."""

LONG_RESPONSE = 64 * 1024
"""Responses beyond this many bytes do not fit into the server's buffer, so they may wait for their reader."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

_uploads: "WeakValueDictionary[tuple[asyncio.AbstractEventLoop, Any], asyncio.Semaphore]" = WeakValueDictionary()


_max_other_body: int | None = None
"""The limit for URLs that are not the chat's. Here, because daphne asks for it before the application does."""


def limit_bodies(application: ASGIApplication, max_body: int | None = None) -> ASGIApplication:
    """The application with bodies of the chat's requests bounded, and without waiting for slow readers while it holds a
    database connection. `max_body` bounds requests to all other URLs in the same way; None leaves them alone.
    """
    global _max_other_body
    _max_other_body = max_body

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        async def send_released(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and _is_long(message):
                await executor.release_connection()
            await send(message)

        limit = find_limit(scope["path"]) if may_be_long(read_length(scope)) else None
        if limit is None:
            await application(scope, receive, send_released)
        else:
            body = await _open_body(scope, receive, limit)
            try:
                await application(scope, body.receive, send_released)
            finally:
                body.close()

    return wrapped


def may_be_long(length: int | None) -> bool:
    """Whether a body of this length, None if it comes in chunks, needs a limit."""
    return length is None or length > MAX_BODY


def find_limit(path: str) -> int | None:
    """How many bytes a body may have that is sent to this path; None for any number: the path is not the chat's."""
    match = find_address(path)
    if match is None:
        return _max_other_body
    if match.url_name == "api-attachments":
        return max(conf.IMAGE_BYTES, conf.TEXT_BYTES) + MAX_BODY  # with the boundaries of its parts
    if match.url_name in ("say", "guest", "document", "api-messages", "api-message"):
        return max_message_body()
    if match.url_name in BRING_HISTORY:
        return max_history_body()
    return MAX_BODY


def find_address(path: str) -> ResolverMatch | None:
    """Which of the chat's addresses this path is; None if it is none of them."""
    path = below_prefix(path)
    language = get_language_from_path(path)  # for sites whose URLs begin with one (i18n_patterns)
    try:
        with override(language or settings.LANGUAGE_CODE):
            match = resolve(path)
    except Resolver404:
        return None
    return match if "nous_chat" in match.app_names else None


def max_message_body() -> int:
    """How many bytes a request may have that holds a message."""
    return BYTES_PER_CHAR * conf.MAX_MESSAGE_CHARS + MAX_BODY


def max_history_body() -> int:
    """How many bytes a request may have that holds the messages of a whole conversation."""
    return max(MAX_HISTORY_BODY, max_message_body())


def read_length(scope: dict[str, Any]) -> int | None:
    """The length that a request's headers announce; None for a body in chunks, 0 if there is none."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _open_body(scope: dict[str, Any], receive: Receive, limit: int) -> "Body":
    """What the application may read of a body that is long or of unknown length."""
    length = read_length(scope)
    if length is None:
        return Body(receive, min(limit, MAX_BODY))  # Django understands no multipart form without a length
    if length > limit:
        return Body(receive, NOTHING)
    user = await executor.run_request(find_user, scope)
    if user is None:
        return Body(receive, NOTHING)
    key = asyncio.get_running_loop(), user
    if (slots := _uploads.get(key)) is None:
        slots = _uploads[key] = asyncio.Semaphore(UPLOADS_AT_ONCE)
    await slots.acquire()
    return Body(receive, limit, slots)


def find_user(scope: dict[str, Any]) -> Any:
    """The primary key of the user of the request's token or session; None if there is none."""
    token = bearer.read_bearer(scope["headers"])
    if token is None:
        return sessions.find_user(sessions.read_cookie(scope))
    try:
        return bearer.authenticate(token, bearer.request_of(scope)).user.pk
    except Refused:
        return None


class Body:
    """Hands the application at most `limit` bytes of a body and a little more, so that it sees that there are too many.
    Drops the rest as it comes.
    """

    def __init__(self, receive: Receive, limit: int, slots: asyncio.Semaphore | None = None) -> None:
        self._receive, self._left, self._slots = receive, limit, slots
        self._ended = False

    async def receive(self) -> dict[str, Any]:
        if not self._ended and self._left < 0:
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                self.close()
                return message
            if not self._ended:
                break
        self._left -= len(message.get("body", b""))
        if self._left < 0 or not message.get("more_body", False):
            self._ended = True
            self.close()
        return {**message, "more_body": not self._ended}

    def close(self) -> None:
        """The body is read: the user's next one may begin."""
        if self._slots is not None:
            self._slots.release()
            self._slots = None


def _is_long(start: dict[str, Any]) -> bool:
    length = {name.lower(): value for name, value in start.get("headers", ())}.get(b"content-length", b"")
    return not length.isdigit() or int(length) > LONG_RESPONSE
