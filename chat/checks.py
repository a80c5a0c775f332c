"""`manage.py check`: settings that cannot work, or that break streaming, are said before the first visitor meets them.

E001  a setting of NOUS_CHAT              W003  in-memory layer with DEBUG off    W007  "*" in ALLOWED_HOSTS
E002  an agent: no model, no key          E005  redis core layer, socket_timeout  W008  daphne behind staticfiles
E004  no channel layer                    W006  redis layer without a prefix      W009  SQLite that locks people out
W012  a budget in money without prices    W010  no ASGI_APPLICATION               W011  HOST_TIMEOUT is too short
"""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004  Django's name
from django.core.exceptions import ImproperlyConfigured

from . import conf, engine
from .agents import build, model_of
from .engine.providers import provider_for

HINT = "docs/deployment.md of the chat says more."


@register("nous_chat")
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        chat = conf.read()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="docs/settings.md lists the settings.", id="nous_chat.E001")]
    problems: list[CheckMessage] = []
    for slug, agent in chat.AGENTS.items():
        try:
            if not agent.agent:
                provider_for(model_of(agent))
            build(agent)
        except engine.ConfigurationError as error:
            hint = "Set the key in the environment, or choose another model in NOUS_CHAT or NOUS_CHAT_MODEL."
            problems.append(Error(f"Agent {slug!r}: {error}", hint=hint, id="nous_chat.E002"))
    if any(budget.cost is not None for budget in chat.BUDGETS):
        models = {model for agent in chat.AGENTS.values() for model in (model_of(agent), *agent.fallback)}
        if unpriced := sorted(models - set(chat.PRICES)):
            problems.append(
                Warning(
                    f"A budget in money does not hold back runs of {', '.join(unpriced)}, which have no price.",
                    hint="Add them to PRICES, or limit `tokens`.",
                    id="nous_chat.W012",
                )
            )
    if chat.HOST_TIMEOUT < 5:
        problems.append(
            Warning(
                "HOST_TIMEOUT is so short that a busy process may count as dead.",
                hint="Heartbeats come once a second: 5 seconds at least, 10 are better.",
                id="nous_chat.W011",
            )
        )
    return problems


@register("nous_chat")
def check_layer(**_: Any) -> list[CheckMessage]:
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default")
    if not layer:
        hint = 'To begin with: CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}.'
        return [Error("The chat needs a channel layer.", hint=hint, id="nous_chat.E004")]
    backend, config = str(layer.get("BACKEND", "")), layer.get("CONFIG", {})
    problems: list[CheckMessage] = []
    if backend.endswith("InMemoryChannelLayer") and not settings.DEBUG:
        problems.append(
            Warning(
                "The in-memory channel layer reaches one process only: with two, half of the people see nothing.",
                hint="Use channels_redis.pubsub.RedisPubSubChannelLayer, or run exactly one process.",
                id="nous_chat.W003",
            )
        )
    if not backend.startswith("channels_redis."):
        return problems
    if backend.startswith("channels_redis.core.") and _times_out(config):
        problems.append(
            Error(
                "channels_redis.core with redis-py 8 closes every socket of a process that is quiet for 5 seconds.",
                hint='Give each host {"address": "redis://...", "socket_timeout": None}, or use channels_redis.pubsub.',
                id="nous_chat.E005",
            )
        )
    if config.get("prefix") in (None, "", "asgi"):
        problems.append(
            Warning(
                "The channel layer has no prefix of its own: another site on the same Redis would hear this one.",
                hint='Add "prefix": "yoursite" to the CONFIG of CHANNEL_LAYERS.',
                id="nous_chat.W006",
            )
        )
    return problems


def _times_out(config: dict[str, Any]) -> bool:
    """channels_redis waits 5 seconds for a message, and redis-py 8 as long for an answer: django/channels_redis#422."""
    import redis

    hosts = config.get("hosts") or ["redis://localhost:6379"]
    given = all(isinstance(host, dict) and "socket_timeout" in host for host in hosts)
    return int(redis.__version__.split(".")[0]) >= 8 and not given


@register("nous_chat")
def check_serving(**_: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        problems.append(
            Warning(
                '"*" in ALLOWED_HOSTS lets pages of any site open sockets with the cookies of whoever visits them.',
                hint="Name the hosts that this site is reached by.",
                id="nous_chat.W007",
            )
        )
    installed = [config.name for config in apps.get_app_configs()]
    static = "django.contrib.staticfiles"
    if "daphne" in installed and static in installed and installed.index("daphne") > installed.index(static):
        problems.append(
            Warning(
                "daphne stands behind django.contrib.staticfiles in INSTALLED_APPS: `runserver` is not its.",
                hint='Put "daphne" first.',
                id="nous_chat.W008",
            )
        )
    if not getattr(settings, "ASGI_APPLICATION", None):
        problems.append(
            Warning(
                "There is no ASGI_APPLICATION: over WSGI no socket opens and nothing streams.",
                hint='Set it to "yoursite.asgi.application", and serve that with daphne or uvicorn.',
                id="nous_chat.W010",
            )
        )
    return problems


@register("nous_chat")
def check_database(**_: Any) -> list[CheckMessage]:
    database = settings.DATABASES.get("default", {})
    options = database.get("OPTIONS", {})
    if "sqlite3" not in database.get("ENGINE", "") or ":memory:" in str(database.get("NAME", "")):
        return []
    wal = "journal_mode=wal" in str(options.get("init_command", "")).lower().replace(" ", "")
    if wal and options.get("transaction_mode") == "IMMEDIATE":
        return []
    return [
        Warning(
            "SQLite without WAL and without transactions that begin by locking: people lock each other out.",
            hint='OPTIONS: "transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL".',
            id="nous_chat.W009",
        )
    ]
