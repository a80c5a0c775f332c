"""Logs cannot be forged, and hold no tokens, no search words, and no tracebacks of refused requests."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from chat import logs
from chat.concurrency import detached
from chat.engine import EngineError
from chat.engine.printable import one_line, printable
from chat.logs import JSONFormatter, LineFormatter, hide_secrets, loggable_path


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What nousproject would print."""
    given: Any = settings.LOGGING["formatters"]["line"]  # type: ignore[index]
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(LineFormatter(given["format"], style=given["style"]))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def test_no_text_can_look_like_another_record(log: io.StringIO) -> None:
    forged = "2026-11-30 ERROR forged"
    for text in (f"a\n{forged}", f"a\r{forged}", f"a\u2028{forged}", f"a\x85{forged}", f"a\x1b[2K\x1b[1G{forged}"):
        logging.getLogger("nous_chat.test").warning("Title %s", text)
        try:
            raise ValueError(text)
        except ValueError:
            logging.getLogger("nous_chat.test").exception("Failed")
    lines = log.getvalue().split("\n")
    assert sum("WARNING nous_chat.test: Title" in line for line in lines) == 5
    assert not [line for line in lines if line.startswith(forged)]
    assert all(character.isprintable() or character == "\n" for character in log.getvalue())


def test_a_wrong_host_is_one_line(log: io.StringIO, client: Client) -> None:
    assert client.get("/chat/", headers={"host": "evil.example"}).status_code == 400
    lines = log.getvalue().splitlines()
    assert "ERROR django.security.DisallowedHost: Invalid HTTP_HOST header: 'evil.example'" in lines[0]
    assert "Traceback" not in log.getvalue()


def test_the_log_holds_no_token_of_an_invitation(log: io.StringIO) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/chat/join/SECRET.token-1_a/").status_code == 403
    assert client.get("/chat/join/SECRET.token-1_a/x").status_code == 404
    assert log.getvalue().count("/chat/join/***/") == 2
    assert "SECRET" not in log.getvalue()


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/chat/join/SECRET/", "/chat/join/***/"),
        ("/chat/join/SECRET", "/chat/join/***"),
        ("/team/chat/join/SECRET/?x=1", "/team/chat/join/***/"),
        ("/accounts/login/?next=/chat/join/SECRET/", "/accounts/login/"),
        ("/chat/api/search/?q=SECRET", "/chat/api/search/"),
        ("/chat/\x1b]52;c;SECRET\x07", "/chat/\\u001b]52;c;SECRET\\u0007"),
    ],
)
def test_the_access_log_holds_neither_tokens_nor_queries(path: str, logged: str) -> None:
    assert loggable_path(path) == logged


# --- JSON


@pytest.fixture
def json_log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines of `LOG_FORMAT=json`, parsed."""
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(JSONFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


JSONLog = Callable[[], list[dict[str, Any]]]


def test_an_event_is_one_line_of_json(json_log: JSONLog) -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        logging.getLogger("nous_chat.test").exception("Title %s", 'a\n"b"\u2028\x1b[1m')
    (line,) = json_log()
    assert (line["level"], line["logger"]) == ("ERROR", "nous_chat.test")
    assert line["message"] == 'Title a\n"b"\\u2028\\u001b[1m'
    assert line["exception"].endswith("ValueError: a\nb")
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert line["process"]


def test_a_line_says_to_what_it_belongs_also_in_the_tasks_and_threads_that_follow(json_log: JSONLog) -> None:
    logger = logging.getLogger("nous_chat.test")

    async def log(text: str) -> None:
        logger.warning(text)
        await asyncio.to_thread(logger.warning, f"{text} in a thread")

    async def run() -> None:
        logs.bind(request="r1")
        logs.bind(run="u1")
        with logs.binding(conversation="c1"):
            await asyncio.create_task(log("task"))
            await detached(log("detached"), set())
        logger.warning("after")
        await asyncio.create_task(log("elsewhere"), context=Context())

    Context().run(asyncio.run, run())
    found = {
        line["message"]: {k: line[k] for k in ("request", "run", "conversation") if k in line} for line in json_log()
    }
    whole = {"request": "r1", "run": "u1", "conversation": "c1"}
    for name in ("task", "task in a thread", "detached", "detached in a thread"):
        assert found[name] == whole, name
    assert found["after"] == {"request": "r1", "run": "u1"}
    assert found["elsewhere"] == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123.DEF_9", True), ("short", False), ("x" * 65, False), ('a"b\n{}12345', False), ("ü" * 10, False)],
)
def test_the_id_of_a_request_is_the_proxys_if_that_is_harmless(given: str, kept: bool) -> None:
    def bind() -> str:
        logs.bind_request([(b"host", b"x"), (b"x-request-id", given.encode("latin-1"))])
        return logs.bound()["request"]

    assert (Context().run(bind) == given) is kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-proj-abcdefghijklmnop1234 refused", "key sk-*** refused"),
        ("postgres://nous:hunter2@db/nous", "postgres://nous:***@db/nous"),
        ('{"api_key": "0123456789abcdef"}', '{"api_key": "***"}'),
        ("Cookie: sessionid=abcdef0123456789; csrftoken=zyxwv98765", "Cookie: sessionid=***; csrftoken=***"),
        ("Authorization: Bearer abcdefghijklmnopqrst", "Authorization: Bearer ***"),
        ("AUTHORIZATION: BEARER ABCDEFGHIJKLMNOPQRST", "AUTHORIZATION: BEARER ***"),
        ("GET /chat/join/Xy7/?next=1", "GET /chat/join/***/?next=1"),
        ("made nct_0123456789012345678901234567890", "made nct_***"),
        ("gsk_0123456789abcdef xai-0123456789abcdef AIza0123456789abcdef", "gsk_*** xai-*** AIza***"),
        ("apiKey=0123456789 'api-key': '0123456789'", "apiKey=*** 'api-key': '***'"),
        ("token=0123456789&secret = 0123456789, Password: 0123456789", "token=***&secret = ***, Password: ***"),
        ("max_tokens: 123456", "max_tokens: 123456"),
    ],
)
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown


@pytest.mark.parametrize("formatter", [LineFormatter("{levelname} {message}", style="{"), JSONFormatter()])
def test_what_people_wrote_is_left_out_of_an_error_of_the_database(formatter: logging.Formatter) -> None:
    """PostgreSQL quotes the row that it refuses."""
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(formatter)
    logger = logging.Logger("nous_chat.test")
    first = logging.StreamHandler(io.StringIO())  # which keeps the text of the traceback in the record
    first.setFormatter(logging.Formatter())
    logger.addHandler(first)
    logger.addHandler(handler)
    said = "value too long\nDETAIL:  Failing row contains (1, Sesame\nSesame too).\nCONTEXT: Sesame"
    try:
        try:
            raise ValueError(said)
        except ValueError as cause:
            raise RuntimeError("outer") from cause
    except RuntimeError:
        logger.exception("Heartbeat: %s", said)
    assert "Sesame" not in stream.getvalue()
    assert "value too long" in stream.getvalue()
    assert "RuntimeError: outer" in stream.getvalue()


def test_control_characters_are_written_out() -> None:
    assert printable("a\tb\nc") == "a\tb\nc"
    assert printable("\x1b]52;c;aGk=\x07 \x9b31m \x00\x7f\r \u202e\u2066") == (
        "\\u001b]52;c;aGk=\\u0007 \\u009b31m \\u0000\\u007f\\u000d \\u202e\\u2066"
    )
    assert printable("é 中 👩‍👧 ️שלום") == "é 中 👩‍👧 ️שלום", "letters, and what joins them, stay"
    assert one_line("a\r\nb\x0bc\x85d") == "a b c d"
    assert printable("\udc80").encode() == b"\\udc80", "what no UTF-8 can hold"


def test_an_error_of_a_provider_is_one_line() -> None:
    assert (
        EngineError("x", detail="It said:\n2026 ERROR forged\x1b[1m").detail == "It said: 2026 ERROR forged\\u001b[1m"
    )
