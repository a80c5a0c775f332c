"""Attacks on documents: changes that cost more than their length, long logs, and selections."""

import asyncio
import uuid

from ..attackers import Answers, Arena, Visitor, attack, command, gather
from .frames import flood, settle

LINE = "One of many lines.\n"
AT_ONCE = 2_000
"""How many of these lines a request may add."""


async def create(person: Visitor, lines: int) -> tuple[str, int]:
    """The id and the version of a new document of so many lines."""
    path = f"conversations/{person.room}/documents/"
    body: dict[str, object] = {"title": str(uuid.uuid4()), "text": LINE * min(lines, AT_ONCE)}
    response = await person.api("POST", path, json=body)
    assert response.status_code == 201, response.text
    document, version = str(response.json()["id"]), 1
    for there in range(AT_ONCE, lines, AT_ONCE):
        added = [LINE.rstrip()] * min(lines - there, AT_ONCE)
        body = {"version": version, "changes": [there * len(LINE), [0, *added, ""]]}
        response = await person.api("POST", f"{path}{document}/push/", json=body)
        assert response.is_success, response.text
        version += 1
    return document, version


def comb(length: int, teeth: int, letter: str) -> list[object]:
    """A change set that inserts a letter at so many places."""
    step = length // teeth
    parts: list[object] = [part for _ in range(teeth) for part in (step, [0, letter])]
    return [*parts, length - step * teeth]


@attack("rate_limited, stale, unavailable, closed 4429", "ack")
async def pushes(arena: Arena) -> Answers:
    """2,000 changes of one user at the end of a document of 475,000 characters, all for the same version, so that the
    server maps each over those before it.
    """
    person = arena.attackers(1)[0]
    document, version = await create(person, 25_000)
    push = {"document": document, "version": version, "changes": [25_000 * len(LINE), [0, "x"]], "rebase": True}
    return await flood(arena, command("document.push", ref="push", **push), 2_000, "ack", person=person)


@attack("rate_limited, stale, unavailable, too_large, closed 4429", "ack")
async def combs(arena: Arena) -> Answers:
    """99 changes of one user, each of which inserts 3,000 letters all over a document of 190,000 characters, for the
    same version.
    """
    person = arena.attackers(1)[0]
    document, version = await create(person, 10_000)
    peer = await arena.opened(person)
    changes = comb(len(LINE) * 10_000, 3_000, "x")
    for _ in range(arena.size(99)):
        await peer.send("document.push", ref="push", document=document, version=version, changes=changes, rebase=True)
    await settle(peer, 60)
    arena.count_events([peer], "ack")
    return arena.answers


@attack("200, 429", "200")
async def logs(arena: Arena) -> Answers:
    """One user asks 400 times, 20 at a time, for the text, the log, the versions, and the lines' authors of a document
    of 190,000 characters with 90 changes.
    """
    person = arena.attackers(1)[0]
    document, version = await create(person, 10_000)
    peer = await arena.opened(person)
    for number in range(90):
        changes = [number * 100, [0, f"{number}\n"], len(LINE) * 10_000 - number * 100]
        await peer.send("document.push", ref="push", document=document, version=version, changes=changes, rebase=True)
    await settle(peer, 60)
    await asyncio.sleep(5)  # until the user may ask again
    paths = [f"documents/{document}/{part}" for part in ("", "updates/?since=1", "versions/", "blame/", "download/")]
    work = (arena.count(person.api("GET", paths[number % len(paths)])) for number in range(arena.size(400)))
    await gather(work, 20)
    return arena.answers


@attack("rate_limited", "closed 4429")
async def selections(arena: Arena) -> Answers:
    """20,000 pairs of selections in a document."""
    person = arena.attackers(1)[0]
    document, version = await create(person, 100)
    first, second = (
        command("document.select", document=document, version=version, anchor=place, head=place) for place in (1, 2)
    )
    return await flood(arena, first + second, 20_000, person=person)
