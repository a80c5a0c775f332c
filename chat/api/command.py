"""Commands over HTTP: the same commands as on a conversation's socket, done by the same actions."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from .. import ratelimit
from ..actions.caller import Caller
from ..node import node
from ..node.http import MAX_BODY
from ..protocol import commands, events
from ..protocol.errors import Refusal, database_unavailable
from ..realtime.mailbox import Away
from ..runs.supervisor import NO_SOCKET
from .endpoint import client_of, json_body, json_response


class Acknowledged(Struct, frozen=True, tag_field="type", tag="ack"):
    """The command's `ack`. `refused` says why no agent answers a message that is posted or changed."""

    ref: str | None
    message: UUID | None
    client_id: UUID | None
    run: UUID | None
    document: UUID | None = None
    refused: Refusal | None = None


async def perform(
    request: HttpRequest,
    conversation_id: UUID,
    kind: type[commands.Command],
    action: Callable[[Caller, Any], Awaitable[object]],
    *,
    status: int = 200,
    most: int = MAX_BODY,
    **ids: UUID,
) -> HttpResponse:
    """Do a command of this kind with the fields of the request's body and the `ids` of its address. Answers with its
    `ack` and this status. Raises Refused.
    """
    given = json_body(request, dict[str, msgspec.Raw], most)
    fields = dict(ids, type=kind.__struct_config__.tag)
    command = commands.decode(msgspec.json.encode(given | fields).decode())
    if command.cost > 1:
        ratelimit.spend(client_of(request), command.cost - 1)
    here, elsewhere = node.current(), not isinstance(request, ASGIRequest)
    if not elsewhere:
        try:
            await here.open()
        except Away:
            raise database_unavailable() from None
    replies: list[events.Event] = []

    async def reply(event: events.Event) -> None:
        replies.append(event)

    await action(Caller(here, request.user.pk, conversation_id, NO_SOCKET, reply, elsewhere), command)
    return json_response(status, _summarize(replies))


def _summarize(replies: list[events.Event]) -> Acknowledged:
    (ack,) = (reply for reply in replies if isinstance(reply, events.Ack))
    refused = next((Refusal(each.code, each.message) for each in replies if isinstance(each, events.Error)), None)
    return Acknowledged(ack.ref, ack.message, ack.client_id, ack.run, ack.document, refused)
