"""Reports between processes, over the channel layer: every process can answer for all.

Each announces itself, so that a process that asks knows whom to wait for. It sends its report when somebody asks
(`gather`), and once a second while somebody watches (`watching`). With nobody asking, that is one message in five
seconds.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from ..concurrency import TaskSets, detached, fair_timeout, now
from ..realtime import groups, layer
from ..realtime.layer import LayerMessage
from ..realtime.mailbox import Away, Mailbox, mailbox
from ..runs.liveness import TICK, Process
from .history import SAMPLE_EVERY, History
from .live_log import LiveLog
from .measure import LoopLag, Measure
from .reports import Past, Report, decode, encode
from .roster import ANNOUNCE_EVERY, Roster

logger = logging.getLogger("nous_chat.monitoring")

GATHER_TIMEOUT = 0.8
"""Seconds that the reports of the other processes may take."""

REPORTS, LOG, LOG_CONTENT = "reports", "log", "log_content"
"""What can be watched: figures and runs; the log without what people wrote; the log as it is."""

WATCH_EVERY = 5.0
"""Seconds between two messages of a process that somebody watches all."""

WATCHED_FOR = 12.0
"""Seconds after such a message in which every process reports."""


@dataclass(frozen=True)
class Gathered:
    """The reports of all processes that answered."""

    reports: list[Report]
    silent: list[str]
    """Processes that have announced themselves lately, but did not answer in time."""


class Reporter:
    """Announces this process, and sends its reports. `run` is its task; `Node` owns it."""

    def __init__(self, process: Process, measure: Measure, tasks: TaskSets) -> None:
        self._process = process
        self._measure = measure
        self._tasks = tasks
        self._roster = Roster(process.host)
        self._mailbox: Mailbox | None = None
        self._lag = LoopLag()
        self._history = History()
        self._announce_at = self._ask_at = self._sample_at = 0.0
        self._log = LiveLog(process.host)
        self._watchers: Counter[str] = Counter()
        """How many sockets of this process watch what: REPORTS, LOG, or LOG_CONTENT."""
        self._watched_until: dict[str, float] = {}
        self._log_sent: dict[str, tuple[int, int]] = {}
        """Up to which position of the log readers of LOG, and of LOG_CONTENT, have got it."""

    # --- For edges

    async def gather(self) -> Gathered:
        """Ask every process for its report. Returns within GATHER_TIMEOUT, or a little later on a busy machine.

        A process that makes no runs, such as one under WSGI, only asks the others.
        """
        found: dict[str, Report] = {}
        with suppress(TimeoutError, Away):
            async with fair_timeout(GATHER_TIMEOUT), mailbox() as answers:
                await self._broadcast({"type": "report_wanted", "host": self._process.host, "channel": answers.name})
                while not (self._roster.is_settled(now()) and self._roster.others(now()) <= found.keys()):
                    message = await answers.receive()
                    with suppress(msgspec.ValidationError):  # of a process of another version, during an update
                        found[message["host"]] = decode(message["text"])
        silent = sorted(self._roster.others(now()) - found.keys())
        own = [self._measure.report()] if self._mailbox is not None else []
        return Gathered([*own, *found.values()], silent)

    def watching(self) -> AbstractContextManager[None]:
        """Have every process send a report once a second to the group `groups.watchers()`, with its runs, as long as
        the block lasts and some seconds longer.
        """
        return self._watching(REPORTS)

    def reading_log(self, content: bool) -> AbstractContextManager[None]:
        """The same for new log records, to the group `groups.log_readers(content)`."""
        return self._watching(_log_of(content))

    @contextmanager
    def _watching(self, what: str) -> Iterator[None]:
        self._watchers[what] += 1
        self._ask_at = 0.0
        try:
            yield
        finally:
            self._watchers[what] -= 1

    async def ask_past(self, channel: str) -> None:
        """Have every process send its last hour to a mailbox: a layer message like a report, with a `Past`."""
        await self._ask_all({"type": "past_wanted", "channel": channel})

    async def ask_log(self, channel: str, content: bool) -> None:
        """Have every process send the log records that it has kept to a mailbox: a layer message like those of
        `reading_log`, with a `LogFrame`.
        """
        await self._ask_all({"type": "log_wanted", "channel": channel, "content": content})

    def known_hosts(self) -> list[str]:
        """All processes that have announced themselves lately, this one included."""
        return sorted({self._process.host, *self._roster.others(now())})

    # --- Called by node

    async def run(self, own: Mailbox) -> None:
        """Announce this process, and report while somebody watches. `own` is this process's mailbox.

        Started by `Node.open`, cancelled by `Node.drain`; nothing escapes.
        """
        self._mailbox = own
        self._lag.start()
        logging.getLogger().addHandler(self._log)
        try:
            while True:
                try:
                    await self._tick(own)
                except Exception:
                    logger.exception("This process could not report")
                await asyncio.sleep(TICK)
        finally:
            self._lag.stop()
            logging.getLogger().removeHandler(self._log)

    async def close(self) -> None:
        """Tell the others not to wait for this process, which ends."""
        if self._mailbox is not None:
            await self._broadcast({"type": "gone", "host": self._process.host})

    def handle(self, message: LayerMessage) -> None:
        """Act on a message of another process, or an own one that has come back. Answers are tasks, cancelled by
        `Node.drain`; nothing escapes.
        """
        match message:
            case {"type": "alive", "host": host, "channel": channel, "asks": asks}:
                self._roster.hear(host, now())
                if asks and host != self._process.host:
                    self._answer(channel, self._announcement(asks=False))
            case {"type": "gone", "host": host}:
                self._roster.forget(host)
            case {"type": "report_wanted", "host": host, "channel": channel} if host != self._process.host:
                self._answer(channel, self._message(self._measure.report()))
            case {"asker": host} if host == self._process.host:
                pass  # `_ask_all` has done it
            case {"type": "past_wanted", "channel": channel}:
                past = Past(self._process.host, self._history.all())
                self._answer(channel, {"type": "report", "host": past.host, "text": encode(past)})
            case {"type": "log_wanted", "channel": channel, "content": content}:
                what = _log_of(content)
                self._watched_until[what] = now() + WATCHED_FOR
                self._log_sent.setdefault(what, self._log.position())
                self._answer(channel, self._log_message(content))
            case {"type": "watched", "what": kinds}:
                self._watched_until |= dict.fromkeys(kinds, now() + WATCHED_FOR)

    # --- Its parts

    async def _tick(self, own: Mailbox) -> None:
        at = now()
        if at >= self._announce_at or not self._roster.is_settled(at):
            self._announce_at = at + ANNOUNCE_EVERY
            announcement = self._announcement(asks=not self._roster.is_settled(at))
            detached(own.probe(groups.processes(), announcement), self._tasks.watching)
        watched_here = [what for what, count in self._watchers.items() if count]
        if watched_here and at >= self._ask_at:
            self._ask_at = at + WATCH_EVERY
            await self._ask_all({"type": "watched", "what": watched_here})
        watched = self._is_watched(REPORTS, at)
        if watched or at >= self._sample_at:
            self._sample_at = at + SAMPLE_EVERY
            report = self._measure.report(with_runs=watched)
            self._history.note(report.series)
            if watched:
                message = self._message(replace(report, minutes=self._history.newest()))
                await layer.send_to_group(groups.watchers(), message)
        for content in (False, True):
            await self._send_log(content, at)

    def _is_watched(self, what: str, at: float) -> bool:
        return at < self._watched_until.get(what, 0.0)

    async def _send_log(self, content: bool, at: float) -> None:
        """What was logged since the last time."""
        what, position = _log_of(content), self._log.position()
        if not self._is_watched(what, at):
            self._log_sent.pop(what, None)
            return
        sent = self._log_sent.get(what, position)
        self._log_sent[what] = position
        if position != sent:
            await layer.send_to_group(groups.log_readers(content), self._log_message(content, sent))

    def _log_message(self, content: bool, after: tuple[int, int] | None = None) -> LayerMessage:
        text, lines = self._log.frame(content, after)
        return {"type": "log", "text": text, "lines": lines}

    def _announcement(self, asks: bool) -> LayerMessage:
        assert self._mailbox is not None
        return {"type": "alive", "host": self._process.host, "channel": self._mailbox.name, "asks": asks}

    def _message(self, report: Report) -> LayerMessage:
        return {"type": "report", "host": report.host, "text": encode(report)}

    async def _broadcast(self, message: dict[str, Any]) -> None:
        await layer.send_to_group(groups.processes(), message)

    async def _ask_all(self, message: dict[str, Any]) -> None:
        """Broadcast what this process has to do as well, which may hear nothing of itself: at its start, or during an
        outage of the layer.
        """
        self.handle(message)
        await self._broadcast({**message, "asker": self._process.host})

    def _answer(self, channel: str, message: LayerMessage) -> None:
        detached(layer.send(channel, message), self._tasks.watching)


def _log_of(content: bool) -> str:
    return LOG_CONTENT if content else LOG
