"""The budgets that staff sets in the admin, and whom they limit. Each process keeps them for a few seconds."""

from collections.abc import Sequence
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from ..conf import Budget
from ..models import Budget as BudgetRow
from ..models.groups import has_groups
from .cached import Cached, CachedByKey
from .prepared import Select

Scope = BudgetRow.Scope


class Limit(Budget, frozen=True, kw_only=True):
    """A budget of the settings or of the admin."""

    group: int | None = None
    """The key of the group whose members it limits together. None if it limits them one by one, or is of no group."""


_PER: dict[str, Literal["user", "conversation", "site"]] = {
    Scope.EACH_USER: "user",
    Scope.PERSON: "user",
    Scope.EACH_MEMBER: "user",
    Scope.GROUP: "site",
    Scope.EACH_CONVERSATION: "conversation",
    Scope.ONE_CONVERSATION: "conversation",
    Scope.SITE: "site",
}

_ROWS = Select(BudgetRow.objects.all)
stored_budgets: Cached[Sequence[BudgetRow]] = Cached(_ROWS.all)


def list_limits(user: Any | None, conversation_id: Any) -> list[Limit]:
    """Those of the admin's budgets that limit a run of this user in this conversation. No statement, but for the groups
    of the user every few seconds, if there are budgets of groups.
    """
    rows = stored_budgets.get()
    groups: frozenset[int] = frozenset()
    if user is not None and any(row.group_id is not None for row in rows):
        groups = groups_by_user.get(user.pk)
    return [limit_of(row) for row in rows if _applies(row, user, conversation_id, groups)]


def _applies(row: BudgetRow, user: Any | None, conversation_id: Any, groups: frozenset[int]) -> bool:
    if row.tokens is None and row.cost is None:  # of the site's code
        return False
    match row.scope:
        case Scope.PERSON:
            return user is not None and row.user_id == user.pk
        case Scope.EACH_MEMBER | Scope.GROUP:
            return row.group_id in groups
        case Scope.ONE_CONVERSATION:
            return bool(row.conversation_id == conversation_id)
        case _:
            return True


def limit_of(row: BudgetRow) -> Limit:
    """What a row of the admin limits, for a run to which it applies."""
    return Limit(
        per=_PER[row.scope],
        period=row.period,  # type: ignore[arg-type]  # one of the choices
        tokens=row.tokens,
        cost=row.cost,
        group=row.group_id if row.scope == Scope.GROUP else None,
    )


def members(group: int) -> QuerySet[Any]:
    """The keys of a group's members."""
    return get_user_model()._base_manager.filter(groups=group).values("pk")


def _read_groups(user_id: Any) -> frozenset[int]:
    if not has_groups():
        return frozenset()
    return frozenset(
        get_user_model()._base_manager.filter(pk=user_id, groups__isnull=False).values_list("groups", flat=True)
    )


groups_by_user: CachedByKey[Any, frozenset[int]] = CachedByKey(_read_groups)
