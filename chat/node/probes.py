"""Probes of load balancers and monitoring systems, as ASGI middleware: `healthz` (this process lives), `readyz` (it may
get sockets), and `metrics` with the METRICS_TOKEN.

Not views: a probe sends no allowed Host, comes without TLS, and must not wait for requests that take turns.
"""

from typing import Any

from ..monitoring import prometheus
from ..realtime import servers
from . import node
from .bearer import read_bearer
from .http import ASGIApplication, Receive, Send, find_address

PROBES = ("healthz", "readyz", "metrics")


def with_probes(application: ASGIApplication) -> ASGIApplication:
    """The application, with its probes answered here."""

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        is_candidate = scope["path"].endswith(PROBES) and scope["method"] in ("GET", "HEAD")
        match = find_address(scope["path"]) if is_candidate else None
        if match is None or match.url_name not in PROBES:
            await application(scope, receive, send)
            return
        problem, content_type, body = "", "text/plain", b"ok\n"
        if match.url_name == "metrics":
            if not prometheus.is_scraper(read_bearer(scope["headers"])):  # staff, or somebody to refuse
                await application(scope, receive, send)
                return
            content_type = prometheus.CONTENT_TYPE
            body = prometheus.expose(await node.current().reporter.gather()).encode()
        elif match.url_name == "readyz" and (problem := _find_problem(node.current())):
            body = f"{problem}\n".encode()
        headers = [
            (b"content-type", content_type.encode()),
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
    if here.outages.database_away:
        return "the database does not answer"
    if (not here.serving and here.waits_for_layer) or len(here.outages.servers_away) == servers.count():
        return "the channel layer does not answer"
    return "" if here.serving else "starting"
