"""Admin of runs: figures, failures, and charts of what a filter selects. What a run wrote is in the transcript."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .. import addresses, store
from ..conf import conf
from ..i18n import format_cost
from ..models import Run
from . import access, figures
from .base import ConversationColumn, Readable, ReadOnly, short_time
from .filters import (
    AgentFilter,
    ErrorFilter,
    FeedbackFilter,
    GroupFilter,
    LauncherFilter,
    ModelFilter,
    PeriodFilter,
    RecordedFilter,
)
from .inspector import InspectorViews
from .prices import describe_lines

AGENT = ("agent", "agent_version", "model")
METADATA = (
    *("started_at", "first_token_at", "finished_at", "duration", "input_tokens", "output_tokens", "cached_tokens"),
    *("reasoning_tokens", "total_tokens", "tokens", "cost", "price_lines", "finish_reason", "error_code"),
)
INTERNALS = (
    *("id", "continues", "unattended", "host", "heartbeat_at", "seq", "place", "retry_after"),
    *("stop_requested_at", "stopped_by"),
)


class RunAdmin(InspectorViews, ConversationColumn, ReadOnly, Readable):
    """Of deleted answers, too: what they cost stays, and nothing here tells what they said."""

    change_list_template = "admin/nous_chat/run/change_list.html"
    content_fields = (
        *("transcript", "error_message", "error_detail", "message", "replaces", "calls", "conversation", "recordings"),
    )
    list_display = [
        *("created", "state", "agent", "model", "launched_by", "conversation_link"),
        *("first_token", "duration", "used_tokens", "cost_shown"),
    ]
    list_display_links = ["created"]
    list_filter = [
        *(PeriodFilter, "status", AgentFilter, ModelFilter, ErrorFilter),
        *(LauncherFilter, FeedbackFilter, RecordedFilter, GroupFilter),
    ]
    list_select_related = ["launched_by"]
    search_fields = ["=id"]
    search_help_text = _("By the ID of a run.")
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "conversation_link",
                    "answer_link",
                    "inspect_link",
                    "agent",
                    "agent_version",
                    "model",
                    "status",
                    "launched_by",
                ]
            },
        ),
        (_("Figures"), {"fields": METADATA}),
        (_("Internals"), {"fields": INTERNALS, "classes": ["collapse"]}),
    ]
    readonly_fields = ["id", "conversation_link", "answer_link", "inspect_link", "duration", "price_lines"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows: QuerySet[Run] = super().get_queryset(request)
        return rows.defer("transcript", "error_message", "error_detail")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Not even for readers: the answer may be deleted."""
        return lookup.partition("__")[0] not in self.content_fields and super().lookup_allowed(lookup, value, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it goes with its conversation

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        response = super().changelist_view(request, extra_context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:
            response.context_data |= figures.describe(changelist)
            watches = store.staff_rights(request.user).watch
            response.context_data["dashboard"] = addresses.page("dashboard") if watches else ""
        return response

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, row: Run) -> str:
        return short_time(row.created_at)

    @admin.display(description=_("state"))
    def state(self, row: Run) -> str:
        badge = '<span class="nous-badge" data-status="{}">{}</span> {}'
        return format_html(badge, row.status, row.get_status_display(), row.error_code)

    @admin.display(description=_("first token"))
    def first_token(self, row: Run) -> str:
        return _seconds(row.started_at, row.first_token_at)

    @admin.display(description=_("duration"))
    def duration(self, row: Run) -> str:
        return _seconds(row.started_at, row.finished_at)

    @admin.display(description=_("tokens"))
    def used_tokens(self, row: Run) -> str:
        used = row.tokens if row.total_tokens is None else row.total_tokens
        return "" if used is None else number_format(used, force_grouping=True)

    @admin.display(description=_("cost"))
    def cost_shown(self, row: Run) -> str:
        return "" if row.cost is None else format_cost(row.cost, conf.CURRENCY)

    @admin.display(description=_("price"))
    def price_lines(self, row: Run) -> str:
        """The price that counted; two if it changed while the run waited for an approval."""
        return describe_lines(row.price)

    @admin.display(description=_("answer"))
    def answer_link(self, row: Run) -> str:
        name = "admin:nous_chat_conversation_transcript"
        url = reverse(name, args=[row.conversation_id], current_app=self.admin_site.name)
        return format_html('<a href="{}?{}">{}</a>', url, urlencode({"run": row.pk}), _("Show in the transcript"))

    @admin.display(description=_("timeline"))
    def inspect_link(self, row: Run) -> str:
        return format_html('<a href="{}">{}</a>', self.run_url("inspect", row), _("Inspect"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without links that would be refused."""
        may_read = access.may_read(request)
        allowed: dict[Any, bool] = {"answer_link": may_read, "inspect_link": may_read and access.may_inspect(request)}
        (_name, first), *others = super().get_fieldsets(request, obj)
        return [(None, {"fields": [name for name in first["fields"] if allowed.get(name, True)]}), *others]


def _seconds(start: Any, end: Any) -> str:
    if start is None or end is None:
        return ""
    return _("%(seconds)s s") % {"seconds": number_format((end - start).total_seconds(), 1)}
