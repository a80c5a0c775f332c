"""The site with pages that hold a thread until `/release/` is asked for: `/hold/` in its turn, `/hold/password/` in a
turn of passwords, `/wait/` without any. `/hang/` holds one for ever.

`/state/` tells how many requests the first two answer, how many at once at most, how many `/wait/` answers, and how
many requests wait for a turn. These two paths are outside of Django, so they take no turn.
"""

import json
import threading
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from nousproject import asgi

site = asgi.application  # loads the apps

from chat.node import http_turns  # noqa: E402
from chat.turns import give_up_turn  # noqa: E402
from nousproject import sign_in  # noqa: E402
from nousproject.urls import urlpatterns as site_urlpatterns  # noqa: E402

free = threading.Event()
counting = threading.Lock()
state = {"active": 0, "most": 0, "without_turn": 0}


def count(change: int) -> None:
    with counting:
        state["active"] += change
        state["most"] = max(state["most"], state["active"])


def hold(request: HttpRequest) -> HttpResponse:
    count(+1)
    free.wait(60)
    count(-1)
    return HttpResponse("held")


def wait(request: HttpRequest) -> HttpResponse:
    give_up_turn()
    state["without_turn"] += 1
    free.wait(60)
    return HttpResponse("waited")


def hang(request: HttpRequest) -> HttpResponse:
    count(+1)
    threading.Event().wait()
    raise AssertionError("unreachable")


urlpatterns = [
    path("hold/", hold),
    path("hang/", hang),
    path("hold/password/", csrf_exempt(sign_in.throttled(hold))),
    path("wait/", wait),
    *site_urlpatterns,
]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope.get("path") == "/release/":
        free.set()
    elif scope.get("path") != "/state/":
        await site(scope, receive, send)
        return
    lines = [
        line for turns in (http_turns._turns, http_turns._strangers, sign_in._turns) for line in turns._lines.values()
    ]
    waiting = sum(len(queue) for line in lines for queue in line.waiting.values())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(state | {"waiting": waiting}).encode()})
