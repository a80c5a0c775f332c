"""Agents in the database: save them, which makes a version, turn them off, delete them, and restore versions."""

from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import database, engine
from ..agents import find_problems
from ..agents.database import refresh
from ..conf import AgentConf, conf
from ..models import AgentVersion, Conversation, Run, StoredAgent
from ..protocol.errors import ErrorCode, Refused
from . import pricing
from .budgets import check_budgets, record_spending
from .unit_of_work import unit_of_work

PERMISSION = "nous_chat.manage_agents"


@unit_of_work()
def create_agent(by: Any | None, slug: str, settings: AgentConf, *, enabled: bool = True) -> int:
    """Create an agent with its first version. Returns the number of the version. `by` is a user with the permission
    `manage_agents`, or None for the site's code. Raises Refused.
    """
    _check(by, settings)
    if slug in conf.AGENTS:
        raise Refused(ErrorCode.CONFLICT, _("The site's settings have an agent with this ID."))
    if StoredAgent.objects.filter(slug=slug).exists():
        raise Refused(ErrorCode.CONFLICT, _("There is an agent with this ID already."))
    # Numbers of a deleted agent with this ID are on runs. They must not mean something else.
    number = (Run.objects.filter(agent=slug).aggregate(last=Max("agent_version"))["last"] or 0) + 1
    row = StoredAgent.objects.create(slug=slug, name=settings.name, enabled=enabled, version=number)
    _add_version(row, by, settings, None)
    return number


@unit_of_work()
def change_agent(
    by: Any | None,
    slug: str,
    settings: AgentConf,
    *,
    enabled: bool,
    based_on: int | None = None,
    restores: int | None = None,
) -> int:
    """Save an agent. Returns the number of the current version: a new one if the settings have changed. Running answers
    keep the version that they began with.

    `based_on` is the version that the user has changed. Raises Refused, CONFLICT if there is a newer one.
    """
    _check(by, settings)
    row = _lock(slug)
    if based_on is not None and row.version != based_on:
        raise Refused(ErrorCode.CONFLICT, _("Somebody else has saved this agent meanwhile. Load the page again."))
    if get_agent_version(slug, row.version) != settings:
        row.version += 1
        row.name = settings.name
        _add_version(row, by, settings, restores)
    row.enabled, row.changed_at = enabled, timezone.now()
    row.save()
    transaction.on_commit(refresh, using=database.alias(), robust=True)
    return row.version


def restore_agent(by: Any | None, slug: str, number: int) -> int:
    """Save an earlier version of an agent once more, as a new one. Returns the number. Raises Refused: also if the site
    has lost what it needs, such as a tool.
    """
    enabled = StoredAgent.objects.filter(slug=slug).values_list("enabled", flat=True).first()
    return change_agent(by, slug, get_agent_version(slug, number), enabled=bool(enabled), restores=number)


@unit_of_work()
def delete_agent(by: Any | None, slug: str) -> None:
    """Delete an agent and its versions. In its conversations, the site's default agent answers. Raises Refused."""
    _check(by)
    _lock(slug).delete()
    transaction.on_commit(refresh, using=database.alias(), robust=True)


def get_agent_version(slug: str, number: int) -> AgentConf:
    """An agent as it was saved. Raises Refused(NOT_FOUND)."""
    config = AgentVersion.objects.filter(agent__slug=slug, number=number).values_list("config", flat=True).first()
    if config is None:
        raise Refused(ErrorCode.NOT_FOUND, _("This agent has no such version."))
    return msgspec.convert(config, AgentConf)


def _lock(slug: str) -> StoredAgent:
    row = StoredAgent.objects.select_for_update().filter(slug=slug).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such agent."))
    return row


def _add_version(row: StoredAgent, by: Any | None, settings: AgentConf, restores: int | None) -> None:
    config = msgspec.to_builtins(settings)
    AgentVersion.objects.create(agent=row, number=row.version, config=config, saved_by=by, restores=restores)
    transaction.on_commit(refresh, using=database.alias(), robust=True)


def _check(by: Any | None, settings: AgentConf | None = None) -> None:
    if by is not None and not by.has_perm(PERMISSION):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't manage agents."))
    problems = [] if settings is None else list(find_problems(settings).values())
    if problems:
        raise Refused(ErrorCode.INVALID, problems[0])


def check_trial(user: Any, model: str) -> tuple[list[pricing.RemainingBudget], pricing.AppliedPrice | None]:
    """Check that a user may try an agent of this model. Returns what remains of their budgets, and the price of the
    model. Raises Refused.
    """
    _check(user)
    return check_budgets(user, Conversation()), pricing.find_price(model)  # in a conversation that has spent nothing


@unit_of_work()
def charge_trial(user: Any, agent: str, model: str, usage: engine.Usage) -> None:
    """Charge a user for trying an agent: `model` (`provider:model`) has answered, in no conversation."""
    price = pricing.find_price(model)
    run = Run(agent=agent, model=model, launched_by=user)
    record_spending(run, usage, None if price is None else pricing.compute_cost(usage, price), model, ended=True)
