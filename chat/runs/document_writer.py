"""Writes in the documents of a run's conversation: stores each change, publishes it, and knows what the model knows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid4

from .. import engine, store
from ..concurrency import detached
from ..documents.changesets import ChangeSet, units
from ..documents.search_replace import NOTHING_TO_CHANGE, Replacement
from ..documents.text_diff import diff_texts
from ..protocol import events, objects
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from .streamed_arguments import BrokenOff, Piece

T = TypeVar("T")
A = TypeVar("A")


class Executor(Protocol):
    """Runs units of work in the database's thread: `Persistence`, or the module `store.executor`."""

    def run(self, work: Callable[..., T], /, *args: Any) -> Coroutine[Any, Any, T]: ...

    def run_together(
        self, work: Callable[[list[A]], Sequence[T | Exception]], item: A, /
    ) -> Coroutine[Any, Any, T]: ...


class Stale(Exception):
    """Somebody else has changed the document."""


class DocumentWriter:
    """What one run does with documents. Raises ToolError for what is refused."""

    def __init__(self, run_id: UUID, host: str, conversation_id: UUID, executor: Executor) -> None:
        self._run_id, self._host = run_id, host
        self._persist, self._persist_together = executor.run, executor.run_together
        self._group = groups.conversation(conversation_id)
        self._known: dict[UUID, int] = {}
        self._writing: set[asyncio.Task[Any]] = set()
        self._only_proposes: bool | None = None
        """None if nobody has asked yet."""

    async def find(self, name: str) -> objects.OpenedDocument:
        try:
            return await self._persist(store.find_document_for_run, self._run_id, self._host, name)
        except (LookupError, Refused) as error:
            raise engine.ToolError(str(error)) from None

    async def known_version(self, document_id: UUID) -> int:
        """The newest version that the model knows: it has read it in this run, or written it in an earlier one."""
        if document_id not in self._known:
            self._known[document_id] = await self._persist(store.find_written_version, self._run_id, document_id)
        return self._known[document_id]

    def has_read(self, found: objects.Document) -> None:
        self._known[found.id] = found.version

    async def list_changers(self, found: objects.Document, known: int) -> str:
        """A sentence about those who have changed the document since the model knew it; empty if nobody has."""
        names = await self._persist(store.list_changers, self._run_id, found.id, known)
        if not names:
            return ""
        return f"{' and '.join(names)} changed it since you read it (version {known}, now {found.version})."

    async def list_changed(self) -> list[store.ChangedDocument]:
        """What others have changed since the agent's last answer."""
        return await self._persist(store.list_changed_documents, self._run_id)

    async def create(self, document_id: UUID, new: store.NewDocument, opened: bool) -> objects.Document:
        """Create a document. If `opened`, its text goes on (`extend`), and readers get its beginning as the change that
        it is, so that none has to fetch it first.
        """

        async def write() -> objects.Document:
            create = store.create_document_by_run
            created = await self._persist(create, self._run_id, self._host, document_id, new, opened)
            await groups.publish(self._group, events.DocumentCreated(document=created))
            if opened and new.text:
                await groups.publish(self._group, self._beginning(created, new.text))
            return created

        created = await self._complete(write)
        self.has_read(created)
        return created

    def _beginning(self, created: objects.Document, text: str) -> events.DocumentChanged:
        return events.DocumentChanged(
            document=created.id,
            version=created.version,
            changes=ChangeSet.replace(0, [(0, 0, text)]).to_json(),
            author=None,
            run=self._run_id,
            client_id=None,
            writing=created.writing,
        )

    async def describe(self, document_id: UUID, kind: str, language: str) -> objects.Document:
        """Change what a document is, without its text."""

        async def write() -> objects.Document:
            describe = store.describe_document_by_run
            described = await self._persist(describe, self._run_id, self._host, document_id, kind, language)
            await groups.publish(self._group, events.DocumentUpdated(document=described))
            return described

        return await self._complete(write)

    async def replace(self, found: objects.OpenedDocument, replacement: Replacement) -> None:
        """Change a document as it was found. Raises Stale."""
        changes = await asyncio.to_thread(_make_changes, found.text, replacement)
        if not changes.is_empty:
            where = self._run_id, self._host, found.id, found.version
            await self._change(found.id, partial(self._persist, store.push_changes_by_run, *where, changes))

    async def only_proposes(self) -> bool:
        """Whether the run answers a message about a selected part of a document: its people decide then."""
        if self._only_proposes is None:
            self._only_proposes = await self._persist(store.find_selection, self._run_id) is not None
        return self._only_proposes

    async def propose(self, found: objects.OpenedDocument, text: str) -> None:
        """Propose another text of a document as it was found."""
        changes = await asyncio.to_thread(diff_texts, found.text, text)
        if changes.is_empty:
            raise engine.ToolError(NOTHING_TO_CHANGE)
        proposal_id = uuid4()

        async def write() -> None:
            propose = store.propose_change
            where = self._run_id, self._host, proposal_id, found.id, found.version
            proposal = await self._persist(propose, *where, changes)
            await groups.publish(self._group, events.DocumentProposed(document=found.id, proposal=proposal))

        await self._complete(write)

    async def stream(
        self, found: objects.OpenedDocument, replacement: Replacement, pieces: AsyncIterator[Piece]
    ) -> None:
        """Put a text that is still growing in the place of `replacement`, whose own text does not count. What is the
        same at the beginning is left as it is. Raises Stale, if somebody else changes the document before anything is
        written, and BrokenOff, after what came is written: then the old text is still behind it.
        """
        old = found.text[replacement.start : replacement.end]
        same = 0
        async for text, ends in pieces:
            kept = _count_equal(old, same, text)
            same += kept
            if ends:
                rest = Replacement(replacement.start + same, replacement.end, text[kept:])
                await self.replace(found, rest)
                return
            if kept < len(text):
                at = units(found.text[: replacement.start + same])
                place = at, at + units(old[same:])
                where = self._run_id, self._host, found.id, found.version
                text = text[kept:]
                await self._change(found.id, partial(self._persist, store.begin_writing, *where, place, text))
                await self.extend(found.id, units(text), pieces)
                return

    async def extend(self, document_id: UUID, written: int, pieces: AsyncIterator[Piece]) -> int:
        """Go on in the open range, which has `written` units, up to the end of the text. Returns the version after it.
        Raises BrokenOff as above.
        """
        version = 0
        try:
            async for text, ends in pieces:
                more = store.Extension(self._run_id, self._host, document_id, written, text)
                write = partial(self._persist, store.finish_writing) if ends else self._extend
                version = await self._change(document_id, partial(write, more))
                written += units(text)
        except BrokenOff:
            await self._close(document_id)
            raise
        except engine.ToolError as error:
            with suppress(engine.ToolError):
                await self._close(document_id)
            raise engine.ToolError(f"{error.message} What you have written so far stays in the document.") from None
        return version

    async def _extend(self, extension: store.Extension) -> store.PushedChange:
        """Store it with what other runs write at the same time."""
        made = await self._persist_together(store.extend_together, extension)
        return await self._persist(store.extend_writing, extension) if made is None else made

    async def _close(self, document_id: UUID) -> None:
        async def write() -> None:
            closed = await self._persist(store.close_writing, self._run_id, self._host, document_id)
            if closed is not None:
                await groups.publish(self._group, events.DocumentUpdated(document=closed))

        await self._complete(write)

    async def _change(
        self, document_id: UUID, store_it: Callable[[], Awaitable[store.PushedChange | objects.Document]]
    ) -> int:
        """Store a change, and publish it. Returns the version after it."""

        async def write() -> int:
            made = await store_it()
            if isinstance(made, objects.Document):
                await groups.publish(self._group, events.DocumentUpdated(document=made))
                return made.version
            await groups.publish(self._group, events.DocumentChanged.of(document_id, made.update, made.writing))
            return made.update.version

        version = await self._complete(write)
        if self._known.get(document_id) == version - 1:  # nobody else has changed it since
            self._known[document_id] = version
        return version

    async def _complete(self, write: Callable[[], Awaitable[T]]) -> T:
        """Finish a write even if the run is stopped meanwhile: what is stored has to be published."""
        try:
            return await asyncio.shield(detached(_call(write), self._writing))
        except Refused as refused:
            if refused.code == ErrorCode.STALE:
                raise Stale from None
            raise engine.ToolError(str(refused)) from None


def _make_changes(text: str, replacement: Replacement) -> ChangeSet:
    replacement = replacement.trim(text)
    start, end = (units(text[:place]) for place in (replacement.start, replacement.end))
    return ChangeSet.replace(units(text), [(start, end, replacement.text)])


def _count_equal(old: str, start: int, text: str) -> int:
    """How many characters at the beginning of `text` are those of `old` from `start` on."""
    if old.startswith(text, start):
        return len(text)
    return next(at for at, letter in enumerate(text) if old[start + at : start + at + 1] != letter)


async def _call(write: Callable[[], Awaitable[T]]) -> T:
    return await write()
