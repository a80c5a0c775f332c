"""Sockets are opened only by pages of the same origin, as Django sees it behind a proxy, and of trusted origins."""

import logging
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from chat.asgi import SameOrigin

SITE = "https://chat.example.org"
BEHIND_TLS = {"host": "chat.example.org", "x-forwarded-proto": "https"}
"""What a proxy sends that ends TLS and is set up as docs/deployment.md says."""


def connect(origin: str | None, headers: dict[str, str], scheme: str | None = None) -> bool:
    """Whether the chat gets the socket of a page at `origin`. `scheme` is what the server says; daphne may say none."""
    reached: list[Any] = []
    sent: list[Any] = []
    given = headers if origin is None else headers | {"origin": origin}
    scope: dict[str, Any] = {"type": "websocket", "path": "/ws/chat/", "query_string": b"\xff"}
    scope |= {"headers": [(name.encode(), value.encode()) for name, value in given.items()], "server": ["10.0.0.1", 80]}
    if scheme:
        scope["scheme"] = scheme

    async def app(*args: Any) -> None:
        reached.append(args)

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing to read")

    async_to_sync(SameOrigin(app))(scope, receive, send)
    assert bool(reached) != bool(sent)
    assert reached or sent == [{"type": "websocket.close"}], "which servers answer with 403"
    return bool(reached)


@pytest.fixture(autouse=True)
def production(settings: Any) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = [".example.org"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.CSRF_TRUSTED_ORIGINS = ["https://www.example.com", "https://*.example.net"]


@pytest.mark.parametrize(
    ("headers", "origin", "allowed"),
    [
        (BEHIND_TLS, SITE, True),
        (BEHIND_TLS, None, True),  # not a browser
        (BEHIND_TLS, "http://chat.example.org", False),
        (BEHIND_TLS, "https://chat.example.org:8443", False),
        (BEHIND_TLS, "https://chat.example.org:443", False),  # browsers leave the default port out
        (BEHIND_TLS, "https://other.example.org", False),
        (BEHIND_TLS, "https://chat.example.org.evil.example", False),
        (BEHIND_TLS, "null", False),
        (BEHIND_TLS, "", False),
        (BEHIND_TLS, "https://[", False),
        (BEHIND_TLS, f"{SITE}, {SITE}", False),
        (BEHIND_TLS, "https://www.example.com", True),
        (BEHIND_TLS, "http://www.example.com", False),
        (BEHIND_TLS, "https://a.example.net", True),
        (BEHIND_TLS, "https://a.example.net:8443", False),
        (BEHIND_TLS, "https://evil-example.net", False),
        (BEHIND_TLS | {"host": "chat.example.org:8443"}, f"{SITE}:8443", True),
        (BEHIND_TLS | {"host": "chat.example.org:8443"}, SITE, False),
        (BEHIND_TLS | {"x-forwarded-proto": "https, http"}, SITE, True),  # two proxies
        (BEHIND_TLS | {"host": "evil.example"}, "https://evil.example", False),
        (BEHIND_TLS | {"host": "evil.example"}, None, False),
        ({"host": "chat.example.org"}, SITE, False),  # the proxy does not say that it ends TLS
        ({"host": "chat.example.org:8000"}, "http://chat.example.org:8000", True),  # no proxy, no TLS
        ({"host": "10.0.0.1:8000"} | {"x-forwarded-proto": "https"}, SITE, False),  # the proxy replaces Host
        ({"host": "app:8000", "x-forwarded-host": "chat.example.org", "x-forwarded-proto": "https"}, SITE, False),
    ],
)
def test_the_origin_must_be_that_of_the_request_or_trusted(
    headers: dict[str, str], origin: str | None, allowed: bool
) -> None:
    assert connect(origin, headers) == allowed


def test_the_host_that_the_proxy_forwards_counts_if_the_site_says_so(settings: Any) -> None:
    settings.USE_X_FORWARDED_HOST = True
    headers = {"host": "app:8000", "x-forwarded-host": "chat.example.org", "x-forwarded-proto": "https"}
    assert connect(SITE, headers)
    assert not connect("https://app:8000", headers)


def test_a_server_that_ends_tls_itself_says_so(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = None
    headers = {"host": "chat.example.org"}
    assert connect(SITE, headers, scheme="wss")
    assert not connect(SITE, headers, scheme="ws")
    assert not connect(SITE, headers | {"x-forwarded-proto": "https"}, scheme="ws"), "anybody can send that header"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost"])
def test_a_site_in_development_needs_no_settings(settings: Any, host: str) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = []
    assert connect(f"http://{host}", {"host": host})
    assert not connect("http://localhost:5173", {"host": host})
    assert not connect("https://evil.example", {"host": "evil.example"})


def test_any_host_admits_no_other_origin(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert connect(SITE, BEHIND_TLS)
    assert not connect("https://evil.example", BEHIND_TLS)


def test_the_log_says_what_the_proxy_must_pass_on(caplog: pytest.LogCaptureFixture) -> None:
    connect(SITE, {"host": "chat.example.org"})
    connect("https://\nforged", {"host": "chat.example.org"})
    connect(None, {"host": "evil.example\nforged"})
    first, second, third = (record.getMessage() for record in caplog.records)
    assert "'https://chat.example.org'" in first
    assert "'http://chat.example.org'" in first
    assert "X-Forwarded-Proto" in first
    assert "evil.example" in third
    assert "\n" not in first + second + third
    assert {(record.levelno, record.exc_info) for record in caplog.records} == {(logging.WARNING, None)}
