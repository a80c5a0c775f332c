"""Conversations deleted and restored."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from chat import store
from chat.models import Conversation, Run

from ..support.client import InProcess
from ..support.store_helpers import begin, end, post, refused

Scenario = Callable[..., Any]


def test_a_deleted_conversation_is_hidden_everywhere_until_it_is_restored(
    client: Client, people: Any, room: Conversation, django_capture_on_commit_callbacks: Any
) -> None:
    started = begin(people["ada"], room, "Findable")
    assert started.message.run is not None
    end(started)
    at = f"/chat/api/conversations/{room.pk}/"
    client.force_login(people["ada"])
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(at).status_code == 204
    for ask in (
        lambda: store.read_snapshot(people["bob"].pk, room.pk),
        lambda: store.list_messages(people["bob"].pk, room.pk, None, 10),
        lambda: post(people["bob"], room),
        lambda: store.get_conversation(people["ada"].pk, room.pk),
        lambda: store.delete_conversation(people["ada"].pk, room.pk),
    ):
        with refused("not_found"):
            ask()
    assert store.list_conversations(people["ada"].pk) == ([], False)
    assert store.search_conversations(people["ada"].pk, "findable", None).results == []
    assert client.get(f"/chat/{room.pk}/").status_code == 404

    client.force_login(people["bob"])
    assert client.post(f"{at}restore/", {}, content_type="application/json").status_code == 404
    client.force_login(people["ada"])
    with django_capture_on_commit_callbacks(execute=True):
        restored = client.post(f"{at}restore/", {}, content_type="application/json")
    assert (restored.status_code, restored.json()["title"]) == (200, "Findable")
    assert len(store.search_conversations(people["bob"].pk, "findable", None).results) == 2
    assert client.post(f"{at}restore/", {}, content_type="application/json").status_code == 200


def test_a_conversation_cannot_be_restored_after_the_undo_time(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"UNDO_SECONDS": 60}
    store.delete_conversation(people["ada"].pk, room.pk)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(seconds=61))
    with refused("not_found"):
        store.restore_conversation(people["ada"].pk, room.pk)


def test_deleting_a_conversation_stops_its_run_and_updates_lists(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    from channels.db import database_sync_to_async

    from chat.realtime import inbox

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"]) as list_of_bob:
            await ada.say("long")
            await ada.until(lambda: ada.of_type("run.delta"))
            deleted = await database_sync_to_async(store.delete_conversation)(people["ada"].pk, room.pk)
            assert deleted.stop is not None
            await inbox.announce_deletion(room.pk, deleted)
            assert (await list_of_bob.hear("conversation.removed"))["conversation"] == str(room.pk)
            # Either may come first: the end of the run, or the loss of the access.
            await ada.until(lambda: ada.closed or ada.of_type("run.finished"))
            await ada.send("history.load", before=5, ref="1")
            await ada.until(lambda: ada.closed or any(event.get("ref") == "1" for event in ada.events))
            assert ada.of_type("history.page") == []

    scenario(talk)
    assert Run.objects.get().status == "stopped"
