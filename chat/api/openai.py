"""OpenAI's addresses: front ends that speak its API can use the agents (docs/api.md, "Clients of OpenAI")."""

from django.http import HttpRequest, HttpResponse

from .. import agents
from ..node.http import max_history_body
from ..permissions import usable_agents
from ..protocol.adapters import openai
from ..protocol.adapters.completions import CompletionAdapter, CompletionRequest
from ..protocol.adapters.responses import ResponseAdapter, ResponseRequest
from ..protocol.errors import ErrorCode, Refused
from ..store import executor
from .endpoint import endpoint, json_body, json_response
from .handoff import Answer, ask, followed


def refuse(refused: Refused) -> HttpResponse:
    """A refusal in OpenAI's shape."""
    status = refused.code.http_status
    response = json_response(status, openai.ErrorBody.of(status, refused.code, str(refused)))
    for name, value in openai.retry_headers(refused.code, refused.retry_after).items():
        response[name] = value
    return response


@endpoint("GET", refuse=refuse)
async def models(request: HttpRequest) -> HttpResponse:
    usable = await executor.run_request(usable_agents, request.user)
    return json_response(200, openai.Models([openai.Model(slug) for slug in usable]))


@followed("POST", refuse=refuse)
async def completions(request: HttpRequest) -> Answer:
    given = json_body(request, CompletionRequest, max_history_body())
    asked = await ask(request, given.model, given.read())
    return CompletionAdapter(given, asked.run), asked


@followed("POST", refuse=refuse)
async def responses(request: HttpRequest) -> Answer | HttpResponse:
    given = json_body(request, ResponseRequest, max_history_body())
    question, previous = given.read(), given.previous_run
    try:
        asked = await ask(request, given.model, question, after=previous)
    except Refused as refused:
        if refused.code != ErrorCode.NOT_FOUND or previous is None or given.model not in agents.all_agents():
            raise
        message = f"There is no answer {given.previous_response_id!r} of yours."
        return json_response(400, openai.ErrorBody.of(400, "previous_response_not_found", message))
    return ResponseAdapter(given, asked.run), asked
