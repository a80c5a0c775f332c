"""Heartbeats and checkpoints; runs that are reaped, adopted and released."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chat import store
from chat.models import Conversation, Message, Run
from chat.protocol import objects

from ..support.store_helpers import HOST, begin, end, post, reap, run_row

pytestmark = pytest.mark.django_db


def parts_of(place: int) -> tuple[objects.Part, ...]:
    """The text came before the thinking, if `place` is odd."""
    parts = (objects.ThinkingPart(9), objects.TextPart(6))
    return parts[::-1] if place % 2 else parts


def test_checkpoints_of_many_runs_take_two_updates(people: dict[str, Any], django_assert_num_queries: Any) -> None:
    started = []
    for _ in range(5):
        room = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
        started.append(begin(people["ada"], room))
    runs = [one.message.run.id for one in started if one.message.run]
    checkpoints = [
        store.Checkpoint(
            run, one.message.id, store.Written(place + 1, f"text {place}", f"thought {place}", parts_of(place))
        )
        for place, (run, one) in enumerate(zip(runs, started, strict=True))
    ]
    with django_assert_num_queries(7):  # a savepoint, two locks, two updates, a look for stops, the savepoint's end
        store.heartbeat(HOST, runs, checkpoints)
    stored = Message.objects.filter(role="assistant").order_by("created_at")
    expected = [(f"text {n}", f"thought {n}", n + 1) for n in range(5)]
    assert list(stored.values_list("text", "thinking", "run__seq")) == expected
    assert [objects.Message.of(row).parts for row in stored] == [parts_of(n) for n in range(5)]


def test_a_host_that_was_declared_dead_cannot_write(people: dict[str, Any], room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert started.message.run is not None
    run_id = started.message.run.id
    store.heartbeat(HOST, [run_id], [store.Checkpoint(run_id, started.message.id, store.Written(1, "Ha", ""))])
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    (reaped,) = reap()
    assert (reaped.run.status, reaped.run.seq) == ("interrupted", 1)
    assert reaped.run.error is not None
    assert reaped.run.error.code == "host_lost"
    store.heartbeat(HOST, [run_id], [store.Checkpoint(run_id, started.message.id, store.Written(9, "Late", ""))])
    assert end(started) is None
    assert Message.objects.get(pk=started.message.id).text == "Ha"
    assert reap() == []


def silence_all_hosts() -> None:
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))


def test_waiting_messages_are_answered_after_a_run_is_reaped(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    post(people["bob"], room, "and I?")
    silence_all_hosts()
    (reaped,) = reap()
    following = run_row(reaped.next)
    assert (following.launched_by, following.host) == (people["bob"], "")
    assert store.adopt_runs("other", 10) == [(following.pk, room.pk, False, False)]
    assert store.start_run(following.pk, HOST) is None
    assert store.start_run(following.pk, "other") is not None


@pytest.mark.parametrize("status", ["interrupted", "stopped"])
def test_waiting_messages_are_answered_by_another_process_after_a_shutdown(
    people: dict[str, Any], room: Conversation, status: str
) -> None:
    started = begin(people["ada"], room)
    post(people["bob"], room, "and I?")
    finished = end(started, status, leave_next_to_others=True)
    assert finished is not None
    assert run_row(finished.next).host == ""


def test_a_queued_run_of_a_dead_process_can_be_adopted(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room).start
    silence_all_hosts()
    assert reap() == []
    run = run_row(run_id)
    assert (run.status, run.host) == ("queued", "")
    assert reap() == [], "nobody's silence is meant"
    assert store.adopt_runs("other", 10) == [(run_id, room.pk, False, False)]


def test_a_run_is_adopted_once_by_a_host_with_capacity(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room, host="").start
    assert run_id is not None
    assert store.adopt_runs("one", 10, {uuid.uuid4()}) == []
    assert store.adopt_runs("one", 0, {room.pk}) == []
    assert store.adopt_runs("one", 1, {room.pk}) == [(run_id, room.pk, False, False)]
    assert store.adopt_runs("two", 1, {room.pk}) == []
    store.release_runs("two", [run_id])
    assert Run.objects.get(pk=run_id).host == "one"
    store.release_runs("one", [run_id])
    assert store.adopt_runs("two", 1, {room.pk}) == [(run_id, room.pk, False, False)]


def test_a_heartbeat_returns_its_hosts_runs_and_stores_their_places(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    beat = store.heartbeat(HOST, [run_id], [], {run_id: 3})
    assert (beat.mine, beat.stop) == ({run_id}, [])
    assert Run.objects.get(pk=run_id).place == 3
    assert store.read_snapshot(people["ada"].pk, room.pk).runs[0].place == 3
    store.start_run(run_id, HOST)
    store.heartbeat(HOST, [run_id], [], {run_id: 3})
    assert Run.objects.get(pk=run_id).place is None, "it has begun meanwhile"
    silence_all_hosts()
    reap()
    assert store.heartbeat(HOST, [run_id], []).mine == set()


def test_a_living_run_is_not_reaped(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    assert reap() == []
