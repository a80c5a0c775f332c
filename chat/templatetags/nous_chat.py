"""Template tag that puts the chat on any page of a site: `{% load nous_chat %}{% nous_chat conversation %}`.

Also the filter that the page without JavaScript shows texts with.
"""

from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils.html import conditional_escape, format_html_join
from django.utils.safestring import SafeString

from .. import graphemes, models
from ..protocol.errors import Refused
from ..views.page import History, element_context, read_history

register = template.Library()


@register.inclusion_tag("nous_chat/element.html", takes_context=True)
def nous_chat(context: RequestContext, conversation: models.Conversation) -> dict[str, Any]:
    """One conversation, as the request's user sees it."""
    request = context["request"]
    try:
        history = read_history(request.user.pk, conversation.pk)
    except Refused:  # not a participant: the page still works, and the element says that there is no access
        history = History()
    element = element_context(request.user.pk, conversation.pk, history, show_list=False)
    return element | {"csrf_token": context.get("csrf_token", ""), "next": request.get_full_path()}


@register.filter
def pieces(text: str) -> SafeString:
    """A text of any length and content, so that every browser can lay it out; short texts without elements."""
    shown = graphemes.limit_marks(text)
    if len(shown) <= graphemes.PIECE_CHARS:
        return conditional_escape(shown)
    return format_html_join("", '<span class="piece">{}</span>', ((piece,) for piece in graphemes.split_pieces(shown)))
