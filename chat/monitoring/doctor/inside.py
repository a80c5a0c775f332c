"""What only a process with the site's settings can find: its Redis, the clocks of its processes, and its providers."""

import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError

from ... import agents
from ...engine import EngineError
from ...engine.providers import reach
from ..reporter import GATHER_TIMEOUT, Gathered
from .outside import MOST_OFFSET, REDIS_FIX
from .report import Report

MB = 1024 * 1024

LEAST_HARD, LEAST_SOFT = 32 * MB, 8 * MB
"""Bytes that a process may be behind before Redis closes its subscription, at once and for a minute: the defaults of
Redis.
"""

NO_LIMIT = 0


def knows_session(cookies: Mapping[str, str]) -> bool:
    """Whether this process has the site's settings: it knows the session that the site began. Synchronous."""
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return False
    try:
        return SESSION_KEY in import_module(settings.SESSION_ENGINE).SessionStore(key).load()
    except (DatabaseError, OSError):
        return False


async def look_inside(report: Report, gather: Callable[[], Awaitable[Gathered]]) -> None:
    """Look at the site's Redis, its processes, and its providers."""
    layer: dict[str, Any] = settings.CHANNEL_LAYERS.get("default", {})
    if "redis" in layer.get("BACKEND", "").lower():
        await _check_redis(report, layer.get("CONFIG", {}).get("hosts"))
        await _check_clocks(report, gather)
    await _check_providers(report)


async def _check_redis(report: Report, hosts: Any) -> None:
    from channels_redis.utils import create_pool, decode_hosts  # an extra
    from redis.asyncio import Redis
    from redis.exceptions import RedisError, ResponseError

    for host in decode_hosts(hosts):
        async with Redis.from_pool(create_pool(host)) as redis:
            try:
                await redis.ping()
                found = await redis.config_get("client-output-buffer-limit")
            except ResponseError:  # CONFIG is forbidden, as at many who rent Redis out
                continue
            except (RedisError, OSError, TimeoutError) as error:
                report.add("redis_unreachable", f"Redis does not answer: {error}", REDIS_FIX)
                continue
        hard, soft = _pubsub_limits(found)
        if NO_LIMIT < hard < LEAST_HARD or NO_LIMIT < soft < LEAST_SOFT:
            report.add(
                "small_pubsub_buffer",
                f"Redis closes the subscription of a process that is {hard} bytes behind, or {soft} for some time: "
                "when much is streamed, its readers lose frames.",
                "Set `client-output-buffer-limit pubsub 32mb 8mb 60` in redis.conf, or more.",
            )


def _pubsub_limits(config: Mapping[Any, Any]) -> tuple[int, int]:
    """The hard and the soft limit, in bytes. Redis answers "normal 0 0 0 slave 268435456 67108864 60 pubsub ..."."""
    [given] = config.values() or [""]
    words = (given.decode() if isinstance(given, bytes) else given).split()
    if "pubsub" not in words:
        return NO_LIMIT, NO_LIMIT
    position = words.index("pubsub")
    return int(words[position + 1]), int(words[position + 2])


async def _check_clocks(report: Report, gather: Callable[[], Awaitable[Gathered]]) -> None:
    before = time.time()
    gathered = await gather()
    between = (before + time.time()) / 2
    for process in gathered.reports:
        offset = process.at - between
        if abs(offset) > MOST_OFFSET + GATHER_TIMEOUT:
            ahead = "ahead of" if offset > 0 else "behind"
            report.add(
                "clock_skew",
                f"The clock of the process {process.host} is {abs(offset):.0f} seconds {ahead} this machine's.",
                "Let all servers keep time by NTP: `timedatectl set-ntp true`, or chrony.",
            )


async def _check_providers(report: Report) -> None:
    """Whether the address of each model answers. Asks nothing, so it costs nothing, and does not prove the key."""
    for agent in agents.all_agents().values():
        if agent.agent:
            continue
        for model in (agents.model_of(agent), *agent.fallback):
            try:
                await reach(model, agents.environ())
            except EngineError as error:
                report.add(
                    "provider_unreachable",
                    f"The model {model} of the agent {agent.name} cannot be reached. {error.detail}",
                    f"Correct {model.partition(':')[0].upper()}_BASE_URL or PROVIDERS, or open the firewall for it.",
                )
