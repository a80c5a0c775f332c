"""The page of the chat. Everything live goes over the socket; what is rendered here can be read without JavaScript."""

from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from msgspec import Struct

from .. import addresses, i18n, store
from ..actions import rooms
from ..conf import conf
from ..node.visitors import visitor_of
from ..permissions import is_guest, policy, usable_agents
from ..protocol import objects
from ..protocol.commands import MAX_FRAME_CHARS
from ..protocol.errors import Refused
from .guests import guests_allowed, sign_in_url, welcome
from .rate_limit import rate_limited


@require_safe
@cache_control(private=True)  # a cache of the whole site would otherwise keep everybody's pages
@guests_allowed
@rate_limited
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """The list of conversations, and the open conversation if there is one. Guests have only one, and no list."""
    user = visitor_of(request)
    if conversation_id is None and is_guest(user):
        conversation_id = store.find_guest_conversation(user.pk)
        # Without: staff have deleted it, and the guest begins again.
        return welcome(request) if conversation_id is None else redirect("nous_chat:conversation", conversation_id)
    return render_page(request, conversation_id)


def render_page(
    request: HttpRequest, conversation_id: UUID | None, problem: str = "", draft: str = "", status: int = 200
) -> HttpResponse:
    """The page. `problem` and `draft` are for users without JavaScript: why their message was refused, and its text."""
    history = History()
    if conversation_id is not None:
        try:
            user_id = visitor_of(request).pk
            rooms.reenter(user_id, conversation_id)
            history = read_history(user_id, conversation_id, _before(request))
        except Refused as refused:
            raise Http404(str(refused)) from None
    context = element_context(request, conversation_id, history, show_list=not is_guest(visitor_of(request)))
    return render(request, "nous_chat/chat.html", context | {"problem": problem, "draft": draft}, status=status)


class History(Struct, frozen=True):
    """A conversation and a page of its messages, for readers without JavaScript."""

    conversation: objects.Conversation | None = None
    messages: list[objects.Message] = []
    more: bool = False
    before: int | None = None
    """The `seq` that all messages are below; None on the newest page."""


def read_history(user_id: Any, conversation_id: UUID, before: int | None = None) -> History:
    """A page of a conversation's messages: the newest, or those before number `before`. Raises Refused(NOT_FOUND)."""
    messages, more = store.list_messages(user_id, conversation_id, before, store.PAGE_SIZE)
    shown = [message for message in messages if message.shown and not message.deleted_at]
    return History(store.get_conversation(user_id, conversation_id), shown, more, before)


def conversation_url(conversation_id: UUID) -> str:
    return addresses.page("conversation", conversation_id)


def admin_url(user: Any) -> str:
    """The address of conversations in the admin, with `*` for the id: of transcripts, if this user may read them. "" if
    they may not see conversations there, or the site has no admin.
    """
    if not getattr(user, "is_staff", False) or not user.has_perm("nous_chat.view_conversation"):
        return ""
    reads = not conf.SEAL_TRANSCRIPTS and user.has_perm("nous_chat.view_transcript")
    return addresses.admin_page("transcript" if reads else "change")


def csp_nonce(request: HttpRequest) -> str:
    """The nonce that the site's content security policy allows scripts by; "" if it has none. Django 6's middleware and
    django-csp keep it with the request.
    """
    return str(getattr(request, "csp_nonce", None) or getattr(request, "_csp_nonce", None) or "")


def _before(request: HttpRequest) -> int | None:
    given = request.GET.get("before", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else None


def element_context(
    request: HttpRequest, conversation_id: UUID | None, history: History, *, show_list: bool
) -> dict[str, Any]:
    """The context of `nous_chat/element.html`: addresses, translated strings, and the history."""
    home = addresses.page("home")
    conversation = history.conversation
    role = conversation.yours.role if conversation and conversation.yours else None
    user = visitor_of(request)
    guest = is_guest(user)
    return {
        "nonce": csp_nonce(request),
        "api": f"{home}api/",
        "base": home,
        "socket": addresses.sockets(),
        "login": resolve_url(settings.LOGIN_URL),
        "images": " ".join(conf.IMAGE_HOSTS),
        "diagram": addresses.page("diagram"),
        "preview": addresses.page("preview"),
        "conversation": str(conversation_id or ""),
        "title": conversation.title if conversation else "",
        "history": history,
        "writes": role in ("owner", "member"),
        "answering": conversation is not None and conversation.running,
        "client_id": uuid4(),
        "show_list": show_list,
        "guest": guest,
        "sign_in": sign_in_url(request),
        "setup": {
            "words": i18n.catalogue(),
            "currency": conf.CURRENCY,
            "undo": conf.UNDO_SECONDS,
            "renew": settings.SESSION_COOKIE_AGE / 10 if settings.SESSION_SAVE_EVERY_REQUEST else 0,
            "user": str(user.pk),
            "guest": guest,
            "may": {"create": user.is_authenticated and policy().can_create(user), "attach": not guest}
            | ({"admin": admin} if (admin := admin_url(user)) else {}),
            "limits": {"message": conf.MAX_MESSAGE_CHARS, "frame": MAX_FRAME_CHARS},
            "agents": [{"slug": slug, "name": agent.name} for slug, agent in usable_agents(user).items()],
        },
    }
