"""Admins of conversations, with their participants, and of messages, with edits and attachments."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from ..models import Attachment, Conversation, Edit, Message, Participant
from ..store.search import set_title
from .readonly import ReadOnly


class ParticipantInline(admin.TabularInline):
    """Participants can be changed here, which lets staff join a conversation or repair its ownership."""

    model = Participant
    extra = 0
    raw_id_fields = ["user"]  # unlike autocomplete, works for sites without a user admin
    readonly_fields = ["joined_at"]


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):
    list_display = ["__str__", "agent", "message_count", "created_at", "updated_at"]
    list_filter = ["agent", "updated_at"]
    search_fields = ["id", "title", "messages__text"]
    date_hierarchy = "created_at"
    inlines = [ParticipantInline]
    fields = ["id", "title", "agent", "mode", "created_at", "updated_at", "messages_link"]
    readonly_fields = ["id", "agent", "created_at", "updated_at", "messages_link"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        rows: QuerySet[Conversation] = super().get_queryset(request)
        # A subquery, because a search joins the matching messages and would count only those.
        messages = Message.objects.filter(conversation=OuterRef("pk")).order_by().values("conversation")
        counts = Subquery(messages.annotate(count=Count("pk")).values("count"))
        return rows.annotate(message_count=Coalesce(counts, 0))

    @admin.display(description=_("messages"), ordering="message_count")
    def message_count(self, row: Any) -> int:
        count: int = row.message_count
        return count

    @admin.display(description=_("messages"))
    def messages_link(self, row: Conversation) -> str:
        url = reverse("admin:nous_chat_message_changelist")
        return format_html('<a href="{}?conversation__id__exact={}">{}</a>', url, row.pk, _("Show messages"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Conversation, form: Any, change: bool) -> None:
        if "title" in form.changed_data:  # through the store, so that the search index follows
            set_title(obj, obj.title, Conversation.TitleFrom.PERSON)
        super().save_model(request, obj, form, change)


class EditInline(ReadOnly, admin.TabularInline):
    """The message's text from before each edit."""

    model = Edit
    fields = ["text", "edited_by", "edited_at"]
    extra = 0
    can_delete = False


class AttachmentInline(ReadOnly, admin.TabularInline):
    model = Attachment
    fields = ["name", "type", "size", "created_at"]
    extra = 0
    can_delete = False


@admin.register(Message)
class MessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["seq", "conversation", "role", "author", "excerpt", "status", "created_at"]
    list_display_links = ["seq", "excerpt"]
    list_filter = ["role", "run__status", "created_at"]
    list_select_related = ["conversation", "author", "run"]
    search_fields = ["text"]
    ordering = ["conversation", "seq"]
    inlines = [EditInline, AttachmentInline]

    def get_exclude(self, request: HttpRequest, obj: Message | None = None) -> list[str]:
        """Hide the text of deleted messages: staff do not read what a user took back."""
        return ["client_id", *(["text", "thinking"] if obj is not None and obj.deleted_at else [])]

    def get_inlines(self, request: HttpRequest, obj: Message | None) -> list[Any]:
        return [] if obj is None or obj.deleted_at else list(self.inlines)

    @admin.display(description=_("text"))
    def excerpt(self, row: Message) -> str:
        return str(_("(deleted)")) if row.deleted_at else Truncator(row.text).chars(120)

    @admin.display(description=_("run"))
    def status(self, row: Message) -> str:
        run = getattr(row, "run", None)
        return run.get_status_display() if run else ""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup == "conversation__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]
