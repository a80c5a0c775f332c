"""The page. Everything live on it goes over the socket; what is rendered here can be read without JavaScript."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse

from . import objects, store, words
from .commands import Refused
from .conf import conf


@login_required
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """The list of conversations, with one of them open or none."""
    messages: list[objects.Message] = []
    if conversation_id is not None:
        try:
            messages, _ = store.page(request.user.pk, conversation_id, None, store.PAGE)
        except Refused as refused:
            raise Http404(str(refused)) from None
    context = element_context(conversation_id, messages, show_list=True)
    return render(request, "nous_chat/chat.html", context)


def element_context(
    conversation_id: UUID | None, messages: list[objects.Message], *, show_list: bool
) -> dict[str, Any]:
    """What `nous_chat/element.html` needs: addresses, words, and the messages for who has no JavaScript."""
    home = reverse("nous_chat:home")
    return {
        "api": f"{home}api/",
        "base": home,
        "socket": conf.WEBSOCKET_URL,
        "login": resolve_url(settings.LOGIN_URL),
        "conversation": str(conversation_id or ""),
        "messages": messages,
        "show_list": show_list,
        "setup": {
            "words": words.catalogue(),
            "agents": [{"slug": slug, "name": agent.name} for slug, agent in conf.AGENTS.items()],
        },
    }
