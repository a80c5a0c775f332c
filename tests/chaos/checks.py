"""What has to be true after a schedule. Each check yields a sentence for each violation."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from ..support.protocol_client import Frame
from ..support.upstream import text
from .browser import Browser
from .cluster import Process
from .trial import ACTIVE, CONVERGE, Stage, until

LEAVE = 30.0
"""Seconds after which nothing of people who have left may be left in a process, nor open at the provider."""

MORE_MEMORY = 32.0
"""MiB by which a process may grow after its first schedule."""

IDLE = {"Peers.listen", "Heartbeat.run", "Presence.run", "RedisSingleShardConnection._do_receiving"}
"""The tasks of a process that serves nobody, one of each."""


@dataclass(frozen=True)
class Violation:
    """Of one check; the table counts by `check`."""

    check: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


CHECKS = {
    "settles": "every run ends, every command is answered, within 40 s of the last fault's end",
    "converges": "every browser shows exactly what is stored",
    "one end": "a run has one end, the same for everybody, and keeps it",
    "once": "every message that was sent is stored once, in the order in which its sender wrote",
    "exact": "an answer is what the provider said, from its start, without a hole; all of it if it completed",
    "answered": "what was said last has its answer, or a run that tells why not",
    "served": "nobody was refused or told of an internal error",
    "closed": "no connection to the provider is left open",
    "nothing left": "no run, socket, channel, group or task is left in a process that serves nobody",
    "memory": "a process's memory is where it was",
}


async def after(stage: Stage) -> list[Violation]:
    """Every violation of a schedule that has been played. Its browsers leave on the way."""
    rows = await stage.settle()
    found = [*_settles(stage, rows)]
    for conversation, room in stage.rooms.items():
        stored = await stage.stored(conversation)
        for number, browser in enumerate(room):
            if not await until(lambda b=browser, s=stored: shown(b.messages.values()) == shown(s), CONVERGE):
                found.append(_differs(number, browser, stored))
        mine = [row for row in rows if row["conversation"] == conversation]
        for check in (_one_end, _once, _served):
            found += check(room, mine, stored)
        if not stage.changes(conversation):  # what was edited or deleted was asked, but is not to be seen
            found += [*_exact(stored), *_answered(mine, stored)]
    if (again := await stage.runs()) != rows:
        found.append(Violation("one end", f"rows changed after their end: {rows}, then {again}"))
    await stage.close()
    return found + [violation async for violation in _left_behind(stage)]


def shown(messages: Iterable[Frame]) -> list[tuple[object, ...]]:
    """What a page shows of messages, comparable."""
    return [
        (
            m["seq"], m["id"], m["role"], m["text"], m["thinking"], m["run"] and m["run"]["status"],
            [(call["id"], call["status"], call["result"]) for call in m["calls"]], m["edited_at"], m["deleted_at"],
        )
        for m in sorted(messages, key=lambda m: m["seq"])
    ]  # fmt: skip


def _settles(stage: Stage, rows: list[Frame]) -> Iterator[Violation]:
    for row in rows:
        if row["status"] in ACTIVE:
            yield Violation("settles", f"run {row['id']} is {row['status']}")
        elif any(status in ("running", "awaiting_approval") for status in row["calls"]) or not row["ended"]:
            yield Violation("settles", f"run {row['id']} is {row['status']}, but not all of it: {row}")
    for browser in stage.browsers:
        for command in browser.unconfirmed:
            yield Violation("settles", f"no answer to {command}")


def _differs(number: int, browser: Browser, stored: list[Frame]) -> Violation:
    here, there = shown(browser.messages.values()), shown(stored)
    differences = [f"shows {h}" for h in here if h not in there] + [f"lacks {t}" for t in there if t not in here]
    return Violation("converges", f"browser {number} of {browser.conversation}: " + "; ".join(differences))


def _one_end(room: list[Browser], rows: list[Frame], _: list[Frame]) -> Iterator[Violation]:
    for row in rows:
        told = set[str]().union(*(browser.ends.get(row["id"], set()) for browser in room))
        if told - {row["status"]}:
            yield Violation("one end", f"run {row['id']} is {row['status']}; browsers were told {told}")


def _once(room: list[Browser], _: list[Frame], stored: list[Frame]) -> Iterator[Violation]:
    times = Counter(message["client_id"] for message in stored if message["client_id"])
    seqs = {message["client_id"]: message["seq"] for message in stored}
    for number, browser in enumerate(room):
        for client_id in browser.said:
            if times[client_id] != 1:
                yield Violation("once", f"{client_id} of browser {number} is stored {times[client_id]} times")
        order = [seqs[client_id] for client_id in browser.said if client_id in seqs]
        if order != sorted(order):
            yield Violation("once", f"what browser {number} wrote is in the order {order}")


def _served(room: list[Browser], _: list[Frame], __: list[Frame]) -> Iterator[Violation]:
    for number, browser in enumerate(room):
        for trouble in browser.troubles:
            yield Violation("served", f"browser {number} {trouble}")


def _exact(stored: list[Frame]) -> Iterator[Violation]:
    question = ""
    for message in stored:
        if message["role"] == "user":
            question = message["text"]
            continue
        name, _, options = question.partition("@")
        given = dict(option.split("=") for option in options.split(",") if option)
        expected = text(int(given.get("n", 0)), int(given.get("chars", 0)))
        completed = message["run"]["status"] == "completed"
        if name in ("words", "thinking", "stall", "fails", "unfinished") and not (
            message["text"] == expected if completed else expected.startswith(message["text"])
        ):
            yield Violation("exact", f"{message['run']} of {question!r} wrote {message['text']!r}")


def _answered(rows: list[Frame], stored: list[Frame]) -> Iterator[Violation]:
    """Everybody leaving ends a run and what waits for it: that is what leaving means."""
    last = max((message for message in stored if message["role"] == "user"), key=lambda m: m["seq"], default=None)
    if last is None or any(row["error"] == "abandoned" or row["created_at"] >= last["created_at"] for row in rows):
        return
    if not any(message["role"] == "assistant" and message["seq"] > last["seq"] for message in stored):
        yield Violation("answered", f"message {last['seq']} of {last['conversation']}; runs: {rows}")


async def _left_behind(stage: Stage) -> AsyncIterator[Violation]:
    deadline = time.monotonic() + LEAVE
    while True:
        found = [*await _open_streams(stage)]
        for number, process in enumerate(stage.world.processes):
            found += [Violation(check, f"process {number}: {what}") for check, what in await _rest(process)]
        if not found or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.3)
    for violation in found:
        yield violation


async def _open_streams(stage: Stage) -> list[Violation]:
    stats = await asyncio.to_thread(stage.world.upstream.stats)
    return [Violation("closed", f"{stats['active']} streams are open")] if stats["active"] else []


async def _rest(process: Process) -> list[tuple[str, str]]:
    state = await process.ask("process")
    tasks = Counter(state["tasks"]) - Counter(IDLE)
    found = [("nothing left", f"task {name} x {number}") for name, number in tasks.items()]
    if state["runs"] or state["sockets"] or state["channels"] > 1 or state["groups"] or state["here"]:
        found.append(("nothing left", str({name: value for name, value in state.items() if name != "tasks"})))
    process.memory = process.memory or state["memory"]
    if state["memory"] > process.memory + MORE_MEMORY:
        found.append(("memory", f"{process.memory:.0f} MiB, then {state['memory']:.0f}"))
    return found
