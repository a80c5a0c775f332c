"""JSON endpoint: search."""

from django.http import HttpRequest, HttpResponse

from .. import store
from ..protocol.errors import ErrorCode, Refused
from .endpoint import _number, answer_json, endpoint


@endpoint("GET")
def search(request: HttpRequest) -> HttpResponse:
    if "q" not in request.GET:
        raise Refused(ErrorCode.INVALID, "Say what to search for, as `q`.")
    before = _number(request, "before", None, 1, 2**63 - 1)
    return answer_json(200, store.find(request.user.pk, request.GET["q"], before))
