"""The chat without JavaScript: the list of conversations, a form that begins one, a form that says something. What was
said is on the page itself (`views.py`), and the answer is there when that is loaded again.
"""

from functools import partial
from uuid import UUID, uuid4

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from .. import ratelimit, store
from ..actions import messages
from ..protocol import commands
from ..protocol.errors import ErrorCode, Refused
from ..realtime import inbox
from ..runs import supervisor
from . import page


@require_GET
@login_required
def conversations(request: HttpRequest) -> HttpResponse:
    """All conversations as links, and a way to begin one."""
    listed, more = store.conversations_of(request.user.pk, None)
    return render(request, "nous_chat/plain.html", {"conversations": listed, "more": more})


@require_POST
@login_required
def begin(request: HttpRequest) -> HttpResponse:
    try:
        ratelimit.admit(request.user.pk)
    except Refused as refused:
        return HttpResponse(str(refused), status=refused.code.http_status, content_type="text/plain")
    created = store.create_conversation(request.user)
    transaction.on_commit(partial(async_to_sync(inbox.announce_to), [request.user.pk], created.id))
    return redirect(created.url)


@require_POST
@login_required
async def say(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Store a message and set its answer going in this process's Supervisor: an asynchronous view runs where that does.

    Leads back to `next`, or to the conversation; where the message is refused, the page says why and keeps the text.
    """
    user = await request.auser()
    text = request.POST.get("text", "").replace("\r\n", "\n")
    wanted = commands.MessageSend(client_id=_uuid(request.POST.get("client_id", "")), text=text)
    here = supervisor.current()
    try:
        ratelimit.admit(user.pk)
        await here.open()
        posted = await here.see_through(messages.post(here, user.pk, conversation_id, wanted, supervisor.NO_SOCKET))
    except Refused as refused:
        if refused.code == ErrorCode.NOT_FOUND:
            raise Http404(str(refused)) from None
        status = refused.code.http_status
        return await sync_to_async(page.page)(request, conversation_id, str(refused), text, status)
    if posted.refused is not None:
        return await sync_to_async(page.page)(request, conversation_id, str(posted.refused))
    asked = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return redirect(asked if safe else page.address(conversation_id))


def _uuid(text: str) -> UUID:
    """The form's, so that sending it twice makes one message; a new one where somebody has changed it."""
    try:
        return UUID(text)
    except ValueError:
        return uuid4()
