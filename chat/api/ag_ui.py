"""The address for front ends that speak AG-UI (docs/api.md, "AG-UI")."""

from django.http import HttpRequest

from ..node.http import max_history_body
from ..protocol.adapters.ag_ui import RunAdapter, RunInput
from .endpoint import json_body
from .handoff import Answer, ask, followed


@followed("POST")
async def run(request: HttpRequest, agent: str) -> Answer:
    given = json_body(request, RunInput, max_history_body())
    asked = await ask(request, agent, given.read())
    return RunAdapter(given, asked.run), asked
