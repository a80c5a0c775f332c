"""What this process knows of the agents in the database. A run starts without a query for them.

A server process asks with its heartbeats whether something has changed. Processes without a heartbeat (WSGI, commands,
workers) ask when somebody wants an agent and the last answer is old. The process that changes something knows at once.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from django.db.models import F
from msgspec import Struct

from ..conf import AgentConf
from ..models import AgentVersion, StoredAgent

logger = logging.getLogger("nous_chat.agents")

STALE_AFTER = 5.0
"""Seconds after which a process that nothing keeps up to date asks again."""


class Found(Struct, frozen=True):
    """An agent of the database as it is, or was in an earlier version."""

    slug: str
    settings: AgentConf
    version: int


class Known(Struct, frozen=True):
    """`state` changes with every change of an agent."""

    agents: Mapping[str, Found] = {}
    state: tuple[tuple[Any, ...], ...] = ()
    asked_at: float = float("-inf")


_known = Known()


def current() -> Mapping[str, Found]:
    """The agents that are turned on, by slug. Asks the database if this process has not for STALE_AFTER seconds, but
    not in an event loop, which must not wait.
    """
    if time.monotonic() - _known.asked_at > STALE_AFTER and not _in_event_loop():
        refresh()
    return _known.agents


def refresh() -> None:
    """Ask the database what has changed. One query if nothing has, else two."""
    global _known
    asked_at = time.monotonic()
    enabled = StoredAgent.objects.filter(enabled=True)
    state = tuple(enabled.order_by("pk").values_list("pk", "slug", "version"))
    agents = _known.agents if state == _known.state else _read()
    _known = Known(agents, state, asked_at)


def find_version(slug: str, number: int) -> Found | None:
    """A version of an agent, whether it is turned on or not."""
    return _found(AgentVersion.objects.filter(agent__slug=slug, number=number).values_list(*_FIELDS).first())


_FIELDS = ("agent__slug", "number", "config")


def _read() -> dict[str, Found]:
    rows = AgentVersion.objects.filter(agent__enabled=True, number=F("agent__version")).values_list(*_FIELDS)
    return {agent.slug: agent for row in rows if (agent := _found(row)) is not None}


def _found(row: tuple[str, int, Any] | None) -> Found | None:
    if row is None:
        return None
    slug, number, config = row
    try:
        return Found(slug, msgspec.convert(config, AgentConf), number)
    except msgspec.ValidationError:  # written by a later release, or by hand
        logger.exception("Version %s of the agent %r cannot be read", number, slug)
        return None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
