"""Budgets: what runs have spent, and what remains. All but the last function run inside their caller's transaction.

`Spending` has one row per user, conversation and day, so that checking a budget sums few rows however many runs there
were.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

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
from ..times import to_wire, today
from . import pricing
from .base import lock_conversation
from .prepared import Param, Update, insert
from .unit_of_work import unit_of_work


def check_budgets(user: Any | None, conversation: Conversation) -> list[pricing.RemainingBudget]:
    """Raises Refused(BUDGET) if a budget of this user, the conversation, or the site is used up."""
    remaining = read_remaining(user, conversation)
    for budget in remaining:
        if (budget.tokens is not None and budget.tokens <= 0) or (budget.cost is not None and budget.cost <= 0):
            raise Refused(ErrorCode.BUDGET, budget.failure.message, retry_after=budget.failure.retry_after)
    return remaining


def read_remaining(user: Any | None, conversation: Conversation) -> list[pricing.RemainingBudget]:
    """What remains of each budget that limits a run of this user in this conversation, in one query.

    The `failure` of each is in the active language.
    """
    budgets = [budget for budget in policy().budgets(user) if budget.per != "user" or user is not None]
    if not budgets:
        return []
    scopes = [_scope(budget, user, conversation) for budget in budgets]
    sums: dict[str, Any] = {}
    for index, scope in enumerate(scopes):
        sums[f"tokens{index}"] = Sum("tokens", filter=scope, default=0)
        sums[f"cost{index}"] = Sum("cost", filter=scope, default=Decimal(0))
    any_scope = scopes[0]
    for scope in scopes[1:]:
        any_scope |= scope
    spent = Spending.objects.filter(any_scope).aggregate(**sums)
    return [
        pricing.RemainingBudget(
            tokens=None if budget.tokens is None else budget.tokens - spent[f"tokens{index}"],
            cost=None if budget.cost is None else budget.cost - spent[f"cost{index}"],
            failure=_describe_used_up(budget),
        )
        for index, budget in enumerate(budgets)
    ]


def _scope(budget: Budget, user: Any, conversation: Conversation) -> Q:
    first = _first_day(budget)
    period = Q() if first is None else Q(day__gte=first)
    match budget.per:
        case "user":
            return Q(user=user) & period
        case "conversation":
            return Q(conversation=conversation) & period
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
    """When the budget resets; None if it never does."""
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
    next_period = _next_period(budget)
    sentence = _(_SENTENCES[budget.per, budget.period]) % {"limit": _describe_limit(budget)}
    if next_period is None:
        never = _("This limit does not reset. Contact your administrator.")
        return objects.Failure("budget", f"{sentence} {never}")
    when = {"day": date_format(next_period, "MONTH_DAY_FORMAT"), "time": date_format(next_period, "H:i")}
    later = _("You can ask again on %(day)s at %(time)s.") % when
    seconds = (next_period - to_wire(timezone.now())).total_seconds()
    return objects.Failure("budget", f"{sentence} {later}", max(seconds, 0.0))


def _describe_limit(budget: Budget) -> str:
    cost = "" if budget.cost is None else _("a cost of %(cost)s") % {"cost": format_number(budget.cost)}
    if budget.tokens is None:
        return cost
    tokens = ngettext("%(count)s token", "%(count)s tokens", budget.tokens) % {"count": format_number(budget.tokens)}
    return _("%(tokens)s and %(cost)s") % {"tokens": tokens, "cost": cost} if cost else tokens


def record_spending(run: Run, usage: engine.Usage, cost: Decimal | None, *, ended: bool) -> None:
    """Add a usage to today's spending of the run's launcher. `ended` counts the run, which happens once.

    Two writers could both create the row: the caller holds the conversation's lock, or is the only one to write for
    this run.
    """
    spent = Spending(
        day=today(),
        user_id=run.launched_by_id,
        conversation_id=run.conversation_id,
        tokens=pricing.count_tokens(usage),
        cost=cost or Decimal(0),
        runs=int(ended),
    )
    key = {"day": spent.day, "user": spent.user_id, "conversation": spent.conversation_id}
    # If the user's account is gone, no row matches, and each usage gets one of its own.
    if not _ADD_SPENDING.execute(**key, added_tokens=spent.tokens, added_cost=spent.cost, added_runs=spent.runs):
        insert([spent])


_ADD_SPENDING = Update(
    lambda: Spending.objects.filter(**{name: Param(name, Spending, name) for name in ("day", "user", "conversation")}),
    tokens=F("tokens") + Param("added_tokens", Spending, "tokens"),
    cost=F("cost") + Param("added_cost", Spending, "cost"),
    runs=F("runs") + Param("added_runs", Spending, "runs"),
)


def check_run_budgets(run_id: UUID) -> list[pricing.RemainingBudget]:
    """Check the budgets of a run's launcher before a model makes a title or a summary. Raises Refused(BUDGET)."""
    run = Run.objects.select_related("launched_by", "conversation").get(pk=run_id)
    return check_budgets(run.launched_by, run.conversation)


@unit_of_work()
def charge_run(run_id: UUID, model: str, usage: engine.Usage) -> None:
    """Charge a run's launcher for the title or the summary that `model` (`provider:model`) made after the run."""
    run = Run.objects.get(pk=run_id)
    lock_conversation(run.conversation_id)
    price = pricing.find_price(model)
    record_spending(run, usage, None if price is None else pricing.compute_cost(usage, price), ended=False)
