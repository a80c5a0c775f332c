"""The site with endpoints for those who measure it, all of them POST:

/probe/trim    collects garbage and gives free memory back to the system. Without it, the allocator keeps what it once
               needed, and a leak could not be told from that
/probe/count   starts counting statements (statements.py)
/probe/counts  stops counting; answers {"statements", "transactions", "checks"}
/probe/objects answers {"ignored", "collected", "young"}: how many objects garbage collections leave out, and look at,
               and how many collections of young objects precede one of all
/probe/loop    answers {"loop"}: the module of the event loop's class
/probe/see, blind, hear, deafen, flood, stop-flood, trace-runs, trace-nothing   turn on and off what
               monitoring_switches.py says
"""

import asyncio
import ctypes
import gc
import json
import sys
from typing import Any

from nousproject.asgi import application as site

from . import monitoring_switches as switches
from .statements import Statements

_statements = Statements()


def _trim() -> None:
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _count_objects() -> dict[str, int]:
    return {"ignored": gc.get_freeze_count(), "collected": len(gc.get_objects()), "young": gc.get_threshold()[2]}


def _name_loop() -> dict[str, str]:
    return {"loop": type(asyncio.get_running_loop()).__module__}


ENDPOINTS = {
    "/probe/trim": _trim,
    "/probe/count": _statements.start,
    "/probe/counts": _statements.stop,
    "/probe/objects": _count_objects,
    "/probe/loop": _name_loop,
    "/probe/see": switches.see,
    "/probe/blind": switches.blind,
    "/probe/hear": switches.hear,
    "/probe/deafen": switches.deafen,
    "/probe/flood": switches.flood,
    "/probe/stop-flood": switches.stop_flood,
    "/probe/trace-runs": switches.trace_runs,
    "/probe/trace-nothing": switches.trace_nothing,
}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] not in ENDPOINTS:
        await site(scope, receive, send)
        return
    answer = json.dumps(ENDPOINTS[scope["path"]]()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})
