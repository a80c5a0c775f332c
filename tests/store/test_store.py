"""Units of work: each is whole, authorised, and safe to repeat."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from chat import engine, store
from chat.models import Conversation, Message, Participant, Run
from chat.protocol import objects
from chat.protocol.errors import Refused

from ..support.store_helpers import HOST, begin, end, post, refused

pytestmark = pytest.mark.django_db


def test_a_message_queues_a_run_and_names_the_conversation(people: dict[str, Any], room: Conversation) -> None:
    posted = post(
        people["ada"],
        room,
        "  What is   a\nmonad, and why does everybody keep writing tutorials about it all the time?",
    )
    assert posted.message.seq == 1
    assert posted.message.author == objects.Person.of(people["ada"])
    assert Run.objects.get(pk=posted.start).status == "queued"
    room.refresh_from_db()
    assert room.title.startswith("What is a monad, and")
    assert len(room.title) <= store.TITLE_CHARS


def test_the_same_client_id_makes_one_message(people: dict[str, Any], room: Conversation) -> None:
    client_id = uuid.uuid4()
    first = post(people["ada"], room, client_id=client_id)
    again = post(people["ada"], room, client_id=client_id)
    assert again.message == first.message
    assert again.repeated
    assert again.start is None
    assert Message.objects.count() == Run.objects.count() == 1


def test_another_person_may_use_the_same_client_id(people: dict[str, Any], room: Conversation) -> None:
    client_id = uuid.uuid4()
    post(people["ada"], room, client_id=client_id)
    assert not post(people["bob"], room, client_id=client_id).repeated


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u2003"])
def test_an_empty_message_is_refused(people: dict[str, Any], room: Conversation, text: str) -> None:
    with refused("empty"):
        post(people["ada"], room, text)


def test_a_long_message_is_refused_with_both_numbers(people: dict[str, Any], room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_MESSAGE_CHARS": 10}
    assert post(people["ada"], room, "x" * 10)
    with pytest.raises(Refused, match=r"up to 10 characters. This one has 11"):
        post(people["ada"], room, "x" * 11)


def test_a_nul_character_does_not_break_the_database(people: dict[str, Any], room: Conversation) -> None:
    assert post(people["ada"], room, "a\x00b").message.text == "a\N{REPLACEMENT CHARACTER}b"


def test_strangers_are_told_what_people_without_a_conversation_are_told(
    people: dict[str, Any], room: Conversation
) -> None:
    messages = []
    for conversation_id in (room.pk, uuid.uuid4()):
        with pytest.raises(Refused) as caught:
            store.read_snapshot(people["eve"].pk, conversation_id)
        messages.append((caught.value.code, str(caught.value)))
    assert messages[0] == messages[1]
    for ask in (
        lambda: store.list_messages(people["eve"].pk, room.pk, None, 10),
        lambda: post(people["eve"], room),
        lambda: store.request_run(people["eve"].pk, room.pk, None, HOST),
        lambda: store.request_stop(people["eve"].pk, room.pk, uuid.uuid4()),
    ):
        with refused("not_found"):
            ask()


def test_a_deactivated_person_sees_nothing(people: dict[str, Any], room: Conversation) -> None:
    people["ada"].is_active = False
    people["ada"].save()
    with refused("not_found"):
        store.read_snapshot(people["ada"].pk, room.pk)


def test_a_viewer_reads_and_does_nothing_else(people: dict[str, Any], room: Conversation) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    started = begin(people["ada"], room)
    assert started.message.run is not None
    assert store.read_snapshot(people["eve"].pk, room.pk).you.role == "viewer"
    with refused("forbidden"):
        post(people["eve"], room)
    with refused("forbidden"):
        store.request_run(people["eve"].pk, room.pk, None, HOST)
    with refused("forbidden"):
        store.request_stop(people["eve"].pk, room.pk, started.message.run.id)


def test_the_database_admits_one_active_run_in_a_conversation(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(conversation=room, agent="assistant", host=HOST)


def test_a_run_is_claimed_once_and_by_its_host(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    assert store.start_run(run_id, "elsewhere") is None
    assert store.start_run(run_id, HOST) is not None
    assert store.start_run(run_id, HOST) is None
    assert Message.objects.filter(role="assistant").count() == 1


def test_the_model_gets_the_conversation_without_the_answer_to_come(people: dict[str, Any], room: Conversation) -> None:
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


def test_no_usage_is_none_not_zero(people: dict[str, Any], room: Conversation) -> None:
    finished = end(begin(people["ada"], room))
    assert finished is not None
    assert finished.run.usage is None


def test_what_was_said_during_a_run_is_answered_after_it_and_several_at_once(
    people: dict[str, Any], room: Conversation
) -> None:
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


def test_ones_own_message_interrupts_ones_own_run_and_is_answered_next(
    people: dict[str, Any], room: Conversation
) -> None:
    started = begin(people["ada"], room)
    posted = post(people["ada"], room, "Wait")
    assert posted.stop == started.message.run.id  # type: ignore[union-attr]
    finished = end(started, "stopped", "Half")
    assert finished is not None
    assert finished.run.stopped_by == objects.Person.of(people["ada"])
    assert finished.next is not None


@pytest.mark.parametrize(("mode", "room_mode"), [("queue", "interrupt"), (None, "queue")])
def test_queueing_can_be_chosen_by_the_message_or_the_room(
    people: dict[str, Any], room: Conversation, mode: str | None, room_mode: str
) -> None:
    Conversation.objects.update(mode=room_mode)
    begin(people["ada"], room)
    assert post(people["ada"], room, "Later", mode=mode).stop is None


def test_a_member_cannot_interrupt_what_somebody_else_asked(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    assert post(people["bob"], room, "Now!", mode="interrupt").stop is None


def test_stopping_is_for_the_launcher_an_owner_and_staff(people: dict[str, Any], room: Conversation) -> None:
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


def test_the_first_who_stops_is_named(people: dict[str, Any], room: Conversation) -> None:
    Participant.objects.filter(user=people["bob"]).update(role="owner")
    started = begin(people["ada"], room)
    assert started.message.run is not None
    for name in ("bob", "ada"):
        store.request_stop(people[name].pk, room.pk, started.message.run.id)
    finished = end(started, "stopped")
    assert finished is not None
    assert finished.run.stopped_by == objects.Person.of(people["bob"])


def test_a_run_that_has_not_begun_is_stopped_on_the_spot(people: dict[str, Any], room: Conversation) -> None:
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


def test_the_last_answer_is_made_again_beside_the_first_which_is_kept(
    people: dict[str, Any], room: Conversation
) -> None:
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


def test_only_the_last_answer_can_be_made_again_and_not_during_a_run(
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


def test_an_agent_is_not_asked_about_nothing(people: dict[str, Any], room: Conversation) -> None:
    with refused("conflict"):
        store.request_run(people["ada"].pk, room.pk, None, HOST)


def test_checkpoints_of_many_runs_are_two_updates(people: dict[str, Any], django_assert_num_queries: Any) -> None:
    started = []
    for _ in range(5):
        room = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
        started.append(begin(people["ada"], room))
    runs = [one.message.run.id for one in started if one.message.run]
    checkpoints = [
        store.Checkpoint(run, one.message.id, store.Written(place + 1, f"text {place}", f"thought {place}"))
        for place, (run, one) in enumerate(zip(runs, started, strict=True))
    ]
    with django_assert_num_queries(5):  # a savepoint, two updates, a look for stops, the end of the savepoint
        store.heartbeat(HOST, runs, checkpoints)
    stored = Message.objects.filter(role="assistant").order_by("created_at").values_list("text", "thinking", "run__seq")
    assert list(stored) == [(f"text {n}", f"thought {n}", n + 1) for n in range(5)]


def test_a_host_that_was_declared_dead_cannot_write_any_more(people: dict[str, Any], room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert started.message.run is not None
    run_id = started.message.run.id
    store.heartbeat(HOST, [run_id], [store.Checkpoint(run_id, started.message.id, store.Written(1, "Ha", ""))])
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    (reaped,) = store.reap_runs()
    assert (reaped.run.status, reaped.run.seq) == ("interrupted", 1)
    assert reaped.run.error is not None
    assert reaped.run.error.code == "host_lost"
    store.heartbeat(HOST, [run_id], [store.Checkpoint(run_id, started.message.id, store.Written(9, "Late", ""))])
    assert end(started) is None
    assert Message.objects.get(pk=started.message.id).text == "Ha"
    assert store.reap_runs() == []


def waiting(started: store.StartedRun) -> None:
    """Its run stands still until somebody decides."""
    Run.objects.filter(pk=started.message.run.id).update(status="awaiting_approval")  # type: ignore[union-attr]


def fall_silent() -> None:
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))


def test_what_was_said_is_answered_after_a_stop_of_a_run_that_stood_still(
    people: dict[str, Any], room: Conversation
) -> None:
    started = begin(people["ada"], room)
    post(people["bob"], room, "and I?")
    waiting(started)
    stopped = store.request_stop(people["ada"].pk, room.pk, started.message.run.id, HOST)  # type: ignore[union-attr]
    assert stopped is not None
    following = Run.objects.get(pk=stopped.next)
    assert (following.launched_by, following.host, following.status) == (people["bob"], HOST, "queued")


def test_what_was_said_is_answered_after_a_stop_of_a_run_that_had_not_begun(
    people: dict[str, Any], room: Conversation
) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    post(people["bob"], room, "and I?")
    stopped = store.request_stop(people["ada"].pk, room.pk, run_id, HOST)
    assert stopped is not None
    assert Run.objects.get(pk=stopped.next).launched_by == people["bob"]


def test_what_was_said_is_answered_after_a_reap_by_whoever_takes_it_up(
    people: dict[str, Any], room: Conversation
) -> None:
    begin(people["ada"], room)
    post(people["bob"], room, "and I?")
    fall_silent()
    (reaped,) = store.reap_runs()
    following = Run.objects.get(pk=reaped.next)
    assert (following.launched_by, following.host) == (people["bob"], "")
    assert store.adopt_runs("other", 10) == [(following.pk, room.pk)]
    assert store.start_run(following.pk, HOST) is None
    assert store.start_run(following.pk, "other") is not None


@pytest.mark.parametrize("status", ["interrupted", "stopped"])
def test_what_was_said_is_answered_elsewhere_after_a_shutdown(
    people: dict[str, Any], room: Conversation, status: str
) -> None:
    started = begin(people["ada"], room)
    post(people["bob"], room, "and I?")
    finished = end(started, status, leave_next_to_others=True)
    assert finished is not None
    assert Run.objects.get(pk=finished.next).host == ""


def test_a_run_that_a_dead_process_had_not_begun_is_free_and_loses_nothing(
    people: dict[str, Any], room: Conversation
) -> None:
    run_id = post(people["ada"], room).start
    fall_silent()
    assert store.reap_runs() == []
    run = Run.objects.get(pk=run_id)
    assert (run.status, run.host) == ("queued", "")
    assert store.reap_runs() == [], "nobody's silence is meant"
    assert store.adopt_runs("other", 10) == [(run_id, room.pk)]


def test_a_run_is_taken_up_once_by_who_has_readers_and_room(people: dict[str, Any], room: Conversation) -> None:
    run_id = post(people["ada"], room, host="").start
    assert store.adopt_runs("one", 10, {uuid.uuid4()}) == []
    assert store.adopt_runs("one", 0, {room.pk}) == []
    assert store.adopt_runs("one", 1, {room.pk}) == [(run_id, room.pk)]
    assert store.adopt_runs("two", 1, {room.pk}) == []
    store.release_runs("two", [run_id])  # type: ignore[list-item]
    assert Run.objects.get(pk=run_id).host == "one"
    store.release_runs("one", [run_id])  # type: ignore[list-item]
    assert store.adopt_runs("two", 1, {room.pk}) == [(run_id, room.pk)]


def test_a_process_without_room_refuses_and_nothing_is_stored(people: dict[str, Any], room: Conversation) -> None:
    with refused("busy"):
        post(people["ada"], room, host=None)
    assert Message.objects.count() == Run.objects.count() == 0
    room.refresh_from_db()
    assert (room.title, room.last_seq) == ("", 0)


def test_a_message_that_needs_no_run_of_its_own_is_taken_by_a_full_process(
    people: dict[str, Any], room: Conversation
) -> None:
    begin(people["ada"], room)
    assert post(people["bob"], room, "Later", host=None).start is None


def test_a_person_has_so_many_runs_at_a_time_and_no_more(people: dict[str, Any], settings: Any) -> None:
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


def test_a_start_that_was_written_unheard_is_not_one_too_many(
    people: dict[str, Any], room: Conversation, settings: Any
) -> None:
    """The database took it and broke off before it said so: it is tried again."""
    settings.NOUS_CHAT = {"MAX_RUNS_PER_USER": 1}
    begin(people["ada"], room)
    assert store.start_run(Run.objects.get().pk, HOST) is None


def test_a_heartbeat_tells_which_runs_are_still_ours_and_where_they_wait(
    people: dict[str, Any], room: Conversation
) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    beat = store.heartbeat(HOST, [run_id], [], {run_id: 3})
    assert (beat.mine, beat.stop) == ({run_id}, [])
    assert Run.objects.get(pk=run_id).place == 3
    assert store.read_snapshot(people["ada"].pk, room.pk).runs[0].place == 3
    store.start_run(run_id, HOST)
    store.heartbeat(HOST, [run_id], [], {run_id: 3})
    assert Run.objects.get(pk=run_id).place is None, "it has begun meanwhile"
    fall_silent()
    store.reap_runs()
    assert store.heartbeat(HOST, [run_id], []).mine == set()


def test_a_living_run_is_not_reaped(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    assert store.reap_runs() == []


def test_history_comes_in_pages_from_the_newest(people: dict[str, Any], room: Conversation) -> None:
    for number in range(5):
        post(people["ada"], room, str(number))
    newest, more = store.list_messages(people["ada"].pk, room.pk, None, 2)
    assert ([m.text for m in newest], more) == (["3", "4"], True)
    older, more = store.list_messages(people["ada"].pk, room.pk, newest[0].seq, 3)
    assert ([m.text for m in older], more) == (["0", "1", "2"], False)


def test_opening_a_long_conversation_costs_what_a_short_one_costs(
    people: dict[str, Any], room: Conversation, django_assert_num_queries: Any
) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=str(seq)) for seq in range(1, 1001)
    )
    with django_assert_num_queries(6):
        entered = store.read_snapshot(people["ada"].pk, room.pk)
    assert (len(entered.messages), entered.more) == (store.PAGE_SIZE, True)


def test_a_list_of_conversations_is_two_queries(people: dict[str, Any], django_assert_num_queries: Any) -> None:
    for _ in range(30):
        store.create_conversation(people["ada"])
    with django_assert_num_queries(2):
        assert len(store.list_conversations(people["ada"].pk)[0]) == 30


def test_a_conversation_needs_an_agent_that_exists(people: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="Choose one of: assistant"):
        store.create_conversation(people["ada"], agent="nobody")
