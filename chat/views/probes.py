"""Probes of load balancers and process managers. Under ASGI, `node/probes.py` answers before Django does."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@require_safe
@login_not_required
def probe(request: HttpRequest) -> HttpResponse:
    """A process under WSGI makes no runs and holds no sockets: if it answers, it is ready."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})
