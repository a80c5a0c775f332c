"""Probes of load balancers and process managers, as ASGI middleware: `healthz` (this process lives) and `readyz` (it
may get sockets).

Not views: a probe sends no allowed Host, comes without TLS, and must not wait for requests that take turns.
"""

from typing import Any

from ..realtime import servers
from . import node
from .http import ASGIApplication, Receive, Send, find_address

PROBES = ("healthz", "readyz")


def with_probes(application: ASGIApplication) -> ASGIApplication:
    """The application, with its probes answered here."""

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        is_candidate = scope["path"].endswith(PROBES) and scope["method"] in ("GET", "HEAD")
        match = find_address(scope["path"]) if is_candidate else None
        if match is None or match.url_name not in PROBES:
            await application(scope, receive, send)
            return
        problem = _find_problem(node.current()) if match.url_name == "readyz" else ""
        body = f"{problem or 'ok'}\n".encode()
        headers = [
            (b"content-type", b"text/plain"),
            (b"cache-control", b"no-store"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 503 if problem else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return wrapped


def _find_problem(here: node.Node) -> str:
    """Why this process should get no sockets; "" if it may."""
    if here.draining:
        return "draining"
    if not here.serving:
        return "starting"
    if here.outages.database_away:
        return "the database does not answer"
    if len(here.outages.servers_away) == servers.count():
        return "the channel layer does not answer"
    return ""
