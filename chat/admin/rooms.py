"""The inline that shows the room of an object on the admin page of the site's own model."""

from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.admin import GenericTabularInline
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import Conversation
from . import access
from .base import ReadOnly
from .conversations import MessageColumns, count_messages


class RoomInline(MessageColumns, ReadOnly, GenericTabularInline):
    """`inlines = [RoomInline]` in the ModelAdmin of a model that is registered with `rooms.register`."""

    model = Conversation
    verbose_name = verbose_name_plural = _("chat")
    fields = readonly_fields = ("chat_link", "message_count", "updated_at", "messages_link")
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        rows: QuerySet[Conversation] = super().get_queryset(request)
        return count_messages(rows.filter(deleted_at=None))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_fields(request, obj)
        return [name for name in fields if name != "messages_link" or access.may_read(request)]

    @admin.display(description=_("chat"))
    def chat_link(self, row: Conversation) -> str:
        url = reverse("nous_chat:conversation", args=[row.pk])
        return format_html('<a href="{}">{}</a>', url, _("Open in the chat"))
