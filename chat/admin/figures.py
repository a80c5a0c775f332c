"""Figures of runs for the page of runs: totals, failures by code, and charts over time. Few statements, over the rows
that the page's filters select.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from itertools import groupby, pairwise
from typing import Any

from django.db.models import Avg, Case, Count, FloatField, Func, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .. import agents, database
from ..conf import conf
from ..models import Feedback, Run
from .charts import COLOURS, Chart, Series
from .filters import GroupFilter, PeriodFilter

HOURS = 24
"""How many buckets the charts of one day have. Those of more days have one for each."""

FAILED = Q(status__in=(Run.Status.FAILED, Run.Status.INTERRUPTED))
MAX_CODES = 20
GROUPING_MEMORY = "64MB"
"""Of PostgreSQL, for one statement at most: enough for half a million runs."""

OTHERS = "\0"
"""Stands for the series that have no colour of their own."""

_TOKENS = Coalesce("total_tokens", "tokens", 0)


class _Seconds(Func):
    """From the second time to the first. Django's own subtraction runs in Python on SQLite, row by row."""

    arity = 2
    output_field = FloatField()
    template = "DATE_PART('epoch', %(expressions)s)"
    arg_joiner = " - "

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        context |= {"template": "(julianday(%(expressions)s)) * 86400", "arg_joiner": ") - julianday("}
        return self.as_sql(compiler, connection, **context)


MEASURES = {
    "runs": Count("*"),
    "failed": Count("status", filter=FAILED),
    "tokens": Sum(_TOKENS),
    "cost": Sum("cost"),
    "seconds": Avg(_Seconds("finished_at", "started_at")),
    "first": Avg(_Seconds("first_token_at", "started_at")),
}


def describe(changelist: Any) -> dict[str, Any]:
    """What the template shows above the list: `totals`, `failures`, `charts`, and `legend`."""
    period = next(spec for spec in changelist.filter_specs if isinstance(spec, PeriodFilter))
    by = "agent" if changelist.params.get(GroupFilter.parameter_name) == "agent" else "model"
    rows: QuerySet[Run] = changelist.queryset.order_by()
    starts = _starts(period.days)
    groups = _read_groups(rows, starts, by)
    codes = _count_codes(groups)
    labels = [
        date_format(each, "SHORT_DATETIME_FORMAT" if period.days == 1 else "SHORT_DATE_FORMAT") for each in starts
    ]
    return {
        "totals": _add_up(groups),
        "currency": conf.CURRENCY,
        "failures": [(code, count, changelist.get_query_string({"error": code})) for code, count in codes],
        **_draw(groups, labels, by),
        "feedback": _draw_feedback(rows, starts, labels),
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


def _starts(days: int) -> list[datetime]:
    """When the buckets of a chart begin, the oldest first: hours of one day, else days."""
    aware = timezone.is_aware(timezone.now())
    now = timezone.localtime() if aware else datetime.now()
    if days == 1:
        hour = now.replace(minute=0, second=0, microsecond=0)
        return [hour - timedelta(hours=back) for back in range(HOURS, -1, -1)]
    midnights = [datetime.combine(now.date() - timedelta(days=back), time()) for back in range(days, -1, -1)]
    return [timezone.make_aware(each) for each in midnights] if aware else midnights


def _bucket(starts: Sequence[datetime]) -> Any:
    """The number of the bucket that a row is in. Django's functions for dates run in Python on SQLite, row by row."""
    vendor = database.connection().vendor
    if vendor == "postgresql":
        return Func("created_at", Value(list(starts)), function="WIDTH_BUCKET", output_field=IntegerField()) - 1
    return _bucket_by_division(starts) if vendor == "sqlite" else _bucket_by_halves(starts)


def _bucket_by_division(starts: Sequence[datetime]) -> Any:
    """For stretches of buckets of the same length, which a change of the clock ends."""
    seconds = [_stored_seconds(each) for each in starts]
    lengths = [after - before for before, after in pairwise(seconds)]
    stretches = []
    number = 0
    for length, group in groupby(lengths):
        after = number + len(list(group))
        place = (_Epoch("created_at") - seconds[number]) / length + number
        stretches.append(When(created_at__lt=starts[after], then=place))
        number = after
    return Case(*stretches, default=Value(len(lengths)), output_field=IntegerField())


class _Epoch(Func):
    """The whole seconds of a time in SQLite, as if it were in UTC. STRFTIME would round their fractions."""

    template = "CAST(STRFTIME('%%%%s', SUBSTR(%(expressions)s, 1, 19)) AS INTEGER)"
    output_field = IntegerField()


def _stored_seconds(at: datetime) -> int:
    """The same of a time, which SQLite stores in the time zone of the connection."""
    stored = at.astimezone(database.connection().timezone) if timezone.is_aware(at) else at
    return int(stored.replace(tzinfo=UTC).timestamp())


def _bucket_by_halves(starts: Sequence[datetime], number: int = 0) -> Any:
    if len(starts) == 1:
        return Value(number)
    half = len(starts) // 2
    earlier = When(created_at__lt=starts[half], then=_bucket_by_halves(starts[:half], number))
    return Case(earlier, default=_bucket_by_halves(starts[half:], number + half), output_field=IntegerField())


def _read_groups(rows: QuerySet[Run], starts: list[datetime], by: str) -> list[dict[str, Any]]:
    """Ended runs and the few others have an index each, and that of the ended ones holds all that is read here."""
    groups = group_runs(rows, starts, by)
    with _grouping_in_memory():
        return [group for unfinished in (False, True) for group in groups.filter(finished_at__isnull=unfinished)]


def group_runs(rows: QuerySet[Run], starts: list[datetime], by: str) -> Any:
    """By bucket and `by`. By error code, too, so that the rows are read once for all figures."""
    return rows.annotate(bucket=_bucket(starts)).values("bucket", by, "error_code").annotate(**MEASURES)


@contextmanager
def _grouping_in_memory() -> Iterator[None]:
    """PostgreSQL does not know how few buckets there are. It expects a group for each row, and with little memory it
    would sort all rows on the disk.
    """
    if database.connection().vendor != "postgresql":
        yield
        return
    with database.atomic(), database.connection().cursor() as cursor:
        cursor.execute(f"SET LOCAL work_mem = '{GROUPING_MEMORY}'")
        yield


def _draw(groups: list[dict[str, Any]], labels: list[str], by: str) -> dict[str, Any]:
    """The charts. The series with the most runs have a colour each; the others are one."""
    runs: dict[str, int] = defaultdict(int)
    for group in groups:
        runs[group[by]] += group["runs"]
    names = sorted(runs, key=lambda name: -runs[name])
    shown = names if len(names) <= COLOURS else names[: COLOURS - 1]
    sums: dict[str, list[list[dict[str, Any]]]] = defaultdict(lambda: [[] for _ in labels])
    for group in groups:
        sums[group[by] if group[by] in shown else OTHERS][group["bucket"]].append(group)
    keys = [*shown, *[OTHERS] * (len(names) > len(shown))]
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


def _draw_feedback(rows: QuerySet[Run], starts: list[datetime], labels: list[str]) -> str:
    """What readers think of these answers; nothing if nobody has said so."""
    rated = rows.filter(message__in=Feedback.objects.values("message")).annotate(bucket=_bucket(starts))
    counts = rated.values_list("bucket", "message__feedback__rating").annotate(count=Count("pk"))
    found = {(bucket, rating): count for bucket, rating, count in counts}
    if not found:
        return ""
    series = [
        Series(str(rating.label), [float(found.get((bucket, rating.value), 0)) for bucket in range(len(starts))])
        for rating in Feedback.Rating
    ]
    return Chart(_("Feedback"), labels, series, named=True).stacked()


def _sum(name: str) -> Any:
    return lambda cell: float(sum(group[name] or 0 for group in cell))


def _average(name: str) -> Any:
    """The average of averages, each with the weight of its runs, in seconds."""

    def average(cell: list[dict[str, Any]]) -> float | None:
        known = [(group[name], group["runs"]) for group in cell if group[name] is not None]
        weight = sum(runs for _, runs in known)
        return sum(seconds * runs for seconds, runs in known) / weight if weight else None

    return average
