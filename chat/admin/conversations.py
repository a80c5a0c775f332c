"""Admin of conversations: who talks with which agents, how much, and what it costs. `transcript` shows what is said."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import agents, store
from ..conf import conf
from ..i18n import format_cost
from ..models import Conversation, Message, Participant, Run, Spending
from ..permissions import policy
from ..store.search import set_title
from . import access
from .base import ById, Undeleted, short_time
from .filters import AgentFilter, FeedbackFilter, LiveFilter, PersonFilter, SearchFilter, SharedFilter
from .transcript import TranscriptViews

MAX_NAMES = 3
"""How many participants the list names."""


def count_messages(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Annotate conversations with `message_count`."""
    messages = Message.objects.filter(conversation=OuterRef("pk"), deleted_at=None).order_by()
    counts = Subquery(messages.values("conversation").annotate(count=Count("pk")).values("count"))
    return rows.annotate(message_count=Coalesce(counts, 0))


def with_figures(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Annotate conversations with what the list shows: the database computes it for the rows of a page only."""
    here = {"conversation": OuterRef("pk")}
    active = Run.objects.filter(**here, status__in=Run.ACTIVE).order_by().values("status")[:1]
    spent = Spending.objects.filter(**here).order_by().values("conversation")
    named = Participant.objects.filter(**here).order_by().values("conversation").annotate(count=Count("pk"))
    first = Participant.objects.select_related("user")[: MAX_NAMES + 1]
    return (
        count_messages(rows)
        .prefetch_related(Prefetch("participants", first, to_attr="first_people"))
        .annotate(
            live=Subquery(active),
            people_count=Subquery(named.values("count")),
            total_tokens=Subquery(spent.annotate(sum=Sum("tokens")).values("sum")),
            total_cost=Subquery(spent.annotate(sum=Sum("cost")).values("sum")),
        )
    )


class MessageColumns:
    """What the admin shows of the messages of a conversation, a row of `count_messages`."""

    admin_site: Any

    @admin.display(description=_("messages"))
    def message_count(self, row: Any) -> str:
        return number_format(row.message_count, force_grouping=True)

    @admin.display(description=_("messages"))
    def messages_link(self, row: Conversation) -> str:
        name = "admin:nous_chat_conversation_transcript"
        url = reverse(name, args=[row.pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', url, _("Read transcript"))


class ParticipantInline(admin.TabularInline):
    """Participants can be changed here, which lets staff join a conversation or repair its ownership. Somebody who
    joins can read it, so this needs the permission to.
    """

    model = Participant
    extra = 0
    raw_id_fields = ["user"]  # unlike autocomplete, works for sites without a user admin
    readonly_fields = ["joined_at"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_read(request) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_read(request) and super().has_change_permission(request, obj)


class ConversationAdmin(TranscriptViews, MessageColumns, Undeleted):
    undeleted: ClassVar = {"deleted_at": None}
    content_fields = ("title", "summary", "messages", "passages", "documents", "attachments", "runs")
    list_filter = [SearchFilter, LiveFilter, AgentFilter, SharedFilter, FeedbackFilter, PersonFilter]
    search_fields = ["id"]
    date_hierarchy = "updated_at"
    inlines = [ParticipantInline]
    readonly_fields = ["id", "agent", "created_at", "updated_at", "messages_link"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def get_list_display(self, request: HttpRequest) -> Any:
        name = "title_link" if access.may_read(request) else "number"
        figures = ["message_count", "tokens", "cost", "state", "updated"]
        return [name, "people_names", "agent_names", *figures]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return None if access.may_read(request) else ["number"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ["title"] if access.may_read(request) else []
        links = ["messages_link"] if access.may_read(request) else []
        return ["id", *shown, "agent", "mode", "created_at", "updated_at", *links]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Its figures, for the rows of this page only."""
        changelist: Any = super().get_changelist_instance(request)
        keys = [row.pk for row in changelist.result_list]
        rows = with_figures(Conversation.objects.all()).in_bulk(keys)
        changelist.result_list = [rows[key] for key in keys if key in rows]
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Conversation | None:
        row: Conversation | None = super().get_object(request, object_id, from_field)
        if row is not None and not access.may_read(request):
            row.title = str(row.pk)  # shown as what the page is about; `save_model` does not write it
        return row

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Conversation], search_term: str
    ) -> tuple[QuerySet[Conversation], bool]:
        """By id and, for readers, by title and on request by messages: in the search index, without what is deleted."""
        if not search_term.strip():
            return queryset, False
        try:
            return queryset.filter(pk=UUID(search_term.strip())), False
        except ValueError:
            pass
        if not access.may_read(request):
            return queryset.none(), False
        in_messages = request.GET.get(SearchFilter.parameter_name) == SearchFilter.MESSAGES
        found = store.find_conversations(search_term, in_messages=in_messages)
        return queryset.filter(pk__in=found), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Conversation, form: Any, change: bool) -> None:
        """Only what was changed: the chat writes the other fields meanwhile."""
        if "title" in form.changed_data:  # through the store, so that the search index follows
            set_title(obj, obj.title, Conversation.TitleFrom.PERSON)
        obj.save(update_fields=[*form.changed_data, *["title_from"] * ("title" in form.changed_data)])

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Numbers, not the texts of everything that is deleted."""
        rows = list(objs)
        messages = Message.objects.filter(conversation__in=[row.pk for row in rows]).count()
        names = [str(ById(row.pk, row._meta)) for row in rows]
        counts = {Conversation._meta.verbose_name_plural: len(rows), Message._meta.verbose_name_plural: messages}
        return names, counts, set(), self.list_held(rows)

    @admin.display(description=_("title"))
    def title_link(self, row: Conversation) -> str:
        url = self.conversation_url("transcript", row.pk)
        return format_html('<a href="{}">{}</a>', url, row)

    @admin.display(description=_("number"))
    def number(self, row: Conversation) -> str:
        return str(row.pk)[:8]

    @admin.display(description=_("people"))
    def people_names(self, row: Any) -> str:
        names = [policy().name(each.user) for each in row.first_people[:MAX_NAMES]]
        if (more := (row.people_count or 0) - len(names)) > 0:
            names.append(ngettext("%(count)d more", "%(count)d more", more) % {"count": more})
        return ", ".join(names)

    @admin.display(description=_("agents"))
    def agent_names(self, row: Conversation) -> str:
        return ", ".join(agents.find(slug).name for slug in row.agents)

    @admin.display(description=_("tokens"))
    def tokens(self, row: Any) -> str:
        return "" if row.total_tokens is None else number_format(row.total_tokens, force_grouping=True)

    @admin.display(description=_("cost"))
    def cost(self, row: Any) -> str:
        return format_cost(row.total_cost, conf.CURRENCY) if row.total_cost else ""

    @admin.display(description=_("updated"), ordering="updated_at")
    def updated(self, row: Conversation) -> str:
        return short_time(row.updated_at)

    @admin.display(description=_("state"))
    def state(self, row: Any) -> str:
        if row.live is None:
            return ""
        badge = '<span class="nous-badge" data-status="{}">{}</span>'
        return format_html(badge, row.live, Run.Status(row.live).label)
