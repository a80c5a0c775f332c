"""Attacks on connections, locks, and the time of the database."""

import asyncio
import uuid
from typing import Any

from ...support.servers import PASSWORD
from ..attackers import CSRF, Answers, Arena, attack, gather


@attack("201, 429", "201")
async def posts_at_once(arena: Arena) -> Answers:
    """For each process, six people create conversations at once, 20 rounds without a pause."""
    people = arena.attackers(6 * arena.processes)
    for _ in range(arena.size(20)):
        await asyncio.gather(
            *(arena.count(one.api("POST", "conversations/", json={"title": "Mine"})) for one in people)
        )
    return arena.answers


@attack("announced, 429", "302, announced")
async def joins_at_once(arena: Arena) -> Answers:
    """For each process, twelve people join a conversation by its link at once, in five rooms. A participant must hear
    of each.
    """
    people = arena.attackers(1 + 12 * arena.processes)
    owner, joining = people[0], people[1:]
    for _ in range(arena.size(5)):
        room = await owner.quiet_room()
        invited = await owner.api("POST", f"conversations/{room}/invitations/", json={})
        path = httpx_path(invited.json()["url"])
        watching = await arena.opened(owner, room)
        form = {"csrfmiddlewaretoken": CSRF}
        before = arena.answers["302"]
        await asyncio.gather(*(arena.count(one.http.post(path, data=form)) for one in joining))
        joined = arena.answers["302"] - before
        try:
            await watching.hear("participant.joined", joined, seconds=15)
        except TimeoutError:
            arena.answers["not announced"] += joined - len(watching.of_type("participant.joined"))
        arena.answers["announced"] += len(watching.of_type("participant.joined"))
    return arena.answers


def httpx_path(url: str) -> str:
    """The path of an absolute or relative URL."""
    return "/" + url.partition("://")[2].partition("/")[2] if "://" in url else url


@attack("429, 503", "302")
async def sign_ins_at_once(arena: Arena) -> Answers:
    """For each process, 30 people sign in at once, each from a browser of their own. A password costs half a second of
    CPU.
    """

    async def sign_in(number: int, name: str) -> None:
        visitor = arena.client(None, number)
        form = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": CSRF}
        await arena.count(visitor.http.post("/accounts/login/", data=form))

    names = arena.cast.accounts[: arena.size(30)] * arena.processes
    await asyncio.gather(*(sign_in(number, name) for number, name in enumerate(names)))
    return arena.answers


@attack("ack, unavailable", "unavailable", databases=["PostgreSQL"])
async def held_row_lock(arena: Arena) -> Answers:
    """Another client of the database locks one conversation for 15 s, while messages are sent there."""
    import psycopg

    person = arena.attackers(1)[0]
    room = await person.quiet_room()
    peer = await arena.opened(person, room)
    async with await psycopg.AsyncConnection.connect(arena.target.database) as connection:
        await connection.execute("SELECT 1 FROM nous_chat_conversation WHERE id = %s FOR UPDATE", [room])
        for _ in range(arena.size(15)):
            for _ in range(2):
                await peer.say("Hello?", ref=str(uuid.uuid4()))
            await asyncio.sleep(1)
    await peer.say("And now?", ref="last")
    await peer.answered("last", 30)
    arena.count_events([peer], "ack")
    return arena.answers


@attack("429", "200")
async def searches(arena: Arena) -> Answers:
    """The owner of 2,000 messages searches for a word that all of them contain, 50 searches at a time."""
    owner = arena.client(arena.cast.owner)
    await gather((arena.count(owner.api("GET", "search/?q=message+of+many")) for _ in range(arena.size(600))), 50)
    return arena.answers


@attack("429", "201")
async def forks(arena: Arena) -> Answers:
    """The owner of 2,000 messages forks them 100 times, eight at a time."""
    owner = arena.client(arena.cast.owner)
    path = f"conversations/{arena.cast.owner.conversation}/fork/"
    body = {"message": arena.cast.last_message}
    await gather((arena.count(owner.api("POST", path, json=body)) for _ in range(arena.size(100))), 8)
    return arena.answers


@attack("200, 404, 429", "204")
async def deletes_and_restores(arena: Arena) -> Answers:
    """An owner deletes and restores a conversation of 2,000 messages, 300 times, ten at a time."""
    owner = arena.client(arena.cast.owner)
    path = f"conversations/{arena.cast.owner.conversation}/"

    async def both() -> None:
        await arena.count(owner.api("DELETE", path))
        await arena.count(owner.api("POST", f"{path}restore/"))

    await gather((both() for _ in range(arena.size(300))), 10)
    await asyncio.sleep(6 / arena.scale)  # until the rate limit admits the last one
    await arena.count(owner.api("POST", f"{path}restore/"))
    return arena.answers


@attack("conflict, not_found, rate_limited, closed 4429", "ack")
async def edits(arena: Arena) -> Answers:
    """Somebody edits, deletes and restores one message of 30,000 characters again and again, as fast as it goes."""
    person = arena.attackers(1)[0]
    peer = await arena.opened(person, await person.quiet_room())
    await peer.say("word " * 6000, ref="first")
    message = (await peer.answered("first"))["message"]
    changes: list[dict[str, Any]] = [
        {"command": "message.edit", "text": "other " * 5000},
        {"command": "message.delete"},
        {"command": "message.restore"},
    ]
    for number in range(arena.size(300)):
        if peer.closed is None:
            await peer.send(**changes[number % 3], message=message, ref=str(number))
    await peer.send("ping", ref="last")
    await peer.until(lambda: peer.closed or any(event.get("ref") == "last" for event in peer.events))
    arena.count_events([peer], "ack")
    return arena.answers
