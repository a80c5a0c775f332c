"""A visitor without an account in a foreign site: the form, a socket, a stream, a second browser, and signing in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from ..support import servers
from ..support.client import csrf_token
from ..support.event_stream import Stream
from ..support.host import GUEST_CHAT, Hosts, HostSite, Member
from ..support.servers import PASSWORD


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[HostSite]:
    served = hosts.start({"NOUS_CHAT": GUEST_CHAT}, NOUS_CHAT_MODEL="custom:words@n=5")
    with servers.running(served):
        yield served


@asynccontextmanager
async def visitor(site: HostSite) -> AsyncIterator[Member]:
    async with httpx.AsyncClient(base_url=site.url, timeout=20, trust_env=False, verify=False) as http:
        yield Member(site, http)


async def begin(guest: Member, text: str) -> str:
    """Send the first message; returns the id of the conversation."""
    form = {"text": text, "csrfmiddlewaretoken": csrf_token((await guest.http.get("/talk/")).text)}
    began = await guest.http.post("/talk/guest/", data=form)
    assert began.status_code == 302, began.text
    return str(began.headers["location"]).rstrip("/").rsplit("/", 1)[1]


def test_a_guest_chats_in_every_way_and_keeps_the_conversation(site: HostSite) -> None:
    async def talk() -> None:
        async with visitor(site) as guest, visitor(site) as other:
            room = await begin(guest, "Hello")
            await begin(other, "Hi")
            assert (await other.http.get(f"/talk/{room}/")).status_code == 404
            cookies = "; ".join(f"{name}={value}" for name, value in guest.http.cookies.items())
            stream = Stream(site, f"/talk/api/conversations/{room}/stream/", Cookie=cookies)
            async with stream, other.socket(room) as stranger, guest.socket(room) as socket:
                assert await stranger.wait_closed() == 4404
                await socket.say("And again")
                await socket.until(lambda: [role for role, _ in socket.transcript] == ["user", "assistant"] * 2)
                await socket.ended_answer()
                # The site itself has no user, and nothing but the conversation is the guest's.
                assert (await guest.http.get("/orders/1/")).headers["location"].startswith("/enter/")
                inside = (await guest.http.get(f"/talk/api/conversations/{room}/participants/")).json()
                assert [row["user"]["name"] for row in inside["participants"]] == ["Guest"]

                page = await guest.http.get("/enter/")
                form = {"username": "ada", "password": PASSWORD, "csrfmiddlewaretoken": csrf_token(page.text)}
                assert (await guest.http.post("/enter/", data=form)).status_code == 302
                assert await socket.wait_closed() == 4401
                assert (await stream.end())["code"] == "unauthorized"
                assert len(stream.of_type("message.created")) == 1
            (kept,) = (await guest.http.get("/talk/api/conversations/")).json()["conversations"]
            assert (kept["id"], kept["yours"]["role"]) == (room, "owner")
            authors = [m["author"]["name"] for m in await guest.messages(room) if m["role"] == "user"]
            assert authors == ["ada", "ada"]
            async with guest.socket(room) as socket:
                await socket.say("Still here?")
                await socket.hear("run.finished")

    asyncio.run(talk())
