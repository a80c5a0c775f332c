"""The page of spending: its form, its table and chart, and its files."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from msgspec import Struct

from ..conf import conf
from ..models.groups import has_groups
from ..store.spending_sums import (
    By,
    SpendingFilter,
    Spent,
    spending_details,
    spending_over_time,
    sum_spending,
)
from ..times import today
from .charts import COLOURS, Chart, Series
from .filters import find_users

DAYS = 30
"""How many days the page shows at first."""

MAX_SHOWN = 100
"""How many sums the page shows. The file has all."""

MAX_DAYS = 100
"""Of how many days at most the chart has a bar for each. Beyond, it has one for each month."""

LABELS = {
    "person": gettext_lazy("Person"),
    "group": gettext_lazy("Group"),
    "agent": gettext_lazy("Agent"),
    "model": gettext_lazy("Model"),
    "day": gettext_lazy("Day"),
}


class Report(Struct, frozen=True):
    """What the form asks for."""

    chosen: SpendingFilter
    by: By
    shown: dict[str, Any]
    """The parameters that ask for it."""


class Row(Struct, frozen=True):
    """A sum of the table. `query`, if it is not empty, leads to what it consists of."""

    name: str
    query: str
    spent: Spent
    share: float
    """Of the cost, or of the tokens if nothing has a cost, in percent."""


BOUNDS = (MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2100, 1, 1)))
"""The chart of all days that a date can be would be made of millions."""


def _date_input() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")  # as browsers want it, in every language


class SpendingForm(forms.Form):
    """Fields that are not given have a default. A wrong one says so, and its default is used."""

    by = forms.ChoiceField(label=gettext_lazy("By"), choices=list(LABELS.items()))
    first = forms.DateField(label=gettext_lazy("From"), widget=_date_input(), validators=BOUNDS)
    last = forms.DateField(label=gettext_lazy("To"), widget=_date_input(), validators=BOUNDS)
    person = forms.CharField(label=gettext_lazy("Person"), required=False, max_length=254)
    group = forms.ModelChoiceField(label=gettext_lazy("Group"), queryset=Group.objects.order_by("name"), required=False)
    agent = forms.ChoiceField(label=gettext_lazy("Agent"), required=False)
    model = forms.CharField(label=gettext_lazy("Model"), required=False, max_length=200)

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.defaults: dict[str, Any] = {"by": "person", "first": today() - timedelta(days=DAYS - 1), "last": today()}
        super().__init__(self.defaults | {name: given[name] for name in self.base_fields if given.get(name)})
        fields: dict[str, Any] = self.fields
        if not has_groups():
            del fields["group"]
            fields["by"].choices = [(value, label) for value, label in LABELS.items() if value != "group"]
        slugs = dict.fromkeys([*conf.AGENTS, *filter(None, [self.data.get("agent")])])  # one that the settings had, too
        fields["agent"].choices = [("", _("all")), *((slug, _agent_name(slug)) for slug in slugs)]

    def clean_person(self) -> str:
        name: str = self.cleaned_data["person"]
        if name and not find_users(name):
            raise forms.ValidationError(_("No user with that name."))
        return name

    def clean(self) -> None:
        given = self.cleaned_data
        if "first" in given and "last" in given and given["first"] > given["last"]:
            self.add_error("last", _("This day is before the first one."))

    def report(self) -> Report:
        """What to show."""
        self.full_clean()
        given: dict[str, Any] = self.defaults | self.cleaned_data
        group = given.get("group")
        chosen = SpendingFilter(
            first=given["first"],
            last=given["last"],
            user=find_users(given["person"])[0] if given.get("person") else None,
            group=None if group is None else group.pk,
            agent=given.get("agent") or None,
            model=given.get("model") or None,
        )
        return Report(chosen, given["by"], {name: self.data[name] for name in self.fields if self.data.get(name)})


def describe(report: Report) -> dict[str, Any]:
    """What the template shows: the `rows` of the table, their `total`, a `chart`, and parameters of links."""
    months = (report.chosen.last - report.chosen.first).days >= MAX_DAYS
    over_time = spending_over_time(report.chosen, report.by)
    total = _add_up(None, (spent for _day, spent in over_time))
    sums = _find_sums(report, over_time)
    names = _read_names(report.by, [each.key for each in sums[:MAX_SHOWN]])
    whole = float(total.cost or total.tokens or 1)
    rows = [
        Row(
            name=names[each.key],
            query=_link(report, each.key, names[each.key]),
            spent=each,
            share=float(each.cost if total.cost else each.tokens) / whole * 100,
        )
        for each in sums[:MAX_SHOWN]
    ]
    return {
        "rows": rows,
        "total": total,
        "chart": make_chart(report, over_time, total, months).stacked(),
        "column": LABELS[report.by],
        "more": len(sums) > MAX_SHOWN,
        "max_shown": MAX_SHOWN,
        "csv": urlencode(report.shown),
        "details": urlencode(report.shown | {"details": "1"}),
        "by_group": report.by == "group",
        "currency": conf.CURRENCY,
    }


def _add_up(key: Any, sums: Iterable[Spent]) -> Spent:
    """One sum of several."""
    runs, tokens, cost = 0, 0, Decimal(0)
    for each in sums:
        runs, tokens, cost = runs + each.runs, tokens + each.tokens, cost + each.cost
    return Spent(key, runs, tokens, cost)


def _find_sums(report: Report, over_time: list[tuple[date, Spent]]) -> list[Spent]:
    """What `sum_spending` finds. Sums of days, agents, and models are those over time, added up: the rows are not read
    once more.
    """
    if report.by not in ("day", "agent", "model"):
        return sum_spending(report.chosen, report.by)
    found: dict[Any, list[Spent]] = defaultdict(list)
    for day, spent in over_time:
        found[day if report.by == "day" else spent.key].append(spent)
    sums = [_add_up(key, each) for key, each in found.items()]
    if report.by == "day":
        return sorted(sums, key=lambda each: each.key, reverse=True)
    return sorted(sums, key=lambda each: (-each.cost, -each.tokens))


def _agent_name(slug: str) -> str:
    return conf.AGENTS[slug].name if slug in conf.AGENTS else slug


def _read_names(by: By, keys: list[Any]) -> dict[Any, str]:
    """The names of what sums are of, with one statement for people, and one for groups."""
    if by == "day":
        return {key: date_format(key, "SHORT_DATE_FORMAT") for key in keys}
    names: dict[Any, str] = {None: _("no group") if by == "group" else _("deleted account")}
    if by == "person":
        users = get_user_model()
        names |= users._base_manager.filter(pk__in=keys).values_list("pk", users.USERNAME_FIELD)
    elif by == "group":
        names |= Group.objects.filter(pk__in=keys).values_list("pk", "name")
    else:
        names |= {key: (_agent_name(key) if by == "agent" else key) or _("not recorded") for key in keys}
    return {key: str(names.get(key, key)) for key in keys}


def _link(report: Report, key: Any, name: str) -> str:
    """Parameters that lead from a sum to its days; from a day to its people."""
    if report.by == "day":
        return urlencode(report.shown | {"first": key, "last": key, "by": "person"})
    value = {"person": name, "group": key, "agent": key, "model": key}[report.by]
    return urlencode(report.shown | {report.by: value, "by": "day"}) if key else ""


def make_chart(report: Report, over_time: list[tuple[date, Spent]], total: Spent, months: bool) -> Chart:
    """Cost over time, or tokens if nothing has a cost; by agent or model, if the table is. Months are added up here:
    Django's function for them runs in Python on SQLite, row by row.
    """
    by = report.by if report.by in ("agent", "model") else None
    found: dict[date, dict[Any, float]] = defaultdict(lambda: defaultdict(float))
    sums: dict[Any, float] = defaultdict(float)
    for day, spent in over_time:
        # The first month may begin before the first day.
        bucket = max(day.replace(day=1), report.chosen.first) if months else day
        value = float(spent.cost if total.cost else spent.tokens)
        found[bucket][spent.key] += value
        sums[spent.key] += value
    keys = sorted(sums, key=lambda key: -sums[key])
    shown = keys if len(keys) <= COLOURS else keys[: COLOURS - 1]
    buckets = _buckets(report.chosen, months)
    series = [Series(_series_name(report.by, key), [found[each].get(key, 0.0) for each in buckets]) for key in shown]
    if others := keys[len(shown) :]:
        series.append(Series(_("others"), [sum(found[each].get(key, 0.0) for key in others) for each in buckets]))
    title, unit, digits = (_("Cost"), f" {conf.CURRENCY}", 2) if total.cost else (_("Tokens"), "", 0)
    labels = [date_format(each, "YEAR_MONTH_FORMAT" if months else "SHORT_DATE_FORMAT") for each in buckets]
    return Chart(title, labels, series, unit, digits, named=by is not None)


def _series_name(by: By, key: Any) -> str:
    return (_agent_name(key) if by == "agent" else key) or (_("not recorded") if by in ("agent", "model") else _("all"))


def _buckets(chosen: SpendingFilter, months: bool) -> list[date]:
    """The days, or the first days of the months, of the chart."""
    days = [chosen.first + timedelta(days=number) for number in range((chosen.last - chosen.first).days + 1)]
    return [each for each in days if each.day == 1 or each == days[0]] if months else days


def sum_rows(report: Report) -> Iterator[list[list[Any]]]:
    """The rows of the file of sums: all of them, MAX_ROWS at most."""
    yield [[LABELS[report.by], _("Answers"), _("Tokens"), _("Cost"), _("Currency")]]
    sums = sum_spending(report.chosen, report.by)
    names = _read_names(report.by, [each.key for each in sums])
    for each in sums:
        name = each.key.isoformat() if report.by == "day" else names[each.key]
        yield [[name, each.runs, each.tokens, _amount(each.cost), conf.CURRENCY]]


def detail_rows(report: Report) -> Iterator[list[list[Any]]]:
    """The rows of the file of details, some days at a time."""
    named = [LABELS[name] for name in ("day", "person", "agent", "model")]
    yield [[*named, _("Answers"), _("Tokens"), _("Cost"), _("Currency")]]
    for rows in spending_details(report.chosen):
        yield [
            [day.isoformat(), person or "", agent, model, runs, tokens, _amount(cost), conf.CURRENCY]
            for day, person, agent, model, runs, tokens, cost in rows
        ]


def _amount(cost: Decimal) -> str:
    return f"{cost:.6f}"  # databases differ in the zeros at the end


def to_csv(pages: Iterable[list[list[Any]]]) -> Iterator[bytes]:
    """As UTF-8, with a mark at the beginning by which spreadsheets know it."""
    yield b"\xef\xbb\xbf"
    for rows in pages:
        text = io.StringIO()
        csv.writer(text).writerows([_defuse(cell) for cell in row] for row in rows)
        yield text.getvalue().encode()


def _defuse(cell: Any) -> str:
    """A text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = str(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
