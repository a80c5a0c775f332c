"""Admins of runs, with their tool calls, and of spending."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..models import Run, Spending, ToolCall
from .readonly import ReadOnly


class ToolCallInline(ReadOnly, admin.TabularInline):
    model = ToolCall
    fields = ["name", "arguments", "status", "result", "decided_by", "decided_at", "reason", "created_at"]
    extra = 0
    can_delete = False


@admin.register(Run)
class RunAdmin(ReadOnly, admin.ModelAdmin):
    list_display = [
        "created_at",
        "conversation",
        "agent",
        "model",
        "status",
        "launched_by",
        "total_tokens",
        "error_code",
        "finished_at",
    ]
    list_filter = ["status", "agent", "model", "error_code", "created_at"]
    list_select_related = ["conversation", "launched_by"]
    search_fields = ["id", "conversation__id", "conversation__title", "error_message", "error_detail"]
    date_hierarchy = "created_at"
    inlines = [ToolCallInline]

    def get_exclude(self, request: HttpRequest, obj: Run | None = None) -> list[str]:
        """Hide what quotes a deleted answer."""
        return ["transcript", "error_message", "error_detail"] if _is_deleted(obj) else []

    def get_inlines(self, request: HttpRequest, obj: Run | None) -> list[Any]:
        return [] if _is_deleted(obj) else list(self.inlines)


def _is_deleted(run: Run | None) -> bool:
    return run is not None and run.message is not None and run.message.deleted_at is not None


@admin.register(Spending)
class SpendingAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["day", "user", "conversation", "runs", "tokens", "cost"]
    list_filter = ["day"]
    list_select_related = ["user", "conversation"]
    search_fields = ["conversation__id", "conversation__title"]
    date_hierarchy = "day"
