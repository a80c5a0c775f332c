"""Title, mode, answers, agents, pins and archive of a conversation."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chat import store
from chat.models import Conversation
from chat.protocol import objects

from ..support.store_helpers import post, state_of

Patch = Callable[..., Any]


@pytest.fixture
def patch(client: Client, room: Conversation) -> Patch:
    def change(user: Any, **fields: Any) -> Any:
        client.force_login(user)
        return client.patch(f"/chat/api/conversations/{room.pk}/", fields, content_type="application/json")

    return change


def test_an_owner_changes_the_common_settings(patch: Patch, people: Any, room: Conversation) -> None:
    answer = patch(people["ada"], title="  Our \n plan ", mode="queue", answers="mention")
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["title"], changed["mode"], changed["answers"]) == ("Our plan", "queue", "mention")
    assert changed["yours"]["role"] == "owner"
    post(people["ada"], room, "Something else")
    assert store.get_conversation(people["bob"].pk, room.pk).title == "Our plan", "what a person wrote stays"
    assert [found.excerpt for found in store.search_conversations(people["bob"].pk, "plan", None).results] == [
        "Our plan"
    ]
    assert patch(people["ada"], answers=None).json()["answers"] == "mention", "the default among two"
    assert patch(people["ada"], title="").json()["title"] == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "x" * 201},
        {"title": 5},
        {"mode": "loud"},
        {"answers": "never"},
        {"agents": []},
        {"agents": ["nobody"]},
        {"pinned": "yes"},
        {"owner": 1},
    ],
)
def test_invalid_settings_are_refused_and_change_nothing(
    patch: Patch, people: Any, room: Conversation, fields: Any
) -> None:
    before = store.get_conversation(people["ada"].pk, room.pk)
    answer = patch(people["ada"], **({"title": "Half"} | fields))
    assert answer.status_code in (400, 413)
    assert answer.json()["message"].endswith(".")
    assert store.get_conversation(people["ada"].pk, room.pk) == before


def test_agents_of_the_site_can_be_chosen(patch: Patch, people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {}, "poet": {"name": "Poet"}}}
    changed = patch(people["ada"], agents=["poet", "assistant", "poet"]).json()
    assert [agent["slug"] for agent in changed["agents"]] == ["poet", "assistant"]
    assert changed["agent"]["slug"] == "poet"


def test_pins_and_archives_are_each_users_own(patch: Patch, people: Any, viewer: Any, room: Conversation) -> None:
    assert patch(people["bob"], pinned=True).json()["yours"]["pinned"]
    assert patch(viewer, archived=True).json()["yours"]["archived"]
    assert state_of(people["ada"], room) == objects.Yours("owner", 0, 0, False, False)
    assert not patch(people["bob"], pinned=False).json()["yours"]["pinned"]


def test_members_and_viewers_cannot_change_common_settings(
    patch: Patch, client: Client, people: Any, viewer: Any, room: Conversation
) -> None:
    for user in (people["bob"], viewer):
        for fields in ({"title": "Mine"}, {"mode": "queue"}, {"answers": "off"}, {"agents": ["assistant"]}):
            assert patch(user, **fields).status_code == 403
        assert client.delete(f"/chat/api/conversations/{room.pk}/").status_code == 403
    assert store.get_conversation(people["ada"].pk, room.pk).title == ""
    assert patch(people["bob"], pinned=True, title="Mine").status_code == 403
    assert not state_of(people["bob"], room).pinned, "all or nothing"
