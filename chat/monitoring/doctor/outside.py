"""What a client can find: one visit, with one short answer, as a browser makes it."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import aiohttp

from .listener import Listener, SocketListener, StreamListener
from .page import Page
from .report import Measured, Report, rounded
from .visitor import ORIGIN_FIX, PREFIX_FIX, TIMEOUT, Stop, Visitor

IDLE = 30.0
"""Seconds that a socket on which nothing happens must stay open. The page pings every 25 seconds."""

SOCKETS = 6
"""How many sockets are opened: a proxy spreads them over the processes behind it."""

QUESTION = "Explain streaming in a few sentences."
"""The demo's answer takes some seconds, which shows what holds it up."""

HEARD_WITHIN = 5.0
"""Seconds in which every socket must hear of a message."""

ANSWERED_WITHIN = 90.0
"""Seconds in which the answer must end."""

BEHIND = 1.0
"""Seconds that the stream over HTTP may be behind the socket."""

MOST_OFFSET = 5.0
"""Seconds that the clocks may differ."""

PING_EVERY = 0.5
"""Seconds between two pings while the answer streams."""

REDIS_FIX = "Start Redis, and compare its address with REDIS_URL (CHANNEL_LAYERS)."


async def visit(url: str, username: str, password: str, idle: float, report: Report) -> dict[str, str]:
    """Look at the site at `url`, which takes at least `idle` seconds unless something keeps it from going on. Returns
    the cookies that the site has set.
    """
    cookies = aiohttp.CookieJar(unsafe=True)  # unsafe: also of sites at an IP address
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(cookie_jar=cookies, timeout=timeout, trust_env=True) as http:
        with suppress(Stop):
            visitor = Visitor(http, url, report)
            page = await visitor.sign_in(username, password)
            await _Visit(visitor, page, report).make(idle)
    return {cookie.key: cookie.value for cookie in cookies}


class _Visit:
    """What is done with the page of the chat."""

    def __init__(self, visitor: Visitor, page: Page, report: Report) -> None:
        assert page.chat is not None
        self._visitor = visitor
        self._page = page
        self._report = report
        self._measured: Measured = report.measured
        self._not_ready = ""
        """Why `readyz` says that it is not ready, if sockets do not tell more."""
        self._headers = {"X-CSRFToken": page.chat.get("csrf", ""), "Referer": visitor.page_url}
        self._api = urljoin(visitor.page_url, page.chat.get("api", ""))
        address = urlsplit(urljoin(visitor.page_url, page.chat.get("socket", "")))
        self._sockets = address._replace(scheme=address.scheme.replace("http", "ws")).geturl()

    async def make(self, idle: float) -> None:
        """All of it. Raises Stop."""
        await self._check_files()
        await self._check_addresses()
        await self._check_readiness()
        conversation = await self._create()
        try:
            async with AsyncExitStack() as stack:
                inbox = await self._open(stack, self._sockets)
                await self._talk(conversation)
                await self._wait(inbox, idle)
        finally:
            with suppress(Stop):
                await self._visitor.send("DELETE", self._address(conversation), headers=self._headers)
            if self._not_ready and not self._report.findings:
                fix = "Wait a moment. If that is the answer for long, read the site's log."
                self._report.add("not_ready", f"The site takes no sockets: it says {self._not_ready!r}.", fix)

    # --- Before there is a socket

    async def _check_files(self) -> None:
        kinds = [(url, "javascript") for url in self._page.scripts]
        kinds += [(url, "css") for url in self._page.stylesheets]
        for path, kind in kinds:
            url = urljoin(self._visitor.page_url, path)
            answer = await self._visitor.send("GET", url)
            if answer.status == 200 and kind in answer.type:
                continue
            self._report.add(
                "static_files",
                f"{url} answers {answer.status} as {answer.type or 'nothing'}, so browsers show no chat.",
                "Run `manage.py collectstatic`, and let WhiteNoise or the proxy serve STATIC_ROOT at STATIC_URL.",
            )
            return

    async def _check_addresses(self) -> None:
        answer = await self._visitor.send("GET", f"{self._api}token/")
        if answer.status == 200 and "csrf" in answer.json():
            return
        prefix = self._visitor.prefix.removesuffix("/chat")
        self._report.add(
            "wrong_prefix",
            f"The page names {self._api} as its API, where {answer.status} answers.",
            PREFIX_FIX.format(prefix=prefix or "/"),
        )
        raise Stop

    async def _check_readiness(self) -> None:
        answer = await self._visitor.send("GET", urljoin(self._api, "../readyz"))
        if answer.status != 503:
            return
        problem = answer.text.strip()
        if "channel layer" in problem:
            self._report.add("redis_unreachable", "The site cannot reach its channel layer.", REDIS_FIX)
        elif "database" in problem:
            fix = "Start the database, and compare its address with DATABASE_URL (DATABASES)."
            self._report.add("database_unreachable", "The site cannot reach its database.", fix)
        else:
            self._not_ready = problem

    async def _create(self) -> dict[str, Any]:
        """A conversation with all agents, of which the demo answers if the site has it. Compares the clocks."""
        url, before = f"{self._api}conversations/", time.time()
        new = {"title": "nous_doctor"}
        answer = await self._visitor.send("POST", url, json=new, headers=self._headers | self._origin())
        if answer.status == 403 and self._report.has("wrong_origin"):
            answer = await self._visitor.send("POST", url, json=new, headers=self._headers)
        if answer.status != 201:
            self._report.add(
                "refused",
                f"The site does not let this user begin a conversation: {answer.status}, {answer.text[:200]!r}.",
                "Use an account that may begin conversations (PERMISSIONS, budgets).",
            )
            raise Stop
        made, after = answer.json(), time.time()
        offset = datetime.fromisoformat(made["created_at"]).timestamp() - (before + after) / 2
        self._measured.clock_offset = rounded(offset)
        if abs(offset) > MOST_OFFSET + (after - before) / 2:
            ahead = "ahead of" if offset > 0 else "behind"
            self._report.add(
                "clock_skew",
                f"The site's clock is {abs(offset):.0f} seconds {ahead} the clock of this machine.",
                "Let both keep time by NTP: `timedatectl set-ntp true`, or chrony.",
            )
        slugs = [agent["slug"] for agent in self._page.setup.get("agents", ())]
        with_all = await self._visitor.send("PATCH", self._address(made), json={"agents": slugs}, headers=self._headers)
        return with_all.json() if with_all.status == 200 else made

    # --- With sockets

    async def _talk(self, conversation: dict[str, Any]) -> None:
        """Ask, with several sockets and a stream that should hear the answer."""
        async with AsyncExitStack() as stack:
            url = f"{self._sockets}{conversation['id']}/"
            sockets = [await self._open(stack, url) for _ in range(SOCKETS)]
            for socket in sockets:
                if not await socket.hear(TIMEOUT, type="snapshot"):
                    self._explain_silence(socket)
                    raise Stop
            stream = StreamListener(self._visitor.http, f"{self._address(conversation)}stream/").start()
            stack.push_async_callback(stream.close)
            await stream.hear(BEHIND, type="snapshot")  # a buffering proxy keeps it
            asking = sockets[0]
            self._measured.round_trip = rounded(await asking.round_trip(HEARD_WITHIN))
            await self._ask(asking, conversation)
            asked_at = time.monotonic()
            pinging = asyncio.create_task(self._measure_lag(asking))
            try:
                await self._check_reach(sockets)
                end = await asking.hear(ANSWERED_WITHIN, type="run.finished")
            finally:
                pinging.cancel()
                await asyncio.wait([pinging])
            if not end:
                self._explain_silence(asking)
                raise Stop
            arrivals = asking.deltas()
            if arrivals:
                self._measured.first_token = rounded(min(arrivals.values()) - asked_at)
            self._check_end(end[1])
            self._check_pace(arrivals, end[1])
            await self._check_stream(stream, arrivals)

    async def _open(self, stack: AsyncExitStack, url: str) -> SocketListener:
        """A socket that begins to listen. Raises Stop if there is none."""
        try:
            socket = await self._connect(url, self._origin())
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 403:
                self._report.add(
                    "sockets_blocked",
                    f"{url} answers {error.status} instead of opening a WebSocket.",
                    "Let the proxy pass WebSockets on (nginx: `proxy_http_version 1.1; proxy_set_header Upgrade "
                    '$http_upgrade; proxy_set_header Connection "upgrade";`), and serve the site by ASGI.',
                )
                raise Stop from None
            origin = self._visitor.origin(self._visitor.page_url)
            self._report.add(
                "wrong_origin",
                f"The site refuses sockets of its own pages: it does not know that it is at {origin}.",
                ORIGIN_FIX.format(origin=origin),
            )
            try:
                socket = await self._connect(url, {})
            except aiohttp.WSServerHandshakeError:
                raise Stop from None
        stack.push_async_callback(socket.close)
        return socket

    async def _connect(self, url: str, headers: dict[str, str]) -> SocketListener:
        """Raises aiohttp.WSServerHandshakeError, and Stop if nothing answers."""
        try:
            socket = await self._visitor.http.ws_connect(url, headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            fix = "Let the proxy pass WebSockets on, and look at its error log."
            text = f"{url} does not open a WebSocket: {error or type(error).__name__}."
            self._report.add("sockets_blocked", text, fix)
            raise Stop from None
        return SocketListener(socket).start()

    async def _ask(self, asking: SocketListener, conversation: dict[str, Any]) -> None:
        agents = conversation["agents"]
        demo = next((agent for agent in agents if agent["model"].split(":")[0] == "demo"), agents[0])
        await asking.send(type="message.send", client_id=str(uuid4()), text=QUESTION, agent=demo["slug"])

    async def _measure_lag(self, socket: SocketListener) -> None:
        """Ping while the answer streams. Started and cancelled by `_talk`; nothing escapes."""
        while (seconds := await socket.round_trip(ANSWERED_WITHIN)) is not None:
            self._measured.lag = rounded(max(self._measured.lag or 0.0, seconds))
            await asyncio.sleep(PING_EVERY)

    async def _check_reach(self, sockets: list[SocketListener]) -> None:
        """Whether all sockets hear of the question, whichever process they are connected to."""
        asking, *others = sockets
        await asking.until(lambda: asking.first(type="message.created") or asking.first(type="error"), HEARD_WITHIN)
        if refused := asking.first(type="error"):
            fix = "Use an account that may write and ask agents (PERMISSIONS, budgets)."
            self._report.add("refused", f"The site refuses the question: {refused[1]['message']}", fix)
            raise Stop
        heard = await asyncio.gather(*(other.hear(HEARD_WITHIN, type="message.created") for other in others))
        if all(heard) or self._is_outage(*sockets):
            return
        self._report.add(
            "split_layer",
            f"{heard.count(None)} of {SOCKETS} sockets did not hear of a message: the processes of the site do not "
            "reach each other.",
            "Set REDIS_URL, the same for every process (CHANNEL_LAYERS with nous_chat.channel_layer.RedisLayer): the "
            "in-memory channel layer serves one process only.",
        )

    def _check_end(self, end: dict[str, Any]) -> None:
        if end["status"] == "completed":
            return
        error = end["error"] or {"code": end["status"], "message": "It was stopped."}
        if error["code"] in ("unreachable", "connect_timeout", "first_token_timeout"):
            fix = "Check its address (..._BASE_URL, PROVIDERS), DNS, and the firewall. `nous_ask` shows what it says."
            self._report.add("provider_unreachable", f"The site cannot reach a provider: {error['message']}", fix)
        else:
            fix = "`manage.py nous_ask` with the same model shows what the provider says."
            self._report.add("run_failed", f"The answer failed ({error['code']}): {error['message']}", fix)

    def _check_pace(self, arrivals: dict[tuple[str, int], float], end: dict[str, Any]) -> None:
        """Whether the pieces of the answer came while it was made, and not together."""
        run = (end["message"] or {}).get("run") or {}
        if len(arrivals) < 2 or not run.get("started_at") or not run.get("finished_at"):
            return
        made = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
        spread = max(arrivals.values()) - min(arrivals.values())
        if made.total_seconds() > BEHIND and spread < made.total_seconds() / 4:
            self._report.add(
                "buffering",
                f"An answer that took {made.total_seconds():.1f} s arrived within {spread:.1f} s: something between "
                "the site and its readers gathers it.",
                "Turn off buffering and inspection of WebSockets in the proxy, the firewall, or the virus scanner.",
            )

    async def _check_stream(self, stream: StreamListener, arrivals: dict[tuple[str, int], float]) -> None:
        """Whether the stream over HTTP is as fast as the socket."""
        await stream.hear(2 * BEHIND, type="run.finished")
        came, now = stream.deltas(), time.monotonic()
        behind = max((came.get(key, now) - at for key, at in arrivals.items()), default=0.0)
        if behind > BEHIND:
            self._report.add(
                "buffering",
                f"A stream over HTTP is {behind:.1f} s or more behind the socket: the proxy gathers its events.",
                "Turn off buffering in the proxy (nginx: `proxy_buffering off;`, and no `proxy_ignore_headers "
                "X-Accel-Buffering;`), also in a CDN in front of it, and compression of text/event-stream.",
            )

    async def _wait(self, inbox: SocketListener, idle: float) -> None:
        """Whether a socket on which nothing happens stays open."""
        await inbox.until(lambda: None, inbox.opened_at + idle - time.monotonic())
        if inbox.ended_at is None or self._is_outage(inbox) or inbox.first(type="closing"):
            return
        last = max((at for at, _ in inbox.heard), default=inbox.opened_at)
        self._report.add(
            "idle_timeout",
            f"A socket was closed after {inbox.ended_at - last:.0f} quiet seconds. The page pings every 25 seconds, so "
            "it would connect again and again.",
            "Raise the proxy's timeout to 60 seconds or more, for sockets (nginx: `proxy_read_timeout 60s;`).",
        )

    # --- What explains the rest

    def _explain_silence(self, socket: SocketListener) -> None:
        if self._is_outage(socket):
            return
        if socket.ended_at is not None:
            text = f"The site closed a socket with the code {socket.socket.close_code}."
            self._report.add("socket_closed", text, "docs/protocol.md says what the code means; read the site's log.")
        else:
            text = "A socket opened, but the site says nothing in it."
            self._report.add("silent_socket", text, "Read the logs of the proxy and of the site.")

    def _is_outage(self, *sockets: Listener) -> bool:
        """Whether one of these was told of an outage."""
        for socket in sockets:
            if socket.first(type="notice", code="layer_away"):
                self._report.add("redis_unreachable", "The site cannot reach its channel layer.", REDIS_FIX)
                return True
            if socket.first(type="notice", code="database_away"):
                fix = "Start the database, and compare its address with DATABASE_URL (DATABASES)."
                self._report.add("database_unreachable", "The site cannot reach its database.", fix)
                return True
        return False

    def _origin(self) -> dict[str, str]:
        return {"Origin": self._visitor.origin(self._visitor.page_url)}

    def _address(self, conversation: dict[str, Any]) -> str:
        return f"{self._api}conversations/{conversation['id']}/"
