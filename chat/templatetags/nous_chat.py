"""Template tags that put the chat on any page of a site: `{% load nous_chat %}{% nous_chat conversation %}`.

Also the filters of the page without JavaScript.
"""

import json
from typing import Any
from uuid import UUID

from django import template
from django.db.models import Model
from django.template.context import RequestContext
from django.utils.html import conditional_escape, format_html_join
from django.utils.safestring import SafeString

from .. import graphemes, i18n, models, store
from ..actions import rooms
from ..node.visitors import visitor_of
from ..protocol import objects
from ..protocol.errors import Refused
from ..views.page import History, conversation_url, element_context, read_history
from ..views.sentences import describe_call, describe_failure

register = template.Library()


@register.inclusion_tag("nous_chat/element.html", takes_context=True)
def nous_chat(context: RequestContext, conversation: models.Conversation | objects.Conversation) -> dict[str, Any]:
    """One conversation, as the request's user sees it."""
    try:
        history = read_history(visitor_of(context["request"]).pk, conversation.id)
    except Refused:  # not a participant: the page still works, and the element says that there is no access
        history = History()
    return _element(context, conversation.id, history)


@register.inclusion_tag("nous_chat/room.html", takes_context=True)
def nous_chat_room(context: RequestContext, obj: Model) -> dict[str, Any]:
    """The room of an object, made on first use. Nothing for users who may not see it."""
    user = context["request"].user
    try:
        room = rooms.enter(user, obj)
        history = History() if room is None else read_history(user.pk, room)
    except Refused as refused:  # it is full
        return {"allowed": False, "problem": str(refused)}
    return {"allowed": room is not None} | ({} if room is None else _element(context, room, history))


@register.inclusion_tag("nous_chat/button.html", takes_context=True)
def nous_chat_button(
    context: RequestContext, target: models.Conversation | objects.Conversation | Model, label: str = ""
) -> dict[str, Any]:
    """A floating button that opens a conversation, or the room of an object, in a panel; without JavaScript a link.
    Nothing for users who may not see it.
    """
    user = context["request"].user
    try:
        if isinstance(target, (models.Conversation, objects.Conversation)):
            conversation = store.get_conversation(visitor_of(context["request"]).pk, target.id)
        else:
            room = rooms.enter(user, target)
            if room is None:
                return {"allowed": False}
            conversation = store.get_conversation(user.pk, room)
    except Refused:
        return {"allowed": False}
    # No messages, which would be read with each page of the site: the panel loads them when it opens.
    element = _element(context, conversation.id, History(conversation))
    return element | {"allowed": True, "label": label, "url": conversation_url(conversation.id)}


def _element(context: RequestContext, conversation_id: UUID, history: History) -> dict[str, Any]:
    request = context["request"]
    element = element_context(request, conversation_id, history, show_list=False)
    return element | {"csrf_token": context.get("csrf_token", ""), "next": request.get_full_path()}


@register.filter
def cost(amount: Any, currency: str) -> str:
    """An amount of money with as many digits as it needs. Nothing if it is not known."""
    return "" if amount is None else i18n.format_cost(amount, currency)


@register.filter
def pieces(text: str) -> SafeString:
    """A text of any length and content, so that every browser can lay it out; short texts without elements."""
    shown = graphemes.limit_marks(text)
    if len(shown) <= graphemes.PIECE_CHARS:
        return conditional_escape(shown)
    return format_html_join("", '<span class="piece">{}</span>', ((piece,) for piece in graphemes.split_pieces(shown)))


register.filter(describe_call)
register.filter(describe_failure)


@register.filter
def as_json(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
