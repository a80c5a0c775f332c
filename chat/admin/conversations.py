"""Conversations with their people and messages, and messages by themselves, for searching."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from ..models import Conversation, Message, Participant
from .readonly import ReadOnly


class ParticipantInline(admin.TabularInline):
    """The one thing that is changed here: who is in a conversation."""

    model = Participant
    extra = 0
    raw_id_fields = ["user"]  # unlike autocomplete, it works where a site keeps its users out of the admin
    readonly_fields = ["joined_at"]


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):
    list_display = ["__str__", "agent", "message_count", "created_at", "updated_at"]
    list_filter = ["agent", "updated_at"]
    search_fields = ["id", "title", "messages__text"]
    date_hierarchy = "created_at"
    inlines = [ParticipantInline]
    fields = ["id", "title", "agent", "mode", "created_at", "updated_at", "transcript"]
    readonly_fields = ["id", "agent", "created_at", "updated_at", "transcript"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        rows: QuerySet[Conversation] = super().get_queryset(request)
        numbers = Message.objects.filter(conversation=OuterRef("pk")).order_by().values("conversation")
        counted = Subquery(numbers.annotate(number=Count("pk")).values("number"))
        return rows.annotate(message_count=Coalesce(counted, 0))  # apart, so that a search does not narrow it

    @admin.display(description=_("messages"), ordering="message_count")
    def message_count(self, row: Any) -> int:
        count: int = row.message_count
        return count

    @admin.display(description=_("transcript"))
    def transcript(self, row: Conversation) -> str:
        address = reverse("admin:nous_chat_message_changelist")
        return format_html('<a href="{}?conversation__id__exact={}">{}</a>', address, row.pk, _("Read it"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["seq", "conversation", "role", "author", "excerpt", "status", "created_at"]
    list_display_links = ["seq", "excerpt"]
    list_filter = ["role", "run__status", "created_at"]
    list_select_related = ["conversation", "author", "run"]
    search_fields = ["text"]
    ordering = ["conversation", "seq"]
    exclude = ["client_id"]

    @admin.display(description=_("text"))
    def excerpt(self, row: Message) -> str:
        return Truncator(row.text).chars(120)

    @admin.display(description=_("run"))
    def status(self, row: Message) -> str:
        run = getattr(row, "run", None)
        return run.get_status_display() if run else ""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup == "conversation__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]
