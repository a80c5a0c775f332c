"""The history in Django's admin: readable, searchable, not changeable."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chat import store
from chat.models import Conversation, Message, Participant, Run, ToolCall


@pytest.fixture
def history(people: dict[str, Any]) -> Conversation:
    created = store.create_conversation(people["ada"], "Plans")
    posted = store.post_message(people["ada"].pk, created.id, "<b>Hello</b>", None, None, "here")
    assert posted.start is not None
    store.start_run(posted.start, "here")
    store.finish_run(posted.start, "here", store.Ending(status="completed", written=store.Written(1, "Hi", "Hm")))
    return Conversation.objects.get(pk=created.id)


@pytest.mark.parametrize("name", ["conversation", "message", "run"])
def test_each_list_and_each_row_can_be_read(admin_client: Client, history: Conversation, name: str) -> None:
    listed = admin_client.get(reverse(f"admin:nous_chat_{name}_changelist"))
    assert listed.status_code == 200
    row = {"conversation": Conversation, "message": Message, "run": Run}[name].objects.first()  # type: ignore[attr-defined]
    assert row is not None
    read = admin_client.get(reverse(f"admin:nous_chat_{name}_change", args=[row.pk]))
    assert read.status_code == 200
    assert b"<b>Hello" not in listed.content + read.content, "what people write is escaped"


@pytest.mark.parametrize("query", ["Plans", "Hello", "Hi"])
def test_conversations_are_found_by_title_and_by_what_was_said(
    admin_client: Client, history: Conversation, query: str
) -> None:
    page = admin_client.get(reverse("admin:nous_chat_conversation_changelist"), {"q": query})
    assert str(history.pk) in page.content.decode()


def test_a_search_does_not_change_how_many_messages_a_conversation_has(
    admin_client: Client, history: Conversation
) -> None:
    page = admin_client.get(reverse("admin:nous_chat_conversation_changelist"), {"q": "Hello"})
    assert [row.message_count for row in page.context["cl"].result_list] == [2]


def test_a_conversations_transcript_is_one_click_away(admin_client: Client, history: Conversation) -> None:
    page = admin_client.get(reverse("admin:nous_chat_message_changelist"), {"conversation__id__exact": str(history.pk)})
    assert page.status_code == 200
    assert b"&lt;b&gt;Hello" in page.content


def test_messages_and_runs_cannot_be_written_by_hand(admin_client: Client, history: Conversation) -> None:
    for name in ("message", "run"):
        assert admin_client.get(reverse(f"admin:nous_chat_{name}_add")).status_code == 403
    message = Message.objects.get(role="user")
    admin_client.post(reverse("admin:nous_chat_message_change", args=[message.pk]), {"text": "changed"})
    message.refresh_from_db()
    assert message.text == "<b>Hello</b>"


def test_what_a_message_said_before_is_read_there_and_what_is_deleted_is_not(
    admin_client: Client, history: Conversation, people: Any
) -> None:
    message = Message.objects.get(role="user")
    store.edit_message(people["ada"].pk, history.pk, message.pk, "Goodbye", False, "here")
    address = reverse("admin:nous_chat_message_change", args=[message.pk])
    page = admin_client.get(address).content.decode()
    assert "Goodbye" in page
    assert "&lt;b&gt;Hello" in page
    store.delete_message(people["ada"].pk, history.pk, message.pk)
    for at in (address, reverse("admin:nous_chat_message_changelist")):
        page = admin_client.get(at).content.decode()
        assert "Goodbye" not in page
        assert "&lt;b&gt;Hello" not in page


def test_nor_is_it_read_with_its_run(admin_client: Client, history: Conversation, people: Any) -> None:
    run = Run.objects.get()
    assert run.message is not None
    Run.objects.update(transcript="He said Sesame", error_message="Not Sesame")
    ToolCall.objects.create(run=run, call_id="c", name="look_up", result="Sesame")
    address = reverse("admin:nous_chat_run_change", args=[run.pk])
    assert admin_client.get(address).content.decode().count("Sesame") == 3
    store.delete_message(people["ada"].pk, history.pk, run.message.pk)
    assert "Sesame" not in admin_client.get(address).content.decode()


def test_people_are_added_to_a_conversation_here(admin_client: Client, history: Conversation, people: Any) -> None:
    ada = Participant.objects.get(conversation=history)
    form = {
        "title": "Renamed",
        "mode": "queue",
        "participants-TOTAL_FORMS": "2",
        "participants-INITIAL_FORMS": "1",
        "participants-0-id": str(ada.pk),
        "participants-0-conversation": str(history.pk),
        "participants-0-user": str(people["ada"].pk),
        "participants-0-role": "owner",
        "participants-1-conversation": str(history.pk),
        "participants-1-user": str(people["bob"].pk),
        "participants-1-role": "viewer",
    }
    answer = admin_client.post(reverse("admin:nous_chat_conversation_change", args=[history.pk]), form)
    assert answer.status_code == 302
    assert store.read_snapshot(people["bob"].pk, history.pk).you.role == "viewer"
    assert [found.excerpt for found in store.search_conversations(people["bob"].pk, "renamed", None).results] == [
        "Renamed"
    ]


def test_who_is_not_staff_sees_nothing(client: Client, people: Any, history: Conversation) -> None:
    client.force_login(people["ada"])
    assert client.get(reverse("admin:nous_chat_conversation_changelist")).status_code == 302
