"""Conversations of a made-up site, each with its rows, from a seed: the same arguments give the same site."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from random import Random
from typing import Any
from uuid import UUID

from django.db.models import Model
from msgspec import Struct

from ... import fulltext
from ...conf import Price
from ...documents.changesets import ChangeSet, units
from ...engine import Usage
from ...models import (
    Attachment,
    Conversation,
    Document,
    DocumentUpdate,
    Edit,
    Message,
    Participant,
    Passage,
    Run,
    Spending,
    ToolCall,
)
from ...times import to_row
from ..pricing import compute_cost
from . import texts

DAYS = 540
"""How far back the site's history goes."""

MODELS = {
    "openai:gpt-4o": Price(input=Decimal("2.5"), output=Decimal(10), cached=Decimal("1.25")),
    "openai:gpt-4o-mini": Price(input=Decimal("0.15"), output=Decimal("0.6")),
    "anthropic:claude-sonnet-4-5": Price(input=Decimal(3), output=Decimal(15), cached=Decimal("0.3")),
    "ollama:qwen3": None,
}
"""Models that have answered. Their costs are made up of these prices; one is free."""

FAILURES = (
    ("rate_limited", "The model is busy. Try again."),
    ("overloaded", "The model is overloaded. Try again."),
    ("first_token_timeout", "The model did not answer in time. Try again."),
    ("stream_cut", "The answer broke off."),
    ("internal", "Something went wrong on our side. Try again."),
)
"""Codes and messages of runs that failed."""
TOOLS = ("search_documents", "get_weather", "create_ticket")


class Site(Struct, frozen=True):
    """What all conversations share."""

    seed: int
    now: datetime
    users: Sequence[Any]
    """Keys of users."""
    guests: Sequence[Any]
    agents: Sequence[str]
    files: Sequence[tuple[str, bytes]]
    """Names in the storage of text files that attachments share, and their contents."""
    room_type: Any
    """The key of a content type, whose objects have rooms: the user model."""


Row = dict[str, Any]
Rows = dict[type[Model], list[Row]]
"""Values by the names of attributes, as `insert_rows` takes them."""

_SENTENCE_END = re.compile(r"(?<=[.?!]) |\n")


@lru_cache(maxsize=100_000)
def _words(sentence: str) -> list[str]:
    """There are so few sentences that finding their words again and again would take longer than all else."""
    return fulltext.split_words(sentence)


def _index_text(text: str) -> str:
    """`fulltext.make_index_text` of a short text."""
    return " ".join(dict.fromkeys(chain.from_iterable(map(_words, _SENTENCE_END.split(text)))))


def split(rng: Random, total: int, number: int) -> Iterator[int]:
    """Divide `total` into `number` parts, a few of them large."""
    weights = [rng.lognormvariate(0, 1) for _ in range(number)]
    scale, before, done = total / sum(weights), 0.0, 0
    for index, weight in enumerate(weights, 1):
        before += weight * scale
        upto = total if index == number else int(before)
        yield upto - done
        done = upto


def make_conversations(site: Site, conversations: int, messages: int) -> Iterator[Rows]:
    """The rows of each conversation, by model."""
    sizes = split(Random(site.seed), messages, conversations)
    for number, size in enumerate(sizes):
        yield _Maker(site, number).make(size)


class _Maker:
    """Makes one conversation."""

    def __init__(self, site: Site, number: int) -> None:
        self._site = site
        self._number = number
        self._rng = Random(f"{site.seed}:{number}")
        self._rows: Rows = defaultdict(list)
        self._spent: dict[tuple[Any, Any], tuple[int, Decimal, int]] = {}

    def _id(self) -> UUID:
        return UUID(int=self._rng.getrandbits(128), version=4)

    def _add(self, table: type[Model], **values: Any) -> Row:
        self._rows[table].append(values)
        return values

    def make(self, size: int) -> Rows:
        rng, site = self._rng, self._site
        self._at = site.now - timedelta(days=DAYS * rng.random(), seconds=3600)
        self._room = room = self._add(
            Conversation,
            id=self._id(),
            title=texts.title(rng),
            title_from=rng.choice(("words", "words", "model", "person")),
            agent=rng.choice(site.agents),
            last_seq=size,
            created_at=to_row(self._at),
        )
        self._price = MODELS[model] if (model := rng.choice(list(MODELS))) else None
        self._model = model
        self._choose_kind()
        people = self._choose_people()
        self._index(room["title"], None)
        question: Row | None = None
        for seq in range(1, size + 1):
            self._at = min(self._at + timedelta(seconds=rng.expovariate(1 / 240)), site.now)
            if question is not None and rng.random() < 0.9:
                self._add_answer(seq, question)
                question = None
            else:
                question = self._add_question(seq, rng.choice(people))
        if rng.random() < 0.02:
            self._add_document(people[0])
        room["updated_at"] = to_row(self._at)
        for (day, user), (tokens, cost, runs) in self._spent.items():
            figures = {"tokens": tokens, "cost": cost, "runs": runs}
            named = {"agent": room["agent"], "model": self._model}
            self._add(Spending, day=day, user_id=user, conversation_id=room["id"], **named, **figures)
        return self._rows

    def _choose_kind(self) -> None:
        """Most conversations are in lists; some are of API clients, of guests, or rooms of objects."""
        site, room = self._site, self._room
        self._guest = self._number % 37 == 0 and self._number // 37 < len(site.guests)
        if self._number % 29 == 1:
            room["listed"] = False
            room["expires_at"] = to_row(site.now + timedelta(days=30))
        elif self._number % 41 == 2 and self._number // 41 < len(site.users):
            room["content_type_id"] = site.room_type
            room["object_id"] = str(site.users[self._number // 41])
            room["listed"] = False
        elif self._number % 97 == 3:
            room["deleted_at"] = to_row(site.now)

    def _choose_people(self) -> list[Any]:
        rng, site = self._rng, self._site
        if self._guest:
            people = [site.guests[self._number // 37]]
        else:
            number = 1 if rng.random() < 0.8 else rng.randint(2, 8)
            people = rng.sample(site.users, min(number, len(site.users)))
        for index, user in enumerate(people):
            role = "member" if index or self._guest else "owner"
            read = rng.randint(0, self._room["last_seq"])
            self._add(
                Participant,
                conversation_id=self._room["id"],
                user_id=user,
                role=role,
                joined_at=self._room["created_at"],
                last_read=read,
                pinned=rng.random() < 0.05,
                archived=rng.random() < 0.1,
            )
        return people

    def _index(self, text: str, message: UUID | None) -> None:
        if words := _index_text(text):
            self._add(Passage, conversation_id=self._room["id"], message_id=message, text=words)

    def _message(self, seq: int, role: str, text: str, **values: Any) -> Row:
        here = {"conversation_id": self._room["id"], "created_at": to_row(self._at)}
        row = self._add(Message, id=self._id(), seq=seq, role=role, text=text, **here, **values)
        self._index(text, row["id"])
        return row

    def _add_question(self, seq: int, user: Any) -> Row:
        rng = self._rng
        row = self._message(seq, "user", texts.question(rng), author_id=user, client_id=self._id())
        chance = rng.random()
        if chance < 0.02:
            row["edited_at"] = row["created_at"]
            text = texts.question(rng)
            self._add(Edit, message_id=row["id"], text=text, edited_by_id=user, edited_at=row["created_at"])
        elif chance < 0.03:
            row["deleted_at"], row["deleted_by_id"] = row["created_at"], user
        elif chance < 0.035:
            name, content = rng.choice(self._site.files)
            self._add(
                Attachment,
                id=self._id(),
                conversation_id=self._room["id"],
                message_id=row["id"],
                uploaded_by_id=user,
                file=name,
                name="notes.txt",
                type="text/plain",
                size=len(content),
                text=content.decode(),
                created_at=row["created_at"],
            )
        return row

    def _add_answer(self, seq: int, question: Row) -> None:
        rng = self._rng
        text = texts.answer(rng)
        thinking = texts.thought(rng) if rng.random() < 0.15 else ""
        row = self._message(seq, "assistant", text, thinking=thinking)
        usage = Usage(rng.randint(200, 6000), len(text) // 4 + 1, None)
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        cost = None if self._price is None else compute_cost(usage, self._price)
        started = self._at + timedelta(seconds=rng.expovariate(2))
        finished = self._at + timedelta(seconds=1 + rng.expovariate(1 / 8))
        waited = timedelta(seconds=rng.expovariate(1.2))
        asker = question["author_id"]
        run = self._add(
            Run,
            id=self._id(),
            conversation_id=self._room["id"],
            message_id=row["id"],
            agent=self._room["agent"],
            model=self._model,
            launched_by_id=asker,
            host="showcase",
            status="completed",
            finish_reason="stop",
            seq=len(text) // 50 + 1,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=total,
            cost=cost,
            created_at=row["created_at"],
            started_at=to_row(started),
            first_token_at=to_row(started + min(waited, abs(finished - started))),
            finished_at=to_row(finished),
            heartbeat_at=to_row(finished),
        )
        self._choose_end(run, asker)
        if rng.random() < 0.05:
            self._add_call(run)
        key = (self._at.date(), asker)
        tokens, spent, runs = self._spent.get(key, (0, Decimal(0), 0))
        self._spent[key] = (tokens + total, spent + (cost or 0), runs + 1)

    def _choose_end(self, run: Row, asker: Any) -> None:
        chance = self._rng.random()
        if chance < 0.02:
            run |= {"status": "stopped", "stopped_by_id": asker, "finish_reason": None}
        elif chance < 0.05:
            code, message = self._rng.choice(FAILURES)
            run |= {"status": "failed", "finish_reason": None, "error_code": code, "error_message": message}
        elif chance < 0.055:
            run |= {"status": "interrupted", "finish_reason": None, "error_code": "host_lost"}

    def _add_call(self, run: Row) -> None:
        name = self._rng.choice(TOOLS)
        self._add(
            ToolCall,
            id=self._id(),
            run_id=run["id"],
            call_id="call-1",
            name=name,
            arguments={"query": texts.topic(self._rng)},
            status="rejected" if self._rng.random() < 0.05 else "done",
            result="3 results",
            created_at=run["created_at"],
        )

    def _add_document(self, user: Any) -> None:
        text = texts.answer(self._rng)
        row = self._add(
            Document,
            id=self._id(),
            conversation_id=self._room["id"],
            kind="markdown",
            title=texts.title(self._rng),
            version=3,
            text=text,
            text_version=1,
            created_at=to_row(self._at),
            updated_at=to_row(self._at),
        )
        length = units(text)
        changes = (
            ChangeSet.of([(0, text)]),
            ChangeSet.of([(length, None), (0, "\nTo do.")]),
            ChangeSet.of([(length, None), (7, "\nDone.")]),
        )
        at = row["created_at"]
        for version, change in enumerate(changes, 1):
            changed = change.to_json()
            self._add(
                DocumentUpdate, document_id=row["id"], version=version, changes=changed, author_id=user, created_at=at
            )
