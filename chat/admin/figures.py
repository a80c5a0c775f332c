"""Figures of runs for the page of runs: totals, failures by code, and charts over time. Few statements, over the rows
that the page's filters select.
"""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate, TruncHour
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .. import agents
from ..conf import conf
from ..models import Feedback, Run
from .charts import COLOURS, Chart, Series
from .filters import GroupFilter, PeriodFilter

FAILED = Q(status__in=(Run.Status.FAILED, Run.Status.INTERRUPTED))
MAX_CODES = 20
OTHERS = "\0"
"""Stands for the series that have no colour of their own."""

_TOKENS = Coalesce("total_tokens", "tokens", 0)


def _between(start: str, end: str) -> Any:
    return Avg(ExpressionWrapper(F(end) - F(start), output_field=DurationField()))


MEASURES = {
    "runs": Count("pk"),
    "failed": Count("pk", filter=FAILED),
    "tokens": Sum(_TOKENS),
    "cost": Sum("cost"),
    "seconds": _between("started_at", "finished_at"),
    "first": _between("started_at", "first_token_at"),
}


def describe(changelist: Any) -> dict[str, Any]:
    """What the template shows above the list: `totals`, `failures`, `charts`, and `legend`."""
    period = next(spec for spec in changelist.filter_specs if isinstance(spec, PeriodFilter))
    by = "agent" if changelist.params.get(GroupFilter.parameter_name) == "agent" else "model"
    rows: QuerySet[Run] = changelist.queryset.order_by()
    groups = _read_groups(rows, period.days, by)
    codes = _count_codes(groups)
    return {
        "totals": _add_up(groups),
        "currency": conf.CURRENCY,
        "failures": [(code, count, changelist.get_query_string({"error": code})) for code, count in codes],
        **_draw(groups, _buckets(period.days), by),
        "feedback": _draw_feedback(rows, period.days),
    }


def _count_codes(groups: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The codes of failures, the most frequent first."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group["error_code"]] += group["runs"]
    del counts[""]
    return counts.most_common(MAX_CODES)


def _add_up(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The totals of all groups, instead of reading the rows once more."""
    sums = {name: sum(group[name] or 0 for group in groups) for name in ("runs", "failed", "tokens", "cost")}
    return sums | {name: _average(name)(groups) for name in ("seconds", "first")}


def _buckets(days: int) -> list[Any]:
    """The times that a chart has, oldest first, as the database truncates them: hours of one day, else days."""
    now = timezone.localtime() if timezone.is_aware(timezone.now()) else datetime.now()
    if days == 1:
        hour = now.replace(minute=0, second=0, microsecond=0)
        return [hour - timedelta(hours=back) for back in range(24, -1, -1)]
    return [now.date() - timedelta(days=back) for back in range(days, -1, -1)]


def _truncated(days: int) -> Any:
    return TruncHour("created_at") if days == 1 else TruncDate("created_at")


def _read_groups(rows: QuerySet[Run], days: int, by: str) -> list[dict[str, Any]]:
    """By error code, too, so that the rows are read once for all figures."""
    return list(rows.annotate(bucket=_truncated(days)).values("bucket", by, "error_code").annotate(**MEASURES))


def _draw(groups: list[dict[str, Any]], buckets: list[Any], by: str) -> dict[str, Any]:
    """The charts. The series with the most runs have a colour each; the others are one."""
    runs: dict[str, int] = defaultdict(int)
    for group in groups:
        runs[group[by]] += group["runs"]
    names = sorted(runs, key=lambda name: -runs[name])
    shown = names if len(names) <= COLOURS else names[: COLOURS - 1]
    places = {bucket: place for place, bucket in enumerate(buckets)}
    sums: dict[str, list[list[dict[str, Any]]]] = defaultdict(lambda: [[] for _ in buckets])
    for group in groups:
        place = places.get(group["bucket"])
        if place is not None:
            sums[group[by] if group[by] in shown else OTHERS][place].append(group)
    keys = [*shown, *[OTHERS] * (len(names) > len(shown))]
    labels = [_label(bucket) for bucket in buckets]
    titles = {name: (agents.find(name).name if by == "agent" else name) or _("none") for name in shown}
    titles[OTHERS] = _("others")

    def chart(title: str, value: Any, unit: str = "", digits: int = 0) -> Chart:
        series = [Series(titles[key], [value(cell) for cell in sums[key]]) for key in keys]
        return Chart(title, labels, series, unit, digits)

    charts = [
        chart(_("Tokens"), _sum("tokens")).stacked(),
        chart(_("Cost"), _sum("cost"), f" {conf.CURRENCY}", 2).stacked(),
        chart(_("Failed answers"), _sum("failed")).stacked(),
        chart(_("Average duration"), _average("seconds"), " s", 1).lines(),
        chart(_("Average time to the first token"), _average("first"), " s", 1).lines(),
    ]
    legend = [(number, titles[key]) for number, key in enumerate(keys)]
    return {"charts": charts, "legend": legend}


def _draw_feedback(rows: QuerySet[Run], days: int) -> str:
    """What readers think of these answers; nothing if nobody has said so."""
    rated = rows.filter(message__feedback__isnull=False).annotate(bucket=_truncated(days))
    counts = rated.values_list("bucket", "message__feedback__rating").annotate(count=Count("pk"))
    found = {(bucket, rating): count for bucket, rating, count in counts}
    if not found:
        return ""
    buckets = _buckets(days)
    series = [
        Series(str(rating.label), [float(found.get((bucket, rating.value), 0)) for bucket in buckets])
        for rating in Feedback.Rating
    ]
    return Chart(_("Feedback"), [_label(bucket) for bucket in buckets], series, named=True).stacked()


def _sum(name: str) -> Any:
    return lambda cell: float(sum(group[name] or 0 for group in cell))


def _average(name: str) -> Any:
    """The average of averages, each with the weight of its runs, in seconds."""

    def average(cell: list[dict[str, Any]]) -> float | None:
        known = [(group[name].total_seconds(), group["runs"]) for group in cell if group[name] is not None]
        weight = sum(runs for _, runs in known)
        return sum(seconds * runs for seconds, runs in known) / weight if weight else None

    return average


def _label(bucket: Any) -> str:
    return date_format(bucket, "SHORT_DATETIME_FORMAT" if isinstance(bucket, datetime) else "SHORT_DATE_FORMAT")
