"""The rules of docs/protocol.md, "Following a run", for a reader who cannot send commands. Pure: frames in; which of
them the reader needs, and the commands that have to be sent in their name, out.

It keeps numbers only, no texts.
"""

from typing import Any

import msgspec
from msgspec import Struct

SILENCE = 10.0
"""Seconds without a frame of an active run, after which its state is asked for."""

SILENCE_OF_APPROVAL = 60.0
"""The same for a run that waits for a decision."""

PAGE = 100
MAX_PAGES = 10
"""How many pages of what a reader has missed are sent. They can load the rest by themselves."""

OVER = 2**62
"""Stands for the last `seq` of a run that has ended: no frame of it follows."""

REF = "stream"
"""The `ref` of commands, by which their answers are known."""

Command = dict[str, Any]


class _Run(Struct):
    id: str
    seq: int
    status: str


class _Message(Struct):
    seq: int
    run: _Run | None = None


class _Frame(Struct):
    run: str | None = None
    seq: int = 0
    last_seq: int = 0
    ref: str | None = None
    message: _Message | None = None
    messages: list[_Message] = []
    runs: list[_Run] = []
    more: bool = False


_decoder = msgspec.json.Decoder(_Frame)


class Follower:
    """What a reader knows of one conversation. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self.newest = 0
        """The `seq` of the newest message that the reader has heard of, or 0."""
        self.counted: tuple[str, int] | None = None
        """The run and `seq` up to which the frame that was followed last has to be acknowledged, if it has to be."""
        self._seqs: dict[str, int] = {}
        self._asked: set[str] = set()
        """Runs of which frames were lost, until their state arrives."""
        self._active: dict[str, tuple[float, bool]] = {}
        """When the last frame of each active run came, and whether it waits for a decision."""
        self._missing_from = 0
        self._pages_left = 0

    @property
    def known(self) -> int:
        """The `seq` up to which the reader knows all messages."""
        return self._missing_from - 1 if self._pages_left else self.newest

    def follow(self, kind: str, text: str, at: float) -> tuple[bool, list[Command]]:
        """Follow a frame. Returns whether the reader needs it, and the commands that have to be sent."""
        self.counted = None
        match kind:
            case "snapshot":
                return True, self._begin(_decoder.decode(text), at)
            case "message.created":
                return True, self._hear_of(_decoder.decode(text).message)
            case "history.page":
                return True, self._load_more(_decoder.decode(text))
            case "run.started":
                frame = _decoder.decode(text)
                self._note(frame.message, at)
                return True, self._hear_of(frame.message)
            case "run.delta" | "run.tool":
                return self._count(_decoder.decode(text), at)
            case "run.state":
                return self._replace(_decoder.decode(text), at)
            case "run.finished":
                return self._finish(_decoder.decode(text))
            case "error":
                return _decoder.decode(text).ref != REF, []
            case "conversation.state":
                return False, self._compare(_decoder.decode(text))
        return True, []

    def find_silent(self, at: float) -> list[Command]:
        """Ask for the state of active runs of which nothing was heard for too long."""
        commands = []
        for run, (heard, waits) in self._active.items():
            if at - heard > (SILENCE_OF_APPROVAL if waits else SILENCE):
                self._active[run] = at, waits
                commands.append(_sync(run))
        return commands

    def _begin(self, frame: _Frame, at: float) -> list[Command]:
        self._seqs.clear()
        self._asked.clear()
        self._active.clear()
        for message in frame.messages:
            self._note(message, at)
        for run in frame.runs:
            self._active.setdefault(run.id, (at, run.status == "awaiting_approval"))
        known = self.newest
        self.newest = max([known, *(message.seq for message in frame.messages)])
        if known and frame.more and frame.messages[0].seq > known + 1:
            return self._load(known + 1, frame.messages[0].seq)
        return []

    def _note(self, message: _Message | None, at: float) -> None:
        """Note how much of its run a message includes."""
        if message is None or message.run is None:
            return
        run = message.run
        if run.status in ("queued", "running", "awaiting_approval"):
            self._seqs[run.id] = run.seq
            self._active[run.id] = at, run.status == "awaiting_approval"
        else:
            self._seqs[run.id] = OVER
            self._active.pop(run.id, None)

    def _hear_of(self, message: _Message | None) -> list[Command]:
        """Ask for the messages before this one if it is not the next one. A retried answer leaves its number unused."""
        if message is None or message.seq <= self.newest:
            return []
        known, self.newest = self.newest, message.seq
        return self._load(known + 1, message.seq) if message.seq > known + 1 else []

    def _load(self, first: int, before: int) -> list[Command]:
        self._missing_from, self._pages_left = first, MAX_PAGES
        return [self._page(before)]

    def _load_more(self, frame: _Frame) -> list[Command]:
        self._pages_left -= 1
        is_complete = not frame.more or not frame.messages or frame.messages[0].seq <= self._missing_from
        if is_complete or self._pages_left <= 0:
            self._pages_left = 0
            return []
        return [self._page(frame.messages[0].seq)]

    def _page(self, before: int) -> Command:
        return {"type": "history.load", "before": before, "limit": min(PAGE, before - self._missing_from), "ref": REF}

    def _count(self, frame: _Frame, at: float) -> tuple[bool, list[Command]]:
        run = frame.run or ""
        last = self._seqs.get(run)
        if last is not None and frame.seq <= last:
            return False, []
        if last is None or frame.seq > last + 1:
            if run in self._asked:
                return False, []
            self._asked.add(run)
            return False, [_sync(run)]
        self._seqs[run] = frame.seq
        self._active[run] = at, False
        self.counted = run, frame.seq
        return True, []

    def _replace(self, frame: _Frame, at: float) -> tuple[bool, list[Command]]:
        run = frame.run or ""
        last = self._seqs.get(run, -1)
        is_lost, is_ours = run in self._asked, frame.ref == REF
        if frame.seq < last or (frame.seq == last and is_ours and not is_lost):
            return False, []
        self._asked.discard(run)
        self._note(frame.message, at)
        self._seqs[run] = frame.seq
        self.counted = run, frame.seq
        return True, self._hear_of(frame.message)

    def _finish(self, frame: _Frame) -> tuple[bool, list[Command]]:
        run = frame.run or ""
        if self._seqs.get(run) == OVER:
            return False, []
        self._seqs[run] = OVER
        self._asked.discard(run)
        self._active.pop(run, None)
        return True, self._hear_of(frame.message)

    def _compare(self, frame: _Frame) -> list[Command]:
        """Compare the newest numbers with what the reader knows: nothing else shows that the last frames are lost."""
        commands = []
        if frame.last_seq > self.newest:
            known, self.newest = self.newest, frame.last_seq
            commands += self._load(known + 1, frame.last_seq + 1)
        asked_after = {
            run for run in {*self._active, frame.run} if run and (run != frame.run or run not in self._active)
        }
        return commands + [_sync(run) for run in sorted(asked_after)]


def _sync(run: str) -> Command:
    return {"type": "run.sync", "run": run, "ref": REF}
