"""The properties that must hold after a schedule. Each check yields its violations."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from chat.documents.changesets import ChangeSet

from ..support.protocol_client import Frame
from ..support.upstream import text
from .browser import Browser
from .cluster import Process
from .documents import read_document
from .schedule import MARK
from .trial import ACTIVE, CONVERGE_TIMEOUT, Trial, retry, wait_until

CLEANUP_TIMEOUT = 30.0
"""Seconds, after all browsers have closed, for processes and connections to the provider to be cleaned up."""

MAX_MEMORY_GROWTH = 32.0
"""MiB by which a process may grow after its first schedule."""

IDLE_TASKS = {
    "Peers.listen",
    "Heartbeat.run",
    "Presence.run",
    "Reporter.run",
    "RedisSingleShardConnection._do_receiving",
}
"""The tasks of a process without sockets and runs, one of each."""


@dataclass(frozen=True)
class Violation:
    """What a check found. The table counts by `check`."""

    check: str
    details: str

    def __str__(self) -> str:
        return f"{self.check}: {self.details}"


CHECKS = {
    "settles": "every run ends and every command is answered within 40 s after the last fault",
    "converges": "every browser shows exactly what is stored",
    "one end": "a run has one end, the same for everybody, and keeps it",
    "documents": "everybody has the stored text, which the log gives, and each acknowledged change is in it once",
    "once": "every message is stored once, in the order in which its sender wrote",
    "exact": "an answer is what the provider sent, from its start and without a gap; all of it if it completed",
    "answered": "the last message has its answer, or a run that says why not",
    "served": "nobody got a wrong refusal or an internal error",
    "closed": "no connection to the provider stays open",
    "nothing left": "no run, socket, channel, group, or task stays in a process that serves nobody",
    "memory": "a process's memory is back where it was",
}


async def find_violations(trial: Trial) -> list[Violation]:
    """Check everything after the steps of a trial. Closes its browsers."""
    rows = await trial.settle()
    found = [*_settles(trial, rows)]
    for conversation, browsers in trial.browsers_of.items():
        stored = await trial.stored(conversation)
        for number, browser in enumerate(browsers):
            if not await wait_until(
                lambda b=browser, s=stored: _view(b.messages.values()) == _view(s), CONVERGE_TIMEOUT * trial.patience
            ):
                found.append(_differs(number, browser, stored))
        its_rows = [row for row in rows if row["conversation"] == conversation]
        for check in (_one_end, _once, _served):
            found += check(browsers, its_rows, stored)
        if not trial.has_changes(conversation):  # else the stored messages no longer show what was asked
            found += [*_exact(stored), *_answered(its_rows, stored)]
    found += [violation async for violation in _documents(trial)]
    if (again := await trial.runs()) != rows:
        found.append(Violation("one end", f"rows changed after their end: {rows}, then {again}"))
    await trial.close()
    return found + [violation async for violation in _left_behind(trial)]


def _view(messages: Iterable[Frame]) -> list[tuple[object, ...]]:
    """What a page shows of messages, for comparison."""
    return [
        (
            m["seq"], m["id"], m["role"], m["text"], m["thinking"], m["parts"], m["run"] and m["run"]["status"],
            [(call["id"], call["status"], call["result"]) for call in m["calls"]], m["edited_at"], m["deleted_at"],
        )
        for m in sorted(messages, key=lambda m: m["seq"])
    ]  # fmt: skip


def _settles(trial: Trial, rows: list[Frame]) -> Iterator[Violation]:
    for row in rows:
        if row["status"] in ACTIVE:
            yield Violation("settles", f"run {row['id']} is {row['status']}")
        elif any(status in ("running", "awaiting_approval") for status in row["calls"]) or not row["ended"]:
            yield Violation("settles", f"run {row['id']} is {row['status']}, but not all of it: {row}")
    for browser in trial.browsers:
        for command in browser.unconfirmed:
            yield Violation("settles", f"no answer to {command}")


def _differs(number: int, browser: Browser, stored: list[Frame]) -> Violation:
    shown, expected = _view(browser.messages.values()), _view(stored)
    differences = [f"shows {message}" for message in shown if message not in expected]
    differences += [f"lacks {message}" for message in expected if message not in shown]
    return Violation("converges", f"browser {number} of {browser.conversation}: " + "; ".join(differences))


def _one_end(browsers: list[Browser], rows: list[Frame], _: list[Frame]) -> Iterator[Violation]:
    for row in rows:
        statuses = set[str]().union(*(browser.end_statuses.get(row["id"], set()) for browser in browsers))
        if statuses - {row["status"]}:
            yield Violation("one end", f"run {row['id']} is {row['status']}; browsers got {statuses}")


def _once(browsers: list[Browser], _: list[Frame], stored: list[Frame]) -> Iterator[Violation]:
    times = Counter(message["client_id"] for message in stored if message["client_id"])
    seqs = {message["client_id"]: message["seq"] for message in stored}
    for number, browser in enumerate(browsers):
        for client_id in browser.sent:
            if times[client_id] != 1:
                yield Violation("once", f"{client_id} of browser {number} is stored {times[client_id]} times")
        order = [seqs[client_id] for client_id in browser.sent if client_id in seqs]
        if order != sorted(order):
            yield Violation("once", f"what browser {number} wrote is in the order {order}")


def _served(browsers: list[Browser], _: list[Frame], __: list[Frame]) -> Iterator[Violation]:
    for number, browser in enumerate(browsers):
        for error in browser.errors:
            yield Violation("served", f"browser {number} {error}")


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
    """A run that ended because everybody left needs no answer, nor do messages queued behind it."""
    last = max((message for message in stored if message["role"] == "user"), key=lambda m: m["seq"], default=None)
    if last is None or any(row["error"] == "abandoned" or row["created_at"] >= last["created_at"] for row in rows):
        return
    if not any(message["role"] == "assistant" and message["seq"] > last["seq"] for message in stored):
        yield Violation("answered", f"message {last['seq']} of {last['conversation']}; runs: {rows}")


async def _documents(trial: Trial) -> AsyncIterator[Violation]:
    for document in dict.fromkeys(typist.document for typist in trial.typists):
        typists = [typist for typist in trial.typists if typist.document == document]
        person = typists[0].person
        opened, log, waiting = await retry(partial(read_document, person, document))
        trial.written += Counter("change by an agent" if update["run"] else "change by a person" for update in log)
        for number, typist in enumerate(typists):
            same = (opened["version"], opened["text"])
            if not await wait_until(
                lambda t=typist, s=same: (t.version, t.text) == s, CONVERGE_TIMEOUT * trial.patience
            ):
                has = f"has version {typist.version} {typist.text!r}, not {same}"
                yield Violation("documents", f"browser {number} {has}")
            around = (opened["title"], waiting)
            lossy = any(trial.schedule.loss.values())  # only a new snapshot repairs what the layer lost by itself
            if not lossy and not await wait_until(
                lambda t=typist, a=around: (t.title, t.proposals.keys()) == a, CONVERGE_TIMEOUT * trial.patience
            ):
                has = f"{typist.title!r} with the proposals {list(typist.proposals)}"
                yield Violation("documents", f"browser {number} shows {has}, not {around}")
            times = Counter(update["client_id"] for update in log)
            lost = [client_id for client_id in typist.acknowledged if times[client_id] != 1]
            if lost:
                yield Violation("documents", f"of browser {number}, the log has {[(c, times[c]) for c in lost]}")
            if not typist.acknowledged:
                yield Violation("documents", f"browser {number} has written nothing")
        text = ""
        for update in log:
            text = ChangeSet.parse(update["changes"]).apply(text)
        if text != opened["text"] or [update["version"] for update in log] != list(range(1, len(log) + 1)):
            yield Violation("documents", f"the log gives {text!r}, but stored is {opened['text']!r}")
        if opened["writing"] is not None:
            yield Violation("documents", f"it still has an open range: {opened['writing']}")
        if MARK not in text:
            yield Violation("documents", f"the marked line is gone: {text!r}")


async def _left_behind(trial: Trial) -> AsyncIterator[Violation]:
    deadline = time.monotonic() + CLEANUP_TIMEOUT * trial.patience
    while True:
        found = [*await _open_streams(trial)]
        for number, process in enumerate(trial.cluster.processes):
            found += [Violation(check, f"process {number}: {what}") for check, what in await _leftovers(process)]
        if not found or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.3)
    for violation in found:
        yield violation


async def _open_streams(trial: Trial) -> list[Violation]:
    stats = await asyncio.to_thread(trial.cluster.upstream.stats)
    return [Violation("closed", f"{stats['active']} streams are open")] if stats["active"] else []


async def _leftovers(process: Process) -> list[tuple[str, str]]:
    state = await process.query("process")
    tasks = Counter(state["tasks"]) - Counter(IDLE_TASKS)
    # Through these a process reaches itself, and is asked for what it measures.
    groups = [group for group in state["groups"] if ".echo." not in group and not group.endswith(".processes")]
    found = [("nothing left", f"task {name} x {number}") for name, number in tasks.items()]
    if state["runs"] or state["sockets"] or state["channels"] > 1 or groups or state["presence"]:
        found.append(("nothing left", str({name: value for name, value in state.items() if name != "tasks"})))
    process.memory = process.memory or state["memory"]
    if state["memory"] > process.memory + MAX_MEMORY_GROWTH:
        found.append(("memory", f"{process.memory:.0f} MiB, then {state['memory']:.0f}"))
    return found
