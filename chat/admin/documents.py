"""Admin of documents. Their log is not shown: it can have many thousands of updates."""

from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import Document
from ..store.documents import read_text
from .base import ReadOnly, Undeleted


@admin.register(Document)
class DocumentAdmin(ReadOnly, Undeleted):
    undeleted: ClassVar = {"conversation__deleted_at": None}
    list_display = ["title", "kind", "conversation", "version", "updated_at"]
    list_filter = ["kind", "updated_at"]
    list_select_related = ["conversation"]
    search_fields = ["id", "title"]
    fields = ["id", "conversation", "kind", "language", "title", "version", "newest_text", "created_at", "updated_at"]
    readonly_fields = ["id", "newest_text"]

    @admin.display(description=_("text"))
    def newest_text(self, row: Document) -> str:
        return read_text(row)
