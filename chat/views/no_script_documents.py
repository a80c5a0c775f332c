"""The documents of a conversation without JavaScript: a list, and each with its text and a form to change it."""

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_safe

from .. import store
from ..actions import documents as actions
from ..actions.caller import Caller
from ..concurrency import outside_transaction
from ..conf import conf
from ..graphemes import limit_marks
from ..node import node
from ..node.visitors import visitor_of
from ..permissions import is_guest
from ..protocol import events, objects
from ..protocol.errors import ErrorCode, Refused
from ..runs.supervisor import NO_SOCKET
from .guests import guests_allowed
from .rate_limit import rate_limited


@require_safe
@cache_control(private=True)
@guests_allowed
@rate_limited
def documents(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """The list of a conversation's documents."""
    try:
        found = store.list_documents(visitor_of(request).pk, conversation_id)
    except Refused as refused:
        raise Http404(str(refused)) from None
    return render(request, "nous_chat/documents.html", {"conversation": conversation_id, "documents": found})


@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(private=True)
@outside_transaction
@guests_allowed
@rate_limited
async def document(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    """One document. POST saves the text of the form, with what others have changed since the form was loaded."""
    if request.method != "POST":
        return await sync_to_async(_show)(request, conversation_id, document_id)
    given, text = request.POST.get("version", ""), request.POST.get("text", "")
    try:
        if not given.isascii() or not given.isdigit() or len(given) > 9:
            raise Refused(ErrorCode.INVALID, _("This form is incomplete. Copy your text, and open the document again."))
        merged = await _save(request, conversation_id, document_id, int(given), text)
    except Refused as refused:
        if refused.code == ErrorCode.NOT_FOUND:
            raise Http404(str(refused)) from None
        draft = {"problem": str(refused), "draft": text, "version": given}
        status = refused.code.http_status
        return await sync_to_async(_show)(request, conversation_id, document_id, draft, status)
    address = redirect("nous_chat:document", conversation_id, document_id)
    address["Location"] += "?saved=merged" if merged else "?saved="
    return address


async def _save(request: HttpRequest, conversation_id: UUID, document_id: UUID, version: int, text: str) -> bool:
    here, elsewhere = node.current(), not isinstance(request, ASGIRequest)
    if not elsewhere:
        await here.open()
    caller = Caller(here, visitor_of(request).pk, conversation_id, NO_SOCKET, _ignore, elsewhere)
    return await here.tasks.run_to_completion(actions.save(caller, document_id, version, text))


def _show(
    request: HttpRequest,
    conversation_id: UUID,
    document_id: UUID,
    draft: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """`draft` is what could not be saved, and why: it stays in the form."""
    user = visitor_of(request)
    try:
        opened = store.get_document(user.pk, document_id)
        conversation = store.get_conversation(user.pk, conversation_id)
    except Refused as refused:
        raise Http404(str(refused)) from None
    if opened.conversation != conversation_id:
        raise Http404
    context: dict[str, Any] = {
        "conversation": conversation_id,
        "document": opened,
        "writes": _may_write(user, conversation) and _fits_a_form(opened.text),
        "too_long": _may_write(user, conversation) and not _fits_a_form(opened.text),
        "text": opened.text,
        "version": opened.version,
        "saved": request.GET.get("saved") if request.method != "POST" else None,
    }
    if draft is not None:
        context |= {"text": draft["draft"], "version": draft["version"], "problem": draft["problem"], "writes": True}
    return render(request, "nous_chat/document.html", context, status=status)


def _may_write(user: Any, conversation: objects.Conversation) -> bool:
    return conversation.yours is not None and conversation.yours.role in ("owner", "member") and not is_guest(user)


def _fits_a_form(text: str) -> bool:
    """A form holds as much as a message, and nothing for which a browser takes too long. It must not leave out anything
    either: that would be deleted.
    """
    return len(text) <= conf.MAX_MESSAGE_CHARS and limit_marks(text) == text


async def _ignore(event: events.Event) -> None:
    """There is no socket to reply to; the page that is loaded next shows everything."""
