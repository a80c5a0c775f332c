"""The tools with which an agent writes the documents of its conversation (`documents` in its settings).

While the model is still writing the arguments of a call, `follow` passes them on, and a task of the call writes what is
whole, and texts as they grow. A call whose arguments came at once does the same, only in one go.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from msgspec import Struct
from msgspec.structs import replace

from .. import engine, store
from ..concurrency import detached
from ..documents.changesets import units
from ..documents.search_replace import (
    NOTHING_TO_CHANGE,
    EditFailed,
    NotFound,
    Replacement,
    find_place,
    find_replacement,
)
from ..documents.unified_diff import make_unified_diff
from ..protocol import objects
from ..store import prompts
from ..store.documents import normalize_document
from .document_writer import DocumentWriter, Executor, Stale
from .streamed_arguments import BrokenOff, Piece, StreamedArguments

logger = logging.getLogger("nous_chat.runs")

MAX_READ_CHARS = 14_000
"""How much of a document one call reads. A tool's result may have 16,000 characters."""

ATTEMPTS = 20
"""How often an edit is tried while others change the document at the same moment."""

MAX_EDITS = 50
"""How many edits one call makes."""

MAX_NOTE_CHARS = 8_000
"""How much of what others have changed an agent is told before it answers. It can read the rest."""

PAUSE = 0.1
"""Seconds from one write of a growing text to the next one. The first is written at once. All that grow in a process
are written at the same moments, so that one transaction stores them.
"""

PROPOSED = "Proposed"
"""How the result of a call begins that has proposed a change. The page tells by it, too (message/tool-call.js)."""

MAX_SHOWN_TEXT = 1_000
"""Characters of a text among the arguments of a call that people see in the call. They read the document instead."""

UNDECIDED = "People decide on it; until then, the document is unchanged."
"""What a model is told of a proposal."""

BeginCall = Callable[[str, str, dict[str, Any]], None]
"""`Broadcast.begin_call`: shows a call by its id, its tool, and the arguments that are known."""

Name = Annotated[str, "The title or the id of the document."]
Kind = Literal["markdown", "code", "csv", "html", "svg", "mermaid"]


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    search: Annotated[str, "Text of the document, copied exactly, that occurs only once. Whole lines are best."]
    replace: Annotated[str, "What to put in its place."]


def shorten_arguments(name: str, arguments: Any) -> Any:
    """The arguments of a call as people see them: without the texts that are in the document. Else each text would
    travel and be stored twice. The model's history keeps them whole.
    """
    if name not in ("create_document", "edit_document", "rewrite_document") or not isinstance(arguments, dict):
        return arguments
    short = {key: _shorten(value) for key, value in arguments.items()}
    if isinstance(edits := arguments.get("edits"), list):
        short["edits"] = [
            {key: _shorten(value) for key, value in edit.items()} if isinstance(edit, dict) else edit for edit in edits
        ]
    return short


def _shorten(value: Any) -> Any:
    return {"omitted": len(value)} if isinstance(value, str) and len(value) > MAX_SHOWN_TEXT else value


class DocumentTools:
    """The tools of one run, which also remember which version of each document its model knows."""

    def __init__(
        self, run_id: UUID, host: str, conversation_id: UUID, executor: Executor, begin_call: BeginCall
    ) -> None:
        self._writer = DocumentWriter(run_id, host, conversation_id, executor)
        self._begin_call = begin_call
        self._calls: dict[str, _Call] = {}
        self._tasks: set[asyncio.Task[str]] = set()
        self._turn = asyncio.Lock()
        """Documents are changed in the order of the calls."""

    @property
    def tools(self) -> list[engine.Tool[..., Any]]:
        streamed = (self.create_document, self.edit_document, self.rewrite_document)
        return [
            engine.tool(self.read_document),
            *(engine.tool(stream_arguments=True, not_called=self._describe_rest)(method) for method in streamed),
        ]

    async def describe_changes(self) -> str:
        """What others have changed since the agent's last answer, for its model; empty if nothing."""
        changed = await self._writer.list_changed()
        notes, room = [], MAX_NOTE_CHARS
        for each in changed:
            diff, is_all = await asyncio.to_thread(make_unified_diff, each.before, each.document.text, room)
            room -= min(len(diff), room)
            if is_all and await self._writer.known_version(each.document.id) >= each.since:
                self._writer.has_read(each.document)
            who, title = " and ".join(each.changers), json.dumps(each.document.title, ensure_ascii=False)
            rest = "" if is_all else " This is not all of it: read the document."
            note = f"Since your last answer, {who} changed the document {title} ({each.document.id}).{rest}"
            notes.append(f"{note}\n{prompts.fence(diff)}" if diff else note)
        return "\n\n".join(notes)

    def follow(self, delta: engine.ToolCallDelta) -> None:
        """Take a piece of the arguments of a call."""
        call = self._calls.get(delta.id)
        if call is None:
            for other in self._calls.values():  # the model writes one after the other
                other.arguments.end()
            write = {
                "create_document": self._create,
                "edit_document": self._edit,
                "rewrite_document": self._rewrite,
            }.get(delta.name)
            if write is None:
                return
            call = self._calls[delta.id] = self._start(write, StreamedArguments(), delta)
        call.arguments.feed(delta.text)

    async def close(self) -> None:
        """Write what came of calls whose arguments broke off. The run is about to end. Nothing escapes."""
        for call in self._calls.values():
            call.arguments.end()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, BrokenOff | engine.ToolError):
                logger.error("A document could not be written", exc_info=result)

    async def create_document(
        self,
        context: engine.ToolContext,
        *,
        title: str,
        kind: Kind = "markdown",
        language: Annotated[str, "The language of code, such as python."] = "",
        text: str,
    ) -> str:
        """Create a document next to the conversation, for a text that people will keep and change."""
        given = {"title": title, "kind": kind, "language": language, "text": text}
        return await self._finish(context, self._create, given)

    async def read_document(self, document: Name, first_line: int = 1, last_line: int | None = None) -> str:
        """Read a document, or some lines of it."""
        opened = await self._writer.find(document)
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
        self._writer.has_read(opened)
        end = first + len(shown) - 1
        rest = f" Read on with first_line={end + 1}." if end < last else ""
        kind = f"{opened.kind} {opened.language}".strip()
        head = f"{opened.title} ({kind}), version {opened.version}, lines {first} to {end} of {len(lines)}.{rest}"
        return "\n".join([head, "", *shown])

    async def edit_document(self, context: engine.ToolContext, document: Name, edits: list[Edit]) -> str:
        """Change parts of a document by search and replace, one edit after the other. An edit that fails changes
        nothing, and the others are made nevertheless.
        """
        given = [{"search": edit.search, "replace": edit.replace} for edit in edits]
        return await self._finish(context, self._edit, {"document": document, "edits": given})

    async def rewrite_document(
        self, context: engine.ToolContext, document: Name, text: Annotated[str, "The whole new text."]
    ) -> str:
        """Replace the whole text of a document. To change parts of it, use edit_document."""
        return await self._finish(context, self._rewrite, {"document": document, "text": text})

    def _start(
        self, write: "_Write", arguments: StreamedArguments, begun: engine.ToolCallDelta | None = None
    ) -> "_Call":
        return _Call(arguments, detached(self._in_turn(write, arguments, begun), self._tasks))

    async def _in_turn(self, write: "_Write", arguments: StreamedArguments, begun: engine.ToolCallDelta | None) -> str:
        """The task of one call. Started by its first argument, or by the call; nobody cancels it, and `close` ends it.
        What escapes is the failure of the call.
        """
        async with self._turn:
            if begun is not None:
                await self._show_proposal(begun, arguments)
            return await write(arguments)

    async def _show_proposal(self, begun: engine.ToolCallDelta, arguments: StreamedArguments) -> None:
        """Show a call that only proposes while the model writes it. What another one writes shows in its document."""
        if begun.name != "create_document" and await self._writer.only_proposes():
            document = await arguments.whole("document")
            if not arguments.is_over:
                self._begin_call(begun.id, begun.name, {"document": document})

    async def _finish(self, context: engine.ToolContext, write: "_Write", given: dict[str, Any]) -> str:
        """What a call has done, when it has done it."""
        call = self._take(context)
        if call is not None:
            with suppress(BrokenOff):  # nothing is written of them: as if they came only now
                return await asyncio.shield(call.task)
        return await asyncio.shield(self._start(write, StreamedArguments.of(given)).task)

    def _take(self, context: engine.ToolContext) -> "_Call | None":
        """The call, if its arguments came in pieces. No more of any come now."""
        for call in self._calls.values():
            call.arguments.end()
        return self._calls.pop(context.call_id, None)

    async def _describe_rest(self, context: engine.ToolContext) -> str:
        """What was done for a call that is not made, because its arguments are broken or too long."""
        call = self._take(context)
        if call is None:
            return ""
        try:
            return await asyncio.shield(call.task)
        except BrokenOff:
            return ""
        except engine.ToolError as error:
            return error.message

    async def _create(self, arguments: StreamedArguments) -> str:
        title = await arguments.whole("title")
        await arguments.begins("text")
        kind, language = arguments.get("kind") or "markdown", arguments.get("language")
        document, rest = uuid4(), _normalized(arguments.pieces("text", pause=PAUSE))
        created = None
        try:
            async for text, ends in rest:
                new = store.NewDocument(title, kind, language, text)
                created = await self._writer.create(document, new, opened=not ends)
                if not ends:
                    created = replace(created, version=await self._writer.extend(document, units(text), rest))
        except BrokenOff:
            if created is None:
                raise
            what_came = f"What came of it is in the document {title!r}, whose id is {document}."
            raise engine.ToolError(f"The text broke off. {what_came}") from None
        assert created is not None
        late = {name: arguments.get(name) for name in ("kind", "language") if arguments.get(name)}
        if late.items() - {"kind": kind, "language": language}.items():
            created = await self._writer.describe(document, late.get("kind", kind), late.get("language", language))
        return f"Created the document {created.title!r}, version {created.version}. Its id is {document}."

    async def _rewrite(self, arguments: StreamedArguments) -> str:
        name = await arguments.whole("document")
        found = await self._writer.find(name)
        if await self._writer.only_proposes():
            await self._writer.propose(found, normalize_document(await arguments.whole("text")))
            return f"{PROPOSED} another text. {UNDECIDED}"
        known = await self._writer.known_version(found.id)
        await arguments.begins("text")
        found = await self._writer.find(name)
        if changers := await self._writer.list_changers(found, known):
            raise engine.ToolError(f"{changers} Read it again before you rewrite it. It is unchanged.")
        whole = Replacement(0, len(found.text), "")
        try:
            await self._writer.stream(found, whole, _normalized(arguments.pieces("text", pause=PAUSE)))
        except Stale:
            raise engine.ToolError("Somebody is changing the document now. Read it again. It is unchanged.") from None
        except BrokenOff:
            raise engine.ToolError("The text broke off. The old text follows what came of the new one.") from None
        return f"Rewrote {found.title!r}."

    async def _edit(self, arguments: StreamedArguments) -> str:
        name = await arguments.whole("document")
        found = await self._writer.find(name)
        if await self._writer.only_proposes():
            return await self._propose_edits(found, arguments)
        known = await self._writer.known_version(found.id)
        failures: list[str] = []
        number = 0
        try:
            while number < MAX_EDITS and await arguments.begins("edits", number):
                if failure := await self._make_edit(name, known, number, arguments):
                    failures.append(f"Edit {number + 1} failed. {failure}")
                number += 1
        except BrokenOff:
            failures.append(f"Edit {number + 1} broke off. If something came of it, the old text follows it.")
            number += 1
        except engine.ToolError as error:
            failures.append(f"Edit {number + 1} failed, and no other was made after it. {error.message}")
            number += 1
        if await arguments.begins("edits", MAX_EDITS):
            failures.append(f"Only the first {MAX_EDITS} edits were made. Call it again for the others.")
            raise engine.ToolError("\n".join([f"Made {number} edits.", *failures]))
        if not number:
            raise engine.ToolError(f"Give 1 to {MAX_EDITS} edits.")
        if len(failures) == number:
            raise engine.ToolError("\n".join([*failures, "The document is unchanged."]))
        return "\n".join([f"Made {number - len(failures)} of {number} edits.", *failures])

    async def _propose_edits(self, found: objects.OpenedDocument, arguments: StreamedArguments) -> str:
        """Propose what the edits make of the text together: people decide on its parts, not on the model's."""
        text, failures, number = found.text, list[str](), 0
        while number < MAX_EDITS and await arguments.begins("edits", number):
            search = await arguments.whole("edits", number, "search")
            new = normalize_document(await arguments.whole("edits", number, "replace"))
            number += 1
            try:
                text = (await asyncio.to_thread(find_replacement, text, search, new)).apply(text)
            except EditFailed as error:
                failures.append(f"Edit {number} failed. {error}")
        if await arguments.begins("edits", MAX_EDITS) or not number:
            raise engine.ToolError(f"Give 1 to {MAX_EDITS} edits.")
        if len(failures) == number:
            raise engine.ToolError("\n".join([*failures, "Nothing is proposed."]))
        await self._writer.propose(found, text)
        return "\n".join([f"{PROPOSED} {number - len(failures)} of {number} edits. {UNDECIDED}", *failures])

    async def _make_edit(self, name: str, known: int, number: int, arguments: StreamedArguments) -> str:
        """Make one edit. Returns why it failed, for the model; empty if it did not."""
        search = await arguments.whole("edits", number, "search")
        for _ in range(ATTEMPTS):
            found = await self._writer.find(name)
            await arguments.begins("edits", number, "replace")
            place = None if arguments.is_whole("edits", number, "replace") else find_place(found.text, search)
            try:
                if place is None:
                    new = await arguments.whole("edits", number, "replace")
                    # In a thread, because to find the nearest text takes a while.
                    replacement = await asyncio.to_thread(find_replacement, found.text, search, new)
                    await self._writer.replace(found, replacement)
                else:
                    pieces = _normalized(arguments.pieces("edits", number, "replace", pause=PAUSE))
                    await self._writer.stream(found, Replacement(*place, ""), pieces)
                    if arguments.get("edits", number, "replace") == search:
                        return NOTHING_TO_CHANGE
                return ""
            except Stale:
                continue
            except NotFound as error:
                return f"{error}\n{await self._writer.list_changers(found, known)}".rstrip()
            except EditFailed as error:
                return str(error)
        return "Others are changing the document all the time. Try again later."


_Write = Callable[[StreamedArguments], Awaitable[str]]


class _Call(Struct, frozen=True):
    arguments: StreamedArguments
    task: asyncio.Task[str]


async def _normalized(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """The pieces as documents hold them. A carriage return waits for the next piece: a line feed may follow it."""
    held = ""
    async for text, ends in pieces:
        text, held = held + text, ""
        if text.endswith("\r") and not ends:
            text, held = text[:-1], "\r"
        text = normalize_document(text)
        if text or ends:
            yield Piece(text, ends)
