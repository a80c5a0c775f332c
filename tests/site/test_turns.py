"""Requests take turns under real servers, whatever page they are for. Each turn is held until the test releases it."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from ..support.client import signed_in
from ..support.servers import Site, Uvicorn

APPLICATION = "tests.sites.held_site:application"


@pytest.fixture(params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, start_site: Callable[..., Site], stop_after: Callable[[Any], Any]) -> Site:
    started = start_site(DJANGO_SETTINGS_MODULE="tests.sites.held", DEBUG="", PLAIN_HTTP="1", ALLOWED_HOSTS="127.0.0.1")
    started.stop()
    server = (
        Uvicorn(started.env, command=(APPLICATION,))
        if request.param == "uvicorn"
        else Site(started.env, command=("daphne", APPLICATION))
    )
    return stop_after(server)  # type: ignore[no-any-return]


class Stranger:
    """Somebody who is not signed in. All of them have one address."""

    def __init__(self, site: Site) -> None:
        self.http = httpx.AsyncClient(base_url=site.url, timeout=60, trust_env=False, verify=False)

    def ask(self, path: str, cookie: str = "") -> "asyncio.Task[httpx.Response]":
        headers = {"Cookie": f"sessionid={cookie}"} if cookie else {}
        return asyncio.create_task(self.http.get(path, headers=headers))

    async def state(self) -> dict[str, int]:
        state: dict[str, int] = (await self.http.get("/state/")).json()
        return state

    async def until(self, **expected: int) -> None:
        while not expected.items() <= (await self.state()).items():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def stranger_to(site: Site) -> AsyncIterator[Stranger]:
    stranger = Stranger(site)
    async with asyncio.timeout(60), stranger.http:
        yield stranger


def test_each_page_of_the_site_takes_a_turn_of_its_client_and_others_do_not_wait(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada, stranger_to(site) as stranger:
            held = stranger.ask("/hold/")
            await stranger.until(active=1)
            paths = ["/", "/chat/", "/chat/api/conversations/", "/admin/login/", "/accounts/login/", "/static/no.js"]
            waiting = [stranger.ask(path) for path in paths]
            await stranger.until(waiting=len(paths))
            for path in ("/chat/", "/chat/api/conversations/", "/accounts/login/"):
                assert (await ada.http.get(path)).status_code in (200, 302)
            assert not held.done()
            await stranger.ask("/release/")
            assert [(await task).status_code for task in (held, *waiting)] == [200, 302, 302, 401, 200, 200, 404]

    asyncio.run(talk())


def test_invented_session_cookies_get_nobody_more_turns(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada, stranger_to(site) as stranger:
            flood = [stranger.ask("/hold/", cookie=uuid.uuid4().hex) for _ in range(20)]
            while (state := await stranger.state())["active"] + state["waiting"] < len(flood):
                await asyncio.sleep(0.02)
            assert (await ada.http.get("/chat/api/conversations/")).status_code == 200
            await stranger.ask("/release/")
            assert {(await task).status_code for task in flood} == {200}
            assert (await stranger.state())["most"] == 1

    asyncio.run(talk())


def test_a_user_is_one_client_in_all_sessions_and_users_at_one_address_are_several(site: Site) -> None:
    async def talk() -> None:
        async with stranger_to(site) as stranger, AsyncExitStack() as stack:
            people = [await stack.enter_async_context(signed_in(site, name)) for name in ("ada", "ada", "bob")]
            held = [asyncio.create_task(person.http.get("/hold/", timeout=60)) for person in people]
            await stranger.until(active=2, waiting=1)
            await stranger.ask("/release/")
            assert {(await task).status_code for task in held} == {200}

    asyncio.run(talk())


def test_a_synchronous_view_that_waits_can_give_up_its_turn(site: Site) -> None:
    async def talk() -> None:
        async with stranger_to(site) as stranger:
            waiting = stranger.ask("/wait/")
            await stranger.until(without_turn=1)
            held = stranger.ask("/hold/")
            await stranger.until(active=1)
            assert not waiting.done()
            await stranger.ask("/release/")
            assert {(await waiting).text, (await held).text} == {"waited", "held"}

    asyncio.run(talk())


def test_a_client_that_hangs_up_leaves_the_line_but_keeps_its_turn_until_its_thread_is_done(site: Site) -> None:
    async def talk() -> None:
        async with stranger_to(site) as stranger:
            gone = [raw_request(site, "/hold/") for _ in range(4)]
            await stranger.until(active=1, waiting=3)
            for connection in gone:
                connection.close()
            await stranger.until(active=1, waiting=0)
            staying = stranger.ask("/hold/")
            await stranger.until(active=1, waiting=1)
            await stranger.ask("/release/")
            assert (await staying).status_code == 200
            assert await stranger.state() == {"active": 0, "most": 1, "without_turn": 0, "waiting": 0}

    asyncio.run(talk())


def raw_request(site: Site, path: str, method: str = "GET") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=60)
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
    return connection


def test_a_client_that_hangs_up_while_its_password_is_checked_gets_no_other_one_checked(site: Site) -> None:
    """The request has given up its turn of requests. Its turn of passwords lasts as long as its thread."""

    async def talk() -> None:
        async with stranger_to(site) as stranger:
            gone = raw_request(site, "/hold/password/", "POST")
            await stranger.until(active=1)
            gone.close()
            await stranger.state()
            staying = asyncio.create_task(stranger.http.post("/hold/password/"))
            await stranger.until(active=1, waiting=1)
            await stranger.ask("/release/")
            assert (await staying).status_code == 200
            assert (await stranger.state())["most"] == 1

    asyncio.run(talk())


def test_a_client_with_too_many_waiting_requests_is_refused(site: Site) -> None:
    async def talk() -> None:
        async with stranger_to(site) as stranger:
            held = [raw_request(site, "/hold/") for _ in range(201)]
            await stranger.until(active=1, waiting=200)
            refused = await stranger.ask("/chat/")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert refused.json()["code"] == "rate_limited"
            for connection in held:
                connection.close()
            await stranger.ask("/release/")
            await stranger.until(waiting=0)  # the server has noticed that the others are gone
            assert (await stranger.ask("/accounts/login/")).status_code == 200

    asyncio.run(talk())


def test_daphne_ends_although_a_view_of_the_site_hangs(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any]
) -> None:
    """Python waits for the threads of a ThreadPoolExecutor before it ends a process."""
    started = start_site(DJANGO_SETTINGS_MODULE="tests.sites.held", DEBUG="", PLAIN_HTTP="1", ALLOWED_HOSTS="127.0.0.1")
    started.stop()
    site = stop_after(Site(started.env, command=("daphne", APPLICATION)))

    async def talk() -> None:
        async with stranger_to(site) as stranger:
            hanging = stranger.ask("/hang/")
            await stranger.until(active=1)
            await asyncio.to_thread(site.stop)
            with suppress(httpx.HTTPError):
                await hanging

    asyncio.run(talk())
    assert site.process.returncode == 0
