"""Budgets: what runs have spent, and what remains. All but the last function run inside their caller's transaction.

`Spending` has one row per user, conversation, agent, model, and day, so that checking a budget sums few rows however
many runs there were.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any
from uuid import UUID

from django.db.models import F, Q, Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from msgspec import Struct
from msgspec.structs import asdict

from .. import engine
from ..i18n import format_number
from ..models import Conversation, Run, Spending
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from ..times import to_wire, today
from . import pricing
from .base import lock_conversation
from .prepared import Param, Update, insert
from .stored_budgets import Limit, list_limits, members
from .text import sanitize_text
from .unit_of_work import unit_of_work


def check_budgets(user: Any | None, conversation: Conversation) -> list[pricing.RemainingBudget]:
    """Raises Refused(BUDGET) if a budget of this user, the conversation, or the site is used up. If several are, it
    names the one that resets last.
    """
    remaining = read_remaining(user, conversation)
    used_up = [
        budget
        for budget in remaining
        if (budget.tokens is not None and budget.tokens <= 0) or (budget.cost is not None and budget.cost <= 0)
    ]
    if used_up:
        budget = max(used_up, key=_resets_in)
        raise Refused(ErrorCode.BUDGET, budget.failure.message, retry_after=budget.failure.retry_after)
    return remaining


def _resets_in(budget: pricing.RemainingBudget) -> float:
    """Seconds; infinite if it never does."""
    return inf if budget.failure.retry_after is None else budget.failure.retry_after


def read_remaining(user: Any | None, conversation: Conversation) -> list[pricing.RemainingBudget]:
    """What remains of each budget of the settings and of the admin that limits a run of this user in this conversation,
    in one query.

    The `failure` of each is in the active language.
    """
    of_settings = [Limit(**asdict(budget)) for budget in policy().budgets(user)]
    of_admin = list_limits(user, conversation.pk)
    budgets = [limit for limit in (*of_settings, *of_admin) if limit.per != "user" or user is not None]
    if not budgets:
        return []
    used = read_used([(budget, None if user is None else user.pk, conversation.pk) for budget in budgets])
    return [
        pricing.RemainingBudget(
            tokens=None if budget.tokens is None else budget.tokens - spent.tokens,
            cost=None if budget.cost is None else budget.cost - spent.cost,
            failure=_describe_used_up(budget),
        )
        for budget, spent in zip(budgets, used, strict=True)
    ]


class Used(Struct, frozen=True):
    """What was spent of a budget in its present period."""

    tokens: int
    cost: Decimal


def read_used(budgets: Sequence[tuple[Limit, Any, Any]]) -> list[Used]:
    """What was spent of each budget, in one query: by the user and in the conversation with these keys, if it is one of
    users or of conversations.
    """
    if not budgets:
        return []
    scopes = [_scope(*budget) for budget in budgets]
    sums: dict[str, Any] = {}
    for index, scope in enumerate(scopes):
        sums[f"tokens{index}"] = Sum("tokens", filter=scope, default=0)
        sums[f"cost{index}"] = Sum("cost", filter=scope, default=Decimal(0))
    any_scope = scopes[0]
    for scope in scopes[1:]:
        any_scope |= scope
    spent = Spending.objects.filter(any_scope).aggregate(**sums)
    return [Used(spent[f"tokens{index}"], spent[f"cost{index}"]) for index in range(len(scopes))]


def _scope(budget: Limit, user: Any, conversation: Any) -> Q:
    first = _first_day(budget)
    period = Q() if first is None else Q(day__gte=first)
    if budget.group is not None:
        return Q(user__in=members(budget.group)) & period
    match budget.per:
        case "user":
            return Q(user=user) & period
        case "conversation":
            return Q(conversation=conversation) & period
        case _:
            return Q(day__gte=first or date.min)


def _first_day(budget: Limit) -> date | None:
    match budget.period:
        case "day":
            return today()
        case "month":
            return today().replace(day=1)
        case _:
            return None


def _next_period(budget: Limit) -> datetime | None:
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
    ("group", "day"): gettext_noop("The budget of your group for today is used up: %(limit)s."),
    ("group", "month"): gettext_noop("The budget of your group for this month is used up: %(limit)s."),
    ("group", "ever"): gettext_noop("The budget of your group is used up: %(limit)s."),
    ("site", "day"): gettext_noop("The budget of this site for today is used up: %(limit)s."),
    ("site", "month"): gettext_noop("The budget of this site for this month is used up: %(limit)s."),
    ("site", "ever"): gettext_noop("The budget of this site is used up: %(limit)s."),
}


def _describe_used_up(budget: Limit) -> objects.Failure:
    next_period = _next_period(budget)
    per = budget.per if budget.group is None else "group"
    sentence = _(_SENTENCES[per, budget.period]) % {"limit": _describe_limit(budget)}
    if next_period is None:
        never = _("This limit does not reset. Contact your administrator.")
        return objects.Failure("budget", f"{sentence} {never}")
    when = {"day": date_format(next_period, "MONTH_DAY_FORMAT"), "time": date_format(next_period, "H:i")}
    later = _("You can ask again on %(day)s at %(time)s.") % when
    seconds = (next_period - to_wire(timezone.now())).total_seconds()
    return objects.Failure("budget", f"{sentence} {later}", max(seconds, 0.0))


def _describe_limit(budget: Limit) -> str:
    cost = "" if budget.cost is None else _("a cost of %(cost)s") % {"cost": format_number(budget.cost)}
    if budget.tokens is None:
        return cost
    tokens = ngettext("%(count)s token", "%(count)s tokens", budget.tokens) % {"count": format_number(budget.tokens)}
    return _("%(tokens)s and %(cost)s") % {"tokens": tokens, "cost": cost} if cost else tokens


def record_spending(run: Run, usage: engine.Usage, cost: Decimal | None, model: str, *, ended: bool) -> None:
    """Add a usage of a model to today's spending of the run's launcher. `ended` counts the run, which happens once.

    Two writers could both create the row: the caller holds the conversation's lock, or is the only one to write for
    this run.
    """
    add_spendings([make_spending(run, usage, cost, model, ended=ended)])


def make_spending(run: Run, usage: engine.Usage, cost: Decimal | None, model: str, *, ended: bool) -> Spending:
    """What `add_spendings` adds."""
    return Spending(
        day=today(),
        user_id=run.launched_by_id,
        conversation_id=run.conversation_id,
        agent=run.agent,
        model=sanitize_text(model)[:200],
        tokens=pricing.count_tokens(usage),
        cost=cost or Decimal(0),
        runs=int(ended),
    )


def add_spendings(spendings: Sequence[Spending]) -> None:
    """Add what was spent today, in a conversation each, to the stored sums. The caller is as in `record_spending`."""
    added = _ADD_SPENDING.execute_many(
        [
            dict(zip(_KEY, _key_of(spent), strict=True))
            | {"added_tokens": spent.tokens, "added_cost": spent.cost, "added_runs": spent.runs}
            for spent in spendings
        ]
    )
    if added == len(spendings):
        return
    stored: set[tuple[Any, ...]] = set()
    if added:
        days, conversations = ({getattr(spent, name) for spent in spendings} for name in ("day", "conversation_id"))
        rows = Spending.objects.filter(day__in=days, conversation__in=conversations, user__isnull=False)
        stored.update(rows.values_list(*_COLUMNS))
    # If the user's account is gone, no row matches, and each usage gets one of its own.
    insert([spent for spent in spendings if _key_of(spent) not in stored])


def _key_of(spent: Spending) -> tuple[Any, ...]:
    return tuple(getattr(spent, column) for column in _COLUMNS)


_KEY = ("day", "user", "conversation", "agent", "model")
_COLUMNS = ("day", "user_id", "conversation_id", "agent", "model")
_ADD_SPENDING = Update(
    lambda: Spending.objects.filter(**{name: Param(name, Spending, name) for name in _KEY}),
    tokens=F("tokens") + Param("added_tokens", Spending, "tokens"),
    cost=F("cost") + Param("added_cost", Spending, "cost"),
    runs=F("runs") + Param("added_runs", Spending, "runs"),
)


def check_run_budgets(run_id: UUID, model: str) -> tuple[list[pricing.RemainingBudget], pricing.AppliedPrice | None]:
    """Check the budgets of a run's launcher before `model` makes a title or a summary. Returns what remains, and the
    price of the model. Raises Refused(BUDGET).
    """
    run = Run.objects.select_related("launched_by", "conversation").get(pk=run_id)
    return check_budgets(run.launched_by, run.conversation), pricing.find_price(model)


@unit_of_work()
def charge_run(run_id: UUID, model: str, usage: engine.Usage) -> None:
    """Charge a run's launcher for the title or the summary that `model` (`provider:model`) made after the run."""
    run = Run.objects.get(pk=run_id)
    lock_conversation(run.conversation_id)
    price = pricing.find_price(model)
    record_spending(run, usage, None if price is None else pricing.compute_cost(usage, price), model, ended=False)
