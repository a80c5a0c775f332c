"""The middleware of the site in production costs few changes between the event loop and the thread of a request."""

import asyncio
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from django.test import override_settings

SETTINGS = Path(__file__).resolve().parents[2] / "nousproject" / "settings.py"

MOST = 8
"""Changes to the thread: for the middleware, the view and its hooks, the signals before and after, the end."""


async def status_of(application: ASGIHandler, path: str) -> int:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    await application(scope, messages.get, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("path", "status"), [("/accounts/login/", 200), ("/chat/", 302), ("/nowhere/", 404), ("/chat/guest/", 302)]
)
def test_a_request_changes_threads_a_few_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, status: int
) -> None:
    """A stranger's, which need no database: a synchronous view, one that redirects, none, and an asynchronous one."""
    changes = 0
    call = SyncToAsync.__call__

    async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal changes
        changes += 1
        return await call(self, *args, **kwargs)

    monkeypatch.setenv("DEBUG", "")
    monkeypatch.setenv("PLAIN_HTTP", "1")
    production = runpy.run_path(str(SETTINGS))["MIDDLEWARE"]
    assert "whitenoise.middleware.WhiteNoiseMiddleware" in production
    with override_settings(MIDDLEWARE=production, STATIC_ROOT=tmp_path):
        application = ASGIHandler()
        monkeypatch.setattr(SyncToAsync, "__call__", counted)
        assert asyncio.run(status_of(application, path)) == status
    assert 0 < changes <= MOST
