"""The page on which users create and revoke their API tokens. It needs no JavaScript."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from .. import store
from ..models import ApiToken
from ..protocol.errors import Refused
from .rate_limit import rate_limited

LIFETIMES = {"30": 30, "90": 90, "365": 365, "": None}
"""Days, by what the form sends. "" is for ever."""


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@rate_limited
def tokens(request: HttpRequest) -> HttpResponse:
    """GET lists the user's tokens, POST creates one. Its page shows it, once: a redirect would have to keep it
    somewhere.
    """
    if request.method != "POST":
        return _page(request)
    name, scopes, days = (request.POST.get(field, "") for field in ("name", "scopes", "days"))
    if scopes not in ApiToken.Scopes or days not in LIFETIMES:
        return _page(request, status=400)
    try:
        token = store.create_token(request.user.pk, name, scopes, LIFETIMES[days])
    except Refused as refused:
        return _page(request, problem=str(refused), name=name, status=refused.code.http_status)
    return _page(request, token=token, status=201)


@require_POST
@login_required
@rate_limited
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke one of the user's own tokens. The page shows what is left; a token that is gone already is no problem."""
    try:
        store.revoke_token(request.user.pk, token_id)
    except Refused as refused:
        return _page(request, problem=str(refused), status=refused.code.http_status)
    return redirect("nous_chat:tokens")


def _page(request: HttpRequest, status: int = 200, **shown: str) -> HttpResponse:
    context = {
        "tokens": store.list_tokens(request.user.pk),
        "scopes": ApiToken.Scopes.choices,
        "lifetimes": LIFETIMES,
        **shown,
    }
    return render(request, "nous_chat/tokens.html", context, status=status)
