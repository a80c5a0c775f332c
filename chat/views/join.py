"""The page behind an invitation link."""

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from .. import store
from ..actions import participants
from ..concurrency import outside_transaction
from ..node import node
from ..protocol.errors import ErrorCode, Refused
from ..store import executor
from .rate_limit import rate_limited


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@outside_transaction
@login_required
@rate_limited
async def join(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what the invitation is to, POST accepts it. If it is refused, the page shows the reason: 404 for an
    invalid link, 403 for a user who was removed from the conversation, 409 for a full one.
    """
    user = await request.auser()
    try:
        if request.method == "POST":
            joining = participants.join(user, token)
            joined = await node.current().tasks.run_to_completion(joining)
            return redirect("nous_chat:conversation", joined)
        invited = await executor.run_request(store.preview_invitation, user.pk, token)
    except Refused as refused:
        unknown = refused.code == ErrorCode.NOT_FOUND
        status = refused.code.http_status if unknown or refused.code == ErrorCode.FORBIDDEN else 409
        problem = {"problem": str(refused), "another": unknown}
        return await sync_to_async(render)(request, "nous_chat/join.html", problem, status=status)
    return await sync_to_async(render)(request, "nous_chat/join.html", {"invited": invited})
