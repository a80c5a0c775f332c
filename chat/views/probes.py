"""Probes of load balancers and monitoring systems. Under ASGI, `node/probes.py` answers most before Django does."""

import msgspec
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from ..concurrency import outside_transaction
from ..monitoring import prometheus
from ..node import node
from ..node.bearer import challenge, parse_bearer
from ..protocol.errors import ErrorCode, Refusal


@require_safe
@login_not_required
def probe(request: HttpRequest) -> HttpResponse:
    """A process under WSGI makes no runs and holds no sockets: if it answers, it is ready."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


@require_safe
@login_not_required
@outside_transaction
async def metrics(request: HttpRequest) -> HttpResponse:
    """What all processes measure, for staff and for the METRICS_TOKEN. Django logs refusals."""
    token = parse_bearer(request.headers.get("Authorization", ""))
    if token is None:
        user = await request.auser()
        status = 200 if user.is_staff and user.is_active else 403 if user.is_authenticated else 401
    else:
        status = 200 if prometheus.is_scraper(token) else 401
    if status == 200:
        response = HttpResponse(
            prometheus.expose(await node.current().reporter.gather()), content_type=prometheus.CONTENT_TYPE
        )
    else:
        refusal = (
            Refusal(ErrorCode.UNAUTHORIZED, _("Sign in first."))
            if status == 401
            else Refusal(ErrorCode.FORBIDDEN, _("You can't read this."))
        )
        response = HttpResponse(msgspec.json.encode(refusal), status=status, content_type="application/json")
    if status == 401:
        response["WWW-Authenticate"] = challenge(has_token=token is not None)
    response["Cache-Control"] = "private, no-store"
    return response
