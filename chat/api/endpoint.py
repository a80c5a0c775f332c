"""The decorator of the JSON endpoints, and reading requests: bodies, numbers, times."""

import functools
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from msgspec import Meta, Struct

from ..i18n import number
from ..protocol.errors import ErrorCode, Refused
from ..ratelimit import admit

MAX_BODY = 64 * 1024


View = Callable[..., HttpResponse]


T = TypeVar("T")


def endpoint(*methods: str, often: bool = False) -> Callable[[View], View]:
    """A view for signed-in people that answers in JSON, refusals too. `often`: a page may ask for very many at once."""

    def decorate(view: View) -> View:
        @require_http_methods(methods)
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return _refusal(Refused(ErrorCode.UNAUTHORIZED, _("Sign in first.")))
            try:
                if not often:
                    admit(request.user.pk)
                return view(request, *args, **kwargs)
            except Refused as refused:
                return _refusal(refused)

        return wrapped

    return decorate


def body(request: HttpRequest, kind: type[T]) -> T:
    """The request's JSON. Raises Refused."""
    try:
        if len(request.body) > MAX_BODY:
            raise RequestDataTooBig
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Refused(ErrorCode.INVALID, f"{error}.") from None
    except RequestDataTooBig:
        raise Refused(
            ErrorCode.TOO_LARGE, _("A request may have at most %(most)s bytes.") % {"most": number(MAX_BODY)}
        ) from None
    except (RawPostDataException, msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused(ErrorCode.BAD_JSON, "The request's body is not valid JSON.") from None


def _number(request: HttpRequest, name: str, default: int | None, low: int, high: int) -> int | None:
    given = request.GET.get(name)
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not low <= int(given) <= high:
        raise Refused(ErrorCode.INVALID, f"`{name}` has to be a number from {low} to {high}.")
    return int(given)


def _moment(request: HttpRequest, name: str) -> datetime | None:
    given = request.GET.get(name)
    if not given:
        return None
    try:
        moment: datetime = msgspec.convert(given.replace(" ", "+"), Annotated[datetime, Meta(tz=True)])
        return moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):  # the first hours of the year 1 are in the year 0 there
        raise Refused(ErrorCode.INVALID, f"`{name}` has to be a time like 2026-11-23T09:30:00Z.") from None


def answer_json(status: int, answer: Struct | dict[str, str]) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(answer), content_type="application/json", status=status)


def _refusal(refused: Refused) -> HttpResponse:
    answer = answer_json(refused.code.http_status, {"code": refused.code, "message": str(refused)})
    if refused.retry_after is not None:
        answer["Retry-After"] = str(math.ceil(refused.retry_after))
    return answer
