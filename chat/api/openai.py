"""The addresses of OpenAI's API: front ends that speak it can use the site's agents (docs/api.md, "Clients of OpenAI").

`completions` posts the question. `chat.asgi.with_streams` follows the answer: a view would hold a turn, and could not
hear that its client has gone.
"""

import asyncio
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from .. import ratelimit, store
from ..actions import completions as actions
from ..conf import conf
from ..node.http import max_history_body
from ..protocol import openai
from ..protocol.errors import ErrorCode, Refused
from .conversations import COPIES_PER_TOKEN
from .endpoint import endpoint, json_body, json_response

HANDOFF = "nous_chat.completion"
"""The key in an ASGI scope under which `with_streams` waits for a `Handoff`."""

Handoff = asyncio.Future[tuple[openai.CompletionRequest, actions.Asked]]


def refuse(refused: Refused) -> HttpResponse:
    """A refusal in OpenAI's shape."""
    status = refused.code.http_status
    response = json_response(status, openai.ErrorBody.of(status, refused.code, str(refused)))
    for name, value in openai.retry_headers(refused.code, refused.retry_after).items():
        response[name] = value
    return response


@endpoint("GET", refuse=refuse)
async def models(request: HttpRequest) -> HttpResponse:
    return json_response(200, openai.Models([openai.Model(slug) for slug in conf.AGENTS]))


@endpoint("POST", refuse=refuse, scopes=store.SCOPES)
async def completions(request: HttpRequest) -> HttpResponse:
    handoff: Handoff | None = getattr(request, "scope", {}).get(HANDOFF)
    if handoff is None:
        message = (
            "Completions need ASGI. Serve this site with daphne or uvicorn, and its requests through "
            "nous_chat.asgi.application (docs/embedding.md)."
        )
        return json_response(501, openai.ErrorBody.of(501, ErrorCode.UNAVAILABLE, message))
    asked = json_body(request, openai.CompletionRequest, max_history_body())
    asked.check()
    if asked.model not in conf.AGENTS:
        raise Refused(
            ErrorCode.NOT_FOUND,
            _("There is no such agent. Choose one of: %(known)s.") % {"known": ", ".join(sorted(conf.AGENTS))},
        )
    *history, (__, text) = [(_role(message), message.text) for message in asked.messages]
    turns = [store.Turn(role, said) for role, said in history if said.strip()]
    ratelimit.charge(request.user.pk, len(turns) / COPIES_PER_TOKEN)
    handoff.set_result((asked, await actions.ask(request.user, asked.model, turns, text)))
    return HttpResponse(status=202)  # not sent: `with_streams` answers in its place


def _role(message: openai.RequestMessage) -> Any:
    """Instructions of a client are the user's: what a user writes must not gain more authority than they have."""
    return "assistant" if message.role == "assistant" else "user"
