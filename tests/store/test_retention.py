"""What is erased for good, when, and in which steps."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chat import store
from chat.models import Attachment, Conversation, Edit, Message, Participant, Passage, Run, ToolCall
from chat.protocol import objects

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post

Scenario = Callable[..., Any]


def test_the_conversations_of_completions_are_erased_when_they_have_expired(people: Any, settings: Any) -> None:
    made: dict[float | None, uuid.UUID] = {seconds: uuid.uuid4() for seconds in (None, 60, -1)}
    for seconds, key in made.items():
        settings.NOUS_CHAT = {"COMPLETION_SECONDS": seconds}
        store.import_conversation(people["ada"], key, "assistant", "Hello", [store.Turn("user", "Hello")])
    active = Run.objects.create(conversation_id=made[-1], agent="assistant", host=HOST)
    assert store.erase_expired() == 0, "an answer is in progress"
    active.delete()
    assert store.erase_expired() > 0
    assert set(Conversation.objects.values_list("pk", flat=True)) == {made[None], made[60]}


def test_deleted_messages_are_erased_after_the_undo_time(
    people: Any, room: Conversation, settings: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    file = store.upload_attachment(people["ada"], room.pk, "notes.txt", b"notes")
    message = post(people["ada"], room, "Secret", attachments=[file.id]).message
    store.edit_message(people["ada"].pk, room.pk, message.id, "Very secret", False, HOST)
    store.delete_message(people["ada"].pk, room.pk, message.id)
    kept = post(people["ada"], room, "Not secret").message
    assert store.erase_expired() == 0
    assert Message.objects.get(pk=message.id).text == "Very secret"
    Message.objects.filter(pk=message.id).update(deleted_at=timezone.now() - timedelta(hours=1))
    with django_capture_on_commit_callbacks(execute=True):
        assert store.erase_expired() > 0
    assert Message.objects.get(pk=message.id).text == ""
    assert not Edit.objects.exists()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert [m.text for m in store.list_messages(people["ada"].pk, room.pk, None, 10)[0]] == ["", kept.text], (
        "its place stays"
    )
    assert store.erase_expired() == 0


def test_an_erased_answer_loses_its_tool_calls_and_the_answer_it_continued(people: Any, room: Conversation) -> None:
    continued = begin(people["ada"], room)
    cut_off = end(continued, "stopped", text="Secret")
    for _ in range(2):
        assert cut_off is not None
        assert cut_off.message is not None
        run_id = store.request_run(people["ada"].pk, room.pk, cut_off.message.id, HOST, continues=True)
        started = store.start_run(run_id, HOST)
        assert started is not None
        continued = started
        cut_off = end(continued, "stopped", text="Secret indeed")
    silent = begin(people["ada"], room)  # it says nothing, and looks something up
    assert silent.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={"of": "Secret"}, status="done", result="Secret")
    store.save_calls(silent.message.run.id, HOST, {"c1": call})
    end(silent, text="")
    Run.objects.filter(pk=silent.message.run.id).update(transcript="Secret")
    for message in (continued.message, silent.message):
        store.delete_message(people["ada"].pk, room.pk, message.id)
    Message.objects.filter(deleted_at__isnull=False).update(deleted_at=timezone.now() - timedelta(hours=1))
    calls = 0
    while store.erase_expired():
        calls += 1
    assert calls < 5
    assert not Message.objects.filter(text__contains="Secret").exists()
    assert not Passage.objects.filter(text__contains="secret").exists()
    assert not Run.objects.exclude(transcript="").exists()
    kept = ToolCall.objects.get()
    assert (kept.name, kept.arguments, kept.result) == ("look_up", None, None)
    assert Message.objects.filter(role="user", text="Hello", deleted_at=None).count() == 2


def test_unsent_files_are_deleted_after_a_day(
    people: Any, room: Conversation, settings: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    sent, old, new = (store.upload_attachment(people["ada"], room.pk, f"{number}.txt", b"x") for number in range(3))
    post(people["ada"], room, attachments=[sent.id])
    Attachment.objects.exclude(pk=new.id).update(created_at=timezone.now() - timedelta(days=2))
    with django_capture_on_commit_callbacks(execute=True):
        assert store.erase_expired() == 1
    assert set(Attachment.objects.values_list("pk", flat=True)) == {sent.id, new.id}
    assert old.id not in {sent.id, new.id}
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 2


def test_a_deleted_conversation_is_erased_with_its_contents(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room))
    store.delete_conversation(people["ada"].pk, room.pk)
    assert store.erase_expired() == 0
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    assert store.erase_expired() > 0
    assert store.erase_expired() == 0
    for model in (Conversation, Message, Run, ToolCall, Passage, Participant):
        assert not model.objects.exists(), model


def test_a_long_conversation_is_erased_in_batches(people: Any, room: Conversation) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text="x") for seq in range(1, 251)
    )
    store.delete_conversation(people["ada"].pk, room.pk)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    left = []
    while store.erase_expired():
        left.append(Message.objects.count())
    assert left[:3] == [150, 50, 0]
    assert not Conversation.objects.exists()


def test_many_deleted_conversations_are_erased_in_batches(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.store.retention.BATCH_SIZE", 2)
    for _ in range(3):
        made = store.create_conversation(people["ada"])
        Participant.objects.create(conversation_id=made.id, user=people["bob"])
        store.delete_conversation(people["ada"].pk, made.id)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    while store.erase_expired():  # a conversation with its people is more than SOME rows
        pass
    assert not Conversation.objects.exists()


def test_server_processes_erase_periodically(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chat.node import heartbeat

    monkeypatch.setattr(heartbeat, "CLEAN_EVERY", 0.2)
    # Not in a thread, which would not see this test's transaction.
    monkeypatch.setattr(heartbeat, "_clean_batch", store.erase_expired)
    monkeypatch.setattr(heartbeat, "in_daemon_thread", _here)
    store.delete_conversation(people["ada"].pk, room.pk)
    Conversation.objects.filter(pk=room.pk).update(deleted_at=timezone.now() - timedelta(hours=1))

    async def talk() -> None:
        from channels.db import database_sync_to_async

        async with InProcess(people["ada"]):
            while await database_sync_to_async(Conversation.objects.exists)():
                await asyncio.sleep(0.1)

    scenario(talk)


async def _here(work: Callable[[], Any]) -> Any:
    from channels.db import database_sync_to_async

    return await database_sync_to_async(work)()


def test_nous_clean_erases_what_has_expired(people: Any, room: Conversation, capsys: Any) -> None:
    from django.core.management import call_command

    store.delete_conversation(people["ada"].pk, room.pk)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    call_command("nous_clean")
    assert not Conversation.objects.exists()
