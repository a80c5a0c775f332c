"""Views whose answer is a run: they ask, and `chat.asgi.with_streams` follows (`consumers/run_response.py`).

A view would hold a turn while it waits for the run, and could not hear that its client has gone.
"""

import asyncio
import functools
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from .. import agents, ratelimit, store
from ..actions import completions as actions
from ..permissions import usable_agents
from ..protocol.adapters.base import Adapter, Question
from ..protocol.errors import ErrorCode, Refused
from ..store import executor
from .conversations import COPIES_PER_TOKEN
from .endpoint import View, endpoint
from .endpoint import refuse as refuse_plainly

HANDOFF = "nous_chat.handoff"
"""The key in an ASGI scope under which `with_streams` waits for a `Handoff`."""

Answer = tuple[Adapter, actions.Asked]
Handoff = asyncio.Future[Answer]


def followed(
    method: str,
    refuse: Callable[[Refused], HttpResponse] = refuse_plainly,
    scopes: Collection[str] = store.SCOPES,
) -> Callable[[Callable[..., Coroutine[Any, Any, Answer | HttpResponse]]], View]:
    """An `endpoint` whose view returns who writes the answer of which run, or a response."""

    def decorate(view: Callable[..., Coroutine[Any, Any, Answer | HttpResponse]]) -> View:
        @endpoint(method, refuse=refuse, scopes=scopes)
        @functools.wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            handoff: Handoff | None = getattr(request, "scope", {}).get(HANDOFF)
            if handoff is None:
                response = refuse(
                    Refused(
                        ErrorCode.UNAVAILABLE,
                        "This needs ASGI. Serve the site with daphne or uvicorn, and its requests through "
                        "`nous_chat.asgi.application` (docs/embedding.md).",
                    )
                )
                response.status_code = 501
                return response
            answer = await view(request, *args, **kwargs)
            if isinstance(answer, HttpResponse):
                return answer
            handoff.set_result(answer)
            return HttpResponse(status=202)  # not sent: `with_streams` answers in its place

        return wrapped

    return decorate


async def ask(request: HttpRequest, agent: str, question: Question, **options: Any) -> actions.Asked:
    """Ask an agent (a slug), with the `options` of the action. Raises Refused."""
    if agent not in agents.all_agents():
        known = await executor.run_request(usable_agents, request.user)
        raise Refused(
            ErrorCode.NOT_FOUND,
            _("There is no such agent. Choose one of: %(known)s.") % {"known": ", ".join(sorted(known))},
        )
    ratelimit.charge(request.user.pk, len(question.history) / COPIES_PER_TOKEN)
    asked = await actions.ask(request.user, agent, question.history, question.text, **options)
    ratelimit.charge(request.user.pk, asked.copied / COPIES_PER_TOKEN)
    return asked
