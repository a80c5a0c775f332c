"""The lines of an export as JSON Lines, which can be imported, and as Markdown and HTML, for reading.

The readable formats show what participants see: the messages that are shown, and not deleted. Texts are hostile: in
Markdown they are in fenced blocks, in HTML they are escaped, so that none can pretend to be somebody else's, load
anything, or run. The HTML has no script, and its pictures inside.
"""

import re
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.contrib.auth import get_user_model
from django.utils.html import escape
from msgspec import UNSET, Struct
from msgspec.structs import asdict

from ... import agents, database
from ...models import Document, DocumentProposal
from ...permissions import policy
from ..document_log import read_text
from ..document_proposals import describe_proposal
from ..text import one_line
from .export import Scope, export_lines

Line = dict[str, Any]

MAX_DIFF_CHARS = 100_000
"""How much of a proposed change is written. The JSON Lines have all of it."""

_FLUSH = 64 * 1024
"""Bytes that are given out together."""


def export(scope: Scope, file_format: str) -> Iterator[bytes]:
    """The bytes of an export, in pieces: "jsonl", "markdown", or "html". Reads while it is read."""
    return _in_pieces(FORMATS[file_format](export_lines(scope)))


def _as_dict(line: Struct) -> Line:
    given = {key: value for key, value in asdict(line).items() if value is not UNSET}
    return dict(type=line.__struct_config__.tag) | given  # noqa: C408  not a frame of the layer, whose types are constants


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    buffer = bytearray()
    for part in parts:
        buffer += part
        if len(buffer) >= _FLUSH:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _to_jsonl(lines: Iterable[Struct]) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    for line in lines:
        yield encode(line) + b"\n"


class _Names:
    """The names that people and agents have on the page. Those of the last users are kept."""

    def __init__(self) -> None:
        self._users: dict[Any, str] = {}

    def user(self, username: Any) -> str:
        if username is None:
            return "(deleted account)"
        if username not in self._users:
            users = get_user_model()
            rows = users._base_manager.using(database.alias())
            found = rows.filter(**{users.USERNAME_FIELD: username}).first()
            if len(self._users) > 10_000:
                self._users.clear()
            self._users[username] = str(username) if found is None else policy().name(found)
        return self._users[username]


class _Shown:
    """A message with what is shown of it, gathered from lines that follow each other. Files are passed on at once."""

    def __init__(self, message: Line) -> None:
        self.message = message
        self.run: Line | None = None
        self.calls: list[Line] = []

    def author(self, names: _Names) -> str:
        if self.message["role"] == "system":
            return "System"
        if self.message["role"] == "user":
            return names.user(self.message.get("author"))
        return agents.find(self.run["agent"]).name if self.run else "Assistant"

    @property
    def figures(self) -> str:
        """Model, tokens, and cost of an answer, and how it ended."""
        run = self.run or {}
        parts = [run.get("model", "")]
        if tokens := run.get("total_tokens") or run.get("tokens"):
            parts.append(f"{tokens} tokens")
        if cost := run.get("cost"):
            parts.append(f"cost {cost}")
        if run.get("status", "completed") != "completed":
            parts.append(run["status"])
        return ", ".join(part for part in parts if part)


class _Readable(ABC):
    """Base class of the readable formats: finds out of the lines what is shown. Subclasses write it."""

    def __init__(self) -> None:
        self.names = _Names()

    def write(self, lines: Iterable[Struct]) -> Iterator[bytes]:
        for text in self._write(map(_as_dict, lines)):
            yield text.encode("utf-8", "replace") if isinstance(text, str) else text

    def _write(self, lines: Iterable[Line]) -> Iterator[str | bytes]:
        yield self.begin()
        room, place, answer = False, False, None  # whether the conversation and the message are shown
        open_document = False  # whether the document is
        file: Line | None = None
        for line in lines:
            kind = line["type"]
            if file is not None and kind != "attachment_data":
                yield self.end_file(file)
                file = None
            if answer is not None and kind not in ("run", "tool_call"):
                yield self.message(answer)
                answer = None
            if kind == "conversation":
                room, place = "deleted_at" not in line, False
                if room:
                    yield self.conversation(line)
            elif not room:
                continue
            elif kind == "message":
                place = "deleted_at" not in line and line.get("shown", True)
                answer = _Shown(line) if place else None
            elif kind == "participant":
                yield self.participant(self.names.user(line.get("user")), line.get("role", "member"))
            elif kind == "run" and answer is not None:
                answer.run = line
            elif kind == "tool_call" and answer is not None:
                answer.calls.append(line)
            elif kind == "attachment" and place and "message" in line:
                file = line
                yield self.begin_file(line)
            elif kind == "attachment_data" and file is not None:
                yield self.piece(file, line["data"])
            elif kind == "document":
                open_document = "deleted_at" not in line
                if open_document:
                    yield self.document(line)
            elif kind == "document_proposal" and open_document and "decided_at" not in line:
                yield self.proposal(*_proposal(line))
        yield self.end()

    @abstractmethod
    def begin(self) -> str: ...
    @abstractmethod
    def conversation(self, line: Line) -> str: ...
    @abstractmethod
    def participant(self, name: str, role: str) -> str: ...
    @abstractmethod
    def message(self, shown: _Shown) -> str: ...
    @abstractmethod
    def begin_file(self, line: Line) -> str: ...
    @abstractmethod
    def piece(self, file: Line, data: bytes) -> str | bytes: ...
    @abstractmethod
    def end_file(self, file: Line) -> str: ...
    @abstractmethod
    def document(self, line: Line) -> str: ...
    @abstractmethod
    def proposal(self, agent: str, diff: str) -> str: ...
    @abstractmethod
    def end(self) -> str: ...


class _Markdown(_Readable):
    def begin(self) -> str:
        return ""

    def conversation(self, line: Line) -> str:
        return f"# {_inline(line.get('title', 'New conversation'))}\n\n{_time(line['created_at'])}, {line['id']}\n\n"

    def participant(self, name: str, role: str) -> str:
        return f"- {_inline(name)} ({role})\n"

    def message(self, shown: _Shown) -> str:
        line = shown.message
        figures = f" ({_inline(shown.figures)})" if shown.figures else ""
        parts = [f"\n## {_inline(shown.author(self.names))}, {_time(line['created_at'])}{figures}\n"]
        if line.get("thinking"):
            parts.append(f"Thinking:\n\n{_fence(line['thinking'])}\n")
        for call in shown.calls:
            parts.append(f"Tool {_inline(call['name'])}, {call['status']}:\n\n{_fence(_arguments(call))}\n")
            if call.get("result"):
                parts.append(f"Result:\n\n{_fence(call['result'])}\n")
        if line.get("text"):
            parts.append(f"{_fence(line['text'], 'markdown')}\n")
        return "\n".join(parts)

    def begin_file(self, line: Line) -> str:
        text = f"\n\n{_fence(line['text'])}" if line.get("text") else ""
        return f"\nAttachment: {_inline(line['name'])} ({_inline(line['media_type'])}, {line['size']} bytes){text}\n"

    def piece(self, file: Line, data: bytes) -> str | bytes:
        return ""

    def end_file(self, file: Line) -> str:
        return ""

    def document(self, line: Line) -> str:
        text = _document_text(line)
        return f"\n## Document: {_inline(line['title'])}\n\n{_fence(text, line['kind'])}\n"

    def proposal(self, agent: str, diff: str) -> str:
        return f"\nProposed by {_inline(agent)}:\n\n{_fence(diff, 'diff')}\n"

    def end(self) -> str:
        return ""


class _Html(_Readable):
    """A page of its own, in which nothing can run or be loaded."""

    def begin(self) -> str:
        return _HEAD

    def conversation(self, line: Line) -> str:
        title = escape(line.get("title", "New conversation"))
        return f"<h1>{title}</h1>\n<p class=meta>{_time(line['created_at'])}, {line['id']}</p>\n"

    def participant(self, name: str, role: str) -> str:
        return f"<p class=meta>{escape(name)} ({role})</p>\n"

    def message(self, shown: _Shown) -> str:
        line = shown.message
        parts = [f"<h2>{escape(shown.author(self.names))} <small>{_time(line['created_at'])}</small></h2>\n"]
        if shown.figures:
            parts.append(f"<p class=meta>{escape(shown.figures)}</p>\n")
        if line.get("thinking"):
            parts.append(_details("Thinking", line["thinking"]))
        for call in shown.calls:
            result = f"\n\n{call['result']}" if call.get("result") else ""
            parts.append(_details(f"Tool {call['name']}, {call['status']}", _arguments(call) + result))
        if line.get("text"):
            parts.append(f"<div class=text>{escape(line['text'])}</div>\n")
        return "".join(parts)

    def begin_file(self, line: Line) -> str:
        name = escape(line["name"])
        if _is_image(line):
            picture = f'<img alt="{name}" src="data:{escape(line["media_type"])};base64,'
            return f"<figure><figcaption>{name}</figcaption>{picture}"
        return _details(line["name"], line.get("text", ""))

    def piece(self, file: Line, data: bytes) -> str | bytes:
        return b64encode(data) if _is_image(file) else ""

    def end_file(self, file: Line) -> str:
        return '"></figure>\n' if _is_image(file) else ""

    def document(self, line: Line) -> str:
        text = _document_text(line)
        return f"<h2>{escape(line['title'])}</h2>\n<div class=text>{escape(text)}</div>\n"

    def proposal(self, agent: str, diff: str) -> str:
        return _details(f"Proposed by {agent}", diff)

    def end(self) -> str:
        return "</body></html>\n"


_HEAD = """<!doctype html>
<html><head><meta charset="utf-8"><title>Conversations</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
body { font: 16px/1.5 sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem; }
h1 { border-top: 1px solid; margin-top: 4rem; padding-top: 1rem; }
h2 { font-size: 1rem; margin-bottom: 0; }
small, .meta { color: #666; font-size: .85rem; font-weight: normal; margin: 0; }
.text, pre { overflow-wrap: anywhere; white-space: pre-wrap; }
img { max-width: 100%; }
</style></head><body>
"""


def _details(summary: str, text: str) -> str:
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>\n"


def _is_image(line: Line) -> bool:
    return bool(line["media_type"].startswith("image/"))


def _document_text(line: Line) -> str:
    row = Document.objects.filter(pk=line["id"]).first()
    return "" if row is None else read_text(row)


def _proposal(line: Line) -> tuple[str, str]:
    """Which agent proposes a change, and the change as a diff."""
    row = DocumentProposal.objects.select_related("document", "run").filter(pk=line["id"]).first()
    agent, diff = ("", "") if row is None else describe_proposal(row, MAX_DIFF_CHARS)
    return agent or "Assistant", diff


def _arguments(call: Line) -> str:
    return msgspec.json.encode(call.get("arguments")).decode()


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _inline(text: str) -> str:
    """One line of text in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", one_line(str(text)))


def _fence(text: str, language: str = "") -> str:
    """A fenced block that the text cannot end: its fence is longer than any in the text."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


FORMATS: dict[str, Callable[[Iterable[Struct]], Iterator[bytes]]] = {
    "jsonl": _to_jsonl,
    "markdown": lambda lines: _Markdown().write(lines),
    "html": lambda lines: _Html().write(lines),
}
"""The formats by name."""
