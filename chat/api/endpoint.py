"""The decorator of the JSON endpoints, and readers for their bodies and query parameters.

A request is authenticated by its bearer token, or else by the session. Only with a session it needs a CSRF token: a
page of another site can make a browser send cookies, but no Authorization header.
"""

import functools
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from msgspec import Meta, Struct

from .. import ratelimit
from ..concurrency import outside_transaction
from ..i18n import format_size
from ..logs import binding
from ..node import bearer, node, visitors
from ..node.http import MAX_BODY
from ..permissions import asks_can_use, policy
from ..protocol.errors import ErrorCode, Refusal, Refused, database_unavailable
from ..store.executor import run_request
from ..turns import client

logger = logging.getLogger("nous_chat.api")

NO_STORE = "private, no-store"
"""The Cache-Control of every answer: it is for one user, and soon out of date."""

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
T = TypeVar("T")


def refuse(refused: Refused) -> HttpResponse:
    """The response to a refused request."""
    response = json_response(refused.code.http_status, Refusal(refused.code, str(refused)))
    if refused.retry_after is not None:
        response["Retry-After"] = str(math.ceil(refused.retry_after))
    return response


def client_of(request: HttpRequest) -> Hashable:
    """Whose requests this one counts as."""
    return ratelimit.client_of(request.user, request.META.get("REMOTE_ADDR", ""))


def endpoint(
    *methods: str,
    count: Callable[[Any], None] = ratelimit.check,
    refuse: Callable[[Refused], HttpResponse] = refuse,
    scopes: Collection[str] = (),
) -> Callable[[View], View]:
    """Decorator of an asynchronous view for users with a session or a token, and for guests. If it raises Refused, that
    becomes a JSON response.

    The view gets `request.user` loaded, here also that of a guest, and finishes even if the client goes: it may have
    written something. `count` counts the request by its client (`ratelimit.client_of`), and raises Refused if there
    were too many. `refuse` makes the response of a Refused. `scopes` are what a token needs; without, what the
    request's method says.
    """

    def decorate(view: View) -> View:
        # Not `login_required`, and exempt from LoginRequiredMiddleware: a redirect to the sign-in page tells a script
        # nothing.
        @login_not_required
        @csrf_exempt  # `_authenticate` checks it for requests with a session
        @require_http_methods(methods)
        @outside_transaction
        @functools.wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            responding = _respond(functools.partial(view, request, *args, **kwargs), request, count, refuse, scopes)
            ids = {"conversation": kwargs["conversation_id"]} if "conversation_id" in kwargs else {}
            with binding(**ids):
                response = await node.current().tasks.run_to_completion(responding)
            # For middleware that caches a whole site, and for proxies. A file says itself for how long it may be kept.
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response

        return wrapped

    return decorate


async def _respond(
    view: Callable[[], Awaitable[HttpResponseBase]],
    request: HttpRequest,
    count: Callable[[Any], None],
    refuse: Callable[[Refused], HttpResponse],
    scopes: Collection[str],
) -> HttpResponseBase:
    response: HttpResponseBase | None
    try:
        response = await _authenticate(request, scopes)
        if response is None:
            if asks_can_use() and not await run_request(policy().can_use, request.user):
                raise Refused(ErrorCode.FORBIDDEN, _("You can't use this chat."))
            bucket = client_of(request)
            client.set(bucket)  # in the queue, all sessions of a user are one client
            count(bucket)
            with binding(user=request.user.pk):
                response = await view()
    except Refused as refused:
        response = refuse(refused)
        if refused.code == ErrorCode.UNAUTHORIZED:
            response["WWW-Authenticate"] = bearer.challenge(has_token=_read_token(request) is not None)
    except (MultiPartParserError, TooManyFieldsSent, TooManyFilesSent):
        response = refuse(Refused(ErrorCode.INVALID, "Send the fields of a form as valid `multipart/form-data`."))
    except (OperationalError, InterfaceError) as error:
        logger.warning("The database did not answer: %s", error)
        response = refuse(database_unavailable())
    response.headers.setdefault("Cache-Control", NO_STORE)
    return response


async def _authenticate(request: HttpRequest, scopes: Collection[str]) -> HttpResponseBase | None:
    """Find `request.user`. Returns Django's refusal if the request has a session but no valid CSRF token. Raises
    Refused.
    """
    token = _read_token(request)
    if token is not None:
        found = await run_request(bearer.authenticate, token, request)
        for scope in scopes or ["read" if request.method in ("GET", "HEAD") else "write"]:
            bearer.check_scope(found, scope)
        request.user = found.user
        return None
    user = await run_request(visitors.find_visitor, request)
    if user is None:
        raise Refused(ErrorCode.UNAUTHORIZED, _("Sign in first."))
    if request.method not in ("GET", "HEAD"):
        # In the request's thread: it may read the session, or a form.
        refusal = await sync_to_async(_check_csrf)(request)
        if refusal is not None:
            return refusal
    request.user = user
    return None


def _read_token(request: HttpRequest) -> str | None:
    return bearer.parse_bearer(request.META.get("HTTP_AUTHORIZATION", ""))


_csrf = CsrfViewMiddleware(lambda request: HttpResponse())


def _check_csrf(request: HttpRequest) -> HttpResponseBase | None:
    _csrf.process_request(request)
    return _csrf.process_view(request, HttpResponse, (), {})  # of the view it only asks whether it is exempt


def json_body(request: HttpRequest, kind: type[T], most: int = MAX_BODY) -> T:
    """The request's body of up to `most` bytes, decoded and validated as `kind`; an empty body counts as `{}`.

    Raises Refused.
    """
    try:
        if body_length(request) > most or len(request.body) > most:
            raise RequestDataTooBig
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Refused(ErrorCode.INVALID, f"{error}.") from None
    except RequestDataTooBig:  # Django raises it too, from `request.body`
        raise Refused(ErrorCode.TOO_LARGE, _("Requests can be up to %(size)s.") % {"size": format_size(most)}) from None
    except (RawPostDataException, msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused(ErrorCode.BAD_JSON, "The body of the request is not valid JSON.") from None


def body_length(request: HttpRequest) -> int:
    """The length of the body as its sender announced it. A body that is too long is not read (`node/http.py`)."""
    announced: str = request.META.get("CONTENT_LENGTH") or ""
    return int(announced) if announced.isascii() and announced.isdigit() else 0


def query_int(request: HttpRequest, name: str, low: int, high: int) -> int | None:
    """A whole number from the query string; None if it is missing. Raises Refused."""
    given = request.GET.get(name)
    if given is None:
        return None
    # int() accepts more than digits: "+1", "1_000", and digits of other scripts.
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not low <= int(given) <= high:
        raise Refused(ErrorCode.INVALID, f"`{name}` must be a number from {low} to {high}.")
    return int(given)


def query_time(request: HttpRequest, name: str) -> datetime | None:
    """An ISO 8601 time from the query string; None if it is missing or empty. Raises Refused."""
    given = request.GET.get(name)
    if not given:
        return None
    try:
        # In a query string an unescaped "+" of a UTC offset arrives as a space.
        time: datetime = msgspec.convert(given.replace(" ", "+"), Annotated[datetime, Meta(tz=True)])
        return time.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):  # OverflowError: the conversion to UTC left the years 1 to 9999
        raise Refused(ErrorCode.INVALID, f"`{name}` must be a time like 2026-11-23T09:30:00Z.") from None


def json_response(status: int, content: Struct | dict[str, str]) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(content), content_type="application/json", status=status)
