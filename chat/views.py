"""The page. Everything live on it goes over the socket; what is rendered here can be read without JavaScript."""

from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods

from . import objects, people, store, words
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


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def join(request: HttpRequest, token: str) -> HttpResponse:
    """An invitation: GET shows what one is invited to, POST comes in. What is no good link says so, with 404."""
    try:
        if request.method == "POST":
            joined = store.join(request.user, token)
            if joined.change is not None:
                people.tell_later(joined.conversation, joined.change)
            return redirect("nous_chat:conversation", joined.conversation)
        invited = store.look_at_invitation(request.user.pk, token)
    except Refused as refused:
        status = 404 if refused.code == "not_found" else 409
        return render(request, "nous_chat/join.html", {"problem": str(refused)}, status=status)
    return render(request, "nous_chat/join.html", {"invited": invited})


@xframe_options_sameorigin
def diagram(request: HttpRequest) -> HttpResponse:
    """The frame in which Mermaid runs (static/nous_chat/markdown/diagram.js): without an origin, without a network."""
    scripts = urljoin(request.build_absolute_uri(), static("nous_chat/"))
    response = render(request, "nous_chat/diagram.html")
    response.headers["Content-Security-Policy"] = (
        f"sandbox allow-scripts; default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "frame-ancestors 'self'"
    )
    return response


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
        "images": " ".join(conf.IMAGE_HOSTS),
        "diagram": reverse("nous_chat:diagram"),
        "conversation": str(conversation_id or ""),
        "messages": messages,
        "show_list": show_list,
        "setup": {
            "words": words.catalogue(),
            "currency": conf.CURRENCY,
            "agents": [{"slug": slug, "name": agent.name} for slug, agent in conf.AGENTS.items()],
        },
    }
