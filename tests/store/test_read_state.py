"""Unread counts and read markers."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat import store
from chat.models import Conversation, Message, Participant
from chat.protocol import objects
from chat.realtime import read_markers
from chat.store import executor, read_state

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, invite_crowd, post, state_of

Scenario = Callable[..., Any]


def test_messages_of_others_are_unread_until_they_are_marked_read(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert (state_of(people["ada"], room).unread, state_of(people["bob"], room).unread) == (1, 2), "one's own are read"
    end(started)
    bob = people["bob"].pk
    assert store.mark_read(room.pk, {bob: 1}) == [bob]
    assert state_of(people["bob"], room) == objects.Yours("member", 1, 1, False, False)
    assert not store.mark_read(room.pk, {bob: 1})
    assert store.mark_read(room.pk, {bob: 2**31 - 1}) == [bob]
    assert (state_of(people["bob"], room).unread, state_of(people["bob"], room).last_read) == (0, 2)
    assert not store.mark_read(room.pk, {bob: 1}), "it never goes back"


def test_deleted_hidden_and_system_messages_do_not_count_as_unread(people: Any, room: Conversation) -> None:
    begun = begin(people["ada"], room)
    first = end(begun)
    assert first is not None
    assert first.message is not None
    again = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert again is not None
    end(again)
    Message.objects.create(conversation=room, seq=90, role="system", text="Somebody came")
    assert state_of(people["bob"], room).unread == 2, "one question, one answer of two, no note"
    store.delete_message(people["ada"].pk, room.pk, first.message.id)
    store.delete_message(people["ada"].pk, room.pk, again.message.id)
    assert state_of(people["bob"], room).unread == 1


def test_strangers_have_no_read_marker(people: Any, room: Conversation) -> None:
    for conversation_id in (room.pk, uuid.uuid4()):
        assert store.mark_read(conversation_id, {people["eve"].pk: 1}) == []


def test_a_read_marker_is_published_to_the_users_own_lists_only(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
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


def test_read_markers_of_many_users_are_written_in_two_queries(
    people: Any, room: Conversation, django_assert_num_queries: Any
) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    for _ in range(3):
        post(people["ada"], room)
    with django_assert_num_queries(2 + 2):  # a savepoint around them
        news = store.mark_read(room.pk, {people["bob"].pk: 1, people["eve"].pk: 2, people["ada"].pk: 2})
    assert set(news) == {people["bob"].pk, people["eve"].pk}, "ada wrote them, and has read them"
    assert [state_of(people[name], room).last_read for name in ("ada", "bob", "eve")] == [3, 1, 2]


def test_of_a_crowd_that_reads_at_once_everybody_has_their_turn(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_markers, "BATCH", 1)
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    post(people["ada"], room)

    async def talk() -> None:
        markers = read_markers.ReadMarkers()
        markers.note(room.pk, people["bob"].pk, 1)
        markers.note(room.pk, people["eve"].pk, 1)
        await markers.write()
        markers.note(room.pk, people["bob"].pk, 1)
        read = [await executor.run(state_of, people[name], room) for name in ("bob", "eve")]
        assert [state.last_read for state in read] == [1, 0]
        await markers.write()
        assert (await executor.run(state_of, people["eve"], room)).last_read == 1

    scenario(talk)


def test_at_shutdown_all_markers_are_written(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_markers, "BATCH", 1)
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    post(people["ada"], room)

    async def talk() -> None:
        markers = read_markers.ReadMarkers()
        for name in ("bob", "eve"):
            markers.note(room.pk, people[name].pk, 1)
        await markers.write_all()

    scenario(talk)
    assert [state_of(people[name], room).unread for name in ("bob", "eve")] == [0, 0]


@pytest.mark.parametrize("number", [store.CROWD - 1, store.CROWD + 1])
def test_what_is_unread_is_counted_for_each_of_a_crowd(people: Any, room: Conversation, number: int) -> None:
    crowd = invite_crowd(room, number)
    for _ in range(3):
        post(people["ada"], room)
    (listing,) = store.find_listings([room.pk])
    assert listing is not None
    assert [listing.audience[row.user_id].unread for row in crowd] == [2, 2, *[3] * (number - 2)]
    assert listing.audience[people["ada"].pk].unread == 0


def test_whoever_stands_for_others_of_a_crowd_may_read_on_meanwhile(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = invite_crowd(room, store.CROWD + 1)
    for _ in range(3):
        post(people["ada"], room)
    with_unread = read_state.with_unread

    def read_on(rows: Any) -> Any:
        Participant.objects.filter(pk=crowd[2].pk).update(last_read=3)
        return with_unread(rows)

    monkeypatch.setattr(read_state, "with_unread", read_on)
    (listing,) = store.find_listings([room.pk])
    assert listing is not None
    assert {listing.audience[row.user_id].unread for row in crowd[2:]} == {3}
