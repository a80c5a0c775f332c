"""The chat in a foreign site, which has installed the wheel and has an app of its own called `chat`."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.host import FOLDER, Hosts, HostSite, Member, manage_host
from ..support.servers import ROOT
from ..support.upstream import text


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[HostSite]:
    served = hosts.start()
    with servers.running(served):
        yield served


def test_a_conversation_streams_under_the_sites_own_addresses_and_users(site: HostSite) -> None:
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


def test_the_pages_and_the_tag_work_without_the_sites_templates(site: HostSite) -> None:
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


def test_its_own_pages_get_bodies_of_any_length(site: HostSite) -> None:
    with httpx.Client(base_url=site.url) as client:
        client.get("/enter/")
        form = {"csrfmiddlewaretoken": client.cookies["csrftoken"], "username": "ada", "password": "x" * 300_000}
        for headers in ({}, {"Connection": "Upgrade", "Upgrade": "h2c"}):
            page = client.post("/enter/", data=form, headers=headers)
            assert page.status_code == 200
            assert "errorlist" in page.text, "the form was read: its token is in the body"


def test_its_checks_and_migrations_are_in_order(site: HostSite) -> None:
    manage_host(site.env, "check", "--fail-level", "WARNING")
    manage_host(site.env, "makemigrations", "--check", "--dry-run")


def test_an_app_of_the_site_called_chat_stays_what_it_is(site: HostSite) -> None:
    code = (
        "import nous_chat; from chat.models import Topic; Topic.objects.create(title='Tea'); print(nous_chat.__file__)"
    )
    assert "/host-packages/nous_chat/" in manage_host(site.env, "shell", "--command", code)
    page = httpx.get(f"{site.url}/chat/").text
    assert "<li>Tea</li>" in page


def test_a_websocket_of_the_site_works_next_to_those_of_the_chat(site: HostSite) -> None:
    page = (ROOT / "docs" / "embedding.md").read_text("utf-8")
    shown = page[page.index("## WebSockets of your own") :].split("```python\n")[1].split("```")[0]
    assert (FOLDER / "host" / "asgi.py").read_text("utf-8").endswith(shown), "the site does what the page says"

    async def talk() -> None:
        async with signed_in(site, "ada", "/enter/") as person:
            ada = Member(site, person.http)
            clock = Member(site, person.http)
            clock.socket_prefix = "/live/clock/"
            async with clock.connect(origin=site.url) as connection:
                assert json.loads(await connection.recv())["name"] == "ada"
                await connection.send('{"tick": 1}')
                assert json.loads(await connection.recv()) == {"tick": 1}
            async with ada.socket(await ada.new_conversation()) as socket:
                assert socket.snapshot is not None
            ada.socket_prefix = "/live/elsewhere/"
            async with ada.socket() as socket:
                assert socket.closed == 4404

    asyncio.run(talk())


ERASE = """
from django.contrib.auth import get_user_model
from django.test import Client
from nous_chat import store
from nous_chat.models import Erasure, Hold, Message, Run
members = get_user_model().objects
gone = members.create_user(email="gone@example.org")
root = members.create_superuser(email="boss@example.org")
room = store.create_conversation(gone)
store.post_message(gone.pk, room.id, "My words", None, None, "")
client = Client()
client.force_login(root)
admin = "/admin/nous_chat"
client.post(f"{admin}/hold/add/", {"username": "gone@example.org", "reason": "Case"})
hold = Hold.objects.get()
assert hold.user == gone
assert b"A hold keeps" in client.post(f"{admin}/erasure/add/", {"username": "gone@example.org"}).content
client.post(f"{admin}/hold/{hold.pk}/release/", {"reason": "Over"})
Run.objects.filter(launched_by=gone).update(status="completed")
client.post(f"{admin}/erasure/add/", {"username": "gone@example.org", "confirmed": "yes"})
receipt = Erasure.objects.get()
while receipt.finished_at is None:
    client.post(f"{admin}/erasure/{receipt.pk}/continue/")
    receipt.refresh_from_db()
assert not Message.objects.filter(text="My words").exists()
print("left:", members.filter(email="gone@example.org").count(), receipt.counts["conversations"])
"""


def test_staff_hold_and_erase_members_who_cannot_be_deactivated(site: HostSite) -> None:
    """The site's users have a UUID as key, an email address as name, and no field `is_active`."""
    assert manage_host(site.env, "shell", "-v0", "--command", ERASE).strip().endswith("left: 0 1")
