"""Snapshots of many sockets at once: the same as one by one, in as many queries as for one."""

import uuid
from typing import Any

import pytest
from django.utils import timezone

from chat import store
from chat.models import Conversation, Message, Participant, Run
from chat.permissions import Permissions
from chat.protocol import events
from chat.protocol.errors import Refused

from ..support.store_helpers import HOST, begin, end, post

pytestmark = pytest.mark.django_db


def rooms_of(user: Any, number: int, messages: int = 3) -> list[Conversation]:
    rooms = Conversation.objects.bulk_create(
        Conversation(agent="assistant", title=str(n), last_seq=messages) for n in range(number)
    )
    Participant.objects.bulk_create(Participant(conversation=room, user=user, role="owner") for room in rooms)
    rows = Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user" if seq % 2 else "assistant", author=user, text=f"{room}/{seq}")
        for room in rooms
        for seq in range(1, messages + 1)
    )
    Run.objects.bulk_create(
        Run(conversation=row.conversation, message=row, agent="assistant", status="completed", launched_by=user)
        for row in rows
        if row.role == "assistant"
    )
    return rooms


def test_readers_who_come_together_get_what_they_get_alone(people: dict[str, Any], room: Conversation) -> None:
    end(begin(people["ada"], room))
    post(people["bob"], room, "And now?")  # its answer is queued
    (long,) = rooms_of(people["eve"], 1, messages=60)
    (other,) = rooms_of(people["eve"], 1)
    begin(people["eve"], other)
    readers = [
        (people["ada"].pk, room.pk),
        (people["eve"].pk, long.pk),
        (people["bob"].pk, room.pk),
        (people["eve"].pk, other.pk),
    ]
    together = store.read_snapshots(readers)
    assert together == [store.read_snapshot(*reader) for reader in readers]
    ada, eve, bob, running = together
    assert isinstance(ada, events.Snapshot)
    assert isinstance(eve, events.Snapshot)
    assert isinstance(bob, events.Snapshot)
    assert isinstance(running, events.Snapshot)
    assert (ada.you.role, bob.you.role) == ("owner", "member")
    assert [run.status for run in ada.runs] == ["queued"]
    assert [run.message for run in running.runs] == [running.messages[-1].id]
    assert ([message.seq for message in eve.messages], eve.more) == (list(range(11, 61)), True)


def test_a_stranger_among_readers_is_refused_alone(people: dict[str, Any], room: Conversation) -> None:
    deleted = Conversation.objects.create(agent="assistant", deleted_at=timezone.now())
    Participant.objects.create(conversation=deleted, user=people["ada"])
    answers = store.read_snapshots(
        [
            (people["eve"].pk, room.pk),
            (people["ada"].pk, room.pk),
            (people["ada"].pk, uuid.uuid4()),
            (people["ada"].pk, deleted.pk),
        ]
    )
    assert [isinstance(answer, Refused) for answer in answers] == [True, False, True, True]
    assert len({str(answer) for answer in answers if isinstance(answer, Refused)}) == 1


class NotEve(Permissions):
    def can_see(self, participant: Participant) -> bool:
        return bool(participant.user.username != "eve" and participant.conversation.agent)


def test_the_permissions_of_the_site_decide_for_each_reader(
    people: dict[str, Any], room: Conversation, settings: Any
) -> None:
    Participant.objects.create(conversation=room, user=people["eve"])
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.NotEve"}
    ada, eve = store.read_snapshots([(people["ada"].pk, room.pk), (people["eve"].pk, room.pk)])
    assert isinstance(ada, events.Snapshot)
    assert isinstance(eve, Refused)


@pytest.mark.parametrize("number", [1, 30])
def test_thirty_readers_cost_as_many_queries_as_one(
    people: dict[str, Any], django_assert_num_queries: Any, number: int
) -> None:
    rooms = rooms_of(people["ada"], number)
    with django_assert_num_queries(6):
        found = store.read_snapshots([(people["ada"].pk, room.pk) for room in rooms])
    assert [snapshot.conversation.id for snapshot in found if isinstance(snapshot, events.Snapshot)] == [
        room.pk for room in rooms
    ]


def test_what_is_too_long_to_be_read_with_others_is_read_alone(
    people: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.pages.MAX_PAGE_CHARS", 40)
    readers = [(people["ada"].pk, room.pk) for room in rooms_of(people["ada"], 2, messages=8)]
    first, second = store.read_snapshots(readers)
    assert second is None or first is None
    for reader in readers:
        assert 1 <= len(store.read_snapshot(*reader).messages) <= 8


def test_unread_messages_count_whether_they_are_on_the_page_or_before_it(people: dict[str, Any]) -> None:
    (room,) = rooms_of(people["ada"], 1, messages=60)
    Message.objects.filter(conversation=room, seq__in=[2, 59]).update(deleted_at=timezone.now())
    Message.objects.filter(conversation=room, seq=58).update(role="system")
    for last_read, unread in ((60, 0), (57, 1), (50, 8), (10, 48), (9, 49), (0, 57)):
        Participant.objects.filter(conversation=room).update(last_read=last_read)
        yours = store.read_snapshot(people["ada"].pk, room.pk).conversation.yours
        assert yours is not None
        assert yours.unread == unread, last_read
        assert store.get_conversation(people["ada"].pk, room.pk).yours == yours


def test_people_who_have_left_are_still_named(people: dict[str, Any], room: Conversation) -> None:
    started = begin(people["bob"], room)
    end(started)
    Participant.objects.filter(user=people["bob"]).delete()
    question, answer = store.read_snapshot(people["ada"].pk, room.pk).messages
    assert question.author is not None
    assert question.author.name == "bob"
    assert answer.run is not None
    assert answer.run.launched_by is not None
    assert answer.run.launched_by.name == "bob"
    people["bob"].delete()
    question, answer = store.read_snapshot(people["ada"].pk, room.pk).messages
    assert question.author is None


def test_no_snapshot_reads_transcripts_or_the_texts_of_files(
    people: dict[str, Any], django_assert_num_queries: Any
) -> None:
    (room,) = rooms_of(people["ada"], 1)
    with django_assert_num_queries(6) as queries:
        store.read_snapshot(people["ada"].pk, room.pk)
    sql = " ".join(query["sql"] for query in queries)
    assert "transcript" not in sql
    assert 'nous_chat_attachment"."text' not in sql
    assert HOST not in sql
