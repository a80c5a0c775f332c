"""NOUS_CHAT is validated, and errors name the setting."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from chat import agents, checks, conf, permissions


def test_the_defaults_need_no_settings(settings: Any) -> None:
    del settings.NOUS_CHAT
    assert conf.conf.DISCONNECT_GRACE == 5
    assert agents.default_slug() == "assistant"


def test_a_changed_setting_applies_at_once(settings: Any) -> None:
    settings.NOUS_CHAT = {"DISCONNECT_GRACE": 1}
    assert conf.conf.DISCONNECT_GRACE == 1


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"DISCONECT_GRACE": 1}, "DISCONECT_GRACE"),
        ({"DISCONNECT_GRACE": "long"}, "DISCONNECT_GRACE"),
        ({"CANCEL_ON_DISCONNECT": "sometimes"}, "CANCEL_ON_DISCONNECT"),
        ({"AGENTS": {"a": {"modle": "x"}}}, "modle"),
        ({"AGENTS": {}}, "AGENTS"),
    ],
)
def test_an_invalid_setting_is_named(settings: Any, given: dict[str, Any], name: str) -> None:
    settings.NOUS_CHAT = given
    with pytest.raises(ImproperlyConfigured, match=name):
        conf.read()
    (problem,) = checks.check_settings()
    assert (problem.id, name in str(problem.msg)) == ("nous_chat.E001", True)


def test_the_check_reports_an_agent_with_an_invalid_model(settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"a": {"model": "gpt-4o"}, "b": {"model": "demo:tour"}}}
    (problem,) = checks.check_settings()
    assert problem.id == "nous_chat.E002"
    assert "'a'" in str(problem.msg)


def test_the_model_comes_from_the_environment_unless_the_settings_name_one(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOUS_CHAT_MODEL", "ollama:qwen3:8b")
    settings.NOUS_CHAT = {}
    assert conf.conf.MODEL == "ollama:qwen3:8b"
    settings.NOUS_CHAT = {"MODEL": "demo:tour"}
    assert conf.conf.MODEL == "demo:tour"


def test_an_agent_that_was_removed_is_replaced_by_the_default(settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"new": {"name": "New"}}}
    assert agents.find("old").name == "New"


class Pictures(permissions.Permissions):
    def picture(self, user: Any) -> str:
        return str(user)


def test_pictures_come_from_this_site_or_by_https(settings: Any) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.Pictures"}
    for address in ("/media/ada.png?v=1", "https://images.example.org/ada.png"):
        assert permissions.picture_of(address) == address
    elsewhere = ("//evil.example/a", "/\\evil.example", "http://a.example/a", "javascript:alert(1)", "data:,a")
    for address in (*elsewhere, "/a b", ""):
        assert permissions.picture_of(address) == "", address


class Strict(permissions.Permissions):
    def can_post(self, participant: Any) -> bool:
        return False


def test_a_site_can_replace_the_permissions(settings: Any) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.Strict"}
    assert type(permissions.policy()).__name__ == "Strict"
