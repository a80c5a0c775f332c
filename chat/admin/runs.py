"""Admins of runs, with their tool calls, and of spending."""

from typing import ClassVar

from django.contrib import admin

from ..models import Run, Spending, ToolCall
from .base import Readable, ReadOnly, Undeleted


class ToolCallInline(ReadOnly, admin.TabularInline):
    model = ToolCall
    fields = ["name", "arguments", "status", "result", "decided_by", "decided_at", "reason", "created_at"]
    extra = 0
    can_delete = False


@admin.register(Run)
class RunAdmin(ReadOnly, Undeleted):
    undeleted: ClassVar = {"message__deleted_at": None, "conversation__deleted_at": None}
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


@admin.register(Spending)
class SpendingAdmin(ReadOnly, Readable):
    """What was spent stays, also of deleted conversations, but not their titles."""

    list_display = ["day", "user", "conversation", "runs", "tokens", "cost"]
    list_filter = ["day"]
    list_select_related = ["user", "conversation"]
    search_fields = ["conversation__id"]
    date_hierarchy = "day"
