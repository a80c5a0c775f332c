"""Conversations as people keep them: read, renamed, pinned, archived, listed, deleted, restored, forked, cleaned up."""

import asyncio
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat import store
from chat.models import Attachment, Conversation, Edit, Message, Participant, Passage, Run, ToolCall
from chat.protocol import objects

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post, refused

Scenario = Callable[..., Any]
Patch = Callable[..., Any]


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told after a request reads in this thread, and must not close the test's connection."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture
def viewer(people: Any, room: Conversation) -> Any:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    return people["eve"]


@pytest.fixture
def patch(client: Client, room: Conversation) -> Patch:
    def change(user: Any, **fields: Any) -> Any:
        client.force_login(user)
        return client.patch(f"/chat/api/conversations/{room.pk}/", fields, content_type="application/json")

    return change


def yours(user: Any, room: Conversation) -> objects.Yours:
    mine = store.get_conversation(user.pk, room.pk).yours
    assert mine is not None
    return mine


# --- Unread


def test_what_others_said_is_unread_until_it_is_read(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert (yours(people["ada"], room).unread, yours(people["bob"], room).unread) == (1, 2), "what one says is read"
    end(started)
    bob = people["bob"].pk
    assert store.mark_read(room.pk, {bob: 1}) == [bob]
    assert yours(people["bob"], room) == objects.Yours("member", 1, 1, False, False)
    assert not store.mark_read(room.pk, {bob: 1})
    assert store.mark_read(room.pk, {bob: 2**31 - 1}) == [bob]
    assert (yours(people["bob"], room).unread, yours(people["bob"], room).last_read) == (0, 2)
    assert not store.mark_read(room.pk, {bob: 1}), "it never goes back"


def test_what_does_not_count_as_unread(people: Any, room: Conversation) -> None:
    begun = begin(people["ada"], room)
    first = end(begun)
    assert first is not None
    assert first.message is not None
    again = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert again is not None
    end(again)
    Message.objects.create(conversation=room, seq=90, role="system", text="Somebody came")
    assert yours(people["bob"], room).unread == 2, "one question, one answer of two, no note"
    store.delete_message(people["ada"].pk, room.pk, first.message.id)
    store.delete_message(people["ada"].pk, room.pk, again.message.id)
    assert yours(people["bob"], room).unread == 1


def test_strangers_mark_nothing(people: Any, room: Conversation) -> None:
    for conversation_id in (room.pk, uuid.uuid4()):
        assert store.mark_read(conversation_id, {people["eve"].pk: 1}) == []


def test_reading_is_told_to_ones_own_lists_alone(scenario: Scenario, people: Any, room: Conversation) -> None:
    post(people["ada"], room)

    async def talk() -> None:
        async with (
            InProcess(people["bob"], room.pk) as bob,
            InProcess(people["bob"]) as list_of_bob,
            InProcess(people["ada"]) as list_of_ada,
        ):
            assert bob.snapshot is not None
            assert bob.snapshot["conversation"]["yours"]["unread"] == 1
            assert list_of_bob.snapshot is not None
            assert list_of_bob.snapshot["conversations"][0]["yours"]["unread"] == 1
            await bob.send("read", seq=1, ref="1")
            await bob.answered("1")
            updated = await list_of_bob.hear("conversation.updated")
            assert updated["conversation"]["yours"]["unread"] == 0
            await bob.send("read", seq=1, ref="2")
            await bob.answered("2")
            assert len(list_of_bob.of_type("conversation.updated")) == 1, "what is no news is not told"
            assert list_of_ada.of_type("conversation.updated") == []

    scenario(talk)


def test_a_message_reaches_each_list_with_that_persons_view(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    Conversation.objects.filter(pk=room.pk).update(answers="off")

    async def talk() -> None:
        async with (
            InProcess(people["ada"], room.pk) as ada,
            InProcess(people["bob"]) as list_of_bob,
            InProcess(people["ada"]) as list_of_ada,
        ):
            await ada.say("Hello")
            told = [
                (await each.hear("conversation.updated"))["conversation"] for each in (ada, list_of_bob, list_of_ada)
            ]
            assert [each["yours"] and each["yours"]["unread"] for each in told] == [None, 1, 0]

    scenario(talk)


# --- Renaming and the rest


def test_an_owner_changes_what_is_everybodys(patch: Patch, people: Any, room: Conversation) -> None:
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
def test_nonsense_changes_nothing(patch: Patch, people: Any, room: Conversation, fields: Any) -> None:
    before = store.get_conversation(people["ada"].pk, room.pk)
    answer = patch(people["ada"], **({"title": "Half"} | fields))
    assert answer.status_code in (400, 413)
    assert answer.json()["message"].endswith(".")
    assert store.get_conversation(people["ada"].pk, room.pk) == before


def test_the_site_s_agents_can_be_chosen(patch: Patch, people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {}, "poet": {"name": "Poet"}}}
    changed = patch(people["ada"], agents=["poet", "assistant", "poet"]).json()
    assert [agent["slug"] for agent in changed["agents"]] == ["poet", "assistant"]
    assert changed["agent"]["slug"] == "poet"


def test_everybody_pins_and_archives_for_himself(patch: Patch, people: Any, viewer: Any, room: Conversation) -> None:
    assert patch(people["bob"], pinned=True).json()["yours"]["pinned"]
    assert patch(viewer, archived=True).json()["yours"]["archived"]
    assert yours(people["ada"], room) == objects.Yours("owner", 0, 0, False, False)
    assert not patch(people["bob"], pinned=False).json()["yours"]["pinned"]


def test_who_changes_nothing(patch: Patch, client: Client, people: Any, viewer: Any, room: Conversation) -> None:
    for user in (people["bob"], viewer):
        for fields in ({"title": "Mine"}, {"mode": "queue"}, {"answers": "off"}, {"agents": ["assistant"]}):
            assert patch(user, **fields).status_code == 403
        assert client.delete(f"/chat/api/conversations/{room.pk}/").status_code == 403
    assert store.get_conversation(people["ada"].pk, room.pk).title == ""
    assert patch(people["bob"], pinned=True, title="Mine").status_code == 403
    assert not yours(people["bob"], room).pinned, "all or nothing"


def test_strangers_are_told_what_people_without_a_conversation_are_told(client: Client, people: Any, room: Any) -> None:
    client.force_login(people["eve"])
    answers = []
    for key in (room.pk, uuid.uuid4()):
        at = f"/chat/api/conversations/{key}/"
        answers.append(
            [
                (answer.status_code, answer.content)
                for answer in (
                    client.get(at),
                    client.patch(at, {"pinned": True}, content_type="application/json"),
                    client.delete(at),
                    client.post(f"{at}restore/", {}, content_type="application/json"),
                    client.post(f"{at}fork/", {"message": str(uuid.uuid4())}, content_type="application/json"),
                )
            ]
        )
    assert answers[0] == answers[1]
    assert {status for status, _ in answers[0]} == {404}
    client.logout()
    assert client.delete(f"/chat/api/conversations/{room.pk}/").status_code == 401


# --- The list


def test_a_list_of_500_costs_what_one_of_50_costs(client: Client, people: Any, django_assert_num_queries: Any) -> None:
    def grow(number: int) -> None:
        rooms = Conversation.objects.bulk_create(Conversation(agent="assistant", last_seq=3) for _ in range(number))
        Participant.objects.bulk_create(
            Participant(conversation=room, user=person, role="owner") for room in rooms for person in people.values()
        )
        Message.objects.bulk_create(
            Message(conversation=room, seq=seq, role="user", text="x") for room in rooms for seq in (1, 2, 3)
        )

    for number in (50, 450):
        grow(number)
        with django_assert_num_queries(2):
            listed, more = store.list_conversations(people["ada"].pk)
        assert len(listed) == min(Conversation.objects.count(), 200)
        assert all(each.yours is not None and each.yours.unread == 3 for each in listed)
    assert more
    client.force_login(people["ada"])
    seen = []
    at = "/chat/api/conversations/"
    while more:
        page = client.get(at).json()
        seen += [each["id"] for each in page["conversations"]]
        more = page["more"]
        at = f"/chat/api/conversations/?before={page['conversations'][-1]['updated_at']}"
    assert len(seen) == len(set(seen)) == 500
    for wrong in ("yesterday", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert client.get(f"/chat/api/conversations/?before={wrong}").json()["code"] == "invalid", wrong


def test_pinned_ones_come_first_however_old(people: Any) -> None:
    ids = [store.create_conversation(people["ada"]).id for _ in range(3)]
    store.change_conversation(people["ada"].pk, ids[0], store.ConversationChanges(pinned=True))
    listed, _ = store.list_conversations(people["ada"].pk)
    assert [each.id for each in listed] == [ids[0], ids[2], ids[1]]
    rest, _ = store.list_conversations(people["ada"].pk, timezone.now())
    assert [each.id for each in rest] == [ids[2], ids[1]]


def test_a_conversation_of_10_000_messages_costs_what_one_of_50_costs(
    people: Any, django_assert_num_queries: Any
) -> None:
    for number in (51, 10_000):
        room = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
        rows = Message.objects.bulk_create(
            (
                Message(conversation=room, seq=seq, role="user" if seq % 2 else "assistant", text=f"Message {seq}")
                for seq in range(1, number + 1)
            ),
            batch_size=1000,
        )
        answers = [row for row in rows if row.role == "assistant"]
        Run.objects.bulk_create(
            (Run(conversation=room, message=row, agent="assistant", status="completed") for row in answers),
            batch_size=1000,
        )
        Message.objects.filter(pk=answers[-1].pk).update(alternative_of=answers[-1])
        Conversation.objects.filter(pk=room.pk).update(last_seq=number)
        with django_assert_num_queries(9):
            entered = store.read_snapshot(people["ada"].pk, room.pk)
        assert (len(entered.messages), entered.more) == (store.PAGE_SIZE, True)
        with django_assert_num_queries(4):
            store.list_messages(people["ada"].pk, room.pk, number // 2, 50)
        begun = Run.objects.create(conversation=room, agent="assistant", host=HOST)
        with django_assert_num_queries(11):
            started = store.start_run(begun.pk, HOST)
        assert started is not None
        assert started.prompt[-1].text == f"Message {number}"


# --- Deleting


def test_a_deleted_conversation_is_nowhere_and_comes_back(
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


def test_too_late_it_is_gone(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"UNDO_SECONDS": 60}
    store.delete_conversation(people["ada"].pk, room.pk)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(seconds=61))
    with refused("not_found"):
        store.restore_conversation(people["ada"].pk, room.pk)


def test_deleting_ends_the_run_and_is_told_to_the_lists(scenario: Scenario, people: Any, room: Conversation) -> None:
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
            finished = await ada.hear("run.finished")
            assert finished["status"] == "stopped"
            await ada.send("history.load", before=5, ref="1")
            await ada.until(lambda: ada.closed or any(event.get("ref") == "1" for event in ada.events))
            assert ada.of_type("history.page") == []

    scenario(talk)
    assert Run.objects.get().status == "stopped"


# --- Forks


def fork(user: Any, room: Conversation, message_id: Any) -> Conversation:
    return Conversation.objects.get(pk=store.fork_conversation(user.pk, room.pk, message_id).id)


def test_a_fork_is_a_conversation_of_ones_own_up_to_a_message(
    people: Any, room: Conversation, settings: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    file = store.upload_attachment(people["ada"], room.pk, "notes.txt", b"notes")
    question = post(people["ada"], room, "Tea?", attachments=[file.id]).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    assert started.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={}, status="done", result="found")
    store.save_call(started.message.run.id, HOST, call, "c1")
    first = end(started, text="Yes")
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


def test_a_fork_from_an_alternative_takes_that_one(people: Any, room: Conversation) -> None:
    first = end(begin(people["ada"], room), text="One")
    assert first is not None
    assert first.message is not None
    again = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert again is not None
    end(again, text="Two")
    made = fork(people["ada"], room, first.message.id)
    assert [m.text for m in store.list_messages(people["ada"].pk, made.pk, None, 50)[0]] == ["Hello", "One"]


def test_who_may_fork_what(people: Any, viewer: Any, room: Conversation) -> None:
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


def test_what_went_on_in_a_deleted_answer_is_not_forked(people: Any, room: Conversation) -> None:
    first = end(begin(people["ada"], room), "stopped", text="Secret")
    assert first is not None
    assert first.message is not None
    on = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST, continues=True), HOST)
    assert on is not None
    end(on, text="Secret indeed")
    store.delete_message(people["ada"].pk, room.pk, on.message.id)
    with refused("not_found"):
        store.fork_conversation(people["bob"].pk, room.pk, first.message.id)


def test_a_long_conversation_forks_in_few_queries_and_not_as_a_whole(
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


def test_a_fork_does_not_hold_all_texts_of_its_files_at_once(people: Any, room: Conversation) -> None:
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


def test_forking_over_http(client: Client, people: Any, room: Conversation) -> None:
    message = post(people["ada"], room).message
    client.force_login(people["ada"])
    at = f"/chat/api/conversations/{room.pk}/fork/"
    made = client.post(at, {"message": str(message.id)}, content_type="application/json")
    assert made.status_code == 201
    assert client.get(made.json()["url"]).status_code == 200
    for wrong in ({}, {"message": "x"}, {"message": None}):
        assert client.post(at, wrong, content_type="application/json").status_code == 400


# --- Cleaning up


def test_what_was_deleted_is_erased_when_it_can_no_longer_be_restored(
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


def test_of_an_answer_nothing_is_kept_either_not_its_calls_nor_what_it_went_on_from(
    people: Any, room: Conversation
) -> None:
    first = end(begin(people["ada"], room), "stopped", text="Secret")
    for _ in range(2):
        assert first is not None
        assert first.message is not None
        run = store.request_run(people["ada"].pk, room.pk, first.message.id, HOST, continues=True)
        on = store.start_run(run, HOST)
        assert on is not None
        first = end(on, "stopped", text="Secret indeed")
    silent = begin(people["ada"], room)  # it says nothing, and looks something up
    assert silent.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={"of": "Secret"}, status="done", result="Secret")
    store.save_call(silent.message.run.id, HOST, call, "c1")
    end(silent, text="")
    Run.objects.filter(pk=silent.message.run.id).update(transcript="Secret")
    for message in (on.message, silent.message):
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


def test_files_that_nobody_sent_are_deleted_after_a_day(
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


def test_a_deleted_conversation_is_erased_with_all_that_was_in_it(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room))
    store.delete_conversation(people["ada"].pk, room.pk)
    assert store.erase_expired() == 0
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    assert store.erase_expired() > 0
    assert store.erase_expired() == 0
    for model in (Conversation, Message, Run, ToolCall, Passage, Participant):
        assert not model.objects.exists(), model  # type: ignore[attr-defined]


def test_a_long_conversation_is_erased_a_little_at_a_time(people: Any, room: Conversation) -> None:
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


def test_many_deleted_conversations_are_erased_a_little_at_a_time(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.store.retention.BATCH_SIZE", 2)
    for _ in range(3):
        made = store.create_conversation(people["ada"])
        Participant.objects.create(conversation_id=made.id, user=people["bob"])
        store.delete_conversation(people["ada"].pk, made.id)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    while store.erase_expired():  # a conversation with its people is more than SOME rows
        pass
    assert not Conversation.objects.exists()


def test_a_server_erases_by_itself(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chat.node import heartbeat

    monkeypatch.setattr(heartbeat, "CLEAN_EVERY", 0.2)
    # Not in a thread, which would not see this test's transaction.
    monkeypatch.setattr(heartbeat, "_clean_batch", store.erase_expired)
    monkeypatch.setattr("asyncio.to_thread", _here)
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


def test_there_is_a_command_for_it(people: Any, room: Conversation, capsys: Any) -> None:
    from django.core.management import call_command

    store.delete_conversation(people["ada"].pk, room.pk)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    call_command("nous_clean")
    assert not Conversation.objects.exists()


def test_a_room_that_reads_the_same_in_one_moment_is_written_in_two_queries(
    people: Any, room: Conversation, django_assert_num_queries: Any
) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    post(people["ada"], room)
    with django_assert_num_queries(2 + 2):  # a savepoint around them
        news = store.mark_read(room.pk, {people[name].pk: 1 for name in ("bob", "eve", "ada")})
    assert set(news) == {people["bob"].pk, people["eve"].pk}, "ada wrote it, and has read it"


def test_an_answer_that_is_asked_for_is_told_on_the_page_before_it_has_begun(
    client: Client, people: Any, room: Conversation
) -> None:
    post(people["ada"], room)
    client.force_login(people["ada"])
    assert "The answer is being written" in client.get(f"/chat/{room.pk}/").content.decode()
