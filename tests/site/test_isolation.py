"""Nobody stops the others: people who ask at the same time, locked rows, passwords that are checked."""

import asyncio
import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ..support.client import Person, Socket, signed_in
from ..support.servers import PASSWORD, Site, Upstream

StartSite = Callable[..., Site]

needs_row_locks = pytest.mark.skipif(
    not os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="SQLite has one lock, for all writers"
)


async def created(person: Person) -> httpx.Response:
    return await person.http.post("/chat/api/conversations/", json={"title": "New"}, headers=person.csrf)


def test_many_who_create_conversations_at_once_are_all_served_and_announced(start_site: StartSite) -> None:
    """More requests at the same time than the pool has connections, while somebody chats."""
    site = start_site()

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket, bob.socket() as inbox:
                answers = await asyncio.gather(*(created(bob) for _ in range(40)))
                assert [answer.status_code for answer in answers] == [201] * 40
                await socket.say("Hello", ref="1")
                assert (await socket.answered("1"))["type"] == "ack"
                ids = {answer.json()["id"] for answer in answers}
                await inbox.until(
                    lambda: {e["conversation"]["id"] for e in inbox.of_type("conversation.updated")} >= ids
                )

    asyncio.run(talk())


async def rename(person: Person, conversation: str) -> httpx.Response:
    address = f"/chat/api/conversations/{conversation}/"
    return await person.http.patch(address, json={"title": "Renamed"}, headers=person.csrf)


@contextlib.contextmanager
def held(site: Site, *rows: tuple[str, str]) -> Iterator[None]:
    """Lock rows, given as table and id, from outside of the site, as a transaction in a shell does."""
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        for table, pk in rows:
            connection.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [uuid.UUID(pk)])
        yield
        connection.rollback()


async def say(socket: Socket, ref: str) -> str:
    await socket.say("And?", ref=ref)
    answer = await socket.answered(ref)
    return str(answer.get("code", answer["type"]))


@needs_row_locks
def test_a_locked_conversation_stops_neither_the_others_nor_the_process(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str, upstream: Upstream
) -> None:
    """Longer than HOST_TIMEOUT, so that a process which did not get its heartbeats through would count as dead."""
    site = start_site(
        NOUS_CHAT_MODEL="custom:flowing", NOUS_CHAT=json.dumps({"HOST_TIMEOUT": 4}), REDIS_URL=redis, **TUNED
    )
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with contextlib.AsyncExitStack() as stack:
            ada = await stack.enter_async_context(signed_in(site, "ada"))
            locked, free, running = [await ada.new_conversation() for _ in range(3)]
            sockets = {room: await stack.enter_async_context(ada.socket(room)) for room in (locked, free, running)}
            watching = await stack.enter_async_context(ada.socket(running, site=other))
            await sockets[running].say("Hello")
            run = (await sockets[running].hear("run.started"))["message"]
            rows = (
                ("nous_chat_conversation", locked),
                ("nous_chat_run", run["run"]["id"]),
                ("nous_chat_message", run["id"]),
            )
            with held(site, *rows):
                until = asyncio.get_running_loop().time() + 9
                refused = asyncio.create_task(say(sockets[locked], "locked"))
                number = 0
                while asyncio.get_running_loop().time() < until:
                    number += 1
                    assert await say(sockets[free], f"free {number}") == "ack"
                    await asyncio.sleep(0.1)
                assert await refused == "unavailable"
                renamed = await rename(ada, locked)
                assert (renamed.status_code, renamed.json()["code"]) == (503, "unavailable")
                assert int(renamed.headers["Retry-After"]) > 0
                assert (await rename(ada, free)).status_code == 200
            await asyncio.sleep(4)  # now the other process could take the run for abandoned
            assert not watching.of_type("run.finished")
            assert await say(sockets[locked], "later") == "ack"
            upstream.release()
            assert (await watching.hear("run.finished"))["status"] == "completed"

    asyncio.run(talk())


TUNED = {"DJANGO_SETTINGS_MODULE": "tests.sites.tuned"}


def test_a_crowd_that_signs_in_is_served_in_turn_or_refused(start_site: StartSite) -> None:
    site = start_site()

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                crowd = [asyncio.create_task(sign_in(site, f"nobody {number}")) for number in range(60)]
                for number in range(5):
                    assert await say(socket, str(number)) == "ack"
                    assert (await created(ada)).status_code == 201
                statuses = await asyncio.gather(*crowd)
                assert set(statuses) <= {200, 429}, "an error on the page, or too many"
                guesses = [await sign_in(site, "bob") for _ in range(30)]
                assert (guesses[0], guesses[-1]) == (200, 429)
                assert (await sign_in(site, "eve")) == 302, "nobody guessed at this name"

    asyncio.run(talk())


async def sign_in(site: Site, name: str) -> int:
    """The status of an attempt to sign in; the password is right for Eve alone."""
    async with httpx.AsyncClient(base_url=site.url, timeout=60, trust_env=False, verify=False) as http:
        await http.get("/accounts/login/")
        password = PASSWORD if name == "eve" else "wrong"
        form = {"username": name, "password": password, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
        return (await http.post("/accounts/login/", data=form)).status_code
