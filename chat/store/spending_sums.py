"""Sums of spending for the admin: by person, group, agent, model, or day. Over `Spending`, which has a row for each of
them and each conversation, so that a site with a million messages is read in a fraction of a second.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.db.models import Max, Min, Q, QuerySet, Sum
from msgspec import Struct

from ..models import Spending
from ..models.groups import has_groups
from .stored_budgets import members

By = Literal["person", "group", "agent", "model", "day"]
COLUMNS: dict[By, str] = {"person": "user", "agent": "agent", "model": "model", "day": "day"}
"""What the rows are grouped by. Groups of people are added up here."""

PAGE_DAYS = 31
"""Of how many days the details are read at once."""

MAX_ROWS = 10_000
"""How many sums are read at once."""

_SUMS = {"runs": Sum("runs"), "tokens": Sum("tokens"), "cost": Sum("cost")}


class Spent(Struct, frozen=True):
    """A sum, and what it is of: a key of a user or group, an agent's slug, a model, a day; None if that is unknown."""

    key: Any
    runs: int
    tokens: int
    cost: Decimal


class SpendingFilter(Struct, frozen=True):
    """Which spending: from a day to a day, both included, and of whom."""

    first: date
    last: date
    user: Any = None
    group: int | None = None
    agent: str | None = None
    model: str | None = None

    def rows(self) -> QuerySet[Spending]:
        where = Q(day__gte=self.first, day__lte=self.last)
        if self.user is not None:
            where &= Q(user=self.user)
        if self.group is not None:
            where &= Q(user__in=members(self.group))
        if self.agent is not None:
            where &= Q(agent=self.agent)
        if self.model is not None:
            where &= Q(model=self.model)
        return Spending.objects.filter(where).order_by()


def sum_spending(chosen: SpendingFilter, by: By) -> list[Spent]:
    """The sums, the largest first, MAX_ROWS at most; of days, the newest first."""
    if by == "group":
        return _sum_by_group(chosen)
    column = COLUMNS[by]
    order = ("-day",) if by == "day" else ("-cost", "-tokens", column)
    rows = chosen.rows().values(column).annotate(**_SUMS).order_by(*order)
    return [Spent(row[column], row["runs"], row["tokens"], row["cost"]) for row in rows[:MAX_ROWS]]


_NO_GROUP = (None,)


def _sum_by_group(chosen: SpendingFilter) -> list[Spent]:
    """The sums of people, added up: the database would join each row with the groups of its person. A person in two
    groups is in both.
    """
    if not has_groups():
        return []
    groups: dict[Any, list[Any]] = defaultdict(list)
    memberships = get_user_model()._base_manager.filter(groups__isnull=False).values_list("pk", "groups")
    for user, member_of in memberships:
        groups[user].append(member_of)
    sums: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    by_user: Any = chosen.rows().values("user").annotate(**_SUMS)
    for row in by_user:
        for group in groups.get(row["user"], _NO_GROUP):
            sums[group] = [before + row[name] for before, name in zip(sums[group], _SUMS, strict=True)]
    found = [Spent(group, *figures) for group, figures in sums.items()]
    return sorted(found, key=lambda spent: (-spent.cost, -spent.tokens))


def spending_over_time(chosen: SpendingFilter, by: By) -> list[tuple[date, Spent]]:
    """The sums of each day. By agent or model, if that is asked for; the keys of others are None. Together they are the
    total.
    """
    split = by if by in ("agent", "model") else None
    rows: Any = chosen.rows().values("day", *([split] if split else [])).annotate(**_SUMS)
    return [(row["day"], Spent(row.get(split), row["runs"], row["tokens"], row["cost"])) for row in rows]


def spending_details(chosen: SpendingFilter) -> Iterator[list[tuple[Any, ...]]]:
    """Day, username, agent, model, runs, tokens, and cost: all rows of PAGE_DAYS days at a time, oldest first. Each
    page is read with a statement of its own, so that another thread can read the next one.
    """
    name = f"user__{get_user_model().USERNAME_FIELD}"
    ends = chosen.rows().aggregate(first=Min("day"), last=Max("day"))
    first = ends["first"]
    while first is not None and first <= ends["last"]:
        after = first + timedelta(days=PAGE_DAYS)
        rows = chosen.rows().filter(day__gte=first, day__lt=after).values_list("day", name, "agent", "model")
        if page := list(rows.annotate(**_SUMS).order_by("day", name, "agent", "model")):
            yield page
        first = after
