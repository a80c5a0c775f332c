"""The site with a path of its own, `/breaks/`, whose response breaks off."""

from typing import Any

from nousproject.asgi import application as site


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope.get("path") != "/breaks/":
        await site(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("the other half is missing")
