"""`{% load nous_chat %}{% nous_chat conversation %}`: the chat on any page of a site."""

from typing import Any

from django import template
from django.template.context import RequestContext

from .. import models, store
from ..commands import Refused
from ..views import element_context

register = template.Library()


@register.inclusion_tag("nous_chat/element.html", takes_context=True)
def nous_chat(context: RequestContext, conversation: models.Conversation) -> dict[str, Any]:
    """One conversation, for the request's user. Whoever is not in it sees nothing of it, only the element's word."""
    try:
        messages, _ = store.page(context["request"].user.pk, conversation.pk, None, store.PAGE)
    except Refused:
        messages = []
    element = element_context(conversation.pk, messages, show_list=False)
    return element | {"csrf_token": context.get("csrf_token", "")}
