"""What a log may hold: lines that nobody can forge, without secrets, search words, and what people wrote; and to what a
line belongs (`bind`).
"""

import copy
import logging
import os
import re
import socket
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.core.exceptions import SuspiciousOperation

from .engine.printable import printable

TOKEN_PREFIX = "nct_"  # noqa: S105  no secret
"""How API tokens begin, so that people and scanners recognise them."""

_SECRETS: dict[str, str] = {
    "/join/": r"(/join/)[^\s/?\"']+",
    "bearer": r"\b(bearer\s+)[^\s\"',;]{16,}",
    TOKEN_PREFIX: rf"\b({TOKEN_PREFIX})[\w-]{{20,}}",
    **{key: rf"\b({key})[\w-]{{16,}}" for key in ("sk-", "gsk_", "xai-", "aiza")},  # keys of providers
    **{
        name: rf"\b({name}[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]{{6,}}"
        for name in ("apikey", "api_key", "api-key", "token", "secret", "password", "sessionid", "csrftoken")
    },
    "://": r"(://[^\s:/@]*:)[^\s/@]+(?=@)",  # a password in an address
}
"""What is hidden, except for its group, by a word that it contains, in lower case. Most lines contain none of these
words, and a search for a word costs much less than one for a pattern.
"""

_COMPILED = {word: re.compile(pattern, re.IGNORECASE) for word, pattern in _SECRETS.items()}

_DETAILS = re.compile(r"\n(DETAIL|CONTEXT):.*", re.S)
"""What PostgreSQL adds to an error: the row, with what people wrote."""

MASK = "***"

_IDENTIFIER = re.compile(r"[\w.:/@+-]{1,200}")
"""What may be an id, a name in code, an address, or a code of an error, but no sentence."""

MAX_CHARS = 16_000
"""The longest message or traceback of a JSON line. Its end is kept, where the exception is."""


def hide_secrets(text: str) -> str:
    """The text without the tokens of invitation links (`nous_chat:join`), API tokens, keys, and passwords."""
    lower = text.lower()
    for word, pattern in _COMPILED.items():
        if word in lower:
            text = pattern.sub(rf"\1{MASK}", text)
    return text


def loggable_path(path: str) -> str:
    """The path of a request without its query, where search words are, and the address to go to after signing in."""
    return hide_secrets(printable(path.partition("?")[0]))


# --- To what a line belongs

_bound: ContextVar[Mapping[str, str]] = ContextVar("nous_chat_log", default=MappingProxyType({}))

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

_process = f"{socket.gethostname()[:50]}:{os.getpid()}"


def bind(**ids: object) -> None:
    """From now on, what the current task logs, and the tasks and threads that it starts, has these ids: `request`,
    `conversation`, `run`, `user`.
    """
    _bound.set({**_bound.get(), **{name: str(value) for name, value in ids.items()}})


def bind_request(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """The same for the id of a request or of a socket: the one that a proxy gave it, else a new one. Does nothing if
    the current task has one.
    """
    if "request" not in _bound.get():
        given = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), "")
        bind(request=given if _REQUEST_ID.fullmatch(given) else uuid4().hex)


@contextmanager
def binding(**ids: object) -> Iterator[None]:
    """The same until the block ends, for threads and tasks that do other work afterwards."""
    before = _bound.get()
    bind(**ids)
    try:
        yield
    finally:
        _bound.set(before)


def bound() -> Mapping[str, str]:
    """The ids of the current task."""
    return _bound.get()


def inherit(context: Context) -> Context:
    """Give a context the ids of the current task. Returns it."""
    context.run(_bound.set, bound())
    return context


def name_process(name: str) -> None:
    """The id of this process in its log, from now on."""
    global _process
    _process = name


# --- Formatters


class _Formatter(logging.Formatter):
    """Hides what does not belong into a log.

    Requests that Django refuses as suspicious, such as one with a wrong Host header, are logged without a traceback:
    anybody can send them, and they are no bugs.
    """

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        record.exc_text = None  # of another formatter, which hides nothing
        if record.exc_info and isinstance(record.exc_info[1], SuspiciousOperation):
            record.exc_info = None
        return self.write(record)

    def write(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        raise NotImplementedError

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's names
        record.message = _DETAILS.sub(_hide_detail, record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        text = super().formatException(ei)
        for error in _chain(ei[1]):
            if _DETAILS.search(said := str(error)):
                text = text.replace(said, _DETAILS.sub(_hide_detail, said))
        return text


def _hide_detail(found: re.Match[str]) -> str:
    return f"\n{found[1]}: ***"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            yield error
            waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]


class LineFormatter(_Formatter):
    """A formatter for text logs. Every line but a record's first is indented, so text from users, in a message or in a
    traceback, cannot look like another record.
    """

    def write(self, record: logging.LogRecord) -> str:
        return hide_secrets(printable("\n    ".join(logging.Formatter.format(self, record).splitlines())))


class JSONFormatter(_Formatter):
    """A formatter that writes one JSON object a line: `time`, `level`, `logger`, `message`, `process`, the ids of
    `bind`, `status` of a request that Django refused, and `exception`.
    """

    def write(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(self.fields(record)).decode()

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """What the line holds. Call it in the thread and task that log, because these know the ids."""
        line = _describe(record, _DETAILS.sub(_hide_detail, record.getMessage()), bound())
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = _clean(self.formatException(record.exc_info))
        return line

    def metadata(self, record: logging.LogRecord) -> dict[str, object]:
        """The same for people who may not read what others wrote: `***` stands for each value that is more than an
        identifier or a number, because a provider, a tool, or an exception may quote a message.
        """
        ids = {name: str(_mask(value)) for name, value in bound().items()}
        line = _describe(record, _mask_message(record), ids)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = _clean("\n".join(map(_describe_place, _chain(record.exc_info[1]))))
        return line


def _describe(record: logging.LogRecord, message: str, ids: Mapping[str, str]) -> dict[str, object]:
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": _clean(message),
        "process": _process,
        **ids,
    }
    if isinstance(status := getattr(record, "status_code", None), int):
        line["status"] = status
    return line


def _mask_message(record: logging.LogRecord) -> str:
    """The message with masked values. One of other code that has no values may have been put together before."""
    ours = record.name == "nous_chat" or record.name.startswith("nous_chat.")
    if not isinstance(record.msg, str) or not (record.args or ours):
        return MASK
    args = record.args
    masked = {name: _mask(value) for name, value in args.items()} if isinstance(args, Mapping) else None
    try:
        return record.msg % (masked or tuple(map(_mask, args or ()))) if args else record.msg
    except (TypeError, ValueError, KeyError):
        return MASK


def _mask(value: object) -> object:
    if isinstance(value, int | float | UUID | None):
        return value
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {MASK}"
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else MASK


def _describe_place(error: BaseException) -> str:
    """Where an exception was raised, without what it says."""
    return "".join([*traceback.format_tb(error.__traceback__), f"{type(error).__qualname__}: {MASK}"])


def _clean(text: str) -> str:
    return hide_secrets(printable(text))[-MAX_CHARS:]
