"""Admin of circuit breakers: which models are never or always asked, whatever the processes have found."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..actions import breakers
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

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["model"] if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.pk = breakers.set_breaker(request.user.pk, obj.model, obj.setting).pk

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The action has noted it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The same."""
