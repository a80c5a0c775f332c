"""Conversations: created, listed, opened, read in pages, and refused to strangers."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from chat import store
from chat.models import Conversation, Message, Participant, Run
from chat.protocol.errors import Refused
from chat.store import inspections, pricing, stored_budgets

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, post, refused

Scenario = Callable[..., Any]

pytestmark = pytest.mark.django_db


def test_a_message_updates_each_list_with_its_users_own_state(
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


def test_strangers_and_nonexistent_conversations_get_the_same_answer_over_http(
    client: Client, people: Any, room: Any
) -> None:
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


def test_a_list_of_500_conversations_costs_as_many_queries_as_one_of_50(
    client: Client, people: Any, django_assert_num_queries: Any
) -> None:
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


def test_pinned_conversations_come_first_in_lists(people: Any) -> None:
    ids = [store.create_conversation(people["ada"]).id for _ in range(3)]
    store.change_conversation(people["ada"].pk, ids[0], store.ConversationChanges(pinned=True))
    listed, _ = store.list_conversations(people["ada"].pk)
    assert [each.id for each in listed] == [ids[0], ids[2], ids[1]]
    rest, _ = store.list_conversations(people["ada"].pk, timezone.now())
    assert [each.id for each in rest] == [ids[2], ids[1]]


def test_a_conversation_of_10_000_messages_costs_as_many_queries_as_one_of_50(
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
        with django_assert_num_queries(8):
            entered = store.read_snapshot(people["ada"].pk, room.pk)
        assert (len(entered.messages), entered.more) == (store.PAGE_SIZE, True)
        with django_assert_num_queries(5):
            store.list_messages(people["ada"].pk, room.pk, number // 2, 50)
        begun = Run.objects.create(conversation=room, agent="assistant", host=HOST)
        # A process reads them every few seconds.
        for kept in (stored_budgets.stored_budgets, pricing.stored_prices, inspections.inspections):
            kept.get()
        with django_assert_num_queries(12):
            started = store.start_run(begun.pk, HOST)
        assert started is not None
        assert started.prompt[-1].text == f"Message {number}"


def test_the_page_without_javascript_shows_a_queued_answer(client: Client, people: Any, room: Conversation) -> None:
    post(people["ada"], room)
    client.force_login(people["ada"])
    assert "The answer is being written" in client.get(f"/chat/{room.pk}/").content.decode()


def test_strangers_and_nonexistent_conversations_get_the_same_refusal(
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
        lambda: store.get_conversation(people["eve"].pk, room.pk),
        lambda: post(people["eve"], room),
        lambda: store.request_run(people["eve"].pk, room.pk, None, HOST),
        lambda: store.request_stop(people["eve"].pk, room.pk, uuid.uuid4()),
    ):
        with refused("not_found"):
            ask()


def test_a_deactivated_person_sees_nothing(people: dict[str, Any], room: Conversation) -> None:
    people["ada"].is_active = False
    people["ada"].save()
    for read in (store.read_snapshot, store.get_conversation):
        with refused("not_found"):
            read(people["ada"].pk, room.pk)


def test_a_conversation_is_read_with_its_membership(
    people: dict[str, Any], room: Conversation, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        store.get_conversation(people["ada"].pk, room.pk)


def test_a_viewer_can_only_read(people: dict[str, Any], room: Conversation) -> None:
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


def test_history_comes_in_pages_from_the_newest(people: dict[str, Any], room: Conversation) -> None:
    for number in range(5):
        post(people["ada"], room, str(number))
    newest, more = store.list_messages(people["ada"].pk, room.pk, None, 2)
    assert ([m.text for m in newest], more) == (["3", "4"], True)
    older, more = store.list_messages(people["ada"].pk, room.pk, newest[0].seq, 3)
    assert ([m.text for m in older], more) == (["0", "1", "2"], False)


def test_a_page_of_very_long_messages_holds_fewer(
    people: dict[str, Any], room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.pages.MAX_PAGE_CHARS", 100)
    for length in (30, 60, 50, 40, 200):
        post(people["ada"], room, "x" * length)
    lengths, before, more = [], None, True
    while more:
        page, more = store.list_messages(people["ada"].pk, room.pk, before, 50)
        lengths.append([len(message.text) for message in page])
        before = page[0].seq
    assert lengths == [[200], [50, 40], [30, 60]]


def test_a_message_that_comes_in_while_a_page_is_read_pushes_out_no_other(
    people: dict[str, Any], room: Conversation
) -> None:
    for text in ("one", "two", "three"):
        post(people["ada"], room, text)
    late: list[str] = []

    def meanwhile(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "LENGTH" in sql and not late:
            late.append("four")
            post(people["ada"], room, "four")
        return result

    with connection.execute_wrapper(meanwhile):
        page, more = store.list_messages(people["ada"].pk, room.pk, None, 50)
    assert [message.text for message in page] == ["one", "two", "three"]
    assert late
    assert not more


def test_opening_a_long_conversation_costs_as_many_queries_as_a_short_one(
    people: dict[str, Any], room: Conversation, django_assert_num_queries: Any
) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=str(seq)) for seq in range(1, 1001)
    )
    with django_assert_num_queries(6):
        entered = store.read_snapshot(people["ada"].pk, room.pk)
    assert (len(entered.messages), entered.more) == (store.PAGE_SIZE, True)


def test_a_list_of_conversations_takes_two_queries(people: dict[str, Any], django_assert_num_queries: Any) -> None:
    for _ in range(30):
        store.create_conversation(people["ada"])
    with django_assert_num_queries(2):
        assert len(store.list_conversations(people["ada"].pk)[0]) == 30


def test_a_conversation_needs_an_existing_agent(people: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="Choose one of: assistant"):
        store.create_conversation(people["ada"], agent="nobody")
