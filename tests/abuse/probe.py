"""The site with one endpoint more: POST /abuse/trim collects garbage and gives free memory back to the system.

Without it, the allocator keeps what an attack took, and a leak could not be told from it.
"""

import ctypes
import gc
import sys
from typing import Any

from nousproject.asgi import application as site


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] != "/abuse/trim":
        await site(scope, receive, send)
        return
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
