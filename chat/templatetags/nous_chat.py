"""`{% load nous_chat %}{% nous_chat conversation %}`: the chat on any page of a site."""

from typing import Any

from django import template
from django.template.context import RequestContext

from .. import models
from ..protocol.errors import Refused
from ..views.page import Said, element_context, look

register = template.Library()


@register.inclusion_tag("nous_chat/element.html", takes_context=True)
def nous_chat(context: RequestContext, conversation: models.Conversation) -> dict[str, Any]:
    """One conversation, for the request's user. Whoever is not in it sees nothing of it, only the element's word."""
    request = context["request"]
    try:
        said = look(request.user.pk, conversation.pk)
    except Refused:
        said = Said()
    element = element_context(conversation.pk, said, show_list=False)
    return element | {"csrf_token": context.get("csrf_token", ""), "next": request.get_full_path()}
