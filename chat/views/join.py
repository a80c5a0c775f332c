"""The page behind an invitation link."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from .. import store
from ..actions import participants
from ..protocol.errors import ErrorCode, Refused


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def join(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what the invitation is to, POST accepts it. If it is refused, the page shows the reason: 404 for an
    invalid link, 403 for a user who was removed from the conversation, 409 for a full one.
    """
    try:
        if request.method == "POST":
            return redirect("nous_chat:conversation", participants.join(request.user, token))
        invited = store.preview_invitation(request.user.pk, token)
    except Refused as refused:
        unknown = refused.code == ErrorCode.NOT_FOUND
        status = refused.code.http_status if unknown or refused.code == ErrorCode.FORBIDDEN else 409
        problem = {"problem": str(refused), "another": unknown}
        return render(request, "nous_chat/join.html", problem, status=status)
    return render(request, "nous_chat/join.html", {"invited": invited})
