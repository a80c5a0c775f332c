"""HTTP endpoints of the streams, for servers that cannot serve any. `chat.asgi.bounded` serves them before Django."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from ..protocol.errors import ErrorCode, Refusal
from .endpoint import endpoint, json_response


@endpoint("GET")
async def stream(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    message = (
        "Streams need ASGI. Serve this site with daphne or uvicorn, and its requests through "
        "nous_chat.asgi.application (docs/embedding.md)."
    )
    return json_response(501, Refusal(ErrorCode.UNAVAILABLE, message))
