"""Sites with several databases: people talk there, and read it again. On SQLite, or on the server of DATABASE_URL."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.host import FILL, Hosts, Member, manage_host
from ..support.upstream import text

Settings = dict[str, Any]
SQLITE = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}
ORDER = """
from django.contrib.auth import get_user_model
from shop.models import Order
Order.objects.create(number="7", customer=get_user_model().objects.get(email="ada"))
"""
LATE = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("late")
"""
AFTER_COMMIT = """
from django.db import transaction
from nous_chat.concurrency import after_commit
async def publish():
    print("published", end=" ")
with transaction.atomic():
    with transaction.atomic(using="talks"):
        after_commit(publish)
    print("one committed", end=" ")
print("both committed", end=" ")
after_commit(publish)
"""


@pytest.fixture
def new_database(tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Make a database, empty or a copy of another one; returns its settings."""
    server = os.environ.get("DATABASE_URL", "")
    made: list[str] = []

    def new(copied: Settings | None = None) -> Settings:
        name = f"nous_{uuid.uuid4().hex[:12]}"
        if not server.startswith("postgres"):
            file = tmp_path / f"{name}.sqlite3"
            if copied is not None:
                shutil.copy(copied["NAME"], file)
            found: Settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file), "OPTIONS": SQLITE}
        else:
            template = f' TEMPLATE "{copied["NAME"]}"' if copied is not None else ""
            servers.execute(server, f'CREATE DATABASE "{name}"{template}')
            made.append(f"{server.rsplit('/', 1)[0]}/{name}")
            found = dict(dj_database_url.parse(made[-1]))
        return found | {"ATOMIC_REQUESTS": True}

    yield new
    for url in made:
        servers.drop_database(url)


def with_router(name: str, **databases: Settings) -> Settings:
    return {"DATABASES": databases, "DATABASE_ROUTERS": [f"host.routers.{name}"]}


def talks(hosts: Hosts, new: Callable[..., Settings]) -> Settings:
    """The chat and what it refers to have a database, the sessions another one."""
    settings = with_router("Talks", default=new(), talks=new())
    env = hosts.environment(settings)
    for alias in settings["DATABASES"]:
        manage_host(env, "migrate", "--verbosity", "0", "--database", alias)
    manage_host(env, "shell", "--command", FILL + ORDER + LATE)
    return settings


def filled(hosts: Hosts, new: Callable[..., Settings], code: str) -> Settings:
    """One database with all tables."""
    database = new()
    env = hosts.environment({"DATABASES": {"default": database}})
    manage_host(env, "migrate", "--verbosity", "0")
    manage_host(env, "shell", "--command", code)
    return database


def only_talks(hosts: Hosts, new: Callable[..., Settings]) -> Settings:
    """The chat has a database, and a copy of the users in it."""
    default = filled(hosts, new, FILL + ORDER + LATE)
    return with_router("OnlyTalks", default=default, talks=new(default))


def outdated_replica(hosts: Hosts, new: Callable[..., Settings]) -> Settings:
    """A replica that hears of nothing any more, not even of a new user."""
    default = filled(hosts, new, FILL + ORDER)
    settings = with_router("Replica", default=default, replica=new(default))
    manage_host(hosts.environment(settings), "shell", "--command", LATE)
    return settings


@pytest.mark.parametrize("prepare", [talks, pytest.param(only_talks, marks=pytest.mark.slow), outdated_replica])
def test_a_site_with_several_databases_has_a_chat(
    prepare: Callable[[Hosts, Callable[..., Settings]], Settings],
    new_database: Callable[..., Settings],
    hosts: Hosts,
) -> None:
    site = hosts.start(prepare(hosts, new_database))

    async def talk() -> None:
        async with signed_in(site, "ada", "/enter/") as person, signed_in(site, "bob", "/enter/") as guest:
            ada, bob = Member(site, person.http), Member(site, guest.http)
            conversation = await ada.new_conversation(title="Tea")
            at = f"/talk/api/conversations/{conversation}/"
            for name in ("bob", "late"):
                reader = {"username": name, "role": "viewer"}
                added = await ada.http.post(f"{at}participants/", json=reader, headers=ada.csrf)
                assert added.status_code == 201, added.text
            upload = await ada.http.post(f"{at}attachments/", files={"file": ("a.txt", b"milk")}, headers=ada.csrf)
            assert upload.status_code == 201, upload.text
            async with ada.socket() as inbox, ada.socket(conversation) as socket, bob.socket(conversation) as other:
                await socket.say("Hello", attachments=[upload.json()["id"]])
                for peer in (socket, other):
                    finished = await peer.hear("run.finished")
                    assert (finished["status"], finished["message"]["text"]) == ("completed", text(20))
                updated = await inbox.hear("conversation.updated")
                assert updated["conversation"]["title"] == "Tea"
            async with bob.socket(conversation) as again:
                assert again.snapshot is not None
                assert [m["text"] for m in again.snapshot["messages"]][-2:] == ["Hello", text(20)]
                await again.send("ping")
                await again.hear("pong")
                state = await again.hear("conversation.state")
                assert (state["last_seq"], state["run"]) == (again.snapshot["messages"][-1]["seq"], None)
            assert [m["text"] for m in await ada.messages(conversation)][-2:] == ["Hello", text(20)]
            for page in (f"/talk/{conversation}/", f"/pages/{conversation}/"):  # the second one is the site's
                assert text(20) in (await ada.http.get(page)).text
            assert (await ada.http.get(upload.json()["url"])).content == b"milk"
            (listed,) = (await ada.http.get("/talk/api/conversations/")).json()["conversations"]
            assert listed["id"] == conversation
            found = (await bob.http.get("/talk/api/search/", params={"q": "Hello"})).json()["results"]
            assert [result["conversation"]["id"] for result in found] == [conversation]

            order = await ada.http.get("/orders/7/")
            assert 'conversation="' in order.text, order.text
            room = order.text.split('conversation="')[1].split('"')[0]
            async with ada.socket(room) as socket:
                await socket.say("Where is it?")
                assert (await socket.hear("run.finished"))["status"] == "completed"
            async with bob.socket(room) as stranger:
                assert stranger.closed == 4404

    async def administer() -> None:
        async with signed_in(site, "root", "/enter/") as root:
            for address in ("conversation/", "run/", "document/"):
                assert (await root.http.get(f"/admin/nous_chat/{address}")).status_code == 200

    with servers.running(site):
        asyncio.run(talk())
        asyncio.run(administer())
    manage_host(site.env, "check", "--fail-level", "WARNING")


def test_what_several_transactions_store_is_published_when_all_have_committed(
    new_database: Callable[..., Settings], hosts: Hosts
) -> None:
    env = hosts.environment(with_router("OnlyTalks", default=new_database(), talks=new_database()))
    printed = manage_host(env, "shell", "--command", AFTER_COMMIT)
    assert printed.split("\n")[-1].strip() == "one committed published both committed published"
