"""Admin of spending: sums by person, group, agent, model, and day, and the rows that they are made of. What was spent
stays, also of deleted conversations.
"""

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import spending_report
from .base import ConversationColumn, Readable, ReadOnly, with_few_marks
from .downloads import download
from .filters import UserFilter


class SpendingAdmin(ConversationColumn, ReadOnly, Readable):
    content_fields = ("conversation",)
    list_display = ["day", "user", "conversation_link", "agent", "model", "runs", "tokens", "cost"]
    list_filter = [UserFilter]
    list_select_related = ["user"]
    search_fields = ["=conversation__id"]
    search_help_text = gettext_lazy("By the ID of a conversation.")
    date_hierarchy = "day"
    fields: ClassVar = ["day", "user", "conversation_link", "agent", "model", "runs", "tokens", "cost"]
    readonly_fields: ClassVar = ["conversation_link"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it would be a way around budgets

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("rows/", view(self.rows_view), name="nous_chat_spending_rows"),
            path("csv/", view(self.csv_view), name="nous_chat_spending_csv"),
            *super().get_urls(),
        ]

    def rows_view(self, request: HttpRequest) -> Any:
        """Django's own list."""
        return super().changelist_view(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The sums. The rows are on a page of their own."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = spending_report.SpendingForm(request.GET)
        request.current_app = self.admin_site.name  # for `url` in templates
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "title": _("Spending"),
            "form": form,
            "media": self.media,
            **spending_report.describe(form.report()),
            **(extra_context or {}),
        }
        response = TemplateResponse(request, "admin/nous_chat/spending/report.html", context)
        add_never_cache_headers(response)
        return with_few_marks(response)

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """The sums of the same form, or with `details` all that they are made of."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        report = spending_report.SpendingForm(request.GET).report()
        rows = spending_report.detail_rows(report) if "details" in request.GET else spending_report.sum_rows(report)
        name = f"spending-{report.chosen.first}-{report.chosen.last}.csv"
        return download(request, spending_report.to_csv(rows), "text/csv; charset=utf-8", name)
