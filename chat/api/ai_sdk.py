"""The addresses for front ends of the AI SDK (docs/api.md, "The AI SDK")."""

from uuid import UUID, uuid5

from django.http import HttpRequest, HttpResponse

from ..actions import completions as actions
from ..node.http import max_history_body
from ..protocol.adapters.ai_sdk import ChatRequest, UIMessageAdapter
from .endpoint import endpoint, json_body
from .handoff import Answer, ask, followed

_CHATS = UUID("6f3ad3a5-57d4-4a0c-8d0e-6e0a1b4f5c1e")
"""The namespace of the ids that clients give their conversations."""


@followed("POST")
async def chat(request: HttpRequest, agent: str) -> Answer:
    given = json_body(request, ChatRequest, max_history_body())
    if decisions := given.decisions:
        asked = await actions.decide(request.user.pk, decisions)
    else:
        question, key = given.read(), _key(agent, given.id)
        await _stop(request, key)  # the client shows one answer at a time
        asked = await ask(request, agent, question, chat=key)
    return UIMessageAdapter(asked.run), asked


@followed("GET", scopes=("read",))
async def stream(request: HttpRequest, agent: str, chat_id: str) -> Answer | HttpResponse:
    """Resume: the whole answer that is being made, from its beginning."""
    active = await actions.find_active(request.user.pk, _key(agent, chat_id))
    if not active:
        return HttpResponse(status=204)
    return UIMessageAdapter(active[0].run), active[0]


@endpoint("POST")
async def stop(request: HttpRequest, agent: str, chat_id: str) -> HttpResponse:
    await _stop(request, _key(agent, chat_id))
    return HttpResponse(status=204)


def _key(agent: str, chat_id: str) -> UUID:
    return uuid5(_CHATS, f"{agent}/{chat_id}")


async def _stop(request: HttpRequest, key: UUID) -> None:
    for asked in await actions.find_active(request.user.pk, key):
        await actions.stop(asked)
