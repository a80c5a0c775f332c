"""Attacks over WebSockets: floods of frames, of sockets, and of texts that cost more than their length."""

import asyncio
import json
import uuid

from ...support.client import Socket
from ..attackers import FAILED, Answers, Arena, Visitor, attack, command, gather, masked, pour


async def flood(arena: Arena, frame: bytes, number: int, *names: str, person: Visitor | None = None) -> Answers:
    """Send the same frame as fast as the server reads, for at most 6 s, and count the answers."""
    peer = await arena.opened(person or arena.attackers(1)[0])
    await pour(peer, frame, arena.size(number), 6)
    await settle(peer)
    arena.count_events([peer], *names)
    return arena.answers


async def settle(peer: Socket, seconds: float = 20) -> None:
    """Wait until the server has answered everything, or closed the socket."""
    try:
        if peer.closed is None:
            await peer.send("ping", ref="settled")
        await peer.until(lambda: peer.closed or any(event.get("ref") == "settled" for event in peer.events), seconds)
    except (AssertionError, TimeoutError):
        pass


@attack("bad_json, rate_limited", "closed 4429")
async def braces(arena: Arena) -> Answers:
    """87,000 frames `{`."""
    return await flood(arena, masked(b"{"), 87_000)


@attack("invalid, bad_json, rate_limited", "closed 4429")
async def binary_frames(arena: Arena) -> Answers:
    """40,000 binary frames of one byte."""
    return await flood(arena, masked(b"x", opcode=2), 40_000)


@attack("too_large, bad_json, rate_limited", "closed 4429")
async def large_frames(arena: Arena) -> Answers:
    """4,000 frames of 60,000 characters that are no JSON: 240 MB."""
    return await flood(arena, masked(b"[" * 60_000), 4_000)


@attack("pong, bad_json, invalid, too_large, rate_limited", "closed 4429")
async def deep_frames(arena: Arena) -> Answers:
    """4,000 commands with 900 arrays in one another."""
    frame = masked(b'{"type":"ping","x":' + b"[" * 900 + b"]" * 900 + b"}")
    return await flood(arena, frame, 4_000, "pong")


@attack("rate_limited", "closed 4429")
async def acknowledgements(arena: Arena) -> Answers:
    """80,000 `run.ack` of a run that does not exist."""
    frame = command("run.ack", run="00000000-0000-0000-0000-000000000000", seq=1)
    return await flood(arena, frame, 80_000)


@attack("pong, rate_limited", "closed 4429")
async def pings(arena: Arena) -> Answers:
    """40,000 `ping`."""
    return await flood(arena, command("ping"), 40_000, "pong")


@attack("rate_limited", "closed 4429")
async def typing(arena: Arena) -> Answers:
    """20,000 pairs of `typing` on and off."""
    return await flood(arena, command("typing", on=True) + command("typing", on=False), 20_000)


@attack("rate_limited, closed 4429", "history.page")
async def histories(arena: Arena) -> Answers:
    """1,000 requests for the newest 100 messages of a long conversation."""
    frame = command("history.load", before=2001, limit=100)
    return await flood(arena, frame, 1000, "history.page", person=arena.client(arena.cast.owner))


@attack("snapshot, closed 4429, 429", "snapshot")
async def reconnects(arena: Arena) -> Answers:
    """One user opens and closes sockets for eight seconds, 20 at a time."""
    person = arena.attackers(1)[0]
    end = asyncio.get_running_loop().time() + 8 / arena.scale

    async def reconnect() -> None:
        while asyncio.get_running_loop().time() < end:
            await open_once(arena, person)

    await asyncio.gather(*(reconnect() for _ in range(20)))
    return arena.answers


async def open_once(arena: Arena, person: Visitor) -> None:
    """Open a socket, count its snapshot or its close code, and close it."""
    try:
        async with person.socket(person.room) as peer:
            await peer.until(lambda: peer.snapshot or peer.closed, 30)
            arena.answers["snapshot" if peer.snapshot else f"closed {peer.closed}"] += 1
    except FAILED as error:
        arena.answers[status_of(error)] += 1


def status_of(error: BaseException) -> str:
    """The HTTP status with which a handshake was refused, or the error's name."""
    response = getattr(error, "response", None)
    return str(response.status_code) if response is not None else type(error).__name__


@attack("snapshot, closed 4429, 429", "snapshot")
async def sockets(arena: Arena) -> Answers:
    """One user opens 300 sockets and keeps them for five seconds."""
    person = arena.attackers(1)[0]
    kept: list[Socket] = []

    async def open_one() -> None:
        try:
            kept.append(await arena.opened(person))
        except FAILED as error:
            arena.answers[status_of(error)] += 1

    await gather((open_one() for _ in range(arena.size(300))), 50)
    await asyncio.sleep(5 / arena.scale)
    arena.count_events(kept)
    arena.answers["snapshot"] += sum(peer.snapshot is not None for peer in kept)
    return arena.answers


LIGATURES = "\ufdfa" * 32_000
"""Each becomes 18 characters when the search index folds it."""

BACKTICKS = " ".join("`" * length for length in range(1, 250))[:32_000]
MARKS = "a" + "\u0301" * 31_999
MENTIONS = "@a " * 10_600
BRACKETS = "[" * 16_000 + "](" * 8_000


async def texts(arena: Arena, *given: str, room: str = "", person: Visitor | None = None) -> Answers:
    """Send as many messages as a burst allows, in turn these texts, and wait for the answers."""
    person = person or arena.attackers(1)[0]
    peer = await arena.opened(person, room or await person.quiet_room())
    number = arena.size(99)
    for i in range(number):
        message = {"type": "message.send", "client_id": str(uuid.uuid4()), "text": given[i % len(given)]}
        # As it is: escaped, it would be longer than a frame may be.
        await peer.transmit(json.dumps(message | {"ref": f"text {i}"}, ensure_ascii=False))
    await peer.until(lambda: sum(str(event.get("ref", "")).startswith("text") for event in peer.events) >= number, 120)
    arena.count_events([peer], "ack")
    return arena.answers


@attack("rate_limited, unavailable, closed 4429", "ack")
async def ligatures(arena: Arena) -> Answers:
    """99 messages of 32,000 ligatures, which become 576,000 characters each."""
    return await texts(arena, LIGATURES)


@attack("rate_limited, unavailable, closed 4429", "ack")
async def backticks(arena: Arena) -> Answers:
    """99 messages of backticks in growing runs, and of brackets."""
    return await texts(arena, BACKTICKS, BRACKETS)


@attack("rate_limited, unavailable, closed 4429, invalid", "ack")
async def marks(arena: Arena) -> Answers:
    """99 messages of 32,000 combining marks on one letter."""
    return await texts(arena, MARKS)


@attack("rate_limited, unavailable, closed 4429", "ack")
async def mentions(arena: Arena) -> Answers:
    """99 messages of 10,600 mentions in a conversation of 500 people."""
    crowd = arena.cast.crowd
    return await texts(arena, MENTIONS, room=crowd[0].conversation, person=arena.client(crowd[1]))


@attack("rate_limited, closed 4429, connected", "connected")
async def big_room(arena: Arena) -> Answers:
    """In a conversation of 500 people, 200 come at once; all of them type and read as often as they may, for 8 s. One
    of them posts twice a second, so that there is something to read.
    """
    seats = arena.cast.crowd[: arena.size(200)]
    peers: list[Socket] = []

    async def enter(number: int) -> None:
        peers.append(await arena.opened(arena.client(seats[number], number)))

    await gather((enter(number) for number in range(len(seats))), 10)

    async def fidget(number: int, peer: Socket) -> None:
        for i in range(arena.size(160)):
            if number == 0 and i % 10 == 0:
                await peer.say("Read this.")
            elif i % 4 == 0:
                await peer.send("read", seq=i)
            else:
                await peer.send("typing", on=i % 2 == 0)
            peer.events.clear()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(fidget(number, peer) for number, peer in enumerate(peers)))
    arena.count_events(peers)
    arena.answers["connected"] += sum(peer.closed is None for peer in peers)
    return arena.answers


async def acknowledge(peer: Socket) -> None:
    """Acknowledge ten times a second what a socket has received."""
    while True:
        for run, seq in list(peer.seqs.items()):
            await peer.send("run.ack", run=run, seq=seq)
        await asyncio.sleep(0.1)


@attack("closed 4408, connected", "connected")
async def stopped_readers(arena: Arena) -> Answers:
    """50 sockets of one conversation, opened as fast as a user may, stop reading while a model streams 2 MB as fast as
    it goes, three times.
    """
    person = arena.attackers(1)[0]
    stalled: list[Socket] = []
    for _ in range(arena.size(50)):
        stalled.append(await arena.opened(person))
        stalled[-1].connection.transport.pause_reading()
        await asyncio.sleep(0.15 / arena.scale)
    asking = await arena.opened(person)
    reading = asyncio.create_task(acknowledge(asking))
    for number in range(1, 4):
        await asking.say("Please do words@n=1900,chars=1000")
        await asking.hear("run.started", number)
        await asking.ended_answer()
    reading.cancel()
    arena.answers["connected"] += sum(peer.closed is None for peer in stalled)
    for peer in stalled:
        peer.connection.transport.abort()
    return arena.answers
