"""Django's admin: conversations, messages, and runs can be read and searched, but not changed."""

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
def test_every_list_and_every_row_opens(admin_client: Client, history: Conversation, name: str) -> None:
    changelist = admin_client.get(reverse(f"admin:nous_chat_{name}_changelist"))
    assert changelist.status_code == 200
    row = {"conversation": Conversation, "message": Message, "run": Run}[name].objects.first()  # type: ignore[attr-defined]
    assert row is not None
    page = admin_client.get(reverse(f"admin:nous_chat_{name}_change", args=[row.pk]))
    assert page.status_code == 200
    assert b"<b>Hello" not in changelist.content + page.content, "the text is escaped"


@pytest.mark.parametrize("query", ["Plans", "Hello", "Hi"])
def test_the_search_finds_conversations_by_title_and_by_text(
    admin_client: Client, history: Conversation, query: str
) -> None:
    page = admin_client.get(reverse("admin:nous_chat_conversation_changelist"), {"q": query})
    assert str(history.pk) in page.content.decode()


def test_a_search_does_not_change_the_message_count(admin_client: Client, history: Conversation) -> None:
    page = admin_client.get(reverse("admin:nous_chat_conversation_changelist"), {"q": "Hello"})
    assert [row.message_count for row in page.context["cl"].result_list] == [2]


def test_a_conversation_links_to_its_messages(admin_client: Client, history: Conversation) -> None:
    page = admin_client.get(reverse("admin:nous_chat_message_changelist"), {"conversation__id__exact": str(history.pk)})
    assert page.status_code == 200
    assert b"&lt;b&gt;Hello" in page.content


def test_messages_and_runs_cannot_be_added_or_changed(admin_client: Client, history: Conversation) -> None:
    for name in ("message", "run"):
        assert admin_client.get(reverse(f"admin:nous_chat_{name}_add")).status_code == 403
    message = Message.objects.get(role="user")
    admin_client.post(reverse("admin:nous_chat_message_change", args=[message.pk]), {"text": "changed"})
    message.refresh_from_db()
    assert message.text == "<b>Hello</b>"


def test_the_edit_history_is_shown_unless_the_message_is_deleted(
    admin_client: Client, history: Conversation, people: Any
) -> None:
    message = Message.objects.get(role="user")
    store.edit_message(people["ada"].pk, history.pk, message.pk, "Goodbye", False, "here")
    url = reverse("admin:nous_chat_message_change", args=[message.pk])
    page = admin_client.get(url).content.decode()
    assert "Goodbye" in page
    assert "&lt;b&gt;Hello" in page
    store.delete_message(people["ada"].pk, history.pk, message.pk)
    for hidden in (url, reverse("admin:nous_chat_message_changelist")):
        page = admin_client.get(hidden).content.decode()
        assert "Goodbye" not in page
        assert "&lt;b&gt;Hello" not in page


def test_a_run_does_not_show_a_deleted_answer(admin_client: Client, history: Conversation, people: Any) -> None:
    run = Run.objects.get()
    assert run.message is not None
    Run.objects.update(transcript="They said Sesame", error_message="Not Sesame", error_detail="Nor Sesame")
    ToolCall.objects.create(run=run, call_id="c", name="look_up", result="Sesame")
    url = reverse("admin:nous_chat_run_change", args=[run.pk])
    assert admin_client.get(url).content.decode().count("Sesame") == 4
    store.delete_message(people["ada"].pk, history.pk, run.message.pk)
    assert "Sesame" not in admin_client.get(url).content.decode()


def test_staff_can_rename_a_conversation_and_add_participants(
    admin_client: Client, history: Conversation, people: Any
) -> None:
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
    response = admin_client.post(reverse("admin:nous_chat_conversation_change", args=[history.pk]), form)
    assert response.status_code == 302
    assert store.read_snapshot(people["bob"].pk, history.pk).you.role == "viewer"
    assert [found.excerpt for found in store.search_conversations(people["bob"].pk, "renamed", None).results] == [
        "Renamed"
    ]


def test_users_who_are_not_staff_see_nothing(client: Client, people: Any, history: Conversation) -> None:
    client.force_login(people["ada"])
    assert client.get(reverse("admin:nous_chat_conversation_changelist")).status_code == 302
