"""The chat without JavaScript: a list of conversations, and forms that create one and post messages.

The messages themselves are on the page (page.py). To see the answer, the user reloads it.
"""

from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required, login_required
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from .. import ratelimit, store
from ..actions import conversations as conversation_actions
from ..actions import messages
from ..actions.caller import Caller
from ..concurrency import outside_transaction
from ..conf import conf
from ..node import node, visitors
from ..node.visitors import visitor_of
from ..permissions import policy
from ..protocol import commands, events
from ..protocol.errors import ErrorCode, Refused
from ..runs.supervisor import NO_SOCKET
from ..store import executor
from . import page
from .guests import guests_allowed, welcome
from .rate_limit import rate_limited, rate_limited_page


@require_GET
@cache_control(private=True)
@login_required
@rate_limited
def conversations(request: HttpRequest) -> HttpResponse:
    """The user's conversations as links, and a button that creates one."""
    newest, more = store.list_conversations(request.user.pk, None)
    context = {"conversations": newest, "more": more, "may_create": policy().can_create(request.user)}
    return render(request, "nous_chat/no_script_list.html", context)


@require_POST
@outside_transaction
@login_required
@rate_limited
async def create_conversation(request: HttpRequest) -> HttpResponse:
    """The form of the list. Leads to the new conversation."""
    user = await request.auser()
    try:
        created = await node.current().tasks.run_to_completion(conversation_actions.create(user))
    except Refused as refused:  # they may not create any
        raise PermissionDenied(str(refused)) from None
    return redirect(created.url)


@require_http_methods(["GET", "POST"])
@outside_transaction
@guests_allowed
@rate_limited
async def post_message(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """The form of a conversation. Leads to the address in `next`, or to the conversation.

    GET leads to the conversation: the sign-in page returns users here whose form came too late, or was refused.
    """
    if request.method == "GET":
        return redirect("nous_chat:conversation", conversation_id)
    return await post(request, visitor_of(request), conversation_id)


@require_http_methods(["GET", "POST"])
@never_cache
@outside_transaction
@login_not_required
async def begin_as_guest(request: HttpRequest) -> HttpResponse:
    """The form for visitors without an account. Makes the visitor a guest, and posts their first message. Leads to the
    conversation. GET leads to the chat: the sign-in page returns visitors here whose form was refused.
    """
    if request.method == "GET":
        return redirect("nous_chat:home")
    found = await sync_to_async(_find_conversation)(request)
    if found is None:
        await executor.release_connection()
        found = await _begin(request)
    return found if isinstance(found, HttpResponse) else await post(request, visitor_of(request), found)


def _find_conversation(request: HttpRequest) -> UUID | HttpResponse | None:
    """The conversation to post to; or the response, if the visitor cannot; or None, if they may begin as a guest."""
    visitor, address = visitors.find_visitor(request), request.META.get("REMOTE_ADDR", "")
    if request.user.is_authenticated or (visitor is None and conf.GUESTS is None):
        return redirect("nous_chat:home")
    try:
        store.check_text(text_of(request))
        if visitor is not None:
            ratelimit.check(ratelimit.client_of(visitor, address))
            if conversation_id := store.find_guest_conversation(visitor.pk):
                return conversation_id
        ratelimit.check_new_guest(address)
    except Refused as refused:
        return _refuse_to_begin(request, refused)
    return None


async def _begin(request: HttpRequest) -> UUID | HttpResponse:
    """The conversation of a new guest, when it is their turn; or the response, if they cannot begin."""
    try:
        await visitors.wait_to_begin()
    except Refused as refused:
        ratelimit.forget_new_guest(request.META.get("REMOTE_ADDR", ""))
        return await sync_to_async(_refuse_to_begin)(request, refused)
    try:
        return await sync_to_async(visitors.begin_guest)(request)
    except Refused as refused:
        return await sync_to_async(_refuse_to_begin)(request, refused)


def _refuse_to_begin(request: HttpRequest, refused: Refused) -> HttpResponse:
    if refused.code == ErrorCode.RATE_LIMITED:
        return rate_limited_page(request, refused.retry_after)
    return welcome(request, str(refused), text_of(request), refused.code.http_status)


def text_of(request: HttpRequest) -> str:
    """The text in the form. Browsers send line breaks as CRLF."""
    return request.POST.get("text", "").replace("\r\n", "\n")


async def post(request: HttpRequest, user: Any, conversation_id: UUID) -> HttpResponse:
    """Post the form's message as this user. If it is refused, the page shows the reason and keeps the text."""
    # Asynchronous, because the answer runs as a task of this process's event loop.
    text = text_of(request)
    command = commands.MessageSend(client_id=_uuid(request.POST.get("client_id", "")), text=text)
    here = node.current()
    try:
        elsewhere = not isinstance(request, ASGIRequest)
        if not elsewhere:
            await here.open()
        caller = Caller(here, user.pk, conversation_id, NO_SOCKET, _ignore, elsewhere)
        posted = await here.tasks.run_to_completion(messages.post(caller, command))
    except Refused as refused:
        if refused.code == ErrorCode.NOT_FOUND:
            raise Http404(str(refused)) from None
        status = refused.code.http_status
        return await sync_to_async(page.render_page)(request, conversation_id, str(refused), text, status)
    if posted.refused is not None:  # the message is posted, but no agent answers it
        return await sync_to_async(page.render_page)(request, conversation_id, str(posted.refused))
    next_url = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(next_url, {request.get_host()}, require_https=request.is_secure())
    # Not `redirect`, which takes a word for the name of a view.
    return HttpResponseRedirect(next_url if safe else page.conversation_url(conversation_id))


async def _ignore(event: events.Event) -> None:
    """There is no socket to reply to; the page that is loaded next shows everything."""


def _uuid(text: str) -> UUID:
    """The form's `client_id`, so that sending the form twice posts one message; a random one if it is invalid."""
    try:
        return UUID(text)
    except ValueError:
        return uuid4()
