"""Admin of API tokens: added and deleted here, never changed. A new token is shown once."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ..store import give_secret
from . import access
from .pages import show


class ApiTokenAdmin(admin.ModelAdmin):
    list_display = ["hint", "name", "user", "scopes", "created_at", "expires_at", "last_used_at"]
    list_filter = ["scopes", "expires_at"]
    list_select_related = ["user"]
    search_fields = ["name", "hint"]
    fields: ClassVar = ["user", "name", "scopes", "expires_at"]
    raw_id_fields = ["user"]  # unlike autocomplete, works for sites without a user admin

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A token reads what its user may read, so a person who adds one can read that, too."""
        return access.may_read(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.shown_once = give_secret(obj)
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page with the new token. Not a redirect, which would have to keep the token somewhere."""
        return show(self, request, "apitoken/created.html", title=_("New token"), token=obj.shown_once)
