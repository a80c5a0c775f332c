"""JSON endpoints: start and stop runs, and decide on their tool calls."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from ..actions import runs as actions
from ..protocol import commands
from .command import perform
from .endpoint import endpoint


@endpoint("POST")
async def runs(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.RunStart, actions.start, status=201)


@endpoint("POST")
async def stop(request: HttpRequest, conversation_id: UUID, run_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.RunStop, actions.stop, run=run_id)


@endpoint("POST")
async def decide(request: HttpRequest, conversation_id: UUID, call_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.ToolDecide, actions.decide, call=call_id)
