"""The dates above a list: years, months, and days. Django's own reads all rows to find which of them have any."""

from calendar import monthrange
from datetime import date, datetime
from typing import Any

from django.db.models import Max, Min
from django.utils.formats import date_format
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _
from msgspec import Struct


class DateLink(Struct, frozen=True):
    text: str
    query: str
    """For the address; empty for what is chosen."""


def link_dates(changelist: Any) -> list[DateLink]:
    """The way back, what is chosen, and what it consists of."""
    field, given = changelist.date_hierarchy, changelist.params
    chosen = [_number(given.get(f"{field}__{part}", "")) for part in ("year", "month", "day")]
    year, month, day = chosen

    def link(text: str, *values: int | None) -> DateLink:
        parts = zip(("year", "month", "day"), (*values, None, None, None), strict=False)
        query = {f"{field}__{name}": value for name, value in parts}
        return DateLink(
            text, changelist.get_query_string({k: v for k, v in query.items() if v is not None}, [f"{field}__"])
        )

    if year is None:
        ends = changelist.root_queryset.order_by().aggregate(first=Min(field), last=Max(field))
        if ends["first"] is None:
            return []
        return [link(str(each), each) for each in range(_local(ends["first"]).year, _local(ends["last"]).year + 1)]
    back = [link(_("All dates"))]
    try:
        if month is None:
            months = [(date_format(date(year, each, 1), "YEAR_MONTH_FORMAT"), each) for each in range(1, 13)]
            return [*back, *(link(text, year, each) for text, each in months)]
        back.append(link(str(year), year))
        named = date_format(date(year, month, 1), "YEAR_MONTH_FORMAT")
        if day is not None:
            return [
                *back,
                link(named, year, month),
                DateLink(date_format(date(year, month, day), "MONTH_DAY_FORMAT"), ""),
            ]
        days = range(1, monthrange(year, month)[1] + 1)
        texts = [(date_format(date(year, month, each), "MONTH_DAY_FORMAT"), each) for each in days]
        return [*back, *(link(text, year, month, each) for text, each in texts)]
    except ValueError:  # no such date
        return back


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _local(value: date | datetime) -> date | datetime:
    return localtime(value) if isinstance(value, datetime) and is_aware(value) else value
