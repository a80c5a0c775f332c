"""Processes report to each other: a process that asks waits for all, and for nobody else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from chat.concurrency import TaskSets, detached, now
from chat.monitoring import reporter as reporting
from chat.monitoring.measure import Measure
from chat.monitoring.reporter import Gathered, Reporter
from chat.monitoring.reports import Report, decode
from chat.monitoring.roster import ANNOUNCE_EVERY, FORGET_AFTER, SETTLE, Roster
from chat.node import node
from chat.realtime import groups
from chat.realtime.layer import LayerMessage
from chat.realtime.mailbox import Mailbox, mailbox
from chat.runs.liveness import Liveness, Process

from ..support.servers import PATIENCE

Scenario = Callable[..., Any]


class Peer:
    """Another process, as far as reports go."""

    def __init__(self, host: str) -> None:
        here, self.tasks = node.current(), TaskSets()
        process = Process(host, Liveness(now()))
        measure = Measure(process, here.supervisor, here.hub, here.outages)
        self.reporter = Reporter(process, measure, self.tasks)
        self.deaf = False

    async def listen(self, own: Mailbox) -> None:
        while True:
            message = await own.receive()
            if not self.deaf:
                self.reporter.handle(message)


@asynccontextmanager
async def peers(*hosts: str) -> AsyncIterator[list[Peer]]:
    """This process, and others in the same event loop, when all know each other."""
    await node.current().open()
    made = []
    for host in hosts:
        peer = Peer(host)
        box = mailbox()
        own = await box.__aenter__()
        detached(peer.listen(own), peer.tasks.watching)
        detached(peer.reporter.run(own), peer.tasks.watching)
        made.append((peer, box))
    reporters = [node.current().reporter, *(peer.reporter for peer, _ in made)]
    try:
        async with asyncio.timeout(PATIENCE):
            while not all(
                each._roster.is_settled(now()) and len(each._roster.others(now())) == len(hosts) for each in reporters
            ):
                await asyncio.sleep(0.05)
        yield [peer for peer, _ in made]
    finally:
        for peer, box in made:
            for task in peer.tasks.watching:
                task.cancel()
            await asyncio.sleep(0)
            await box.__aexit__(None, None, None)


def hosts_of(gathered: Gathered) -> set[str]:
    return {report.host for report in gathered.reports}


def test_all_answer_and_then_nobody_waits_any_longer(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "GATHER_TIMEOUT", 10 * PATIENCE)  # so if it waits for time, this test hangs

    async def talk() -> None:
        async with peers("two", "three"):
            here = node.current()
            gathered = await here.reporter.gather()
            assert hosts_of(gathered) == {here.host, "two", "three"}
            assert gathered.silent == []

    scenario(talk)


def test_one_process_that_does_not_answer_costs_time_but_not_the_others(scenario: Scenario) -> None:
    async def talk() -> None:
        async with peers("two", "three") as (two, _):
            two.deaf = True
            gathered = await node.current().reporter.gather()
            assert hosts_of(gathered) == {node.current().host, "three"}
            assert gathered.silent == ["two"]

    scenario(talk)


def test_a_process_that_ends_says_so(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "GATHER_TIMEOUT", 10 * PATIENCE)

    async def talk() -> None:
        async with peers("two", "three") as (two, _):
            two.deaf = True
            await two.reporter.close()
            gathered = await node.current().reporter.gather()
            assert "two" not in hosts_of(gathered)
            assert gathered.silent == []

    scenario(talk)


def test_processes_report_only_while_somebody_watches(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "WATCH_EVERY", 0.0)
    monkeypatch.setattr(reporting, "WATCHED_FOR", 2.5)

    async def receive(box: Mailbox) -> Report:
        message: LayerMessage = await box.receive()
        assert message["type"] == "report"
        return decode(message["text"])

    async def talk() -> None:
        async with peers("two"), mailbox(groups.watchers()) as box:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(box), 1.5)
            async with asyncio.timeout(PATIENCE):
                with node.current().reporter.watching():
                    heard: list[str] = []
                    while heard.count("two") < 3 or heard.count(node.current().host) < 3:
                        heard.append((await receive(box)).host)
                # What is under way may still come, but not for ever.
                with pytest.raises(TimeoutError):
                    while True:
                        await asyncio.wait_for(receive(box), 4)

    scenario(talk)


def test_log_lines_travel_only_while_somebody_reads_and_only_as_they_read(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "WATCH_EVERY", 0.0)
    monkeypatch.setattr(reporting, "WATCHED_FOR", 2.5)
    log = logging.getLogger("nous_chat.test")

    async def receive(box: Mailbox) -> str:
        message: LayerMessage = await box.receive()
        assert message["type"] == "log"
        assert "this line" not in message["text"]
        return str(msgspec.json.decode(message["text"])["host"])

    async def keep_logging() -> None:
        while True:
            log.warning("Somebody may read %s", "this line")
            await asyncio.sleep(0.1)

    async def talk() -> None:
        here = node.current()
        logging_on = asyncio.create_task(keep_logging())
        async with (
            peers("two"),
            mailbox(groups.log_readers(content=False)) as masked,
            mailbox(groups.log_readers(content=True)) as whole,
        ):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(masked), 1.5)
            async with asyncio.timeout(PATIENCE):
                with here.reporter.reading_log(content=False):
                    heard: set[str] = set()
                    while heard != {here.host, "two"}:
                        heard.add(await receive(masked))
            with pytest.raises(TimeoutError):
                while True:  # what is under way may still come
                    await asyncio.wait_for(receive(masked), 4)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(whole), 0.1)
        logging_on.cancel()

    scenario(talk)


def test_a_roster_forgets_who_does_not_announce_itself() -> None:
    roster = Roster("one")
    roster.hear("two", 0)
    assert not roster.is_settled(100), "it has not heard itself, so it may not hear others either"
    roster.hear("one", 100)
    assert not roster.is_settled(100), "the others have not answered yet"
    assert roster.is_settled(100 + SETTLE)
    roster.hear("two", 100)
    assert roster.others(100 + FORGET_AFTER) == {"two"}
    assert roster.others(100.1 + FORGET_AFTER) == set()


def test_after_an_outage_a_roster_has_to_settle_again() -> None:
    roster = Roster("one")
    roster.hear("one", 0)
    roster.hear("one", ANNOUNCE_EVERY)
    assert roster.is_settled(ANNOUNCE_EVERY)
    back = ANNOUNCE_EVERY + FORGET_AFTER + 1
    assert not roster.is_settled(back)
    roster.hear("one", back)
    assert not roster.is_settled(back)
    assert roster.is_settled(back + SETTLE)
