"""The transcript in Django's admin: what it shows, by pages, live, and what the admin's log keeps of its readers."""

import json
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import store
from chat.admin import access, export
from chat.models import Attachment, Conversation, Edit, Message, Run, ToolCall

from ..support.store_helpers import HOST, begin, end


@pytest.fixture
def room(people: dict[str, Any]) -> Conversation:
    return Conversation.objects.get(pk=store.create_conversation(people["ada"], "Plans").id)


def address(room: Conversation, name: str = "transcript", *args: object) -> str:
    return reverse(f"admin:nous_chat_conversation_{name}", args=[room.pk, *args])


def log() -> list[str]:
    return list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))


def fill(room: Conversation, count: int, **fields: Any) -> None:
    first = room.last_seq + 1
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", text=f"number {seq}.", **fields)
        for seq in range(first, first + count)
    )
    Conversation.objects.filter(pk=room.pk).update(last_seq=room.last_seq + count)
    room.refresh_from_db()


def queue(user: Any, room: Conversation) -> UUID:
    """A run that no process makes yet."""
    run_id = store.post_message(user.pk, room.pk, "Hello", None, None, HOST).start
    assert run_id is not None
    return run_id


def numbers(page: Any) -> list[int]:
    return [shown.message.seq for shown in page.context["entries"]]


def test_it_shows_everything_that_an_answer_consists_of(admin_client: Client, room: Conversation, people: Any) -> None:
    started = begin(people["ada"], room, "A <b>question</b>")
    end(started, text="An **answer**")
    answer, run = Message.objects.get(role="assistant"), Run.objects.get()
    Message.objects.filter(pk=answer.pk).update(thinking="Let me think", parts=None)
    begun = timezone.now()
    Run.objects.update(
        model="openai:gpt",
        started_at=begun,
        first_token_at=begun + timedelta(seconds=1.5),
        finished_at=begun + timedelta(seconds=4),
        total_tokens=1234,
        cost="0.25",
        error_code="internal",
        error_message="It broke",
        error_detail="The provider said 500",
    )
    ToolCall.objects.create(run=run, call_id="1", name="look_up", arguments={"q": "<i>"}, result="found", status="done")
    Edit.objects.create(message=Message.objects.get(role="user"), text="Before", edited_by=people["ada"])
    page = admin_client.get(address(room)).content.decode()
    for expected in (
        *("A &lt;b&gt;question", "An **answer**", "Let me think", "look_up", "&quot;q&quot;: &quot;&lt;i&gt;&quot;"),
        *("found", "Before", "openai:gpt", "first token after 1.5 s", "4.0 s", "1,234 tokens", "0.25"),
        *("It broke", "The provider said 500", "asked by ada"),
    ):
        assert expected in page, expected
    assert "<b>question" not in page


def test_hidden_answers_are_shown_and_deleted_texts_are_not(
    admin_client: Client, room: Conversation, people: Any
) -> None:
    fill(room, 2)
    Message.objects.filter(seq=1).update(shown=False)
    store.delete_message(people["ada"].pk, room.pk, Message.objects.get(seq=2).pk)
    Edit.objects.create(message=Message.objects.get(seq=2), text="Sesame")
    page = admin_client.get(address(room)).content.decode()
    assert "number 1." in page
    assert "not shown in the chat" in page
    assert "number 2." not in page
    assert "Sesame" not in page
    assert "Deleted by ada" in page


def test_a_deleted_answer_keeps_its_run_and_its_feedback_to_itself(room: Conversation, people: Any) -> None:
    end(begin(people["ada"], room))
    answer = Message.objects.get(role="assistant")
    Run.objects.update(error_detail="Sesame", first_token_at=timezone.now(), agent_version=3)
    store.give_feedback(people["ada"].pk, room.pk, answer.pk, store.NewFeedback("bad", "Sesame"))

    def read() -> tuple[Any, ...]:
        entry = store.read_transcript(room.pk).entries[-1]
        return entry.error_detail, entry.agent_version, [each.feedback.comment for each in entry.feedback]

    assert read() == ("Sesame", 3, ["Sesame"])
    store.delete_message(people["ada"].pk, room.pk, answer.pk)
    assert read() == ("", None, [])
    assert store.read_transcript(room.pk).entries[-1].first_token_at is None


def test_pages_follow_each_other_without_gaps(admin_client: Client, room: Conversation) -> None:
    fill(room, 120)
    newest = admin_client.get(address(room))
    assert numbers(newest) == list(range(71, 121))
    assert (newest.context["older"], newest.context["newer"]) == ("before=71", "")
    middle = admin_client.get(f"{address(room)}?{newest.context['older']}")
    assert numbers(middle) == list(range(21, 71))
    first = admin_client.get(f"{address(room)}?{middle.context['older']}")
    assert numbers(first) == list(range(1, 21))
    assert first.context["older"] == ""
    again = admin_client.get(f"{address(room)}?{first.context['newer']}")
    assert numbers(again) == numbers(middle)
    assert (again.context["older"], again.context["newer"]) == ("before=21", "after=70")


def test_jumps_lead_to_a_day_a_run_and_a_message(admin_client: Client, room: Conversation, people: Any) -> None:
    fill(room, 60, created_at=timezone.now() - timedelta(days=9))
    fill(room, 60, created_at=timezone.now() - timedelta(days=3))
    end(begin(people["ada"], room))
    day = (timezone.now() - timedelta(days=5)).date()
    assert numbers(admin_client.get(f"{address(room)}?day={day}"))[0] == 61
    run = Run.objects.get()
    assert numbers(admin_client.get(f"{address(room)}?run={run.pk}"))[0] == 122
    assert numbers(admin_client.get(f"{address(room)}?at=7"))[0] == 7
    for nonsense in ("day=x", "day=9999-99-99", "day=0001-01-01", "run=x", "at=-1", "before=9999999999", "after=%00"):
        assert admin_client.get(f"{address(room)}?{nonsense}").status_code == 200, nonsense


def test_a_search_finds_messages_and_leads_to_them(admin_client: Client, room: Conversation, people: Any) -> None:
    fill(room, 70)
    store.delete_message(people["ada"].pk, room.pk, Message.objects.get(seq=66).pk)
    page = admin_client.get(f"{address(room)}?q=NUMBER 6")
    assert [each.seq for each in page.context["found"]] == [69, 68, 67, 65, 64, 63, 62, 61, 60, 56, 46, 36, 26, 16, 6]
    assert "?at=65" in page.content.decode()
    assert log() == ["Searched the messages."]


def test_the_live_part_shows_an_answer_as_it_grows(admin_client: Client, room: Conversation, people: Any) -> None:
    started = begin(people["ada"], room)
    page = admin_client.get(address(room))
    assert f'data-url="{address(room, "live")}"' in page.content.decode()
    run_id = started.message.run.id  # type: ignore[union-attr]
    written = store.Written(1, "Once upon", "", ())
    store.heartbeat(HOST, [run_id], [store.Checkpoint(run_id, started.message.id, written)])
    live = admin_client.get(f"{address(room, 'live')}?from=2")
    assert numbers(live) == [2]
    assert "Once upon" in live.content.decode()
    assert f'data-active="{run_id}"' in live.content.decode()
    end(started, text="Once upon a time")
    live = admin_client.get(f"{address(room, 'live')}?from=2")
    assert "Once upon a time" in live.content.decode()
    assert 'class="nous-status" data-active=""' in live.content.decode()
    assert log() == ["Read messages 1 to 2.", "Watched live."], "watching is noted once"


def test_watching_is_noted_again_after_a_while(
    admin_client: Client, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(room, 1)
    admin_client.get(address(room, "live"))
    later = time.time() + access.NOTE_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    admin_client.get(address(room, "live"))
    admin_client.get(address(room, "live"))
    assert log() == ["Watched live."] * 2


def test_stop_ends_a_run_and_is_noted(
    admin_client: Client, room: Conversation, people: Any, django_capture_on_commit_callbacks: Any
) -> None:
    run_id = queue(people["ada"], room)
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin_client.post(address(room, "stop", run_id))
    assert answer["Location"] == address(room)
    run = Run.objects.get(pk=run_id)
    assert (run.status, str(run.stopped_by)) == ("stopped", "admin")
    assert log() == ["Stopped an answer."]
    again = admin_client.post(address(room, "stop", run_id), follow=True)
    assert "has already ended" in again.content.decode()
    assert "Stopped an answer." not in log()[1:]


def test_a_run_that_is_made_is_asked_to_stop(admin_client: Client, room: Conversation, people: Any) -> None:
    started = begin(people["ada"], room)
    admin_client.post(address(room, "stop", started.message.run.id))  # type: ignore[union-attr]
    run = Run.objects.get()
    assert run.status == "running"
    assert run.stop_requested_at is not None


def test_a_run_of_another_conversation_is_not_stopped(admin_client: Client, room: Conversation, people: Any) -> None:
    other = Conversation.objects.get(pk=store.create_conversation(people["bob"], "Other").id)
    run_id = queue(people["bob"], other)
    admin_client.post(address(room, "stop", run_id))
    assert Run.objects.get(pk=run_id).stop_requested_at is None


def test_files_are_served_so_that_nothing_in_them_runs(admin_client: Client, room: Conversation) -> None:
    fill(room, 1)
    message = Message.objects.get()
    fields: dict[str, Any] = {"conversation": room, "size": 3, "file": ContentFile(b"abc", name="f")}
    sent = Attachment.objects.create(message=message, name="a.html", type="text/html", **fields)
    unsent = Attachment.objects.create(name="b.txt", type="text/plain", **fields)
    answer = admin_client.get(address(room, "file", sent.pk))
    assert answer.content == b"abc"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["Content-Disposition"].startswith("attachment")
    assert admin_client.get(address(room, "file", unsent.pk)).status_code == 404
    Message.objects.update(deleted_at=timezone.now())
    assert admin_client.get(address(room, "file", sent.pk)).status_code == 404


def test_a_file_is_served_below_its_own_conversation_only(
    admin_client: Client, room: Conversation, people: Any
) -> None:
    other = Conversation.objects.get(pk=store.create_conversation(people["bob"], "Other").id)
    fill(other, 1)
    file = ContentFile(b"abc", name="f")
    sent = Attachment.objects.create(
        conversation=other, message=other.messages.get(), name="a.txt", type="text/plain", size=3, file=file
    )
    assert admin_client.get(address(room, "file", sent.pk)).status_code == 404
    assert log() == []
    assert admin_client.get(address(other, "file", sent.pk)).status_code == 200
    assert log() == ["Opened a file."]


def test_buttons_are_shown_to_those_who_may_press_them(room: Conversation, people: Any, django_user_model: Any) -> None:
    begin(people["ada"], room)
    reading = ("view_conversation", "view_transcript")
    for permission, button in (("stop_run", "transcript/stop/"), ("export_transcript", "export/")):
        client = staff(django_user_model, *reading)
        assert address(room).removesuffix("transcript/") + button not in client.get(address(room)).content.decode()
        django_user_model.objects.get(username="warden").delete()
        client = staff(django_user_model, *reading, permission)
        assert address(room).removesuffix("transcript/") + button in client.get(address(room)).content.decode()
        django_user_model.objects.get(username="warden").delete()


def test_a_session_remembers_the_reasons_of_the_last_rows(
    admin_client: Client, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"REQUIRE_REASON": True}
    monkeypatch.setattr(access, "MAX_READING", 2)
    rows = [room, *(Conversation.objects.create(agent="assistant") for _ in range(2))]
    for row in rows:
        fill(row, 1)
        admin_client.post(address(row), {"reason": "Ticket"})
    shown = ["number 1." in admin_client.get(address(row)).content.decode() for row in rows]
    assert shown == [False, True, True]


def test_a_required_reason_is_asked_once_and_kept_in_the_log(
    admin_client: Client, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"REQUIRE_REASON": True}
    fill(room, 1)
    asked = admin_client.get(address(room))
    assert "number 1." not in asked.content.decode()
    for name in ("live", "export"):
        assert "number 1." not in admin_client.get(address(room, name)).content.decode()
    assert admin_client.get(address(room, "live")).status_code == 403
    file = {"conversation": room, "message": Message.objects.get(), "name": "a", "type": "text/plain", "size": 1}
    sent = Attachment.objects.create(**file, file=ContentFile(b"a", name="a"))
    assert admin_client.get(address(room, "file", sent.pk)).status_code == 403
    assert admin_client.post(address(room), {"reason": " "}).status_code == 200
    assert log() == []
    page = admin_client.post(address(room), {"reason": "Ticket 4711"}, follow=True)
    assert "number 1." in page.content.decode()
    assert "number 1." in admin_client.get(address(room, "live")).content.decode()
    assert log() == ["Read messages 1 to 1. Reason: Ticket 4711", "Watched live. Reason: Ticket 4711"]
    other = Conversation.objects.create(title="Other", agent="assistant")
    fill(other, 1)
    assert "number 1." not in admin_client.get(address(other)).content.decode()


def test_a_reason_holds_for_an_hour(
    admin_client: Client, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"REQUIRE_REASON": True}
    fill(room, 1)
    admin_client.post(address(room), {"reason": "Ticket"})
    later = time.time() + access.REASON_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert "number 1." not in admin_client.get(address(room)).content.decode()


def test_an_export_asks_for_a_format_and_is_noted(admin_client: Client, room: Conversation, settings: Any) -> None:
    fill(room, 2)
    Message.objects.filter(seq=2).update(deleted_at=timezone.now())
    assert "JSON Lines" in admin_client.get(address(room, "export")).content.decode()
    answer: Any = admin_client.post(address(room, "export"), {"file_format": "jsonl", "reason": "Court order"})
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [line["type"] for line in lines] == ["export", "conversation", "participant", "message", "end"]
    assert f'filename="{room.pk}.jsonl"' in answer["Content-Disposition"]
    assert log() == ["Exported as jsonl. Reason: Court order"]
    settings.NOUS_CHAT = {"REQUIRE_REASON": True}
    assert "required" in admin_client.post(address(room, "export"), {"file_format": "html"}).content.decode()


def test_the_action_exports_those_that_are_selected(admin_client: Client, room: Conversation, people: Any) -> None:
    others = [store.create_conversation(people["bob"], title) for title in ("Second", "Third")]
    url = reverse("admin:nous_chat_conversation_changelist")
    form = {"action": "export_selected", "_selected_action": [str(room.pk), str(others[0].id)]}
    assert "2 conversations are exported" in admin_client.post(url, form).content.decode()
    answer: Any = admin_client.post(url, form | {"file_format": "html"})
    page = b"".join(answer.streaming_content).decode()
    assert "Plans" in page
    assert "Second" in page
    assert "Third" not in page
    assert set(LogEntry.objects.values_list("object_id", flat=True)) == set(form["_selected_action"])


def test_the_action_exports_a_bounded_number(
    admin_client: Client, room: Conversation, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_CONVERSATIONS", 1)
    other = store.create_conversation(people["bob"], "Second")
    form = {"action": "export_selected", "_selected_action": [str(room.pk), str(other.id)], "file_format": "html"}
    url = reverse("admin:nous_chat_conversation_changelist")
    assert "Export at most 1 conversations" in admin_client.post(url, form, follow=True).content.decode()
    assert log() == []


def staff(django_user_model: Any, *permissions: str) -> Client:
    user = django_user_model.objects.create_user("warden", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_metadata_tells_nothing_of_the_content(room: Conversation, people: Any, django_user_model: Any) -> None:
    client = staff(django_user_model, "view_conversation", "change_conversation", "view_run", "view_spending")
    Conversation.objects.update(title="Sesame")
    end(begin(people["ada"], room, "Sesame"), text="Sesame")
    Run.objects.update(error_code="internal", error_message="Sesame", error_detail="Sesame", transcript="Sesame")
    run = Run.objects.get()
    ToolCall.objects.create(run=run, call_id="1", name="look_up", arguments={"q": "Sesame"}, result="Sesame")
    pages = [reverse(f"admin:nous_chat_{name}_changelist") for name in ("conversation", "run", "spending")]
    pages += [address(room, "change"), address(room, "history"), reverse("admin:nous_chat_run_change", args=[run.pk])]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert "Sesame" not in answer.content.decode(), page
    assert "Show in the transcript" not in client.get(pages[-1]).content.decode(), "it would be refused"
    url = reverse("admin:nous_chat_conversation_changelist")
    assert client.get(url, {"q": str(room.pk)}).context["cl"].result_list
    for query in ({"q": "Sesame"}, {"q": "Sesame", "in": "messages"}):
        assert not client.get(url, query).context["cl"].result_list
    for query in ({"title": "Sesame"}, {"title__startswith": "S"}):
        assert client.get(url, query).status_code in (302, 400)
    runs = reverse("admin:nous_chat_run_changelist")
    for query in ({"error_message": "Sesame"}, {"transcript__contains": "S"}, {"message__text__contains": "S"}):
        assert client.get(runs, query).status_code in (302, 400)


def test_nobody_joins_or_renames_who_may_not_read(room: Conversation, people: Any, django_user_model: Any) -> None:
    names = ("change_conversation", "add_participant", "change_participant", "view_participant")
    client = staff(django_user_model, *names)
    form = {
        "title": "Mine",
        "mode": "queue",
        "participants-TOTAL_FORMS": "1",
        "participants-INITIAL_FORMS": "0",
        "participants-0-conversation": str(room.pk),
        "participants-0-user": str(django_user_model.objects.get(username="warden").pk),
        "participants-0-role": "viewer",
    }
    assert client.post(address(room, "change"), form).status_code == 302
    room.refresh_from_db()
    assert (room.title, room.mode) == ("Plans", "queue")
    assert room.participants.count() == 1
    there = room.participants.get()
    form |= {
        "participants-TOTAL_FORMS": "1",
        "participants-INITIAL_FORMS": "1",
        "participants-0-id": str(there.pk),
        "participants-0-user": str(there.user_id),
    }
    client.post(address(room, "change"), form)
    assert room.participants.get().role == "owner"


def test_deleting_a_conversation_names_no_messages(admin_client: Client, room: Conversation) -> None:
    fill(room, 3)
    page = admin_client.get(address(room, "delete")).content.decode()
    assert "number 1." not in page
    assert str(room.pk) in page
    admin_client.post(address(room, "delete"), {"post": "yes"})
    assert not Message.objects.exists()
    entry = LogEntry.objects.get()
    assert (entry.is_deletion(), entry.object_repr) == (True, str(room.pk)), "not its title"


def test_every_page_takes_few_statements(
    admin_client: Client, room: Conversation, people: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        other = Conversation.objects.get(pk=store.create_conversation(people["ada"], f"Plan {number}").id)
        end(begin(people["ada"], other))
    for number in range(20):
        end(begin(people["ada"], room, f"Question {number}"))
    room.refresh_from_db()
    pages = [reverse(f"admin:nous_chat_{name}_changelist") for name in ("conversation", "run", "spending", "document")]
    pages += [pages[0] + "?q=plan&in=messages", address(room), address(room, "live"), address(room) + "?q=hi"]
    pages += [address(room, name) for name in ("change", "history", "delete", "export")]
    pages += [reverse("admin:nous_chat_run_change", args=[Run.objects.first().pk])]  # type: ignore[union-attr]
    for page in pages:
        with django_assert_max_num_queries(19):
            assert admin_client.get(page).status_code == 200, page


def test_a_run_keeps_when_its_first_token_came(room: Conversation, people: Any) -> None:
    at = timezone.now()
    started = begin(people["ada"], room)
    Run.objects.update(first_token_at=at)
    end(started, first_token_at=at + timedelta(seconds=5))
    assert Run.objects.get().first_token_at == at, "an approval came in between"
