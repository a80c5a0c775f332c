"""JSON endpoint: search over titles and messages."""

from django.http import HttpRequest, HttpResponse

from .. import store
from ..protocol.errors import ErrorCode, Refused
from ..store.executor import run_request
from .endpoint import endpoint, json_response, query_int

MAX_ID = 2**63 - 1
"""The largest number that the column of a row's id can hold."""


@endpoint("GET")
async def search(request: HttpRequest) -> HttpResponse:
    if "q" not in request.GET:
        raise Refused(ErrorCode.INVALID, "`q` is required: the text to search for.")
    before = query_int(request, "before", 1, MAX_ID)
    return json_response(200, await run_request(store.search_conversations, request.user.pk, request.GET["q"], before))
