"""Logs cannot be forged, and hold no tokens, no search words, and no tracebacks of refused requests."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from chat.engine import EngineError
from chat.engine.printable import one_line, printable
from chat.logs import LineFormatter, loggable_path


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


def test_control_characters_are_written_out() -> None:
    assert printable("a\tb\nc") == "a\tb\nc"
    assert printable("\x1b]52;c;aGk=\x07 \x9b31m \x00\x7f\r \u202e\u2066") == (
        "\\u001b]52;c;aGk=\\u0007 \\u009b31m \\u0000\\u007f\\u000d \\u202e\\u2066"
    )
    assert printable("é 中 👩‍👧 ️שלום") == "é 中 👩‍👧 ️שלום", "letters, and what joins them, stay"
    assert one_line("a\r\nb\x0bc\x85d") == "a b c d"


def test_an_error_of_a_provider_is_one_line() -> None:
    assert (
        EngineError("x", detail="It said:\n2026 ERROR forged\x1b[1m").detail == "It said: 2026 ERROR forged\\u001b[1m"
    )
