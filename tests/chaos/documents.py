"""Somebody who works in a document while everything breaks, as a page does: one push in flight."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Sequence

import httpx

from chat.documents.changesets import ChangeSet, units

from ..support.client import Person
from ..support.protocol_client import Frame
from .browser import Browser, Place
from .schedule import MARK

TEXT = f"People write here.\n{MARK}\nand here.\n"

TYPE_EVERY = 0.15
"""Seconds between two words."""

ANSWER_WITHIN = 4.0
"""Seconds without the change of a push, or without the answer to a sync, after which the log is asked for. The page
waits 5.
"""

SYNC_EVERY = 6.0
"""Seconds without a frame about the document after which the log is asked for. The page waits 20."""


class TypingBrowser(Browser):
    """A Browser that has the document of its conversation open."""

    def __init__(self, places: Sequence[Place], person: Person, conversation: str, process: int, seed: str) -> None:
        super().__init__(places, person, conversation, process)
        self.document = ""
        """The document's id. Empty until `open`."""
        self.text, self.version = "", 0
        """What everybody has changed, without what is not in the log yet."""
        self.acknowledged: set[str] = set()
        """The client_id of each push that was acknowledged or came back."""
        self.refused: list[str] = []
        """Codes of pushes that were given up."""
        self.types = False
        self.title = ""
        self.proposals: dict[str, Frame] = {}
        """Those that wait for a decision, by id."""
        self._log: list[ChangeSet] = []
        """The changes after the version with which it was opened."""
        self._opened_at = 0
        self._news: list[Frame] | None = None
        """What happens to proposals while they are loaded."""
        self._must_load = False
        self._pending: ChangeSet | None = None
        self._client_id = ""
        self._asked_at: dict[str, float] = {}
        self._typed_at = self._heard_at = 0.0
        self._rng = random.Random(seed)
        self._rebases = self._rng.random() < 0.7
        """Whether the server maps what is stale, or this client."""

    def open(self, document: Frame) -> None:
        self.document, self.text, self.version = document["id"], document["text"], document["version"]
        self.title, self._opened_at = document["title"], document["version"]

    # --- Actions of the user, but for typing

    async def propose(self, text: str) -> None:
        """Ask the agent about the first line, so that it proposes what it would change."""
        client_id = str(uuid.uuid4())
        self.sent.append(client_id)
        selection = {"document": self.document, "version": self.version, "from": 0, "to": min(units(self.text), 5)}
        await self._send_until_confirmed("message.send", client_id=client_id, text=text, selection=selection)

    async def resolve(self) -> None:
        """Decide on the oldest proposal: accept it, unless a push is on its way, and half of the time."""
        proposal = next(iter(self.proposals.values()), None)
        if proposal is None:
            return
        if self._pending is None and proposal["version"] >= self._opened_at and self._rng.random() < 0.5:
            changes = ChangeSet.parse(proposal["changes"])
            for later in self._log[proposal["version"] - self._opened_at :]:
                changes = changes.map(later)
            if not changes.is_empty:
                self._pending, self._client_id = changes, str(uuid.uuid4())
        await self._send_until_confirmed("document.resolve", document=self.document, proposal=proposal["id"])

    async def restore_version(self) -> None:
        """Sent once only: a second time, it would undo what others have written since."""
        await self.send("document.restore", document=self.document, version=self._rng.randint(1, self.version))

    async def rename(self) -> None:
        title = self._rng.choice(("Shared", "SHARED", "shared", "sHaReD"))  # the agent finds each of them
        await self._send_until_confirmed("document.update", document=self.document, title=title)

    async def delete_document(self, seconds: float) -> None:
        """Delete it for some seconds."""
        await self._send_until_confirmed("document.delete", document=self.document)
        while any(command["type"] == "document.delete" for command in self.unconfirmed):
            await asyncio.sleep(0.1)
        await asyncio.sleep(seconds)
        await self._send_until_confirmed("document.undelete", document=self.document)

    # --- What the page does by itself

    @property
    def unconfirmed(self) -> list[Frame]:
        pending = [{"type": "document.push", "client_id": self._client_id}] if self._pending is not None else []
        return [*super().unconfirmed, *pending]

    def apply(self, frame: Frame) -> list[Frame]:
        answers = super().apply(frame)
        match frame["type"]:
            case "snapshot":
                self._asked_at.clear()
                self._must_load = True
                self.title = next((each["title"] for each in frame["documents"] if self._is_mine(each)), self.title)
                return [*answers, *self._sync()]
            case "document.created" | "document.updated" if self._is_mine(frame["document"]):
                self.title = frame["document"]["title"]
            case "document.proposed" | "document.resolved" if frame["document"] == self.document:
                self._note_news(frame)
            case "document.changed" if frame["document"] == self.document:
                self._heard_at = time.monotonic()
                return [*answers, *self._take([frame])]
            case "document.updates" if frame["document"] == self.document:
                self._heard_at = time.monotonic()
                answers += self._take(frame["updates"])
                if frame["ref"] != "sync":  # several that were stored together
                    return answers
                self._asked_at.pop("sync", None)
                return [*answers, *(self._sync() if frame["more"] else self._push(again=True))]
            case "ack" if frame["ref"] == f"push {self._client_id}":
                self.acknowledged.add(self._client_id)
            case "error" if str(frame["ref"]).startswith("push "):
                return [*answers, *self._take_refusal(frame)]
        return answers

    def _is_mine(self, document: Frame) -> bool:
        return bool(document["id"] == self.document)

    def _note_news(self, frame: Frame) -> None:
        if self._news is not None:
            self._news.append(frame)
        if frame["type"] == "document.proposed":
            self.proposals[frame["proposal"]["id"]] = frame["proposal"]
        else:
            self.proposals.pop(frame["proposal"], None)

    def _note_error(self, frame: Frame) -> None:
        command = self._outbox.get(frame["ref"])
        super()._note_error(frame)
        if command and "selection" in command and frame["ref"] not in self._outbox:
            self.sent.remove(command["client_id"])  # the document is deleted

    def _take_refusal(self, frame: Frame) -> list[Frame]:
        self._asked_at.pop("push", None)
        if frame["code"] == "stale":
            return self._sync()
        if frame["code"] in ("unavailable", "rate_limited", "busy", "not_found"):
            return []  # `work` sends it again; a deleted document comes back
        self.refused.append(frame["code"])
        if frame["code"] != "conflict":
            self.errors.append(f"could not write in the document: {frame}")
        self._pending = None
        return []

    def _take(self, updates: Sequence[Frame]) -> list[Frame]:
        for update in updates:
            if update["version"] <= self.version:
                continue
            if update["version"] > self.version + 1:
                return self._sync()
            changes = ChangeSet.parse(update["changes"])
            self.text, self.version = changes.apply(self.text), update["version"]
            self._log.append(changes)
            if self._pending is not None and update["client_id"] == self._client_id:
                self.acknowledged.add(self._client_id)
                self._pending = None
                self._asked_at.pop("push", None)
            elif self._pending is not None:
                self._pending = self._pending.map(changes)
        return []

    def _sync(self) -> list[Frame]:
        if not self.document or "sync" in self._asked_at:
            return []
        self._asked_at["sync"] = time.monotonic()
        return [{"type": "document.sync", "ref": "sync", "document": self.document, "version": self.version}]

    def _push(self, again: bool = False) -> list[Frame]:
        if self._pending is None or "sync" in self._asked_at or ("push" in self._asked_at and not again):
            return []
        self._asked_at["push"] = time.monotonic()
        return [
            {
                "type": "document.push",
                "ref": f"push {self._client_id}",
                "document": self.document,
                "version": self.version,
                "changes": self._pending.to_json(),
                "client_id": self._client_id,
                "rebase": self._rebases,
            }
        ]

    async def work(self) -> None:
        """Type a word if it is time for one, and repeat what got no answer. Called several times a second."""
        now = time.monotonic()
        if not self.document or self.snapshot is None:
            return
        late = [what for what, asked_at in self._asked_at.items() if now - asked_at > ANSWER_WITHIN]
        for what in late:
            del self._asked_at[what]
        if self.types and self._pending is None and now - self._typed_at > TYPE_EVERY:
            self._typed_at = now
            self._pending, self._client_id = self._type(), str(uuid.uuid4())
        # First the log: the frame with the change of an acknowledged push may be lost.
        asks = late or now - max(self._heard_at, self._asked_at.get("sync", 0.0)) > SYNC_EVERY
        for command in [*(self._sync() if asks else []), *self._push()]:
            await self.transmit(json.dumps(command))
        if self._must_load:
            await self._load_proposals()

    async def _load_proposals(self) -> None:
        """Called after each snapshot: what happened to proposals before is in no frame."""
        self._must_load, self._news = False, []
        try:
            address = f"{self.person.prefix}api/documents/{self.document}/proposals/"
            answer = await self.person.http.get(address, timeout=2)
            if answer.status_code == 200:
                self.proposals = {each["id"]: each for each in answer.json()["proposals"]}
                for frame in self._news[:]:
                    self._note_news(frame)
        except httpx.HTTPError:
            answer = None
        self._must_load |= answer is None or answer.status_code != 200
        self._news = None

    def _type(self) -> ChangeSet:
        """Insert a word somewhere, or delete a few characters, but never in the marked line."""
        mark = self.text.index(MARK)
        places = [at for at in range(len(self.text) + 1) if not mark < at <= mark + len(MARK)]
        at = self._rng.choice(places)
        end = at
        if self._rng.random() < 0.3:
            end = min(len(self.text), at + self._rng.randint(1, 5))
            if at <= mark < end:
                end = at
        word = self._rng.choice(("word ", "😀", "\n", "two\nlines\n", "é", "")) or ("x" if end == at else "")
        start, stop = (units(self.text[:place]) for place in (at, end))
        return ChangeSet.replace(units(self.text), [(start, stop, word)])


async def create_document(person: Person, conversation: str, seconds: float) -> Frame:
    """The document in which everybody writes, with its text."""
    address = f"{person.prefix}api/conversations/{conversation}/documents/"
    new = {"title": "Shared", "text": TEXT}
    answer = await person.http.post(address, json=new, headers=person.csrf, timeout=seconds)
    assert answer.status_code == 201, answer.text
    created: Frame = answer.json()
    return created | {"text": TEXT}


async def read_document(person: Person, document: str) -> tuple[Frame, list[Frame], set[str]]:
    """A document as it is stored, its whole log, and the ids of its proposals."""
    opened = (await person.http.get(f"{person.prefix}api/documents/{document}/")).raise_for_status().json()
    log: list[Frame] = []
    more = True
    while more:
        address = f"{person.prefix}api/documents/{document}/updates/?since={len(log)}"
        page = (await person.http.get(address)).raise_for_status().json()
        log += page["updates"]
        more = page["more"]
    waiting = (await person.http.get(f"{person.prefix}api/documents/{document}/proposals/")).raise_for_status().json()
    return opened, log, {proposal["id"] for proposal in waiting["proposals"]}
