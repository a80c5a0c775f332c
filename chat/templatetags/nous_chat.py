"""Template tag that puts the chat on any page of a site: `{% load nous_chat %}{% nous_chat conversation %}`."""

from typing import Any

from django import template
from django.template.context import RequestContext

from .. import models
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
