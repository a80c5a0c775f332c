"""The snippets of docs/site-code.md do what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.template import Context, Template
from django.test import RequestFactory

import chat
from chat import rooms, signals
from chat.actions import rooms as room_actions
from chat.models import Conversation, Participant

from .test_guide import as_here

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = "".join((DOCS / name).read_text("utf-8") for name in ("embedding.md", "site-code.md", "permissions.md"))

pytestmark = pytest.mark.django_db


def snippets(heading: str, language: str = "python") -> list[str]:
    """The code of a section of the pages for embedding, without its subsections."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^##+ \w|\Z)", PAGES, re.M | re.S)
    assert found, heading
    return re.findall(rf"```{language}\n(.*?)```", found[2], re.S)


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    code = as_here(code).replace("nous_chat.", "chat.")
    exec(compile(code, "docs/site-code.md", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def no_rules_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_rules", {})


@pytest.fixture
def receivers() -> Iterator[None]:
    before = [list(each.receivers) for each in (signals.message_posted, signals.run_finished)]
    yield
    for signal, kept in zip((signals.message_posted, signals.run_finished), before, strict=True):
        signal.receivers = kept
        signal.sender_receivers_cache.clear()


def test_rooms(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, register, recheck, inline = snippets("Rooms")
    for name in ("customer", "state"):
        monkeypatch.setattr(Group, name, None, raising=False)
    order = Group.objects.create(name="Order 7")
    order.customer, order.state = people["ada"], "packed"  # type: ignore[attr-defined]
    monkeypatch.setattr(Group._base_manager, "filter", lambda **_: type("Found", (), {"first": lambda self: order})())
    names = run(rule, {"Order": Group})
    run(register, names)
    (tag,) = snippets("Rooms", "html")
    request = RequestFactory().get("/")
    for name, shown in (("eve", False), ("ada", True)):
        request.user = people[name]
        page = Template(tag).render(Context({"request": request, "order": order}))
        assert ("<nous-chat" in page) is shown
    assert Participant.objects.get().user == people["ada"]
    monkeypatch.setattr(Group, "save", lambda self: None)
    run(recheck, names | {"order": order, "other": people["bob"], "former": people["ada"]})
    assert not Participant.objects.exists()
    assert room_actions.enter(people["bob"], order) is not None
    monkeypatch.setattr(admin, "register", lambda model: lambda made: made)
    assert run(inline, names)["OrderAdmin"].inlines


def test_the_sites_code(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"support": {"model": "demo"}}}
    Conversation.objects.filter(pk=room.pk).update(agent="support")
    (code,) = snippets("From your code")
    names = run(code, {"conversation": room, "user": people["ada"]})
    assert [each.role for each in room.messages.order_by("seq")] == ["system", "assistant", "user", "user"]
    assert names["asked"].run is not None


def test_signals(people: Any, room: Conversation, receivers: None, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = snippets("Signals")
    names = run(code, {})
    chat.say(room, "two words", people["ada"])
    signals.message_posted.send(None, message=room.messages.get())
    assert "2" in capsys.readouterr().out
    assert names["count_words"]


def test_hooks() -> None:
    code, setting = snippets("Hooks")
    names = run(code, {})
    assert names["redact"](None, "pay with 4111111111111111") == "pay with [card number]"
    assert names["moderate"](None, "fine") == "fine"
    with pytest.raises(names["Rejected"]):
        names["moderate"](None, "the password is x")
    assert set(run(setting, {})["NOUS_CHAT"]) == {"BEFORE_MODEL", "AFTER_MODEL"}


def test_several_databases() -> None:
    (code,) = snippets("Several databases")
    router = run(code, {})["ChatRouter"]()
    assert router.db_for_write(Conversation) == router.db_for_read(Group) == "chat"
    assert router.db_for_write(Session) is None
    assert router.allow_migrate("chat", "nous_chat")
    assert not router.allow_migrate("default", "nous_chat")
    assert router.allow_migrate("default", "sessions")
