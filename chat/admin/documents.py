"""Admin of documents. Their history is shown, but not their log: it can have many thousands of updates."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from ..models import Document, DocumentProposal
from ..protocol import objects
from ..store.document_log import read_text
from ..store.document_proposals import describe_proposal
from ..store.document_versions import newest_versions
from . import access
from .base import ReadOnly, Undeleted

SHOWN_PROPOSALS = 10

MAX_DIFF_CHARS = 5_000
"""How much of a proposed change is shown."""


class DocumentAdmin(ReadOnly, Undeleted):
    undeleted: ClassVar = {"deleted_at": None, "conversation__deleted_at": None}
    list_display = ["title", "kind", "conversation", "created_by", "version", "updated_at"]
    list_filter = ["kind", "updated_at"]
    list_select_related = ["conversation", "created_by"]
    search_fields = ["id", "title"]
    fields = [
        "id",
        "conversation",
        "kind",
        "language",
        "title",
        "version",
        "newest_text",
        "history",
        "proposals",
        "created_by",
        "created_at",
        "updated_at",
    ]
    readonly_fields = ["id", "newest_text", "history", "proposals"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All of it is content."""
        return access.may_read(request) and super().has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Asking whether to delete one shows its title."""
        return access.may_read(request) and super().has_delete_permission(request, obj)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is not None and self.has_view_permission(request, row):
            if question := access.ask_reason(self, request, row):
                return question
            if request.method == "GET":
                access.note(self, request, row, access.READ_DOCUMENT)
        return super().change_view(request, object_id, *args, **kwargs)

    @admin.display(description=_("text"))
    def newest_text(self, row: Document) -> str:
        return read_text(row)

    @admin.display(description=_("history"))
    def history(self, row: Document) -> str:
        """The newest versions, as people see them on the page."""
        return format_html_join(mark_safe("<br>"), "{}", ((_describe(each),) for each in newest_versions(row)))

    @admin.display(description=_("proposed changes"))
    def proposals(self, row: Document) -> str:
        """The newest ones that wait for a decision."""
        waiting = DocumentProposal.objects.filter(document=row, decided_at=None).select_related("document", "run")
        newest = waiting.order_by("-created_at", "-pk")[:SHOWN_PROPOSALS]
        return format_html_join("", "<p>{}</p><pre>{}</pre>", (_describe_proposal(each) for each in newest))


def _describe_proposal(row: DocumentProposal) -> tuple[str, str]:
    agent, diff = describe_proposal(row, MAX_DIFF_CHARS)
    when = date_format(localtime(row.created_at), "DATETIME_FORMAT")
    return " · ".join(part for part in (agent, when) if part), diff


def _describe(version: objects.DocumentVersion) -> str:
    by = version.author or version.agent
    when = date_format(localtime(version.created_at), "DATETIME_FORMAT")
    parts = [str(version.version), version.name, by.name if by else _("deleted account"), when]
    return " · ".join(str(part) for part in parts if part)
