"""Attacks by a provider, or by a user who has it write: answers without end, bombs, calls, and a process that dies."""

import asyncio
import os
import signal

from ..attackers import Answers, Arena, Visitor, attack


async def ask(arena: Arena, person: Visitor, question: str, seconds: float = 60) -> None:
    """Ask the agent, whose provider does what the last word says, and count how the run ends."""
    peer = await arena.opened(person)
    await peer.say(f"Please do {question}")
    await peer.hear("run.started", seconds=seconds)
    ended = (await peer.ended_answer(seconds))["run"]
    arena.answers[ended["status"] + (f" {ended['error']['code']}" if ended["error"] else "")] += 1


async def ask_all(arena: Arena, number: int, question: str) -> Answers:
    await asyncio.gather(*(ask(arena, person, question) for person in arena.attackers(number)))
    return arena.answers


@attack("", "failed answer_too_large")
async def answer_without_end(arena: Arena) -> Answers:
    """Two answers of 33 MB, as fast as the provider's connection carries them."""
    return await ask_all(arena, 2, f"words@n={arena.size(110_000)},chars=300")


@attack("", "failed answer_too_large")
async def line_without_end(arena: Arena) -> Answers:
    """A provider that sends bytes without a line end, for ever, to two runs."""
    return await ask_all(arena, 2, "endless@")


@attack("", "failed answer_too_large")
async def gzip_bomb(arena: Arena) -> Answers:
    """A compressed response whose 2 MB become 2 GB, to two runs."""
    return await ask_all(arena, 2, f"bomb@size={arena.size(2**31)}")


@attack("", "failed answer_too_large")
async def thousands_of_calls(arena: Arena) -> Answers:
    """A turn of 20,000 tool calls, for two runs."""
    return await ask_all(arena, 2, f"calls@n={arena.size(20_000)}")


@attack("", "failed answer_too_large")
async def call_in_pieces(arena: Arena) -> Answers:
    """A tool call with 2 MB of arguments in pieces of 40 characters, for two runs."""
    return await ask_all(arena, 2, f"pieces@n={arena.size(50_000)},chars=40")


@attack("", "failed answer_too_large")
async def long_arguments(arena: Arena) -> Answers:
    """A tool call with 10 MB of arguments, for two runs."""
    return await ask_all(arena, 2, f"pieces@n={arena.size(160)},chars=65536")


@attack("completed")
async def accepted_calls(arena: Arena) -> Answers:
    """A turn of as many tool calls as are read, 128, for two runs."""
    return await ask_all(arena, 2, f"calls@n={arena.size(128)}")


@attack("completed")
async def accepted_arguments(arena: Arena) -> Answers:
    """A tool call with nearly as many arguments as are read, 390,000 characters in pieces of 40, for two runs."""
    return await ask_all(arena, 2, f"pieces@n={arena.size(9_750)},chars=40")


@attack("", "interrupted host_lost", processes=2, kills=1)
async def killed_process(arena: Arena) -> Answers:
    """The second process is killed in the middle of an answer of 1.9 million characters, which the first one ends."""
    person = arena.attackers(1)[0]
    watching = await arena.opened(person)
    elsewhere = arena.client(arena.cast.attackers[arena.target.turn * 7 % len(arena.cast.attackers)], 1)
    asking = await arena.opened(elsewhere)
    await asking.say("Please do words@n=1900,chars=1000,delay=3")
    await asking.until(lambda: asking.delta_chars > 200_000, 30)
    await asyncio.sleep(2)
    os.kill(arena.target.pids[1], signal.SIGKILL)
    ended = (await watching.ended_answer())["run"]
    arena.answers[f"{ended['status']} {(ended['error'] or {}).get('code')}"] += 1
    return arena.answers
