"""Runs requested, started, finished and stopped."""

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from msgspec.structs import replace

from chat import engine, store
from chat.models import Conversation, Message, Participant, Run, ToolCall
from chat.protocol import objects

from ..support.store_helpers import HOST, begin, end, pause, post, refused, run_row

pytestmark = pytest.mark.django_db


def test_the_database_allows_one_active_run_per_conversation(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(conversation=room, agent="assistant", host=HOST)


def test_a_run_is_claimed_once_and_only_by_its_host(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    assert store.start_run(run_id, "elsewhere") is None
    assert store.start_run(run_id, HOST) is not None
    assert store.start_run(run_id, HOST) is None
    assert Message.objects.filter(role="assistant").count() == 1


def test_the_prompt_is_the_conversation_without_the_new_answer(people: dict[str, Any], room: Conversation) -> None:
    end(begin(people["ada"], room, "One"), text="First")
    assert begin(people["ada"], room, "Two").prompt == [
        engine.Message("user", "One"),
        engine.Message("assistant", "First"),
        engine.Message("user", "Two"),
    ]


def test_a_run_ends_once(people: dict[str, Any], room: Conversation) -> None:
    started = begin(people["ada"], room)
    finished = end(started, usage=engine.Usage(3, 5, 8, None, 1), finish_reason="stop")
    assert finished is not None
    assert finished.message is not None
    assert finished.message.text == "Hi"
    assert finished.run.status == "completed"
    assert finished.run.usage == objects.Usage(3, 5, 8, None, 1)
    assert end(started, "failed", "Other") is None
    assert Message.objects.get(role="assistant").text == "Hi"


def test_missing_usage_is_none_and_not_zero(people: dict[str, Any], room: Conversation) -> None:
    finished = end(begin(people["ada"], room))
    assert finished is not None
    assert finished.run.usage is None


def test_messages_posted_during_a_run_get_one_answer_after_it(people: dict[str, Any], room: Conversation) -> None:
    started = begin(people["ada"], room)
    for text in ("and", "also"):
        posted = post(people["bob"], room, text)
        assert (posted.start, posted.stop) == (None, None)
    finished = end(started)
    assert finished is not None
    assert finished.next is not None
    following = store.start_run(finished.next, HOST)
    assert following is not None
    assert [message.text for message in following.prompt] == ["Hello", "Hi", "and", "also"]
    done = end(following)
    assert done is not None
    assert done.next is None


def test_the_launcher_owners_and_staff_can_stop_a_run(people: dict[str, Any], room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert started.message.run is not None
    run_id = started.message.run.id
    with refused("forbidden"):
        store.request_stop(people["bob"].pk, room.pk, run_id)
    people["bob"].is_staff = True
    people["bob"].save()
    assert store.request_stop(people["bob"].pk, room.pk, run_id) is None
    assert store.heartbeat(HOST, [run_id], []).stop == [run_id], "the host learns of it without any message"
    assert Run.objects.get(pk=run_id).stopped_by == people["bob"]


def test_the_first_user_who_stops_a_run_is_stored(people: dict[str, Any], room: Conversation) -> None:
    Participant.objects.filter(user=people["bob"]).update(role="owner")
    started = begin(people["ada"], room)
    assert started.message.run is not None
    for name in ("bob", "ada"):
        store.request_stop(people[name].pk, room.pk, started.message.run.id)
    finished = end(started, "stopped")
    assert finished is not None
    assert finished.run.stopped_by == objects.Person.of(people["bob"])


def test_a_queued_run_is_stopped_at_once(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    stopped = store.request_stop(people["ada"].pk, room.pk, run_id)
    assert stopped is not None
    assert (stopped.run.status, stopped.message) == ("stopped", None)
    assert store.start_run(run_id, HOST) is None
    with refused("run_over"):
        store.request_stop(people["ada"].pk, room.pk, run_id)


def test_a_run_of_another_conversation_is_not_found(people: dict[str, Any], room: Conversation) -> None:
    other = store.create_conversation(people["eve"])
    run_id = store.post_message(people["eve"].pk, other.id, "Hi", None, None, HOST).start
    assert run_id is not None
    with refused("not_found"):
        store.request_stop(people["ada"].pk, room.pk, run_id)
    with refused("not_found"):
        store.get_run(room.pk, run_id)


def test_a_regenerated_answer_becomes_an_alternative_of_the_first(people: dict[str, Any], room: Conversation) -> None:
    first = begin(people["ada"], room)
    end(first, "failed", "Ha", error=objects.Failure("stream_cut", "It broke."))
    run_id = store.request_run(people["ada"].pk, room.pk, first.message.id, HOST)
    second = store.start_run(run_id, HOST)
    assert second is not None
    assert second.message.replaces == first.message.id
    assert second.prompt == [engine.Message("user", "Hello")]
    messages, _ = store.list_messages(people["ada"].pk, room.pk, None, 10)
    assert [message.id for message in messages][1:] == [second.message.id]
    assert Message.objects.get(pk=first.message.id).text == "Ha"


def test_only_the_last_answer_can_be_regenerated_and_not_during_a_run(
    people: dict[str, Any], room: Conversation
) -> None:
    first = begin(people["ada"], room)
    with refused("conflict"):
        store.request_run(people["ada"].pk, room.pk, first.message.id, HOST)
    end(first)
    end(begin(people["ada"], room))
    with refused("conflict"):
        store.request_run(people["ada"].pk, room.pk, first.message.id, HOST)
    with refused("not_found"):
        store.request_run(people["ada"].pk, room.pk, uuid.uuid4(), HOST)


def test_a_run_needs_a_message_to_answer(people: dict[str, Any], room: Conversation) -> None:
    with refused("conflict"):
        store.request_run(people["ada"].pk, room.pk, None, HOST)


def test_waiting_messages_are_answered_after_a_paused_run_is_stopped(
    people: dict[str, Any], room: Conversation
) -> None:
    started = begin(people["ada"], room)
    post(people["bob"], room, "and I?")
    pause(started)
    assert started.message.run is not None
    run_id = started.message.run.id
    stopped = store.request_stop(people["ada"].pk, room.pk, run_id, HOST)
    assert stopped is not None
    following = run_row(stopped.next)
    assert (following.launched_by, following.host, following.status) == (people["bob"], HOST, "queued")


def test_waiting_messages_are_answered_after_a_queued_run_is_stopped(
    people: dict[str, Any], room: Conversation
) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    post(people["bob"], room, "and I?")
    stopped = store.request_stop(people["ada"].pk, room.pk, run_id, HOST)
    assert stopped is not None
    assert run_row(stopped.next).launched_by == people["bob"]


def test_a_process_at_capacity_refuses_and_stores_nothing(people: dict[str, Any], room: Conversation) -> None:
    with refused("busy"):
        post(people["ada"], room, host=None)
    assert Message.objects.count() == Run.objects.count() == 0
    room.refresh_from_db()
    assert (room.title, room.last_seq) == ("", 0)


def test_the_number_of_running_runs_per_user_is_limited(people: dict[str, Any], settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_RUNS_PER_USER": 2}
    rooms = [Conversation.objects.get(pk=store.create_conversation(people["ada"]).id) for _ in range(3)]
    first = begin(people["ada"], rooms[0])
    begin(people["ada"], rooms[1])
    run_id = post(people["ada"], rooms[2]).start
    assert run_id is not None
    with pytest.raises(store.TooManyRuns):
        store.start_run(run_id, HOST)
    assert Run.objects.get(pk=run_id).status == "queued"
    end(first)
    assert store.start_run(run_id, HOST) is not None


def test_a_repeated_start_does_not_count_its_own_run(people: dict[str, Any], room: Conversation, settings: Any) -> None:
    """The start was committed, but the connection broke before the process knew, so it tries again."""
    settings.NOUS_CHAT = {"MAX_RUNS_PER_USER": 1}
    begin(people["ada"], room)
    assert store.start_run(Run.objects.get().pk, HOST) is None


def test_calls_are_stored_and_changed_many_at_a_time(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert started.message.run is not None
    run = started.message.run.id
    new = {f"c{n}": objects.Call(uuid.uuid4(), "look_up", {"order": n}, "running", None) for n in range(40)}
    store.save_calls(run, HOST, dict(list(new.items())[:30]))
    changed = {key: replace(call, status="done", result=f"sent {key}") for key, call in list(new.items())[10:]}
    changed["c10"] = replace(new["c10"], arguments=None, status="failed")
    store.save_calls(run, HOST, changed)
    stored = {
        call.call_id: objects.Call(call.pk, call.name, call.arguments, call.status, call.result)
        for call in ToolCall.objects.filter(run=run)
    }
    assert stored == new | changed
    store.save_calls(run, "another-host", new)
    assert ToolCall.objects.get(call_id="c30").status == "done"
