"""The tools with which an agent writes the documents of its conversation (`documents` in its settings)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from msgspec import Struct

from .. import engine, store
from ..concurrency import detached
from ..documents.changesets import ChangeSet, units
from ..documents.search_replace import EditFailed, NotFound, Replacement, find_replacement
from ..protocol import events, objects
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups
from ..store import executor
from ..store.documents import normalize_document

T = TypeVar("T")

MAX_READ_CHARS = 14_000
"""How much of a document one call reads. A tool's result may have 16,000 characters."""

ATTEMPTS = 20
"""How often an edit is tried while others change the document at the same moment."""

MAX_EDITS = 50
"""How many edits one call makes."""

Name = Annotated[str, "The title or the id of the document."]


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    search: Annotated[str, "Text of the document, copied exactly, that occurs only once. Whole lines are best."]
    replace: Annotated[str, "What to put in its place."]


class DocumentTools:
    """The tools of one run. They remember which version of each document its model knows."""

    def __init__(self, run_id: UUID, host: str, conversation_id: UUID) -> None:
        self._run_id, self._host = run_id, host
        self._group = groups.conversation(conversation_id)
        self._known: dict[UUID, int] = {}
        self._writing: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        """The calls of one answer run at the same time, but a document is changed in their order."""

    @property
    def tools(self) -> list[Callable[..., Any]]:
        methods = (self.create_document, self.read_document, self.edit_document, self.rewrite_document)
        return [engine.tool(method) for method in methods]

    async def create_document(
        self,
        title: str,
        text: str,
        kind: Literal["markdown", "code", "csv", "html", "svg", "mermaid"] = "markdown",
        language: Annotated[str, "The language of code, such as python."] = "",
    ) -> str:
        """Create a document next to the conversation, for a text that people will keep and change."""

        async def write() -> objects.Document:
            new = store.NewDocument(title, kind, language, text)
            created = await executor.run(store.create_document_by_run, self._run_id, self._host, new)
            await groups.publish(self._group, events.DocumentCreated(document=created))
            return created

        async with self._turn:
            created = await self._complete(write)
        self._known[created.id] = created.version
        return f"Created the document {created.title!r}, version {created.version}. Its id is {created.id}."

    async def read_document(self, document: Name, first_line: int = 1, last_line: int | None = None) -> str:
        """Read a document, or some lines of it."""
        opened = await self._find(document)
        lines = opened.text.split("\n")
        first = max(first_line, 1)
        last = min(len(lines), len(lines) if last_line is None else last_line)
        shown: list[str] = []
        chars = 0
        for line in lines[first - 1 : last]:
            chars += len(line) + 1
            if shown and chars > MAX_READ_CHARS:
                break
            shown.append(line)
        self._known[opened.id] = opened.version
        end = first + len(shown) - 1
        rest = f" Read on with first_line={end + 1}." if end < last else ""
        kind = f"{opened.kind} {opened.language}".strip()
        head = f"{opened.title} ({kind}), version {opened.version}, lines {first} to {end} of {len(lines)}.{rest}"
        return "\n".join([head, "", *shown])

    async def edit_document(self, document: Name, edits: list[Edit]) -> str:
        """Change parts of a document by search and replace, one edit after the other. An edit that fails changes
        nothing, and the others are made nevertheless.
        """
        if not edits or len(edits) > MAX_EDITS:
            raise engine.ToolError(f"Give 1 to {MAX_EDITS} edits.")
        async with self._turn:
            known = await self._known_version(document)
            reports = [await self._edit(document, edit, known) for edit in edits]
        failed = [f"Edit {number} failed. {report}" for number, report in enumerate(reports, 1) if report]
        if len(failed) == len(edits):
            raise engine.ToolError("\n".join([*failed, "The document is unchanged."]))
        made = len(edits) - len(failed)
        return "\n".join([f"Made {made} of {len(edits)} edits.", *failed])

    async def rewrite_document(self, document: Name, text: Annotated[str, "The whole new text."]) -> str:
        """Replace the whole text of a document. To change parts of it, use edit_document."""
        text = normalize_document(text)
        async with self._turn:
            known = await self._known_version(document)
            found = await self._find(document)
            if changers := await self._list_changers(found, known):
                raise engine.ToolError(f"{changers} Read it again before you rewrite it. It is unchanged.")
            replacement = Replacement(0, len(found.text), text)
            if not await self._push(found, replacement):
                raise engine.ToolError("Somebody is changing the document now. Read it again. It is unchanged.")
        return f"Rewrote {found.title!r}."

    async def _edit(self, document: str, edit: Edit, known: int) -> str:
        """Make one edit. Returns why it failed, for the model; empty if it did not."""
        for _ in range(ATTEMPTS):
            found = await self._find(document)
            try:  # in a thread, because to find the nearest text takes a while
                replacement = await asyncio.to_thread(find_replacement, found.text, edit.search, edit.replace)
            except NotFound as error:
                return f"{error}\n{await self._list_changers(found, known)}".rstrip()
            except EditFailed as error:
                return str(error)
            if await self._push(found, replacement):
                return ""
        return "Others are changing the document all the time. Try again later."

    async def _push(self, found: objects.OpenedDocument, replacement: Replacement) -> bool:
        """Change a document as it was found. False if somebody else was faster."""
        changes = await asyncio.to_thread(_make_changes, found.text, replacement)
        if changes.is_empty:
            return True

        async def write() -> objects.DocumentUpdate:
            push = store.push_changes_by_run
            update = await executor.run(push, self._run_id, self._host, found.id, found.version, changes)
            await groups.publish(self._group, events.DocumentChanged.of(found.id, update))
            return update

        try:
            update = await self._complete(write)
        except _Stale:
            return False
        if self._known.get(found.id) == found.version:  # nobody else has changed it since
            self._known[found.id] = update.version
        return True

    async def _complete(self, write: Callable[[], Awaitable[T]]) -> T:
        """Finish a write even if the run is stopped meanwhile: what is stored has to be published. Raises ToolError."""
        try:
            return await asyncio.shield(detached(_call(write), self._writing))
        except Refused as refused:
            if refused.code == ErrorCode.STALE:
                raise _Stale from None
            raise engine.ToolError(str(refused)) from None

    async def _find(self, document: str) -> objects.OpenedDocument:
        """Raises ToolError."""
        try:
            return await executor.run(store.find_document_for_run, self._run_id, self._host, document)
        except (LookupError, Refused) as error:
            raise engine.ToolError(str(error)) from None

    async def _known_version(self, document: str) -> int:
        """The newest version that the model knows: it has read it in this run, or written it in an earlier one."""
        found = await self._find(document)
        if found.id not in self._known:
            self._known[found.id] = await executor.run(store.find_written_version, self._run_id, found.id)
        return self._known[found.id]

    async def _list_changers(self, found: objects.OpenedDocument, known: int) -> str:
        """A sentence about those who have changed the document since the model knew it; empty if nobody has."""
        names = await executor.run(store.list_changers, self._run_id, found.id, known)
        if not names:
            return ""
        return f"{' and '.join(names)} changed it since you read it (version {known}, now {found.version})."


class _Stale(Exception):
    """Somebody else has changed the document."""


def _make_changes(text: str, replacement: Replacement) -> ChangeSet:
    replacement = replacement.trim(text)
    start, end = (units(text[:place]) for place in (replacement.start, replacement.end))
    return ChangeSet.replace(units(text), [(start, end, replacement.text)])


async def _call(write: Callable[[], Awaitable[T]]) -> T:
    return await write()
