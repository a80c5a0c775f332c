"""The dashboard of staff. What its pages show comes over their sockets (`consumers/dashboard.py`)."""

import functools
from collections.abc import Callable

import msgspec
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from .. import __version__, addresses, store
from ..actions.breakers import set_breaker
from ..metrics import METRICS
from ..models import Breaker
from ..monitoring.status import read_status
from ..protocol.errors import Refusal, Refused
from .dashboard_words import columns, connection_words, log_words, words
from .page import admin_url, csp_nonce
from .rate_limit import rate_limited

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def for_watchers(view: Callable[[HttpRequest, store.StaffRights], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator of a view for users with the permission `view_dashboard`. Django logs refusals."""

    @never_cache
    @login_required
    @rate_limited
    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        rights = store.staff_rights(request.user)
        if not rights.watch:
            raise PermissionDenied
        return view(request, rights)

    return wrapped


@require_safe
@for_watchers
def dashboard(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """Figures and runs."""
    setup = {
        "socket": f"{addresses.sockets()}dashboard/",
        "status": addresses.page("dashboard-status"),
        "conversation": admin_url(request.user),
        "stop": rights.stop,
        "breaker": addresses.page("dashboard-breaker") if rights.breakers else None,
        "csrf": get_token(request),
        "settings": {setting.value: str(setting.label) for setting in Breaker.Setting},
        "labels": {name: metric.labels for name, metric in METRICS.items()},
        "buckets": {name: metric.buckets for name, metric in METRICS.items() if metric.buckets},
        "words": words(),
    }
    context = {"setup": setup, "nonce": csp_nonce(request), "columns": columns(rights.stop)}
    return render(request, "nous_chat/dashboard.html", context)


@require_safe
@for_watchers
def log(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """The log of all processes."""
    setup = {"socket": f"{addresses.sockets()}dashboard/log/", "words": connection_words() | log_words()}
    context = {"setup": setup, "nonce": csp_nonce(request), "masked": not rights.read, "levels": LEVELS}
    return render(request, "nous_chat/log.html", context)


@require_safe
@for_watchers
def status(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """The state of the system around the chat, as JSON."""
    found = read_status(__version__)
    return HttpResponse(msgspec.json.encode(found), content_type="application/json")


@require_POST
@for_watchers
def breaker(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """Open or close the circuit breaker of a model. Django logs refusals."""
    try:
        set_breaker(request.user.pk, request.POST.get("model", ""), request.POST.get("setting", ""))
    except Refused as refused:
        body = msgspec.json.encode(Refusal(refused.code, refused.message))
        return HttpResponse(body, status=refused.code.http_status, content_type="application/json")
    return HttpResponse(status=204)
