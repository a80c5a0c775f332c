"""Pages of other sites that may use the API (the setting CORS_ORIGINS), by ASGI middleware around the site's
application (`allow_origins`).

Only requests with a bearer token, never with cookies: a page then has what its user gave it, and nothing that the
browser adds. The rules are those of https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from typing import Any

from ..addresses import note_root_path
from ..conf import conf
from .bearer import read_bearer
from .http import ASGIApplication, Receive, Send, find_address

PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
    (b"access-control-max-age", b"600"),
]


def allow_origins(application: ASGIApplication) -> ASGIApplication:
    """The application, which tells browsers that the pages of CORS_ORIGINS may read the answers of the API."""

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        note_root_path(scope)  # for everything inside: this is the outermost part of `asgi.bounded`
        headers = dict(scope["headers"])
        origin: bytes = headers.get(b"origin", b"")
        if not origin or origin.decode("latin-1") not in conf.CORS_ORIGINS or not _is_api(scope):
            await application(scope, receive, send)
            return
        allowed = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await send({"type": "http.response.start", "status": 204, "headers": [*allowed, *PREFLIGHT]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_allowed(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", b"Retry-After, WWW-Authenticate")
                message = {**message, "headers": [*message.get("headers", ()), *allowed, exposed]}
            await send(message)

        has_token = read_bearer(scope["headers"]) is not None
        await application(scope, receive, send_allowed if has_token else send)

    return wrapped


def _is_api(scope: dict[str, Any]) -> bool:
    match = find_address(scope["path"])
    return match is not None and (match.url_name or "").startswith(("api-", "attachment"))
