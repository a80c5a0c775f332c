"""Filters of the admin's lists. They ask the database only for what it finds by an index."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import agents
from ..models import Feedback, Participant, Run, RunRecording
from . import access


class AgentFilter(admin.SimpleListFilter):
    """The agents that the site has, not those that rows name: these would all have to be read."""

    title = _("agent")
    parameter_name = "agent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(slug, agent.name) for slug, agent in agents.all_agents().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(agent=self.value()) if self.value() else queryset


class SearchFilter(admin.SimpleListFilter):
    """Where a search looks. Not in messages unless asked, which takes longer, and finds more than people look for."""

    title = _("search in")
    parameter_name = "in"
    MESSAGES = "messages"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(self.MESSAGES, _("titles and messages"))] if request.GET.get("q") and access.may_read(request) else []

    def choices(self, changelist: Any) -> Any:
        titles, *others = super().choices(changelist)
        yield titles | {"display": _("titles")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset  # `get_search_results` does it


class LiveFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status.value, status.label) for status in Run.ACTIVE]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in Run.ACTIVE:
            return queryset
        return queryset.filter(pk__in=Run.objects.filter(status=self.value()).values("conversation"))


class SharedFilter(admin.SimpleListFilter):
    title = _("participants")
    parameter_name = "shared"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("several people")), ("no", _("one person"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        # Is there a second one? Asked for each conversation on the page, not for all that the site has.
        shared = Exists(Participant.objects.filter(conversation=OuterRef("pk")).order_by()[1:2])
        return queryset.filter(shared) if self.value() == "yes" else queryset.exclude(shared)


class InputFilter(admin.SimpleListFilter):
    """A filter with a field to type into, for values that are too many to list."""

    template = "admin/nous_chat/input_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "")]  # without any, the admin would not show it

    def choices(self, changelist: Any) -> Any:
        others = [(name, value) for name, value in changelist.get_filters_params().items()]
        yield {"value": self.value() or "", "name": self.parameter_name, "others": _flat(others)}


class PersonFilter(InputFilter):
    """By username, of a participant."""

    title = _("person")
    parameter_name = "person"
    lookup = "pk__in"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        inside = Participant.objects.filter(user__in=find_users(self.value()))
        return queryset.filter(pk__in=inside.values("conversation"))


class LauncherFilter(InputFilter):
    """By username, of who asked."""

    title = _("person")
    parameter_name = "person"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(launched_by__in=find_users(self.value())) if self.value() else queryset


class UserFilter(InputFilter):
    """By username, of who spent."""

    title = _("person")
    parameter_name = "person"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(user__in=find_users(self.value())) if self.value() else queryset


class PeriodFilter(admin.SimpleListFilter):
    """The last days: a month if nothing is chosen, so that figures are computed of a bounded number of rows."""

    title = _("period")
    parameter_name = "period"
    DEFAULT = "30"
    DAYS = ("1", "7", "30", "90")
    field = "created_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        labels = (_("24 hours"), _("7 days"), _("30 days"), _("90 days"))
        return list(zip(self.DAYS, labels, strict=True))

    @property
    def days(self) -> int:
        value = self.value()
        return int(value if value in self.DAYS and value else self.DEFAULT)

    def choices(self, changelist: Any) -> Any:
        for value, title in self.lookup_choices:
            yield {
                "selected": str(self.days) == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{f"{self.field}__gte": timezone.now() - timedelta(days=self.days)})


class ModelFilter(InputFilter):
    """By `provider:model`. Rows name many, and to list them all would have to be read."""

    title = _("model")
    parameter_name = "model"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(model=self.value()) if self.value() else queryset


class FeedbackFilter(admin.SimpleListFilter):
    """By what readers think of answers."""

    title = _("feedback")
    parameter_name = "feedback"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(rating.value, rating.label) for rating in Feedback.Rating]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        rated = Feedback.objects.filter(rating=self.value(), message__deleted_at=None)
        if queryset.model is Run:
            return queryset.filter(message__in=rated.values("message"))
        return queryset.filter(pk__in=rated.values("message__conversation"))


class RecordedFilter(admin.SimpleListFilter):
    """Those that the run inspector has recorded."""

    title = _("recorded")
    parameter_name = "recorded"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("yes"))] if access.may_inspect(request) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(Exists(RunRecording.objects.filter(run=OuterRef("pk")))) if self.value() else queryset


class ErrorFilter(InputFilter):
    """By the code of a failure."""

    title = _("error")
    parameter_name = "error"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(error_code=self.value()) if self.value() else queryset


class GroupFilter(admin.SimpleListFilter):
    """By what the charts are divided."""

    title = _("grouping")
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("agent", _("agent"))]

    def choices(self, changelist: Any) -> Any:
        model, *others = super().choices(changelist)
        yield model | {"display": _("model")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset  # `figures.describe` does it


def find_users(name: str | None) -> list[Any]:
    """The primary keys of the users with this name, as the site's model compares names: one, or none."""
    users = get_user_model()
    return list(users._default_manager.filter(**{users.USERNAME_FIELD: name}).values_list("pk", flat=True)[:2])


def _flat(params: Any) -> list[tuple[str, str]]:
    return [(name, each) for name, value in params for each in (value if isinstance(value, list) else [value])]
