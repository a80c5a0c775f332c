"""The chat in a foreign site: nothing in it leans on nousproject. Served by plain daphne."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ..support import servers
from ..support.client import Person, signed_in
from ..support.servers import Database, Site, Upstream
from ..support.upstream import text

SETTINGS = "tests.host_site.settings"

pytestmark = pytest.mark.site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("host_site")
    database = Database(folder, settings=SETTINGS)
    env = servers.environment(
        DJANGO_SETTINGS_MODULE=SETTINGS,
        DATABASE_URL=database.copy(),
        NOUS_CHAT_MODEL="custom:words",
        CUSTOM_BASE_URL=f"{upstream.url}/v1",
        CUSTOM_API_KEY="sk-test-0123456789",
    )
    served = Site(env, command=("daphne", "tests.host_site.asgi:application"), plain=True)
    with servers.running(served):
        yield served


class Member(Person):
    prefix = "/talk/"
    socket_prefix = "/live/talk/"


def test_a_conversation_streams_under_the_sites_own_addresses_and_users(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada", "/enter/") as person:
            ada = Member(site, person.http)
            conversation = await ada.new_conversation()
            (listed,) = (await ada.http.get("/talk/api/conversations/")).json()["conversations"]
            assert listed["url"] == f"/talk/{conversation}/"
            assert listed["websocket"] == f"/live/talk/{conversation}/"
            assert listed["agent"]["name"] == "Helper"
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                finished = await socket.hear("run.finished")
                assert finished["message"]["text"] == text(20)
                assert socket.snapshot is not None
                assert socket.snapshot["you"]["name"] == "ada"
            assert [m["role"] for m in await ada.messages(conversation)] == ["user", "assistant"]

    asyncio.run(talk())


def test_the_pages_and_the_tag_work_without_the_sites_templates(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada", "/enter/") as person, signed_in(site, "eve", "/enter/") as stranger:
            ada = Member(site, person.http)
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("<script>alert(1)</script>")
                await socket.hear("run.finished")
            for address in (f"/talk/{conversation}/", f"/pages/{conversation}/"):
                page = (await ada.http.get(address)).text
                assert "<nous-chat" in page
                assert 'socket="/live/talk/"' in page
                assert "&lt;script&gt;alert(1)" in page, "readable without JavaScript, and escaped"
                assert "<script>alert" not in page
            assert "alert(1)" not in (await stranger.http.get(f"/pages/{conversation}/")).text
            assert (await ada.http.get("/assets/nous_chat/nous-chat.js")).status_code == 200

    asyncio.run(talk())


def test_its_own_pages_get_bodies_of_any_length(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        client.get("/enter/")
        form = {"csrfmiddlewaretoken": client.cookies["csrftoken"], "username": "ada", "password": "x" * 300_000}
        for headers in ({}, {"Connection": "Upgrade", "Upgrade": "h2c"}):
            page = client.post("/enter/", data=form, headers=headers)
            assert page.status_code == 200
            assert "errorlist" in page.text, "the form was read: its token is in the body"


def test_its_checks_and_migrations_are_in_order(site: Site) -> None:
    servers.manage(site.env, "check", "--fail-level", "WARNING")
    servers.manage(site.env, "makemigrations", "--check", "--dry-run")
