"""Messages posted, and the runs that they queue, interrupt or wait for."""

import uuid
from typing import Any

import pytest

from chat import store
from chat.models import Conversation, Message, Run
from chat.protocol import objects
from chat.protocol.errors import Refused

from ..support.store_helpers import begin, end, post, refused, run_row

pytestmark = pytest.mark.django_db


def test_a_message_queues_a_run_and_titles_the_conversation(people: dict[str, Any], room: Conversation) -> None:
    posted = post(
        people["ada"],
        room,
        "  What is   a\nmonad, and why does everybody keep writing tutorials about it all the time?",
    )
    assert posted.message.seq == 1
    assert posted.message.author == objects.Person.of(people["ada"])
    assert run_row(posted.start).status == "queued"
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


def test_two_users_can_use_the_same_client_id(people: dict[str, Any], room: Conversation) -> None:
    client_id = uuid.uuid4()
    post(people["ada"], room, client_id=client_id)
    assert not post(people["bob"], room, client_id=client_id).repeated


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u2003"])
def test_an_empty_message_is_refused(people: dict[str, Any], room: Conversation, text: str) -> None:
    with refused("empty"):
        post(people["ada"], room, text)


def test_a_long_message_is_refused_with_the_limit_and_its_length(
    people: dict[str, Any], room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"MAX_MESSAGE_CHARS": 10}
    assert post(people["ada"], room, "x" * 10)
    with pytest.raises(Refused, match=r"up to 10 characters. This one has 11"):
        post(people["ada"], room, "x" * 11)


def test_a_nul_character_does_not_break_the_database(people: dict[str, Any], room: Conversation) -> None:
    assert post(people["ada"], room, "a\x00b").message.text == "a\N{REPLACEMENT CHARACTER}b"


def test_a_message_interrupts_its_authors_own_run_and_is_answered_next(
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
def test_a_message_or_a_conversation_can_choose_queue_mode(
    people: dict[str, Any], room: Conversation, mode: str | None, room_mode: str
) -> None:
    Conversation.objects.update(mode=room_mode)
    begin(people["ada"], room)
    assert post(people["ada"], room, "Later", mode=mode).stop is None


def test_a_member_cannot_interrupt_the_run_of_another_user(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    assert post(people["bob"], room, "Now!", mode="interrupt").stop is None


def test_a_process_at_capacity_accepts_messages_that_need_no_run(people: dict[str, Any], room: Conversation) -> None:
    begin(people["ada"], room)
    assert post(people["bob"], room, "Later", host=None).start is None
