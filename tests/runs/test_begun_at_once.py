"""A message and the answer that begins with it: one unit of work, and an end that is made without reading it again."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from chat import store
from chat.models import Conversation, Message, Participant, Run
from chat.node import node
from chat.runs.run_queue import RunQueue

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post, run_row

Scenario = Callable[..., Any]


@pytest.fixture
def clerk_room(people: dict[str, Any], settings: Any) -> Conversation:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.sites.clerk.agent"}}}
    made = Conversation.objects.create(agent="clerk", answers="always")
    Participant.objects.create(conversation=made, user=people["ada"], role="owner")
    return made


def test_the_end_that_readers_get_is_what_is_stored(scenario: Scenario, people: Any, clerk_room: Conversation) -> None:
    """With tool calls that succeed, fail, and are approved; retried, as an alternative; and failed."""

    async def talk() -> None:
        async with InProcess(people["ada"], clerk_room.pk) as ada:
            await ada.say("name order missing")
            first = await ada.hear("run.finished")
            await ada.send("run.start", message=first["message"]["id"])
            await ada.hear("run.finished", 2)
            await ada.say("broken refund")
            state = await ada.hear("run.state")
            call = next(call for call in state["message"]["calls"] if call["status"] == "awaiting_approval")
            await ada.send("tool.decide", call=call["id"], decision="approve")
            await ada.hear("run.finished", 3)
            heard = [frame["message"] for frame in ada.of_type("run.finished")]
            async with InProcess(people["ada"], clerk_room.pk) as late:
                stored = late.messages
            for answer in heard[1:]:
                assert answer == stored[answer["id"]]
            assert len(heard[1]["alternatives"]) == 2
            assert {call["status"] for call in heard[2]["calls"]} == {"failed", "done"}

    scenario(talk)


def test_a_run_knows_when_its_first_token_came(scenario: Scenario, people: Any, clerk_room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], clerk_room.pk) as ada:
            await ada.say("name")
            await ada.hear("run.finished")

    scenario(talk)
    run = Run.objects.get()
    assert run.started_at is not None
    assert run.first_token_at is not None
    assert run.finished_at is not None
    assert run.started_at <= run.first_token_at <= run.finished_at


def test_the_answer_runs_when_the_message_is_stored(people: Any, room: Conversation) -> None:
    key = uuid4()
    posted = post(people["ada"], room, run_id=key)
    assert posted.start == key
    assert posted.started is not None
    run = Run.objects.get(pk=key)
    assert (run.status, run.host, run.message_id) == ("running", HOST, posted.started.message.id)
    assert run.started_at is not None
    assert [message.text for message in posted.started.prompt] == ["Hello"]
    finished = end(posted.started, answer=posted.started.message)
    assert finished is not None
    assert finished.run.status == "completed"


def test_the_prompt_holds_what_was_said_before(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room, "One"))
    started = post(people["bob"], room, "@assistant Two", run_id=uuid4()).started
    assert started is not None
    assert [(message.role, message.text) for message in started.prompt] == [
        ("user", "One"),
        ("assistant", "Hi"),
        ("user", "@assistant Two"),
    ]


@pytest.mark.parametrize("why", ["nobody is asked", "an answer is in progress", "too many"])
def test_no_answer_begins_at_once_if(why: str, people: Any, room: Conversation, settings: Any) -> None:
    if why == "nobody is asked":
        Conversation.objects.filter(pk=room.pk).update(answers="off")
    elif why == "an answer is in progress":
        begin(people["bob"], room, "@assistant Hello")
    else:
        settings.NOUS_CHAT = {"MAX_RUNS_PER_USER": 1}
        elsewhere = store.create_conversation(people["ada"])
        assert post(people["ada"], Conversation.objects.get(pk=elsewhere.id), run_id=uuid4()).started is not None
    key = uuid4()
    posted = post(people["ada"], room, run_id=key)
    assert posted.started is None
    assert not Run.objects.filter(pk=key).exists()
    if why == "too many":
        assert run_row(posted.start).status == "queued"


def test_a_message_without_an_answer_gives_its_slot_back(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"MAX_RUNS": 1}
    Conversation.objects.filter(pk=room.pk).update(answers="mention")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            for number in (1, 2):
                await ada.say("Hello all")
                await ada.hear("message.created", number)
            await ada.say("@assistant Hello")
            await ada.hear("run.finished")
            assert not ada.of_type("run.queued")

    scenario(talk)


@pytest.mark.parametrize("too_late", [True, False])
def test_an_answer_that_begins_during_a_shutdown_has_as_long_as_the_others(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch, too_late: bool
) -> None:
    """The node begins to drain while the message is being stored; if it is `too_late`, the others are interrupted."""
    original = store.post_message

    async def talk() -> None:
        here = node.current()

        def post_and_drain(*args: Any, **kwargs: Any) -> store.Posted:
            posted = original(*args, **kwargs)
            here.process.draining = True
            if too_late:
                here.supervisor.interrupt_all()
            return posted

        monkeypatch.setattr(store, "post_message", post_and_drain)
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            if too_late:
                assert (finished["status"], finished["error"]["code"]) == ("interrupted", "shutdown")
            else:
                assert finished["status"] == "completed"

    scenario(talk)
    assert Message.objects.filter(role="user").count() == 1


def test_a_claimed_slot_is_taken_until_it_is_left(settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_RUNS": 1}

    async def check() -> None:
        queue, first, second = RunQueue(), uuid4(), uuid4()
        assert queue.claim(first)
        assert not queue.claim(second)
        turn = queue.enter(second)
        assert not turn.done()
        queue.leave(first)
        assert turn.result() is True
        queue.close()
        queue.leave(second)
        assert not queue.claim(first)

    asyncio.run(check())
