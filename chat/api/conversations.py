"""JSON over HTTP, authenticated by the session (docs/protocol.md, "HTTP"): commands in, wire objects out."""

import functools
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from asgiref.sync import async_to_sync
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from msgspec import Meta, Struct

from .. import ratelimit, store
from ..i18n import number
from ..protocol import objects
from ..protocol.commands import Refused
from ..realtime import inbox

MAX_BODY = 64 * 1024
STATUS = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "busy": 503,
    "unavailable": 503,
}

View = Callable[..., HttpResponse]
T = TypeVar("T")


class NewConversation(Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(max_length=200)] = ""
    agent: str | None = None


class From(Struct, frozen=True, forbid_unknown_fields=True):
    message: UUID


class Conversations(Struct, frozen=True):
    conversations: list[objects.Conversation]
    more: bool


class Messages(Struct, frozen=True):
    messages: list[objects.Message]
    more: bool


class Edits(Struct, frozen=True):
    edits: list[objects.Edit]


_requests = ratelimit.Requests()


def endpoint(*methods: str, often: bool = False) -> Callable[[View], View]:
    """A view for signed-in people that answers in JSON, refusals too. `often`: a page may ask for very many at once."""

    def decorate(view: View) -> View:
        @require_http_methods(methods)
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return _refusal(Refused("unauthorized", _("Sign in first.")))
            try:
                if not often:
                    admit(request.user.pk)
                return view(request, *args, **kwargs)
            except Refused as refused:
                return _refusal(refused)

        return wrapped

    return decorate


@endpoint("GET", "POST")
def conversations(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return answer_json(200, Conversations(*store.conversations_of(request.user.pk, _moment(request, "before"))))
    wanted = body(request, NewConversation)
    created = store.create_conversation(request.user, wanted.title, wanted.agent)
    transaction.on_commit(partial(async_to_sync(inbox.announce_to), [request.user.pk], created.id))
    return answer_json(201, created)


@endpoint("GET", "PATCH", "DELETE")
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "DELETE":
        deleted = store.delete_conversation(request.user.pk, conversation_id)
        transaction.on_commit(partial(async_to_sync(inbox.announce_deletion), conversation_id, deleted))
        return HttpResponse(status=204)
    if request.method == "GET":
        return answer_json(200, store.look(request.user.pk, conversation_id))
    changes = body(request, store.Changes)
    changed = store.change_conversation(request.user.pk, conversation_id, changes)
    tell = inbox.announce if changes.common else partial(inbox.announce_to, [request.user.pk])
    transaction.on_commit(partial(async_to_sync(tell), conversation_id))
    return answer_json(200, changed)


@endpoint("POST")
def restore(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    restored = store.restore_conversation(request.user.pk, conversation_id)
    transaction.on_commit(partial(async_to_sync(inbox.announce), conversation_id))
    return answer_json(200, restored)


@endpoint("POST")
def fork(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    made = store.fork(request.user.pk, conversation_id, body(request, From).message)
    transaction.on_commit(partial(async_to_sync(inbox.announce), made.id))
    return answer_json(201, made)


@endpoint("GET")
def messages(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    before = _number(request, "before", None, 1, 2**31 - 1)
    limit = _number(request, "limit", store.PAGE, 1, 100) or store.PAGE
    return answer_json(200, Messages(*store.page(request.user.pk, conversation_id, before, limit)))


@endpoint("GET")
def edits(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    return answer_json(200, Edits(store.edits_of(request.user.pk, conversation_id, message_id)))


@endpoint("GET")
def search(request: HttpRequest) -> HttpResponse:
    if "q" not in request.GET:
        raise Refused("invalid", "Say what to search for, as `q`.")
    before = _number(request, "before", None, 1, 2**63 - 1)
    return answer_json(200, store.find(request.user.pk, request.GET["q"], before))


def admit(user_id: Any) -> None:
    """Raises Refused where this person asks too often. For the forms without JavaScript, too."""
    if wait := _requests.take(user_id, time.monotonic()):
        raise Refused("rate_limited", _("You are asking too often. Wait a moment."), retry_after=wait)


def body(request: HttpRequest, kind: type[T]) -> T:
    """The request's JSON. Raises Refused."""
    try:
        if len(request.body) > MAX_BODY:
            raise RequestDataTooBig
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Refused("invalid", f"{error}.") from None
    except RequestDataTooBig:
        raise Refused(
            "too_large", _("A request may have at most %(most)s bytes.") % {"most": number(MAX_BODY)}
        ) from None
    except (RawPostDataException, msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused("bad_json", "The request's body is not valid JSON.") from None


def _number(request: HttpRequest, name: str, default: int | None, low: int, high: int) -> int | None:
    given = request.GET.get(name)
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not low <= int(given) <= high:
        raise Refused("invalid", f"`{name}` has to be a number from {low} to {high}.")
    return int(given)


def _moment(request: HttpRequest, name: str) -> datetime | None:
    given = request.GET.get(name)
    if not given:
        return None
    try:
        moment: datetime = msgspec.convert(given.replace(" ", "+"), Annotated[datetime, Meta(tz=True)])
        return moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):  # the first hours of the year 1 are in the year 0 there
        raise Refused("invalid", f"`{name}` has to be a time like 2026-11-23T09:30:00Z.") from None


def answer_json(status: int, answer: Struct | dict[str, str]) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(answer), content_type="application/json", status=status)


def _refusal(refused: Refused) -> HttpResponse:
    answer = answer_json(STATUS.get(refused.code, 400), {"code": refused.code, "message": str(refused)})
    if refused.retry_after is not None:
        answer["Retry-After"] = str(math.ceil(refused.retry_after))
    return answer
