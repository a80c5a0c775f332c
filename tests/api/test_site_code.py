"""What the site's own code says and asks: who may, what is stored, and when it is published."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

import chat
from chat import store
from chat.models import Conversation, Message, Run

from ..support.client import InProcess
from ..support.store_helpers import begin, end, post, refused, state_of

Scenario = Callable[..., Any]

pytestmark = pytest.mark.django_db


def test_it_says_something_as_a_user_an_agent_or_the_site(people: Any, room: Conversation) -> None:
    said = [
        chat.say(room, "By Ada", people["ada"]),
        chat.say(room.pk, "By the agent", agent="assistant"),
        chat.say(store.get_conversation(people["ada"].pk, room.pk), "By the site", system=True),
    ]
    assert [(each.seq, each.role, each.text) for each in said] == [
        (1, "user", "By Ada"),
        (2, "assistant", "By the agent"),
        (3, "system", "By the site"),
    ]
    assert said[0].author is not None
    assert said[1].run is not None
    assert (said[0].author.name, said[1].run.agent.slug, said[1].run.status) == ("ada", "assistant", "completed")
    assert not Run.objects.filter(status__in=Run.ACTIVE).exists(), "nobody answers"
    assert state_of(people["bob"], room).unread == 2, "a note counts as read"
    found = store.search_conversations(people["bob"].pk, "agent", None).results
    assert [each.message and each.message.seq for each in found] == [2]


def test_an_agent_reads_its_message_as_its_own(people: Any, room: Conversation) -> None:
    chat.say(room, "Your order is packed.", agent="assistant")
    started = begin(people["ada"], room, "When?")
    assert [(each.role, each.text) for each in started.prompt] == [
        ("assistant", "Your order is packed."),
        ("user", "When?"),
    ]
    end(started)


def test_a_user_is_bound_by_the_same_rules_as_on_the_page(people: Any, room: Conversation) -> None:
    room.participants.filter(user=people["bob"]).update(role="viewer")
    for work in (chat.say, chat.ask):
        with refused("forbidden"):
            work(room, "Hello", people["bob"])
        with refused("not_found"):
            work(room, "Hello", people["eve"])
        with refused("empty"):
            work(room, " ", people["ada"])
        with refused("not_found"):
            work(uuid.uuid4(), "Hello", people["ada"])
    Conversation.objects.filter(pk=room.pk).update(answers="off")
    with refused("conflict"):
        chat.ask(room, "Hello", people["ada"])
    assert not Message.objects.exists()


def test_a_mistake_of_the_caller_is_an_error(people: Any, room: Conversation) -> None:
    for given in ({}, {"user": people["ada"], "system": True}, {"agent": "assistant", "system": True}):
        with pytest.raises(ValueError, match="one of"):
            chat.say(room, "Hello", **given)
    with pytest.raises(LookupError, match="nobody"):
        chat.say(room, "Hello", agent="nobody")
    for given in ({"agent": "assistant"}, {"system": True}):
        with refused("not_found"):
            chat.say(uuid.uuid4(), "Hello", **given)
        with refused("empty"):
            chat.say(room, "", **given)


def test_what_it_asks_waits_for_a_process_that_answers(people: Any, room: Conversation) -> None:
    asked = chat.ask(room, "Hello", people["ada"])
    assert asked.run is not None
    run = Run.objects.get(pk=asked.run)
    assert (run.status, run.host, run.unattended, run.launched_by) == ("queued", "", True, people["ada"])
    waiting = chat.ask(room, "And?", people["bob"])
    assert waiting.run is None, "it follows the first answer"
    assert store.adopt_runs("here", 10, set()) == [(run.pk, room.pk, True, False)], "though nobody reads it"


def test_a_run_of_a_page_is_not_adopted_where_nobody_reads_it(people: Any, room: Conversation) -> None:
    post(people["ada"], room, host="")
    assert store.adopt_runs("here", 10, set()) == []
    assert len(store.adopt_runs("here", 10, {room.pk})) == 1


def test_open_pages_see_it_after_the_commit_and_an_answer_is_made(
    scenario: Scenario, people: Any, room: Conversation, model: Any, django_capture_on_commit_callbacks: Any
) -> None:
    model("words@n=3")

    def work() -> None:
        with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
            chat.say(room, "Packed", system=True)
            chat.ask(room, "Hello", people["ada"])

    def fail() -> None:
        with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError), transaction.atomic():
            chat.say(room, "Never", system=True)
            1 / 0  # noqa: B018

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            await bob.hear("snapshot")
            await sync_to_async(fail)()
            await sync_to_async(work)()
            finished = await bob.hear("run.finished")
            assert finished["message"]["run"]["status"] == "completed"
            said = {each["message"]["text"] for each in bob.of_type("message.created")}
            assert said == {"Packed", "Hello"}

    scenario(talk)


def test_an_answer_that_nobody_reads_is_made_to_its_end(
    scenario: Scenario, people: Any, room: Conversation, model: Any, settings: Any
) -> None:
    model("words@n=40,delay=5", DISCONNECT_GRACE=0.01)

    async def talk() -> None:
        async with InProcess(people["ada"]) as inbox:  # opens this process
            await inbox.hear("snapshot")
            async with InProcess(people["bob"], room.pk) as bob:
                await chat.aask(room, "Hello", people["ada"])
                await chat.asay(room, "Soon", agent="assistant")
                await bob.hear("run.delta")
            run = None
            while run is None or run.status in Run.ACTIVE:
                run = await Run.objects.aget(conversation=room, launched_by=people["ada"])
            assert run.status == "completed"

    scenario(talk)
