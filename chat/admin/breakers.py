"""Admin of circuit breakers: which models are never or always asked, whatever the processes have found."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from . import access


class BreakerAdmin(admin.ModelAdmin):
    list_display = ["model", "setting"]
    list_filter = ["setting"]
    search_fields = ["model"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_breakers(request) or super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access.may_manage_breakers(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_breakers(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_breakers(request)
