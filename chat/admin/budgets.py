"""Admin of budgets: those that staff sets, next to those of the settings, with what is used so far."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from msgspec import Struct
from msgspec.structs import asdict

from ..conf import conf
from ..i18n import format_cost
from ..models import Budget, Conversation
from ..models.groups import has_groups
from ..store.budgets import Used, read_used
from ..store.stored_budgets import Limit, limit_of
from .base import ConversationColumn, ManagesMoney

OF_ONE = (Budget.Scope.PERSON, Budget.Scope.GROUP, Budget.Scope.ONE_CONVERSATION, Budget.Scope.SITE)
"""The scopes that have one sum. The others have as many as there are people, or conversations."""


class BudgetOfSettings(Struct, frozen=True):
    """A budget of the settings, in words."""

    scope: str
    period: str
    limit: str
    used: str


class BudgetForm(forms.ModelForm):
    """A conversation is entered by its ID: its title, which other widgets show, is content."""

    conversation = forms.ModelChoiceField(
        label=gettext_lazy("Conversation"),
        queryset=Conversation.objects.filter(deleted_at=None),
        required=False,
        widget=forms.TextInput,
        help_text=gettext_lazy("By its ID."),
        error_messages={"invalid_choice": gettext_lazy("No conversation has this ID.")},
    )


class BudgetAdmin(ConversationColumn, ManagesMoney, admin.ModelAdmin):
    change_list_template = "admin/nous_chat/budget/change_list.html"
    form = BudgetForm
    list_display = ["scope", "whom", "period", "limit", "used"]
    list_filter = ["scope", "period"]
    list_select_related = ["user", "group"]
    list_per_page = 50
    raw_id_fields = ["user"]  # unlike autocomplete, works for sites without a user admin
    readonly_fields: ClassVar = ["conversation_link"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A user model without groups has no budgets of groups."""
        if db_field.name == "scope" and not has_groups():
            hidden = (Budget.Scope.EACH_MEMBER, Budget.Scope.GROUP)
            kwargs["choices"] = [choice for choice in Budget.Scope.choices if choice[0] not in hidden]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        group = ["group"] if has_groups() else []
        conversation = "conversation" if self.has_change_permission(request, obj) else "conversation_link"
        return ["scope", "user", *group, conversation, "period", "tokens", "cost"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        response: Any = super().changelist_view(request, extra_context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:
            response.context_data["budgets_of_settings"] = _read(list(changelist.result_list))
        return response

    @admin.display(description=gettext_lazy("whom"))
    def whom(self, row: Budget) -> str:
        match row.scope:
            case Budget.Scope.PERSON:
                return str(row.user or _("deleted account"))
            case Budget.Scope.EACH_MEMBER | Budget.Scope.GROUP:
                return str(row.group)
            case Budget.Scope.ONE_CONVERSATION:
                return self.conversation_link(row)
            case _:
                return ""

    @admin.display(description=gettext_lazy("limit"))
    def limit(self, row: Budget) -> str:
        return _describe_amounts(row.tokens, row.cost)

    @admin.display(description=gettext_lazy("used so far"))
    def used(self, row: Any) -> str:
        return _describe_used(limit_of(row), row.used_so_far) if hasattr(row, "used_so_far") else "-"


def _read(rows: list[Any]) -> list[BudgetOfSettings]:
    """Read what is used of all budgets that have one sum, with one statement. Returns those of the settings."""
    of_settings = [Limit(**asdict(each)) for each in (*conf.BUDGETS, *(conf.GUESTS.budgets if conf.GUESTS else ()))]
    shared = [limit for limit in of_settings if limit.per == "site"]
    of_one = [row for row in rows if _has_one_sum(row)]
    given = [(limit, None, None) for limit in shared]
    used = iter(read_used([*given, *((limit_of(row), row.user_id, row.conversation_id) for row in of_one)]))
    described = [_describe_used(limit, next(used)) for limit in shared]
    for row, each in zip(of_one, used, strict=True):
        row.used_so_far = each
    texts = iter(described)
    return [
        BudgetOfSettings(
            scope=str(Budget.Scope(limit.per).label),
            period=str(Budget.Period(limit.period).label),
            limit=_describe_amounts(limit.tokens, limit.cost),
            used=next(texts) if limit.per == "site" else "-",
        )
        for limit in of_settings
    ]


def _has_one_sum(row: Budget) -> bool:
    limits = row.tokens is not None or row.cost is not None
    erased = row.scope == Budget.Scope.PERSON and row.user_id is None
    groupless = row.scope == Budget.Scope.GROUP and not has_groups()  # set before the site's user model lost them
    return row.scope in OF_ONE and limits and not erased and not groupless


def _describe_amounts(tokens: int | None, cost: Decimal | None) -> str:
    amounts = []
    if tokens is not None:
        counted = ngettext("%(count)s token", "%(count)s tokens", tokens)
        amounts.append(counted % {"count": number_format(tokens, force_grouping=True)})
    if cost is not None:
        amounts.append(format_cost(cost, conf.CURRENCY))
    return ", ".join(amounts)


def _describe_used(limit: Limit, used: Used) -> SafeString:
    """What is used, and how much that is of the limit that is closer."""
    pairs: list[tuple[Any, Any]] = [(used.tokens, limit.tokens), (used.cost, limit.cost)]
    shares = [float(part) / float(whole) if whole else 1.0 for part, whole in pairs if whole is not None]
    text = _describe_amounts(None if limit.tokens is None else used.tokens, None if limit.cost is None else used.cost)
    share = max(shares, default=0.0)
    percent = _("%(percent)s%%") % {"percent": number_format(share * 100, 0)}
    return format_html('<span class="{}">{} ({})</span>', "nous-problem" if share >= 1 else "", text, percent)
