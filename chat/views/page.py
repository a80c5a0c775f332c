"""The page. Everything live on it goes over the socket; what is rendered here can be read without JavaScript."""

from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse
from msgspec import Struct

from .. import i18n, store
from ..conf import conf
from ..protocol import objects
from ..protocol.errors import Refused


@login_required
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """The list of conversations, with one of them open or none."""
    return page(request, conversation_id)


def page(
    request: HttpRequest, conversation_id: UUID | None, problem: str = "", draft: str = "", status: int = 200
) -> HttpResponse:
    """The last two are for who has no JavaScript: why the message was refused, and its text."""
    said = Said()
    if conversation_id is not None:
        try:
            said = look(request.user.pk, conversation_id, _before(request))
        except Refused as refused:
            raise Http404(str(refused)) from None
    context = element_context(conversation_id, said, show_list=True)
    return render(request, "nous_chat/chat.html", context | {"problem": problem, "draft": draft}, status=status)


class Said(Struct, frozen=True):
    """What was said in a conversation, for who has no JavaScript. `before` is the number that it was asked with."""

    conversation: objects.Conversation | None = None
    messages: list[objects.Message] = []
    more: bool = False
    before: int | None = None


def look(user_id: Any, conversation_id: UUID, before: int | None = None) -> Said:
    """Raises Refused(NOT_FOUND)."""
    messages, more = store.page(user_id, conversation_id, before, store.PAGE)
    shown = [message for message in messages if message.shown and not message.deleted_at]
    return Said(store.look(user_id, conversation_id), shown, more, before)


def address(conversation_id: UUID) -> str:
    return reverse("nous_chat:conversation", args=[conversation_id])


def _before(request: HttpRequest) -> int | None:
    given = request.GET.get("before", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else None


def element_context(conversation_id: UUID | None, said: Said, *, show_list: bool) -> dict[str, Any]:
    """What `nous_chat/element.html` needs: addresses, words, and what was said for who has no JavaScript."""
    home = reverse("nous_chat:home")
    role = said.conversation.yours.role if said.conversation and said.conversation.yours else None
    return {
        "api": f"{home}api/",
        "base": home,
        "socket": conf.WEBSOCKET_URL,
        "login": resolve_url(settings.LOGIN_URL),
        "images": " ".join(conf.IMAGE_HOSTS),
        "diagram": reverse("nous_chat:diagram"),
        "conversation": str(conversation_id or ""),
        "title": said.conversation.title if said.conversation else "",
        "said": said,
        "writes": role in ("owner", "member"),
        "answering": said.conversation is not None and said.conversation.running,
        "client_id": uuid4(),
        "show_list": show_list,
        "setup": {
            "words": i18n.catalogue(),
            "currency": conf.CURRENCY,
            "undo": conf.UNDO_SECONDS,
            "agents": [{"slug": slug, "name": agent.name} for slug, agent in conf.AGENTS.items()],
        },
    }
