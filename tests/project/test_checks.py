"""`manage.py check` reports what would break streaming. nousproject itself has no problems."""

import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.db import connection

from chat import conf, rooms
from chat.models import groups

from ..support import servers

CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "chat.channel_layer.RedisLayer"
MEMORY = "channels.layers.InMemoryChannelLayer"
URL = "redis://localhost:6379/0"
FILE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}
GOOD = {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = WAL;"}


def layer(backend: str, **config: Any) -> dict[str, Any]:
    return {"CHANNEL_LAYERS": {"default": {"BACKEND": backend, "CONFIG": config}}}


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"NOUS_CHAT": {"NO_SUCH": 1}}, "E001"),
        ({"NOUS_CHAT": {"MODEL": "openai:gpt-4o"}}, "W015"),
        ({"NOUS_CHAT": {"MODEL": "opanai:gpt-4o"}}, "E002"),
        (layer(MEMORY) | {"DEBUG": False}, "W003"),
        ({"CHANNEL_LAYERS": {}}, "E004"),
        (layer(CORE, hosts=[URL], prefix="mine"), "E005"),
        (layer(PUBSUB, hosts=[URL]), "W006"),
        (layer(MEMORY, group_expiry=60), "W019"),
        ({"MEDIA_URL": "/media/"}, "W018"),
        (layer(CORE, hosts=[{"address": URL, "socket_timeout": None}] * 2, prefix="mine"), "W017"),
        ({"DATABASES": {"default": FILE}}, "W009"),
        ({"DATABASES": {"default": FILE | {"OPTIONS": {"init_command": GOOD["init_command"]}}}}, "W009"),
        ({"ASGI_APPLICATION": None}, "W010"),
        ({"NOUS_CHAT": {"HOST_TIMEOUT": 2}}, "W011"),
        ({"NOUS_CHAT": {"BEFORE_MODEL": "no.such.hook"}}, "E013"),
        ({"NOUS_CHAT": {"AFTER_MODEL": "chat.hooks.acheck_message"}}, "E013"),
        ({"NOUS_CHAT": {"PERMISSIONS": "chat.permissions.policy"}}, "E013"),
        ({"NOUS_CHAT": {"AGENTS": {"a": {"model": "demo:tour", "deps": "no.such.deps"}}}}, "E013"),
    ],
)
def test_a_problem_is_reported_with_a_hint(
    settings: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.DEBUG = True
    assert reported() == {}
    for name, value in changes.items():
        setattr(settings, name, value)
    assert set(reported()) == {f"nous_chat.{code}"}
    assert reported()[f"nous_chat.{code}"].endswith(".")


def test_a_module_that_cannot_be_loaded_is_reported_and_stops_no_command(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "broken_rules.py").write_text("raise KeyError('no such table')")
    settings.NOUS_CHAT = {"PERMISSIONS": "broken_rules.Rules"}
    sys.path.append(str(tmp_path))
    try:
        (found,) = [problem for problem in run_checks(tags=["nous_chat"]) if problem.id == "nous_chat.E013"]
    finally:
        sys.path.remove(str(tmp_path))
    assert found.msg == "PERMISSIONS is 'broken_rules.Rules'. KeyError: 'no such table'"


def test_agents_for_groups_need_users_with_groups(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"a": {"model": "demo:tour"}, "b": {"model": "demo:tour", "groups": ["Staff"]}}}
    assert "nous_chat.E022" not in reported()
    monkeypatch.setattr(groups, "get_user_model", lambda: Group)  # a model without groups
    (found,) = [problem for problem in run_checks(tags=["nous_chat"]) if problem.id == "nous_chat.E022"]
    assert found.msg.endswith("for `groups`: b.")


@pytest.mark.parametrize("wrong", [{"agent": "{}.it"}, {"tools": ["{}.it"]}], ids=["agent", "tools"])
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "cannot be imported. ZeroDivisionError: division by zero"),
        ("import no_such_module", "cannot be imported. ModuleNotFoundError: No module named 'no_such_module'"),
        ("it = 5", "is no"),
    ],
    ids=["raises", "imports", "names"],
)
def test_an_agent_whose_module_fails_is_reported(
    settings: Any, tmp_path: Path, request: pytest.FixtureRequest, wrong: dict[str, Any], code: str, message: str
) -> None:
    module = f"agents_that_fail_{abs(hash(request.node.name))}"
    (tmp_path / f"{module}.py").write_text(code)
    field, path = next(iter(wrong.items()))
    given = path.format(module) if isinstance(path, str) else [path[0].format(module)]
    settings.NOUS_CHAT = {"AGENTS": {"helper": {"model": "demo:tour", field: given}}}
    sys.path.append(str(tmp_path))
    try:
        (found,) = [problem for problem in run_checks(tags=["nous_chat"]) if problem.id == "nous_chat.E002"]
    finally:
        sys.path.remove(str(tmp_path))
    assert found.msg.startswith("Agent 'helper': ")
    assert message in found.msg


def test_tables_that_each_tenant_has_are_refused(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With django-tenants, which is not among the tests' packages."""
    settings.DEBUG = True
    settings.TENANT_APPS = ["chat", "django.contrib.auth"]
    assert reported() == {}
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "django_tenants" or is_installed(name))
    assert set(reported()) == {"nous_chat.E020"}
    settings.TENANT_APPS = ["django.contrib.admin"]
    assert reported() == {}
    settings.HAS_MULTI_TYPE_TENANTS = True
    settings.TENANT_TYPES = {
        "public": {"APPS": ["chat"]},
        "shop": {"APPS": ["django.contrib.sessions.apps.SessionsConfig"]},
    }
    assert set(reported()) == {"nous_chat.E020"}


def test_a_database_without_partial_indexes_is_refused(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """As MySQL and MariaDB are: their drivers are not among the tests' packages."""
    settings.DEBUG = True
    monkeypatch.setattr(connection.features, "supports_partial_indexes", False)
    assert set(reported()) == {"nous_chat.E016"}
    assert "PostgreSQL or SQLite" in reported()["nous_chat.E016"]


def test_a_missing_key_is_an_error_in_production_only(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.DEBUG = True
    settings.NOUS_CHAT = {"MODEL": "openai:gpt-4o"}
    ours = [message for message in run_checks(include_deployment_checks=True) if "nous_chat" in str(message.id)]
    levels = {message.id: message.is_serious() for message in ours}
    assert (levels["nous_chat.E002"], levels["nous_chat.W015"]) == (True, False)
    settings.NOUS_CHAT = {"MODEL": "openai:gpt-4o", "PROVIDERS": {"openai": {"api_key": "sk-secret"}}}
    assert reported() == {}
    assert "sk-secret" not in repr(conf.read())


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
@pytest.mark.parametrize(
    "changes",
    [
        layer(CORE, hosts=[{"address": URL, "socket_timeout": None}], prefix="mine"),
        layer(PUBSUB, hosts=[URL], prefix="mine"),
        {"DATABASES": {"default": FILE | {"OPTIONS": GOOD}}},
        {"DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x"}}},
    ],
)
def test_correct_settings_are_not_reported(settings: Any, changes: dict[str, Any]) -> None:
    settings.DEBUG = True
    for name, value in changes.items():
        setattr(settings, name, value)
    assert reported() == {}


def test_daphne_must_be_listed_before_staticfiles(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG = True
    order = list(apps.get_app_configs())
    order.sort(key=lambda config: config.name == "daphne")
    monkeypatch.setattr(apps, "get_app_configs", lambda: order)
    assert set(reported()) == {"nous_chat.W008"}


@pytest.mark.site
@pytest.mark.parametrize("redis", [None, URL])
def test_nousproject_has_no_problems(redis: str | None) -> None:
    servers.manage(servers.environment(REDIS_URL=redis), "check", "--fail-level", "WARNING", "--tag", "nous_chat")


@pytest.mark.site
def test_nousproject_has_no_problems_in_production() -> None:
    env = servers.environment(REDIS_URL=URL, DEBUG="", ALLOWED_HOSTS="localhost")
    servers.manage(env, "check", "--fail-level", "WARNING", "--tag", "nous_chat")


def reported() -> dict[str, str]:
    return {str(problem.id): str(problem.hint) for problem in run_checks(tags=["nous_chat"])}


@pytest.mark.parametrize("wrong", [{"agent": "nobody"}, {"tools": ["no.such.tool"]}], ids=["agent", "tool"])
def test_a_room_that_names_what_does_not_exist_is_reported(monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    monkeypatch.setattr(rooms, "_rules", {Group: type("GroupRoom", (rooms.Room,), wrong)()})
    (found,) = [each for each in run_checks(tags=["nous_chat"]) if each.id == "nous_chat.E014"]
    assert "The room of Group" in found.msg
