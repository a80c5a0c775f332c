"""Admin of prices: those that staff sets, and which one counts today for each model that the site's agents use."""

from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import date_format, number_format
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from msgspec import Struct

from .. import agents
from ..conf import conf
from ..store.pricing import AppliedPrice, find_price, read_prices
from ..times import today
from .base import ManagesMoney

SOURCES = {
    "admin": gettext_lazy("admin"),
    "settings": gettext_lazy("settings"),
    "shipped": gettext_lazy("shipped table"),
}


class PriceInUse(Struct, frozen=True):
    """A model that agents of the settings use, and what it costs today; an empty text if nobody knows."""

    model: str
    price: str


class PriceAdmin(ManagesMoney, admin.ModelAdmin):
    change_list_template = "admin/nous_chat/price/change_list.html"
    list_display = ["model", "valid_from", "input", "output", "cached"]
    list_filter = ["valid_from"]
    search_fields = ["model"]
    fields: ClassVar = ["model", "valid_from", ("input", "output", "cached")]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"valid_from": today(), **super().get_changeform_initial_data(request)}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"prices_in_use": _list_in_use(), "currency": conf.CURRENCY}
        return super().changelist_view(request, context | (extra_context or {}))


def _list_in_use() -> list[PriceInUse]:
    models = dict.fromkeys(
        model
        for agent in conf.AGENTS.values()
        if not agent.agent
        for model in (agents.model_of(agent), *agent.fallback)
    )
    found = [(model, find_price(model)) for model in models]
    return [PriceInUse(model, "" if price is None else describe(price)) for model, price in found]


def describe(price: AppliedPrice) -> str:
    """A price in words: "2.5 USD input, 10 USD output, 1.25 USD cached input (admin, from Dec. 1, 2026)"."""
    amounts = [(_("input"), price.input), (_("output"), price.output), (_("cached input"), price.cached)]
    shown = ", ".join(f"{_plain(each)} {price.currency} {name}" for name, each in amounts if each is not None)
    since = "" if price.since is None else _(", from %(day)s") % {"day": date_format(price.since)}
    return f"{shown} ({SOURCES[price.source]}{since})"


def _plain(amount: Decimal) -> str:
    return number_format(f"{amount.normalize():f}")  # 2.5, not 2.500000, and 10, not 1E+1


def describe_lines(lines: str) -> str:
    """The prices of a run's cost, one a line."""
    try:
        shown = [(f"{price.model}: {describe(price)}",) for price in read_prices(lines)]
    except msgspec.MsgspecError:  # of an import
        return lines
    return format_html_join(mark_safe("<br>"), "{}", shown)
