"""Django's admin: conversations, messages, and runs can be read and searched, but not changed."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import store
from chat.models import Attachment, Conversation, DocumentProposal, Edit, Message, Participant, Run, Spending, ToolCall

from ..support.store_helpers import index


@pytest.fixture
def history(people: dict[str, Any]) -> Conversation:
    created = store.create_conversation(people["ada"], "Plans")
    posted = store.post_message(people["ada"].pk, created.id, "<b>Hello</b>", None, None, "here")
    assert posted.start is not None
    store.start_run(posted.start, "here")
    store.finish_run(posted.start, "here", store.Ending(status="completed", written=store.Written(1, "Hi", "Hm")))
    return Conversation.objects.get(pk=created.id)


@pytest.mark.parametrize(
    ("permissions", "sealed", "page"),
    [
        ("view_conversation view_transcript", False, "transcript"),
        ("view_conversation view_transcript", True, "change"),
        ("view_conversation", False, "change"),
        ("view_transcript", False, None),
        ("", False, None),
    ],
)
def test_the_page_links_to_the_admin_for_those_who_may_open_it(
    people: dict[str, Any], history: Conversation, settings: Any, permissions: str, sealed: bool, page: str | None
) -> None:
    user = people["ada"]
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions.split()))
    settings.NOUS_CHAT = {**settings.NOUS_CHAT, "SEAL_TRANSCRIPTS": sealed}
    client = Client()
    for is_staff in (False, True):
        type(user).objects.filter(pk=user.pk).update(is_staff=is_staff)
        client.force_login(user)
        setup = client.get(f"/chat/{history.pk}/").context["setup"]
        found = setup["may"].get("admin")
        if not is_staff or page is None:
            assert found is None
        else:
            assert found == f"/admin/nous_chat/conversation/*/{page}/"
            assert client.get(found.replace("*", str(history.pk))).status_code == 200


@pytest.mark.parametrize("name", ["conversation", "run"])
def test_every_list_and_every_row_opens(admin_client: Client, history: Conversation, name: str) -> None:
    changelist = admin_client.get(reverse(f"admin:nous_chat_{name}_changelist"))
    assert changelist.status_code == 200
    row = {"conversation": Conversation, "run": Run}[name].objects.first()  # type: ignore[attr-defined]
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
    for model, row in [("conversation", history), ("run", run)]:
        pages = [reverse(f"admin:nous_chat_{model}_changelist")]
        pages += [reverse(f"admin:nous_chat_{model}_{page}", args=[row.pk]) for page in ("change", "history")]
        for page in pages:
            content = admin_client.get(page).content.decode()
            assert content
            assert marks not in content, page


@pytest.mark.parametrize("query", ["Plans", "Hello", "Hi"])
def test_the_search_finds_conversations_by_title_and_by_text(
    admin_client: Client, history: Conversation, query: str
) -> None:
    page = admin_client.get(reverse("admin:nous_chat_conversation_changelist"), {"q": query, "in": "messages"})
    assert str(history.pk) in page.content.decode()


def test_a_search_does_not_change_the_message_count(admin_client: Client, history: Conversation) -> None:
    page = admin_client.get(reverse("admin:nous_chat_conversation_changelist"), {"q": "Hello", "in": "messages"})
    assert [row.message_count for row in page.context["cl"].result_list] == [2]


def test_runs_cannot_be_added_changed_or_deleted(admin_client: Client, history: Conversation) -> None:
    run = Run.objects.get()
    pages = [reverse("admin:nous_chat_run_add")]
    pages += [reverse(f"admin:nous_chat_run_{page}", args=[run.pk]) for page in ("change", "delete")]
    for page in pages:
        assert admin_client.post(page, {"agent": "changed", "post": "yes"}).status_code == 403
    assert Run.objects.get().agent == run.agent


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
    index(Message.objects.filter(pk=answer.pk))
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
    "conversation": ["q={}", "q={}&in=messages", "title__startswith={}", "summary__contains={}"],
    "run": ["q={}", "transcript__contains={}", "error_message={}", "error_detail={}"],
    "spending": ["q={}"],
}


@pytest.mark.parametrize("delete", [delete_messages, delete_conversation])
def test_the_admin_neither_shows_nor_finds_what_is_deleted(
    admin_client: Client, kept: Conversation, secret: Conversation, people: Any, delete: Any
) -> None:
    rows = {
        "conversation": [secret.pk],
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
    urls += [
        *lists.values(),
        reverse("admin:nous_chat_conversation_transcript", args=[secret.pk]),
        reverse("admin:index"),
    ]
    urls += [f"{url}?{order}" for url in lists.values() for order in ("o=1.2.3", "o=-2", "_popup=1", "all=")]
    urls += [reverse(f"admin:{people['ada']._meta.app_label}_user_delete", args=[people["ada"].pk])]
    form = {"title": "Sesame", "mode": "queue", "participants-TOTAL_FORMS": "0", "participants-INITIAL_FORMS": "0"}
    assert admin_client.post(reverse("admin:nous_chat_conversation_change", args=[secret.pk]), form).status_code == 302
    shown = "".join(page(admin_client, url) for url in urls)
    assert shown.lower().count("sesame") > 10, "before"

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
    (row,) = admin_client.get(url, {"q": "sesame", "in": "messages"}).context["cl"].result_list
    assert (row.pk, row.message_count) == (secret.pk, 1)


def page(client: Client, url: str) -> str:
    return client.get(url, follow=True).content.decode()


def results(client: Client, url: str) -> Any:
    answer = client.get(url)
    shown = answer.context is not None and "cl" in answer.context
    return answer.status_code, [row.pk for row in answer.context["cl"].result_list] if shown else None


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


def test_a_document_is_shown_with_its_history_unless_it_is_deleted(
    admin_client: Client, history: Conversation, people: dict[str, Any]
) -> None:
    new = store.NewDocument("Plan", text="<b>one</b>")
    document = store.create_document(people["ada"].pk, history.pk, new)
    store.name_version(people["ada"].pk, history.pk, document.id, 1, "<i>Draft</i>")
    pages = [
        reverse("admin:nous_chat_document_changelist"),
        reverse("admin:nous_chat_document_change", args=[document.id]),
    ]
    changelist, page = (admin_client.get(address).content.decode() for address in pages)
    assert "Plan" in changelist
    assert "&lt;b&gt;one" in page
    assert "1 · &lt;i&gt;Draft&lt;/i&gt; · ada" in page
    Conversation.objects.update(deleted_at=timezone.now())
    assert "Plan" not in admin_client.get(pages[0]).content.decode()
    Conversation.objects.update(deleted_at=None)
    store.delete_document(people["ada"].pk, history.pk, document.id)
    assert "Plan" not in admin_client.get(pages[0]).content.decode()
    assert admin_client.get(pages[1]).status_code == 302


def test_a_document_asks_for_the_required_reason_and_notes_each_reading(
    admin_client: Client, history: Conversation, people: dict[str, Any], settings: Any
) -> None:
    document = store.create_document(people["ada"].pk, history.pk, store.NewDocument("Plan", text="Sesame"))
    address = reverse("admin:nous_chat_document_change", args=[document.id])
    settings.NOUS_CHAT = {"REQUIRE_REASON": True}
    assert "Sesame" not in admin_client.get(address).content.decode()
    assert not LogEntry.objects.exists()
    assert "Sesame" in admin_client.post(address, {"reason": "Case 7"}, follow=True).content.decode()
    assert LogEntry.objects.get().change_message == "Read the document. Reason: Case 7"


def test_a_document_shows_its_own_proposals_only(
    admin_client: Client, history: Conversation, people: dict[str, Any]
) -> None:
    shown = []
    for title, text in (("One", "Sesame"), ("Two", "Poppy")):
        document = store.create_document(people["ada"].pk, history.pk, store.NewDocument(title, text="Old"))
        DocumentProposal.objects.create(
            document_id=document.id, version=1, changes=[3, [0, text]], run=Run.objects.get()
        )
        shown.append(document.id)
    one, two = (
        admin_client.get(reverse("admin:nous_chat_document_change", args=[key])).content.decode() for key in shown
    )
    assert ("Sesame" in one, "Poppy" in one) == (True, False)
    assert ("Sesame" in two, "Poppy" in two) == (False, True)


def test_the_figures_of_runs_are_those_of_all_that_the_filters_select(
    admin_client: Client, history: Conversation, people: Any
) -> None:
    run = Run.objects.get()
    at = timezone.now()
    failed = {"conversation": history, "status": "failed", "model": "a:b", "started_at": at, "finished_at": at}
    for code, model in (("internal", "a:b"), ("internal", "c:d"), ("timeout", "a:b")):
        Run.objects.create(**failed | {"model": model}, error_code=code, total_tokens=10, cost=Decimal("0.5"))
    Run.objects.filter(pk=run.pk).update(total_tokens=5, cost=None)
    shown: Any = admin_client.get(reverse("admin:nous_chat_run_changelist")).context_data
    totals = shown["totals"]
    assert [totals[name] for name in ("runs", "failed", "tokens", "cost")] == [4, 3, 35, Decimal("1.5")]
    assert [(code, count) for code, count, _ in shown["failures"]] == [("internal", 2), ("timeout", 1)]
    url = reverse("admin:nous_chat_run_changelist") + "?error=timeout"
    shown = admin_client.get(url).context_data
    assert [(code, count) for code, count, _ in shown["failures"]] == [("timeout", 1)]


def test_conversations_of_several_people_and_of_one(
    admin_client: Client, history: Conversation, people: dict[str, Any]
) -> None:
    shared = Conversation.objects.get(pk=store.create_conversation(people["ada"], "Shared").id)
    Participant.objects.create(conversation=shared, user=people["bob"])
    url = reverse("admin:nous_chat_conversation_changelist")
    for value, expected in (("yes", {shared.pk}), ("no", {history.pk})):
        found = admin_client.get(url, {"shared": value}).context["cl"].result_list
        assert {row.pk for row in found} == expected
