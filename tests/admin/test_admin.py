"""Django's admin: conversations, messages, and runs can be read and searched, but not changed."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chat import store
from chat.models import Attachment, Conversation, Edit, Message, Participant, Run, Spending, ToolCall


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


def test_marks_without_end_do_not_freeze_the_browser_of_staff(admin_client: Client, history: Conversation) -> None:
    marks = "\u0301" * 31
    message, run = Message.objects.get(role="assistant"), Run.objects.get()
    Conversation.objects.update(title="a" + marks)
    Message.objects.update(text="a" + marks, thinking=marks * 1000)
    Run.objects.update(error_detail=marks, model=marks)
    Edit.objects.create(message=message, text=marks)
    ToolCall.objects.create(run=run, call_id="1", name="look_up", arguments={"q": marks}, result=marks)
    for model, row in [("conversation", history), ("message", message), ("run", run)]:
        pages = [reverse(f"admin:nous_chat_{model}_changelist")]
        pages += [reverse(f"admin:nous_chat_{model}_{page}", args=[row.pk]) for page in ("change", "delete", "history")]
        for page in pages:
            content = admin_client.get(page).content.decode()
            assert content
            assert marks not in content, page


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


def test_the_edit_history_is_shown(admin_client: Client, history: Conversation, people: Any) -> None:
    message = Message.objects.get(role="user")
    store.edit_message(people["ada"].pk, history.pk, message.pk, "Goodbye", False, "here")
    page = admin_client.get(reverse("admin:nous_chat_message_change", args=[message.pk])).content.decode()
    assert "Goodbye" in page
    assert "&lt;b&gt;Hello" in page


@pytest.fixture
def kept(people: dict[str, Any]) -> Conversation:
    """A conversation of which nothing is deleted. Without it, the admin would be empty."""
    kept = store.create_conversation(people["ada"], "Kept")
    store.post_message(people["ada"].pk, kept.id, "Kept", None, None, "here")
    return Conversation.objects.get(pk=kept.id)


@pytest.fixture
def secret(history: Conversation, people: Any) -> Conversation:
    """The words "Sesame" and "sesame.txt" wherever a conversation can have them."""
    question, answer = Message.objects.filter(conversation=history).order_by("seq")
    for text in ("Sesame before", "Sesame"):
        store.edit_message(people["ada"].pk, history.pk, question.pk, text, False, "here")
    Message.objects.filter(pk=answer.pk).update(text="Sesame", thinking="Sesame")
    runs = Run.objects.filter(conversation=history)
    runs.update(transcript="Sesame", error_message="Sesame", error_detail="Sesame")
    ToolCall.objects.create(run=runs.get(), call_id="c", name="look_up", result="Sesame")
    Attachment.objects.create(conversation=history, message=question, name="sesame.txt", type="text/plain", size=1)
    changes = store.ConversationChanges(title="Sesame")
    store.change_conversation(people["ada"].pk, history.pk, changes)
    return history


def delete_messages(secret: Conversation, ada: Any) -> None:
    store.change_conversation(ada.pk, secret.pk, store.ConversationChanges(title="Plans"))
    for message in Message.objects.filter(conversation=secret):
        store.delete_message(ada.pk, secret.pk, message.pk)


def delete_conversation(secret: Conversation, ada: Any) -> None:
    store.delete_conversation(ada.pk, secret.pk)


LOOKUPS = {
    "conversation": ["q={}", "title__startswith={}", "summary__contains={}"],
    "message": ["q={}", "text__startswith={}", "thinking__contains={}", "deleted_at__isnull=False&text={}"],
    "run": ["q={}", "transcript__contains={}", "error_message={}", "error_detail={}"],
    "spending": ["q={}"],
}


@pytest.mark.parametrize("delete", [delete_messages, delete_conversation])
def test_the_admin_neither_shows_nor_finds_what_is_deleted(
    admin_client: Client, kept: Conversation, secret: Conversation, people: Any, delete: Any
) -> None:
    rows = {
        "conversation": [secret.pk],
        "message": Message.objects.filter(conversation=secret).values_list("pk", flat=True),
        "run": Run.objects.filter(conversation=secret).values_list("pk", flat=True),
        "spending": Spending.objects.values_list("pk", flat=True),
    }
    Spending.objects.create(day="2026-01-01", user=people["ada"], conversation=secret)
    urls = [
        reverse(f"admin:nous_chat_{name}_{page}", args=[pk])
        for name, pks in rows.items()
        for pk in pks
        for page in ("change", "history", "delete")
    ]
    lists = {name: reverse(f"admin:nous_chat_{name}_changelist") for name in rows}
    urls += [*lists.values(), f"{lists['message']}?conversation__id__exact={secret.pk}", reverse("admin:index")]
    urls += [f"{url}?{order}" for url in lists.values() for order in ("o=1.2.3", "o=-2", "_popup=1", "all=")]
    urls += [reverse(f"admin:{people['ada']._meta.app_label}_user_delete", args=[people["ada"].pk])]
    form = {"title": "Sesame", "mode": "queue", "participants-TOTAL_FORMS": "0", "participants-INITIAL_FORMS": "0"}
    assert admin_client.post(reverse("admin:nous_chat_conversation_change", args=[secret.pk]), form).status_code == 302
    shown = "".join(page(admin_client, url) for url in urls)
    assert shown.lower().count("sesame") > 20, "before"

    delete(secret, people["ada"])
    for url in urls:
        assert "sesame" not in page(admin_client, url).lower(), url
    for name, queries in LOOKUPS.items():
        for query in queries:
            right, wrong = (results(admin_client, f"{lists[name]}?{query.format(word)}") for word in ("Sesame", "Xyz"))
            assert right == wrong, (name, query)


def test_messages_that_are_not_deleted_are_counted_and_found(
    admin_client: Client, secret: Conversation, people: Any
) -> None:
    url = reverse("admin:nous_chat_conversation_changelist")
    store.delete_message(people["ada"].pk, secret.pk, Message.objects.get(conversation=secret, role="user").pk)
    store.change_conversation(people["ada"].pk, secret.pk, store.ConversationChanges(title="Plans"))
    (row,) = admin_client.get(url, {"q": "sesame"}).context["cl"].result_list
    assert (row.pk, row.message_count) == (secret.pk, 1)


def page(client: Client, url: str) -> str:
    return client.get(url, follow=True).content.decode()


def results(client: Client, url: str) -> Any:
    answer = client.get(url)
    return answer.status_code, [row.pk for row in answer.context["cl"].result_list] if answer.context else None


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
