"""Base classes of the admins: without what is deleted or not for editing, and without counting whole tables."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import store
from ..graphemes import limit_marks
from . import access
from .dates import link_dates

MAX_COUNT = 5_000
"""How many rows a list counts and pages through. A filter, a date, or a search leads to the others."""


class _AtLeast(int):
    """A number of rows of which not all were counted."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):
    """Counts up to MAX_COUNT rows: counting a million takes longer than everything else on the page."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        count = rows.order_by()[: MAX_COUNT + 1].count()
        return int(count) if count <= MAX_COUNT else _AtLeast(MAX_COUNT)


class Readable(admin.ModelAdmin):
    """The pages of these rows hold texts of users and models, so they have as few marks in a row as the chat itself."""

    change_list_template = "admin/nous_chat/change_list.html"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    list_per_page = 50
    content_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that hold what was written. Nobody searches or filters by them in the address who may not read it."""

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response: Any = super().changelist_view(request, *args, **kwargs)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None and changelist.date_hierarchy:
            response.context_data["dates"] = link_dates(changelist)
        return with_few_marks(response)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return with_few_marks(super().changeform_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return with_few_marks(super().delete_view(request, *args, **kwargs))

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return with_few_marks(super().history_view(request, *args, **kwargs))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Not through relations either: other tables hold content too."""
        if lookup.partition("__")[0] in self.content_fields and (request is None or not access.may_read(request)):
            return False
        return super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return super().log_change(request, ById(obj.pk, obj._meta), message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return super().log_deletions(request, [ById(row.pk, row._meta) for row in queryset])  # type: ignore[arg-type]


def short_time(at: datetime) -> str:
    """For a column, in which it may take two lines. Django's own format for lists is longer, and takes one."""
    return date_format(localtime(at) if is_aware(at) else at, "SHORT_DATETIME_FORMAT")


def with_few_marks(response: HttpResponseBase) -> HttpResponseBase:
    if isinstance(response, TemplateResponse):
        response.add_post_render_callback(_limit_marks_of)
    return response


def _limit_marks_of(response: Any) -> None:
    response.content = limit_marks(response.content.decode())


class Undeleted(Readable):
    """Deleted rows, and rows of what is deleted, do not exist in the admin. So lists, searches, filters, and lookups in
    the address cannot tell anything of their contents.
    """

    undeleted: ClassVar[dict[str, None]]
    """Lookups that find what is not deleted."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(**self.undeleted)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What a deletion would delete. What a hold keeps is listed as protected, and nothing is deleted then."""
        deletable, counts, permissions, protected = super().get_deleted_objects(objs, request)
        return deletable, counts, permissions, [*protected, *self.list_held(objs)]

    def list_held(self, objs: Any) -> list[str]:
        """Those of these rows that a hold keeps."""
        rows = self.model._default_manager.filter(pk__in=[row.pk for row in objs])
        return [_("%(row)s: a hold keeps it") % {"row": row.pk} for row in store.held_among(rows)]


@dataclass
class ById:
    """Stands for a row where the admin shows or keeps what `str()` says: here no title and no text."""

    pk: Any
    _meta: Any

    def __str__(self) -> str:
        return str(self.pk)


class ReadOnly:
    """Viewing and deleting by Django's permissions, no adding, no changing."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ManagesMoney:
    """Seen with the view permission or `manage_budgets`, changed with the latter."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_budgets(request) or super().has_view_permission(request, obj)  # type: ignore[misc]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access.may_manage_budgets(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_budgets(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_budgets(request)


class ConversationColumn:
    """Links to a row's conversation, by number: its title is content."""

    admin_site: Any

    @admin.display(description=gettext_lazy("conversation"))
    def conversation_link(self, row: Any) -> str:
        if row.conversation_id is None:
            return "-"
        name = "admin:nous_chat_conversation_change"
        url = reverse(name, args=[row.conversation_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', url, str(row.conversation_id)[:8])
