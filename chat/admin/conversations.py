"""Admins of conversations, with their participants, and of messages, with edits and attachments."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from ..models import Attachment, Conversation, Edit, Message, Participant
from ..store.search import set_title
from .base import ReadOnly, Undeleted


def count_messages(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Annotate conversations with `message_count`."""
    messages = Message.objects.filter(conversation=OuterRef("pk"), deleted_at=None).order_by()
    counts = Subquery(messages.values("conversation").annotate(count=Count("pk")).values("count"))
    return rows.annotate(message_count=Coalesce(counts, 0))


class MessageColumns:
    """What the admin shows of the messages of a conversation, a row of `count_messages`."""

    @admin.display(description=_("messages"), ordering="message_count")
    def message_count(self, row: Any) -> int:
        count: int = row.message_count
        return count

    @admin.display(description=_("messages"))
    def messages_link(self, row: Conversation) -> str:
        url = reverse("admin:nous_chat_message_changelist")
        return format_html('<a href="{}?conversation__id__exact={}">{}</a>', url, row.pk, _("Show messages"))


class ParticipantInline(admin.TabularInline):
    """Participants can be changed here, which lets staff join a conversation or repair its ownership."""

    model = Participant
    extra = 0
    raw_id_fields = ["user"]  # unlike autocomplete, works for sites without a user admin
    readonly_fields = ["joined_at"]


@admin.register(Conversation)
class ConversationAdmin(MessageColumns, Undeleted):
    undeleted: ClassVar = {"deleted_at": None}
    list_display = ["__str__", "agent", "message_count", "created_at", "updated_at"]
    list_filter = ["agent", "updated_at"]
    search_fields = ["id", "title"]
    date_hierarchy = "created_at"
    inlines = [ParticipantInline]
    fields = ["id", "title", "agent", "mode", "created_at", "updated_at", "messages_link"]
    readonly_fields = ["id", "agent", "created_at", "updated_at", "messages_link"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        rows: QuerySet[Conversation] = super().get_queryset(request)
        return count_messages(rows)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Conversation], search_term: str
    ) -> tuple[QuerySet[Conversation], bool]:
        """Conversations by id, title, and messages. Not by `search_fields`, which would find deleted messages."""
        found, repeats = super().get_search_results(request, queryset, search_term)
        messages = Message.objects.filter(deleted_at=None)
        for word in search_term.split():
            messages = messages.filter(text__icontains=word)
        return queryset.filter(Q(pk__in=found.values("pk")) | Q(pk__in=messages.values("conversation"))), repeats

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
class MessageAdmin(ReadOnly, Undeleted):
    undeleted: ClassVar = {"deleted_at": None, "conversation__deleted_at": None}
    list_display = ["seq", "conversation", "role", "author", "excerpt", "status", "created_at"]
    list_display_links = ["seq", "excerpt"]
    list_filter = ["role", "run__status", "created_at"]
    list_select_related = ["conversation", "author", "run"]
    search_fields = ["text"]
    ordering = ["conversation", "seq"]
    inlines = [EditInline, AttachmentInline]
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
