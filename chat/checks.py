"""System checks (`manage.py check`): settings that cannot work, or that break streaming.

nous_chat.E001  NOUS_CHAT has an unknown name or an invalid value
nous_chat.E002  an agent cannot be built: unknown model, failing import; with --deploy, missing key
nous_chat.W003  in-memory channel layer with DEBUG off
nous_chat.E004  no channel layer
nous_chat.E005  channels_redis.core with redis-py 8 and no socket_timeout
nous_chat.W006  Redis channel layer without a prefix
nous_chat.W008  daphne after django.contrib.staticfiles
nous_chat.W009  SQLite without WAL or immediate transactions
nous_chat.W010  no ASGI_APPLICATION
nous_chat.W011  HOST_TIMEOUT is too short
nous_chat.W012  a budget in money, but a model without a price
nous_chat.E013  a dotted path of the settings names nothing that can be imported, or not what it should
nous_chat.E014  a room names an agent or a tool that does not exist
nous_chat.W015  the key of an agent's provider is missing
nous_chat.E016  the database is MySQL, MariaDB, or another one that the chat does not work with
nous_chat.W017  channels_redis.core with several hosts
nous_chat.W018  attached files in a folder that the site probably serves to everybody
nous_chat.W019  the channel layer forgets groups too soon
nous_chat.E018  GUESTS is set, but the user model has no password
nous_chat.E020  django-tenants keeps the chat, the users, or their sessions in the schemas of tenants
nous_chat.W021  METRICS_TOKEN is short
nous_chat.E022  an agent is for groups, but the user model has none
"""

import math
from collections.abc import Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004  Django's name
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InvalidStorageError, storages
from django.utils.module_loading import import_string

from . import conf, database, engine, rooms
from .agents import build, environ, model_of
from .engine.exceptions import MissingKeyError
from .engine.providers import provider_for
from .models.groups import has_groups
from .permissions import Permissions
from .store.pricing import has_price

LEAST_GROUP_EXPIRY = 3600
"""Seconds. Longer than any run, and than the time after which sockets join again (`consumers.base.RECHECK_EVERY`)."""

LEAST_TOKEN_CHARS = 32

KEY_HINT = "Set the key in the environment or in PROVIDERS, or choose another model in NOUS_CHAT or NOUS_CHAT_MODEL."


@register("nous_chat")
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        chat = conf.read()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="The settings are described in docs/settings.md.", id="nous_chat.E001")]
    problems: list[CheckMessage] = []
    for slug, agent in chat.AGENTS.items():
        try:
            if not agent.agent:
                provider_for(model_of(agent), environ())
            build(agent)
        except MissingKeyError as error:
            # No error: it would stop `migrate`, `test`, and `createsuperuser`, which need no model.
            problems.append(Warning(f"Agent {slug!r}: {error}", hint=KEY_HINT, id="nous_chat.W015"))
        except engine.ConfigurationError as error:
            hint = "Choose another model in NOUS_CHAT or NOUS_CHAT_MODEL, or correct the dotted path."
            problems.append(Error(f"Agent {slug!r}: {error}", hint=hint, id="nous_chat.E002"))
    for model, room in rooms.registered().items():
        name = f"The room of {model.__name__}"
        if room.agent and room.agent not in chat.AGENTS:
            hint = f"AGENTS has {', '.join(sorted(chat.AGENTS))}."
            problems.append(Error(f"{name} names the agent {room.agent!r}.", hint=hint, id="nous_chat.E014"))
            continue
        agent = chat.AGENTS[room.agent or next(iter(chat.AGENTS))]
        try:
            build(agent, more_tools=room.tools)
        except engine.ConfigurationError as error:
            problems.append(Error(f"{name}: {error}", hint="Correct its `tools`.", id="nous_chat.E014"))
    if any(budget.cost is not None for budget in chat.BUDGETS):
        models = {model for agent in chat.AGENTS.values() for model in (model_of(agent), *agent.fallback)}
        if unpriced := sorted(model for model in models if not has_price(model)):
            problems.append(
                Warning(
                    f"BUDGETS limits the cost of runs, but these models have no price: {', '.join(unpriced)}.",
                    hint="Add the models to PRICES or, in the admin, to the prices; or limit `tokens`, not `cost`.",
                    id="nous_chat.W012",
                )
            )
    problems += _check_paths(chat)
    problems += _check_guests(chat)
    problems += _check_groups(chat)
    if chat.HOST_TIMEOUT < 5:
        problems.append(
            Warning(
                "HOST_TIMEOUT is so short that a busy process may be taken for dead.",
                hint="Heartbeats come once a second. Set it to at least 5 seconds, better 10.",
                id="nous_chat.W011",
            )
        )
    return problems


@register("nous_chat")
def check_metrics_token(**_: Any) -> list[CheckMessage]:
    try:
        token = conf.read().METRICS_TOKEN
    except ImproperlyConfigured:
        return []
    if not token or len(token) >= LEAST_TOKEN_CHARS:
        return []
    return [
        Warning(
            "METRICS_TOKEN is so short that somebody may guess it.",
            hint=f"Use at least {LEAST_TOKEN_CHARS} random characters: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))".',
            id="nous_chat.W021",
        )
    ]


@register("nous_chat", deploy=True)
def check_keys(**_: Any) -> list[CheckMessage]:
    """In production, an agent without a key is an error."""
    missing = [message for message in check_settings() if message.id == "nous_chat.W015"]
    return [Error(message.msg, hint=message.hint, id="nous_chat.E002") for message in missing]


@register("nous_chat")
def check_layer(**_: Any) -> list[CheckMessage]:
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default")
    if not layer:
        hint = 'For one process: CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}.'
        return [Error("CHANNEL_LAYERS has no default channel layer.", hint=hint, id="nous_chat.E004")]
    backend, config = str(layer.get("BACKEND", "")), layer.get("CONFIG", {})
    problems: list[CheckMessage] = []
    if backend.endswith("InMemoryChannelLayer") and not settings.DEBUG:
        problems.append(
            Warning(
                "The in-memory channel layer reaches one process only: users of another would miss messages.",
                hint="Use nous_chat.channel_layer.RedisLayer, or run exactly one process.",
                id="nous_chat.W003",
            )
        )
    expiry = config.get("group_expiry", math.inf)
    if expiry < LEAST_GROUP_EXPIRY:
        problems.append(
            Warning(
                f"The channel layer forgets who is in a group after {expiry:g} seconds.",
                hint=f"Leave out `group_expiry`, or set it to {LEAST_GROUP_EXPIRY} or more: sockets join their groups "
                "again once a minute, but runs only when they begin.",
                id="nous_chat.W019",
            )
        )
    if not backend.startswith("channels_redis.") and not backend.endswith(".channel_layer.RedisLayer"):
        return problems
    if backend.startswith("channels_redis.core.") and _times_out(config):
        problems.append(
            Error(
                "channels_redis.core with redis-py 8 closes all sockets of a process after 5 quiet seconds.",
                hint='Set "socket_timeout": None for each host, or use nous_chat.channel_layer.RedisLayer.',
                id="nous_chat.E005",
            )
        )
    if backend.startswith("channels_redis.core.") and len(config.get("hosts") or ()) > 1:
        problems.append(
            Warning(
                "channels_redis.core spreads each socket over all its hosts: if one fails, all conversations do.",
                hint="Use nous_chat.channel_layer.RedisLayer, or one host.",
                id="nous_chat.W017",
            )
        )
    if config.get("prefix") in (None, "", "asgi"):
        problems.append(
            Warning(
                "The channel layer has no prefix: another site on the same Redis would receive this site's messages.",
                hint='Add "prefix": "yoursite" to the CONFIG of the channel layer.',
                id="nous_chat.W006",
            )
        )
    return problems


def _check_paths(chat: conf.Conf) -> Iterator[CheckMessage]:
    """The settings that name functions and classes of the site. They are imported when they are first needed: without
    this check, the first message would tell.
    """
    functions = {
        "AUTHENTICATE": (chat.AUTHENTICATE, "gets a request and returns a user or None"),
        "BEFORE_MODEL": (chat.BEFORE_MODEL, "gets a context and a text and returns a text"),
        "AFTER_MODEL": (chat.AFTER_MODEL, "gets a context and a text and returns a text"),
    }
    for slug, agent in chat.AGENTS.items():
        functions[f"`deps` of the agent {slug!r}"] = agent.deps, "gets the user and the conversation"
    for name, (path, what) in functions.items():
        if path and (problem := _problem_of_function(path)):
            hint = f"Give the dotted path of a function that {what}."
            yield Error(f"{name} is {path!r}. {problem}", hint=hint, id="nous_chat.E013")
    rules, problem = _import(chat.PERMISSIONS)
    if not problem and not (isinstance(rules, type) and issubclass(rules, Permissions)):
        problem = "It is no subclass of nous_chat.permissions.Permissions."
    if problem:
        hint = "Give the dotted path of a class that inherits from nous_chat.permissions.Permissions."
        yield Error(f"PERMISSIONS is {chat.PERMISSIONS!r}. {problem}", hint=hint, id="nous_chat.E013")


def _problem_of_function(path: str) -> str:
    """Why this is no dotted path of a synchronous function; empty if it is one."""
    function, problem = _import(path)
    if problem:
        return problem
    if not callable(function):
        return "It cannot be called."
    return "It is asynchronous." if iscoroutinefunction(function) else ""


def _import(path: str) -> tuple[Any, str]:
    """The object, and an empty text; or why it cannot be imported."""
    try:
        return import_string(path), ""
    except Exception as error:  # the module can raise anything
        return None, f"{type(error).__name__}: {error}"


def _check_guests(chat: conf.Conf) -> Iterator[CheckMessage]:
    if chat.GUESTS is None:
        return
    if not any(field.name == "password" for field in get_user_model()._meta.get_fields()):
        yield Error(
            "GUESTS is set, but the user model has no field `password`, which marks guests.",
            hint="Remove GUESTS, or let the user model inherit from AbstractBaseUser.",
            id="nous_chat.E018",
        )


def _check_groups(chat: conf.Conf) -> Iterator[CheckMessage]:
    limited = [slug for slug, agent in chat.AGENTS.items() if agent.groups]
    if limited and not has_groups():
        yield Error(
            f"The user model has no groups, so nobody can use the agents that are for `groups`: {', '.join(limited)}.",
            hint="Decide in `can_use_agent` of PERMISSIONS, or let the user model inherit from PermissionsMixin.",
            id="nous_chat.E022",
        )


def _times_out(config: dict[str, Any]) -> bool:
    """True if redis-py gives up before channels_redis does.

    channels_redis blocks for 5 seconds for a message, and redis-py 8 waits 5 seconds for any reply
    (django/channels_redis#422).
    """
    import redis

    hosts = config.get("hosts") or ["redis://localhost:6379"]
    given = all(isinstance(host, dict) and "socket_timeout" in host for host in hosts)
    return int(redis.__version__.split(".")[0]) >= 8 and not given


@register("nous_chat")
def check_serving(**_: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    installed = [config.name for config in apps.get_app_configs()]
    static = "django.contrib.staticfiles"
    if "daphne" in installed and static in installed and installed.index("daphne") > installed.index(static):
        problems.append(
            Warning(
                "daphne is listed after django.contrib.staticfiles, so `runserver` serves no sockets.",
                hint='Put "daphne" first in INSTALLED_APPS.',
                id="nous_chat.W008",
            )
        )
    if not getattr(settings, "ASGI_APPLICATION", None):
        problems.append(
            Warning(
                "ASGI_APPLICATION is not set. WSGI has no WebSockets, so nothing would stream.",
                hint='Set it to "yoursite.asgi.application", and serve that with daphne or uvicorn.',
                id="nous_chat.W010",
            )
        )
    return problems


@register("nous_chat")
def check_storage(**_: Any) -> list[CheckMessage]:
    """Django serves no files by itself, but a site with a MEDIA_URL has something that does."""
    try:
        storage = storages[conf.read().STORAGE]
    except (ImproperlyConfigured, InvalidStorageError):
        return []
    if settings.MEDIA_URL in ("", "/") or not settings.MEDIA_ROOT or not isinstance(storage, FileSystemStorage):
        return []
    if not Path(storage.location).resolve().is_relative_to(Path(settings.MEDIA_ROOT).resolve()):
        return []
    return [
        Warning(
            "Files that are attached to messages are stored in MEDIA_ROOT. If the site serves that folder, anybody "
            f"who knows a file's name can read it at {settings.MEDIA_URL}.",
            hint="Add a storage with a `location` outside MEDIA_ROOT to STORAGES, and name it in STORAGE.",
            id="nous_chat.W018",
        )
    ]


@register("nous_chat")
def check_tenants(**_: Any) -> list[CheckMessage]:
    """Sockets, runs, and heartbeats belong to no request, so they see only the schema that all tenants share. A
    tenant's user would be taken for the one with the same key there.
    """
    if not apps.is_installed("django_tenants"):
        return []
    needed = ["nous_chat", get_user_model()._meta.app_label]
    if settings.SESSION_ENGINE.endswith("db") and apps.is_installed("django.contrib.sessions"):
        needed.append("sessions")
    own = {AppConfig.create(app).label for app in _apps_of_tenants()}
    if found := [apps.get_app_config(label).name for label in dict.fromkeys(needed) if label in own]:
        return [
            Error(
                f"Each tenant has tables of its own for {', '.join(found)}. The chat works only with tables that all "
                "tenants share.",
                hint="List these apps in SHARED_APPS, and not among the apps of tenants.",
                id="nous_chat.E020",
            )
        ]
    return []


def _apps_of_tenants() -> list[str]:
    """What django-tenants puts into the schema of each tenant."""
    if not getattr(settings, "HAS_MULTI_TYPE_TENANTS", False):
        return list(getattr(settings, "TENANT_APPS", []))
    public = getattr(settings, "PUBLIC_SCHEMA_NAME", "public")
    return [
        app for name, kind in getattr(settings, "TENANT_TYPES", {}).items() if name != public for app in kind["APPS"]
    ]


@register("nous_chat")
def check_database(**_: Any) -> list[CheckMessage]:
    connection = database.connection()
    if not connection.features.supports_partial_indexes:
        return [
            Error(
                f"The chat does not work with {connection.vendor}, the database {connection.alias!r}: it relies on "
                "unique indexes with a condition.",
                hint="Use PostgreSQL or SQLite. DATABASE_ROUTERS can give the chat a database of its own.",
                id="nous_chat.E016",
            )
        ]
    chosen = settings.DATABASES.get(database.alias(), {})
    options = chosen.get("OPTIONS", {})
    if "sqlite3" not in chosen.get("ENGINE", "") or ":memory:" in str(chosen.get("NAME", "")):
        return []
    wal = "journal_mode=wal" in str(options.get("init_command", "")).lower().replace(" ", "")
    if wal and options.get("transaction_mode") == "IMMEDIATE":
        return []
    return [
        Warning(
            'SQLite without WAL and immediate transactions fails with "database is locked" when several users write.',
            hint='OPTIONS: "transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL".',
            id="nous_chat.W009",
        )
    ]
