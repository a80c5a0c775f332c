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
    """An invitation: GET shows what one is invited to, POST comes in. What is no good link says so, with 404; who was
    removed from the conversation is told that, with 403.
    """
    try:
        if request.method == "POST":
            joined = store.join(request.user, token)
            if joined.change is not None:
                participants.tell_later(joined.conversation, joined.change)
            return redirect("nous_chat:conversation", joined.conversation)
        invited = store.look_at_invitation(request.user.pk, token)
    except Refused as refused:
        unknown = refused.code == ErrorCode.NOT_FOUND
        status = refused.code.http_status if unknown or refused.code == ErrorCode.FORBIDDEN else 409
        problem = {"problem": str(refused), "another": unknown}
        return render(request, "nous_chat/join.html", problem, status=status)
    return render(request, "nous_chat/join.html", {"invited": invited})
