"""What people's runs took, and what is left of the budgets. Each function is a part of somebody's transaction.

`Spending` has one row for each person, conversation and day: a budget is held against a sum of few rows, whatever the
number of runs.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from .. import engine
from ..conf import Budget
from ..i18n import format_number
from ..models import Conversation, Run, Spending
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from . import pricing


def check_budgets(user: Any | None, conversation: Conversation) -> list[pricing.RemainingBudget]:
    """What is left. Raises Refused(BUDGET) if a budget of this user, the conversation, or the site is used up."""
    all_left = read_remaining(user, conversation)
    for left in all_left:
        if (left.tokens is not None and left.tokens <= 0) or (left.cost is not None and left.cost <= 0):
            raise Refused(ErrorCode.BUDGET, left.failure.message, retry_after=left.failure.retry_after)
    return all_left


def read_remaining(user: Any | None, conversation: Conversation) -> list[pricing.RemainingBudget]:
    """What is left of each budget that a run of this person in this conversation is held against. What says that one is
    used up is in the language that is active.
    """
    held = [budget for budget in policy().budgets(user) if budget.per != "user" or user is not None]
    if not held:
        return []
    scopes = [_scope(budget, user, conversation) for budget in held]
    sums: dict[str, Any] = {}
    for place, scope in enumerate(scopes):
        sums[f"tokens{place}"] = Sum("tokens", filter=scope, default=0)
        sums[f"cost{place}"] = Sum("cost", filter=scope, default=Decimal(0))
    anywhere = scopes[0]
    for scope in scopes[1:]:
        anywhere |= scope
    spent = Spending.objects.filter(anywhere).aggregate(**sums)
    return [
        pricing.RemainingBudget(
            tokens=None if budget.tokens is None else budget.tokens - spent[f"tokens{place}"],
            cost=None if budget.cost is None else budget.cost - spent[f"cost{place}"],
            failure=_describe_used_up(budget),
        )
        for place, budget in enumerate(held)
    ]


def record_spending(run: Run, took: engine.Usage, cost: Decimal | None, *, ended: bool) -> None:
    """A part of a run took this, or an aside that followed it. The run's conversation is locked, or nobody else writes
    what it took.
    """
    key = {"day": today(), "user_id": run.launched_by_id, "conversation_id": run.conversation_id}
    tokens, money, runs = pricing.count_tokens(took), cost or Decimal(0), int(ended)
    there = Spending.objects.filter(**key)
    if not there.update(tokens=F("tokens") + tokens, cost=F("cost") + money, runs=F("runs") + runs):
        Spending.objects.create(**key, tokens=tokens, cost=money, runs=runs)


def today() -> date:
    """Days begin as the site's clocks (TIME_ZONE) say."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


def _scope(budget: Budget, user: Any, conversation: Conversation) -> Q:
    first = _first_day(budget)
    when = Q() if first is None else Q(day__gte=first)
    match budget.per:
        case "user":
            return Q(user=user) & when
        case "conversation":
            return Q(conversation=conversation) & when
        case _:
            return Q(day__gte=first or date.min)


def _first_day(budget: Budget) -> date | None:
    match budget.period:
        case "day":
            return today()
        case "month":
            return today().replace(day=1)
        case _:
            return None


def _next_period(budget: Budget) -> datetime | None:
    """When a period begins anew."""
    match budget.period:
        case "day":
            day = today() + timedelta(days=1)
        case "month":
            day = (today().replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            return None
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone())


_SENTENCES = {
    ("user", "day"): gettext_noop("Your budget for today is used up: %(limit)s."),
    ("user", "month"): gettext_noop("Your budget for this month is used up: %(limit)s."),
    ("user", "ever"): gettext_noop("Your budget is used up: %(limit)s."),
    ("conversation", "day"): gettext_noop("The budget of this conversation for today is used up: %(limit)s."),
    ("conversation", "month"): gettext_noop("The budget of this conversation for this month is used up: %(limit)s."),
    ("conversation", "ever"): gettext_noop("The budget of this conversation is used up: %(limit)s."),
    ("site", "day"): gettext_noop("The budget of this site for today is used up: %(limit)s."),
    ("site", "month"): gettext_noop("The budget of this site for this month is used up: %(limit)s."),
    ("site", "ever"): gettext_noop("The budget of this site is used up: %(limit)s."),
}


def _describe_used_up(budget: Budget) -> objects.Failure:
    again = _next_period(budget)
    sentence = _(_SENTENCES[budget.per, budget.period]) % {"limit": _describe_limit(budget)}
    if again is None:
        never = _("It does not begin anew; ask whoever runs this site.")
        return objects.Failure("budget", f"{sentence} {never}")
    when = {"day": date_format(again, "MONTH_DAY_FORMAT"), "time": date_format(again, "H:i")}
    later = _("Answers are possible again on %(day)s, %(time)s.") % when
    seconds = (again - timezone.now()).total_seconds()
    return objects.Failure("budget", f"{sentence} {later}", max(seconds, 0.0))


def _describe_limit(budget: Budget) -> str:
    cost = "" if budget.cost is None else _("a cost of %(cost)s") % {"cost": format_number(budget.cost)}
    if budget.tokens is None:
        return cost
    tokens = ngettext("%(count)s token", "%(count)s tokens", budget.tokens) % {"count": format_number(budget.tokens)}
    return _("%(tokens)s and %(cost)s") % {"tokens": tokens, "cost": cost} if cost else tokens
