"""Forks: what a copy of a conversation holds, who may make one, and what it costs."""

import tracemalloc
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from chat import store
from chat.models import Attachment, Conversation, Message, Participant, Run
from chat.protocol import objects
from chat.store import documents, forks, search
from chat.store.unit_of_work import ConversationLocked

from ..support.store_helpers import HOST, begin, end, post, refused


def fork(user: Any, room: Conversation, message_id: Any) -> Conversation:
    return Conversation.objects.get(pk=store.fork_conversation(user.pk, room.pk, message_id).id)


@pytest.mark.parametrize("at_once", [1, 250])
def test_a_fork_copies_a_conversation_up_to_a_message_for_one_owner(
    people: Any,
    room: Conversation,
    settings: Any,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    monkeypatch.setattr(forks, "MESSAGES_AT_ONCE", at_once)
    settings.MEDIA_ROOT = tmp_path
    file = store.upload_attachment(people["ada"], room.pk, "notes.txt", b"notes")
    question = post(people["ada"], room, "Tea?", attachments=[file.id]).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    assert started.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={}, status="done", result="found")
    store.save_calls(started.message.run.id, HOST, {"c1": call})
    parts = (objects.TextPart(1), objects.CallPart(call.id), objects.TextPart(2))
    first = end(started, written=store.Written(3, "Yes", "", parts))
    assert first is not None
    assert first.message is not None
    again = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert again is not None
    end(again, text="No")
    store.choose_alternative(people["ada"].pk, room.pk, first.message.id)
    reply = post(people["bob"], room, "Why?", reply_to=question.id).message
    deleted = post(people["bob"], room, "Secret", mode="queue").message
    store.delete_message(people["bob"].pk, room.pk, deleted.id)
    after = post(people["ada"], room, "Afterwards").message

    made = fork(people["bob"], room, reply.id)

    entered = store.read_snapshot(people["bob"].pk, made.pk)
    assert [(m.seq, m.text) for m in entered.messages] == [(1, "Tea?"), (2, "Yes"), (3, "Why?")]
    assert entered.you.role == "owner"
    assert (entered.conversation.last_seq, entered.conversation.title) == (3, "Tea?")
    assert entered.conversation.yours == objects.Yours("owner", 0, 3, False, False)
    assert [p.user.name for p in entered.participants] == ["bob"]
    tea, yes, why = entered.messages
    assert (tea.author, why.author) == (objects.Person.of(people["ada"]), objects.Person.of(people["bob"]))
    assert why.reply_to == tea.id
    assert yes.run is not None
    assert (yes.run.status, yes.run.usage, yes.calls[0].result) == ("completed", None, "found")
    assert yes.parts == (objects.TextPart(1), objects.CallPart(yes.calls[0].id), objects.TextPart(2))
    assert yes.calls[0].id != call.id
    assert (yes.alternatives, yes.shown) == ((), True)
    assert [a.name for a in tea.attachments] == ["notes.txt"]
    assert store.get_attachment(people["bob"].pk, tea.attachments[0].id).file == str(
        Attachment.objects.get(pk=file.id).file.name
    )
    assert [m.text for m in store.list_messages(people["bob"].pk, room.pk, None, 50)[0]][-1] == "Afterwards"
    assert after.seq == entered.conversation.last_seq + 3
    assert len(store.search_conversations(people["bob"].pk, "why", None).results) == 2, "in both"
    with refused("not_found"):
        store.read_snapshot(people["ada"].pk, made.pk)
    begin(people["bob"], made, "On we go")

    with django_capture_on_commit_callbacks(execute=True):
        room.delete()
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1, "its file is still needed"


def test_a_fork_from_an_alternative_takes_that_alternative(people: Any, room: Conversation) -> None:
    first = end(begin(people["ada"], room), text="One")
    assert first is not None
    assert first.message is not None
    again = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert again is not None
    end(again, text="Two")
    made = fork(people["ada"], room, first.message.id)
    assert [m.text for m in store.list_messages(people["ada"].pk, made.pk, None, 50)[0]] == ["Hello", "One"]


def test_only_users_who_can_post_can_fork_and_not_during_a_run(people: Any, viewer: Any, room: Conversation) -> None:
    message = post(people["ada"], room).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    with refused("forbidden"):
        store.fork_conversation(viewer.pk, room.pk, message.id)
    with refused("conflict"):
        store.fork_conversation(people["ada"].pk, room.pk, started.message.id)
    with refused("not_found"):
        store.fork_conversation(people["ada"].pk, room.pk, uuid.uuid4())
    end(started)
    store.delete_message(people["ada"].pk, room.pk, message.id)
    with refused("not_found"):
        store.fork_conversation(people["ada"].pk, room.pk, message.id)
    assert Conversation.objects.count() == 1


def test_a_deleted_continued_answer_cannot_be_forked(people: Any, room: Conversation) -> None:
    first = end(begin(people["ada"], room), "stopped", text="Secret")
    assert first is not None
    assert first.message is not None
    on = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST, continues=True), HOST)
    assert on is not None
    end(on, text="Secret indeed")
    store.delete_message(people["ada"].pk, room.pk, on.message.id)
    with refused("not_found"):
        store.fork_conversation(people["bob"].pk, room.pk, first.message.id)


def test_a_long_conversation_is_forked_in_few_queries_and_in_part(
    people: Any, room: Conversation, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=f"Message {seq}")
        for seq in range(1, 2001)
    )
    monkeypatch.setattr("chat.store.forks.MAX_MESSAGES", 1500)
    with django_assert_max_num_queries(50):
        made = fork(people["ada"], room, Message.objects.get(seq=2000, conversation=room).pk)
    copies = made.messages.order_by("seq")
    assert [(copies[n].seq, copies[n].text) for n in (0, 1499)] == [(1, "Message 501"), (1500, "Message 2000")]
    assert (copies.count(), made.last_seq) == (1500, 1500)


def test_a_fork_that_breaks_off_leaves_a_deleted_conversation(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        message = post(people["ada"], room, str(number), mode="queue").message
    for run in Run.objects.all():
        end(started) if (started := store.start_run(run.pk, HOST)) else run.delete()
    monkeypatch.setattr(forks, "MESSAGES_AT_ONCE", 1)
    copied: list[Any] = []

    def break_off(into: Any, ids: Any) -> None:
        copied.append(ids)
        if len(copied) == 2:
            raise OperationalError

    monkeypatch.setattr(forks, "copy_index", break_off)
    with pytest.raises(OperationalError):
        store.fork_conversation(people["ada"].pk, room.pk, message.id)
    left = Conversation.objects.exclude(pk=room.pk).get()
    assert left.deleted_at is not None
    assert [row.id for row in store.list_conversations(people["ada"].pk)[0]] == [room.pk]
    assert Message.objects.filter(conversation=left).count() == 1
    left.deleted_at -= timedelta(days=365)
    left.save()
    while store.erase_expired():
        pass
    assert not Conversation.objects.filter(pk=left.pk).exists()


@pytest.mark.parametrize("change", ["deleted", "role"])
def test_a_fork_of_what_changes_meanwhile_is_refused(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(forks, "MESSAGES_AT_ONCE", 1)
    ended = end(begin(people["bob"], room))
    assert ended is not None
    assert ended.message is not None
    answer = ended.message.id

    def copy_and_change(into: Any, ids: Any) -> None:
        search.copy_index(into, ids)
        if change == "role":
            Participant.objects.filter(conversation=room, user=people["bob"]).update(role="viewer")
        elif answer not in ids:
            store.delete_message(people["ada"].pk, room.pk, answer)

    monkeypatch.setattr(forks, "copy_index", copy_and_change)
    with refused({"deleted": "conflict", "role": "forbidden"}[change]):
        store.fork_conversation(people["bob"].pk, room.pk, answer)
    assert [row.id for row in store.list_conversations(people["bob"].pk)[0]] == [room.pk]


def test_a_fork_outlasts_a_lock_without_beginning_again(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = post(people["ada"], room).message
    Run.objects.all().delete()
    locks = [ConversationLocked(), ConversationLocked()]

    def lock(*args: Any) -> None:
        if locks:
            raise locks.pop()
        documents.copy_documents(*args)

    monkeypatch.setattr(forks, "copy_documents", lock)
    made = fork(people["ada"], room, message.id)
    assert Conversation.objects.exclude(pk=room.pk).get() == made
    assert made.deleted_at is None


def test_a_fork_keeps_few_texts_of_files_in_memory(people: Any, room: Conversation) -> None:
    message = post(people["ada"], room).message
    Attachment.objects.bulk_create(
        Attachment(
            conversation=room, message_id=message.id, file="x", name=str(n), type="text/plain", size=1, text=text
        )
        for n, text in enumerate(["x" * 250_000] * 100)
    )
    tracemalloc.start()
    try:
        made = fork(people["ada"], room, message.id)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 15_000_000, "of 25,000,000 characters"
    copies = list(Attachment.objects.filter(conversation=made).values_list("name", flat=True))
    assert copies == [str(n) for n in range(100)]


def test_a_conversation_is_forked_over_http(client: Client, people: Any, room: Conversation) -> None:
    message = post(people["ada"], room).message
    client.force_login(people["ada"])
    at = f"/chat/api/conversations/{room.pk}/fork/"
    made = client.post(at, {"message": str(message.id)}, content_type="application/json")
    assert made.status_code == 201
    assert client.get(made.json()["url"]).status_code == 200
    for wrong in ({}, {"message": "x"}, {"message": None}):
        assert client.post(at, wrong, content_type="application/json").status_code == 400
