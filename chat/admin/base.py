"""Base classes of the admins: nothing that is deleted, and nothing that is not for editing."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from ..graphemes import limit_marks


class Readable(admin.ModelAdmin):
    """The pages of these rows hold texts of users and models, so they have as few marks in a row as the chat itself."""

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _with_few_marks(super().changelist_view(request, *args, **kwargs))

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _with_few_marks(super().changeform_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _with_few_marks(super().delete_view(request, *args, **kwargs))

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _with_few_marks(super().history_view(request, *args, **kwargs))


def _with_few_marks(response: HttpResponseBase) -> HttpResponseBase:
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

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return super().log_change(request, _ById(obj.pk, obj._meta), message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return super().log_deletions(request, [_ById(row.pk, row._meta) for row in queryset])  # type: ignore[arg-type]


@dataclass
class _ById:
    """Stands for a row in the admin's log, which keeps for good what `str()` says: here no title and no text."""

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
