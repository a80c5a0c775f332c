"""Clients of the chat: of a running site over HTTP and WebSockets, and of a consumer in this process."""

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import websockets

from .protocol_client import Frame, Reader
from .servers import PASSWORD, Server, Site, running
from .upstream import text

WITHIN = 240.0
"""Seconds in which an event comes even on a busy machine. Less than pytest's limit, which would end the process."""


def all_said(finished: Frame) -> str:
    """The whole text that the provider sent to a completed run, by the provider's own count of words."""
    return text(finished["usage"]["output_tokens"])


class Talker(Reader):
    """A Reader with a connection: sends commands and waits for events. Subclasses provide the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: int | None = None
        self._changed = asyncio.Event()

    async def transmit(self, text: str) -> None:
        raise NotImplementedError

    async def take(self, text: str) -> None:
        """Apply one frame, and send the commands that the protocol requires in return."""
        for command in self.apply(json.loads(text)):
            await self.transmit(json.dumps(command))
        self._changed.set()

    def end(self, code: int | None) -> None:
        self.closed = code if code is not None else 1006
        self._changed.set()

    async def send(self, command: str, **fields: Any) -> None:
        await self.transmit(json.dumps({"type": command, **fields}))

    async def say(self, text: str, **fields: Any) -> str:
        """Post a message; returns its client_id."""
        client_id = fields.pop("client_id", None) or str(uuid.uuid4())
        await self.send("message.send", client_id=client_id, text=text, **fields)
        return client_id

    async def until(self, condition: Callable[..., Any], seconds: float = WITHIN) -> Any:
        """Wait until `condition` is true of the events received; returns its value."""
        async with asyncio.timeout(seconds):
            while not (value := condition()):
                if self.closed is not None:
                    raise AssertionError(f"the socket was closed with {self.closed}")
                self._changed.clear()
                await self._changed.wait()
            return value

    async def hear(self, name: str, number: int = 1, seconds: float = WITHIN) -> Frame:
        """Wait for the `number`th event of that type."""
        await self.until(lambda: len(self.of_type(name)) >= number, seconds)
        return self.of_type(name)[number - 1]

    async def ended_answer(self, seconds: float = WITHIN) -> Frame:
        """Wait until the run of the newest answer has ended; returns the answer. After an outage the server sends a new
        snapshot, which may hold the end of the run in place of its `run.finished`.
        """

        def ended() -> Frame | None:
            answers = [message for message in self.messages.values() if message["run"]]
            newest = max(answers, key=lambda message: message["seq"], default=None)
            active = newest is None or newest["run"]["status"] in ("queued", "running", "awaiting_approval")
            return None if active else newest

        answer: Frame = await self.until(ended, seconds)
        return answer

    async def answered(self, ref: str, seconds: float = WITHIN) -> Frame:
        """Wait for the event that answers the command with that ref."""
        frame: Frame = await self.until(lambda: next((e for e in self.events if e.get("ref") == ref), None), seconds)
        return frame

    async def wait_closed(self, seconds: float = WITHIN) -> int:
        """Wait until the server closes; returns the close code."""
        async with asyncio.timeout(seconds):
            while self.closed is None:
                self._changed.clear()
                await self._changed.wait()
        return self.closed


class Socket(Talker):
    """A real WebSocket."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        super().__init__()
        self.connection = connection
        self._reading = asyncio.create_task(self._read())

    async def transmit(self, text: str) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.connection.send(text)

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                await self.take(str(text))
        except websockets.ConnectionClosed:
            pass
        finally:
            self.end(self.connection.close_code)

    async def close(self) -> None:
        await self.connection.close()
        await self._reading


class InProcess(Talker):
    """The consumer itself, in this process, without a server: `async with InProcess(user, conversation_id) as peer`. Or
    without a user, who is found by a `cookie` then. `session` is the user's, as a middleware of the site gives it.
    """

    def __init__(
        self, user: Any, conversation: object = "", query: str = "", cookie: str = "", session: Any = None
    ) -> None:
        from channels.routing import URLRouter

        from chat.routing import websocket_urlpatterns

        super().__init__()
        self._app = URLRouter(websocket_urlpatterns)
        self._scope: dict[str, Any] = {"type": "websocket", "path": f"/{conversation}/" if conversation else "/"}
        found = {"headers": [(b"cookie", cookie.encode())]} if user is None else {"user": user, "session": session}
        self._scope |= found
        if query:  # servers may leave it out
            self._scope["query_string"] = query.encode("ascii")
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def transmit(self, text: str) -> None:
        await self._incoming.put({"type": "websocket.receive", "text": text})

    async def transmit_bytes(self, data: bytes) -> None:
        await self._incoming.put({"type": "websocket.receive", "bytes": data})

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            await self.take(message["text"])
        elif message["type"] == "websocket.close":
            self.end(message.get("code", 1000))
            await self._incoming.put({"type": "websocket.disconnect", "code": 1000})

    async def __aenter__(self) -> "InProcess":
        await self._incoming.put({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._app(self._scope, self._incoming.get, self._send))
        await self.until(lambda: self.snapshot or self.closed)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._incoming.put({"type": "websocket.disconnect", "code": 1001})
        await self._task


class Person:
    """A user who is signed in to a site."""

    prefix = "/chat/"
    socket_prefix = "/ws/chat/"

    def __init__(self, site: Site, http: httpx.AsyncClient) -> None:
        self.site = site
        self.http = http

    async def new_conversation(self, **fields: Any) -> str:
        answer = await self.http.post(f"{self.prefix}api/conversations/", json=fields, headers=self.csrf)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def messages(self, conversation: str) -> list[Frame]:
        """The messages as the database holds them."""
        answer = await self.http.get(f"{self.prefix}api/conversations/{conversation}/messages/?limit=100")
        assert answer.status_code == 200, answer.text
        messages: list[Frame] = answer.json()["messages"]
        return messages

    @property
    def csrf(self) -> dict[str, str]:
        return {"X-CSRFToken": self.http.cookies["csrftoken"]}

    def connect(
        self, conversation: str = "", server: Server | None = None, query: str = "", **options: Any
    ) -> websockets.connect:
        """Connect to a conversation, or to the inbox; with `server`, to another process of the site, or a proxy."""
        port = (server or self.site).port
        address = f"ws://127.0.0.1:{port}{self.socket_prefix}" + (f"{conversation}/" if conversation else "") + query
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        headers = {"Cookie": cookie}
        patience = {"open_timeout": 30, "ping_interval": None}  # a server may stand still meanwhile
        return websockets.connect(address, additional_headers=headers, max_size=None, proxy=None, **patience | options)

    @contextlib.asynccontextmanager
    async def socket(self, conversation: str = "", site: Site | None = None, query: str = "") -> AsyncIterator[Socket]:
        """A Socket with such a connection that has its snapshot, or was refused; closed at the end. Servers accept a
        connection before they read the snapshot, which contains what others do in between.
        """
        async with self.connect(conversation, site, query) as connection:
            socket = Socket(connection)
            try:
                await socket.until(lambda: socket.snapshot or socket.closed)
                yield socket
            finally:
                await socket.close()

    async def sign_out(self) -> None:
        answer = await self.http.post("/accounts/logout/", headers=self.csrf)
        assert answer.status_code == 302


def csrf_token(page: str) -> str:
    """The token of the forms on a page."""
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found is not None, page
    return found[1]


@contextlib.asynccontextmanager
async def signed_in(site: Site, name: str, at: str = "/accounts/login/") -> AsyncIterator[Person]:
    # Without TLS, certificates are never looked at; loading them takes longer than a request.
    async with httpx.AsyncClient(base_url=site.url, timeout=20, trust_env=False, verify=False) as http:
        page = (await http.get(at)).text
        form = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": csrf_token(page)}
        answer = await http.post(at, data=form)
        assert answer.status_code == 302, "sign-in failed"
        yield Person(site, http)


def last_message(site: Site, conversation: str) -> Frame:
    """The newest message of a conversation of Ada's, as a restarted site has stored it. Stops the site."""

    async def look() -> Frame:
        async with signed_in(site, "ada") as ada:
            return (await ada.messages(conversation))[-1]

    with running(site):
        return asyncio.run(look())
