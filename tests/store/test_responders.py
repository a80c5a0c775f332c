"""When an agent answers, which one, and what each of several agents is sent."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import AsyncClient
from django.urls import reverse

from chat import engine, permissions, store
from chat.models import Conversation, Message, Participant, Run

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post, refused

Scenario = Callable[..., Any]

TWO = {"support": {"name": "Support", "model": "demo:tour"}, "poet": {"name": "The Poet", "model": "demo:tour"}}


@pytest.fixture
def room(people: dict[str, Any], settings: Any) -> Conversation:
    """Ada owns it, Bob is a member, Eve a viewer; it has two agents and the default settings."""
    settings.NOUS_CHAT = {"AGENTS": TWO}
    made = Conversation.objects.create(agent="support", other_agents=["poet"])
    for name, role in (("ada", "owner"), ("bob", "member"), ("eve", "viewer")):
        Participant.objects.create(conversation=made, user=people[name], role=role)
    return made


def asked(posted: store.Posted) -> str | None:
    """The agent whose run was queued."""
    return Run.objects.get(pk=posted.start).agent if posted.start else None


def finish(run_id: Any, text: str = "Hi", status: str = "completed") -> store.FinishedRun:
    started = store.start_run(run_id, HOST)
    assert started is not None
    finished = end(started, status, text)
    assert finished is not None
    return finished


def alone(room: Conversation) -> None:
    Participant.objects.filter(conversation=room, role="member").delete()


@pytest.mark.parametrize(
    ("answers", "single", "text", "agent"),
    [
        ("", False, "Hello", None),
        ("", True, "Hello", "support"),
        ("", False, "@support Hello", "support"),
        ("", False, "@the poet Hello", "poet"),
        ("", True, "@poet Hello", "poet"),
        ("mention", True, "Hello", None),
        ("always", False, "Hello", "support"),
        ("always", False, "@poet Hello", "poet"),
        ("off", True, "Hello", None),
        ("off", False, "@support Hello", None),
    ],
)
def test_settings_and_mentions_decide_which_agent_answers(
    people: Any, room: Conversation, answers: str, single: bool, text: str, agent: str | None
) -> None:
    Conversation.objects.filter(pk=room.pk).update(answers=answers)
    if single:
        alone(room)
    posted = post(people["ada"], room, text)
    assert asked(posted) == agent
    assert posted.message.text == text, "it is posted in any case"


def test_the_published_answers_setting_is_the_effective_one(people: Any, room: Conversation) -> None:
    assert store.read_snapshot(people["ada"].pk, room.pk).conversation.answers == "mention"
    listed = store.find_conversation(people["ada"].pk, room.pk)
    assert listed is not None
    assert listed.answers == "mention"
    assert [card.slug for card in listed.agents] == ["support", "poet"]
    assert listed.agent == listed.agents[0]
    alone(room)
    assert store.read_snapshot(people["ada"].pk, room.pk).conversation.answers == "always", (
        "a viewer is not one to talk to"
    )


def test_a_reply_to_an_answer_asks_its_agent(people: Any, room: Conversation) -> None:
    answer = finish(post(people["ada"], room, "@poet A line").start).message
    assert answer is not None
    assert asked(post(people["bob"], room, "Another", reply_to=answer.id)) == "poet"
    end_all()
    human = post(people["ada"], room, "Nice").message
    assert asked(post(people["bob"], room, "Yes", reply_to=human.id)) is None
    elsewhere = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    foreign = post(people["ada"], elsewhere, "Private").message
    with refused("not_found"):
        post(people["bob"], room, "And this?", reply_to=foreign.id)


def end_all() -> None:
    Run.objects.update(status="completed")


def test_an_agent_can_be_asked_by_its_slug(people: Any, room: Conversation) -> None:
    assert asked(post(people["ada"], room, "Hello", agent="poet")) == "poet"
    end_all()
    with refused("not_found"):
        post(people["ada"], room, "Hello", agent="stranger")
    run = store.request_run(people["ada"].pk, room.pk, None, HOST, "poet")
    assert Run.objects.get(pk=run).agent == "poet"
    end_all()
    Conversation.objects.filter(pk=room.pk).update(answers="off")
    for ask in (
        lambda: post(people["ada"], room, "Hello", agent="poet"),
        lambda: store.request_run(people["ada"].pk, room.pk, None, HOST),
    ):
        with refused("conflict"):
            ask()


def test_an_answer_is_regenerated_by_its_agent_or_by_another(people: Any, room: Conversation) -> None:
    first = finish(post(people["ada"], room, "@poet A line").start).message
    assert first is not None
    again = store.request_run(people["ada"].pk, room.pk, first.id, HOST)
    assert Run.objects.get(pk=again).agent == "poet"
    second = finish(again).message
    assert second is not None
    by_another = store.request_run(people["ada"].pk, room.pk, second.id, HOST, "support")
    assert Run.objects.get(pk=by_another).agent == "support"


class Quiet(permissions.Permissions):
    def can_ask_agent(self, participant: Participant, agent: str) -> bool:
        return participant.role == "owner" or agent == "poet"


def test_the_permissions_decide_who_can_ask_which_agent(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": TWO, "PERMISSIONS": f"{__name__}.Quiet"}
    posted = post(people["bob"], room, "@support Hello")
    assert (asked(posted), posted.message.text) == (None, "@support Hello")
    assert str(posted.refused) == "Your message is posted, but you can't ask Support."
    both = post(people["bob"], room, "@support or @poet")
    assert (asked(both), str(both.refused)) == ("poet", str(posted.refused)), "the other one answers"
    end_all()
    said = post(people["ada"], room, "@support Hi")
    answer = finish(said.start).message
    assert answer is not None
    assert post(people["bob"], room, "Why?", reply_to=answer.id).refused is not None
    Conversation.objects.filter(pk=room.pk).update(answers="always")
    unasked = post(people["bob"], room, "Lunch, anybody?")
    assert (asked(unasked), unasked.refused) == (None, None), "the message did not ask it"
    with refused("forbidden"):
        store.edit_message(people["bob"].pk, room.pk, unasked.message.id, "@support Lunch?", True, HOST)
    with refused("forbidden"):
        post(people["bob"], room, "Hello", agent="support")
    with refused("forbidden"):
        store.request_run(people["bob"].pk, room.pk, None, HOST)
    assert asked(post(people["ada"], room, "@support Hello")) == "support"


def test_a_user_who_may_not_ask_an_agent_is_told_and_the_message_is_kept(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": TWO, "PERMISSIONS": f"{__name__}.Quiet"}

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            await bob.say("@support Hello", ref="x")
            assert (await bob.answered("x"))["type"] == "ack"
            told = await bob.hear("error")
            assert (told["ref"], told["code"]) == ("x", "forbidden")
            assert "Support" in told["message"]
            assert (await bob.hear("message.created"))["message"]["text"] == "@support Hello"
            await bob.say("Lunch?", ref="y")
            await bob.hear("message.created", 2)
            assert len(bob.of_type("error")) == 1

            mine = bob.of_type("message.created")[-1]["message"]["id"]
            await bob.send("message.edit", message=mine, text="@support or @poet", resend=True, ref="z")
            assert (await bob.answered("z"))["type"] == "ack"
            await bob.hear("run.finished")
            assert [error["ref"] for error in bob.of_type("error")] == ["x", "z"], "the other one answers"

    scenario(talk)


def test_a_user_without_javascript_is_told_why_an_agent_does_not_answer(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": TWO, "PERMISSIONS": f"{__name__}.Quiet"}

    async def talk() -> Any:
        client = AsyncClient()
        await client.aforce_login(people["bob"])
        return await client.post(reverse("nous_chat:say", args=[room.pk]), {"text": "@support Hello"})

    answer = scenario(talk)
    assert (answer.status_code, Message.objects.get().text) == (200, "@support Hello")
    assert b"ask Support." in answer.content


# --- During a run


def test_several_waiting_messages_get_one_answer(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "@support One")
    for number in range(3):
        posted = post(people["bob"], room, f"@support and {number}")
        assert (posted.start, posted.stop) == (None, None), "another's run is not interrupted"
    finished = end(started)
    assert finished is not None
    assert finished.next is not None
    assert Run.objects.get(pk=finished.next).launched_by == people["bob"]
    assert finish(finished.next).next is None
    assert Run.objects.count() == 2


def test_a_message_that_asks_no_agent_neither_interrupts_nor_waits(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "@support One")
    posted = post(people["ada"], room, "Bob, look at this", mode="interrupt")
    assert (posted.start, posted.stop) == (None, None)
    finished = end(started)
    assert finished is not None
    assert finished.next is None


def test_two_mentioned_agents_answer_one_after_the_other(people: Any, room: Conversation) -> None:
    posted = post(people["ada"], room, "@poet and @support, what do you say?")
    assert asked(posted) == "poet"
    first = finish(posted.start)
    assert first.next is not None
    assert Run.objects.get(pk=first.next).agent == "support"
    assert finish(first.next).next is None, "and an agent's message asks nobody"


def test_resending_a_message_to_two_agents_asks_both_again(people: Any, room: Conversation) -> None:
    posted = post(people["ada"], room, "@poet and @support, tea?")
    first = finish(posted.start)
    assert first.next is not None
    finish(first.next)
    text = "@poet and @support, coffee?"
    edited = store.edit_message(people["ada"].pk, room.pk, posted.message.id, text, True, HOST)
    assert len(edited.hidden) == 2
    again = finish(edited.start)
    assert again.next is not None
    assert Run.objects.get(pk=again.next).agent == "support"
    assert finish(again.next).next is None


def test_asking_another_agent_does_not_interrupt_the_active_run(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "@support One")
    assert post(people["ada"], room, "@poet Two").stop is None
    assert post(people["ada"], room, "@support Three").stop == started.message.run.id  # type: ignore[union-attr]
    finished = end(started, "stopped")
    assert finished is not None
    order = []
    following = finished.next
    while following:
        order.append(Run.objects.get(pk=following).agent)
        following = finish(following).next
    assert order == ["poet", "support"], "each that was asked, in the order in which they were"


def test_mentions_in_answers_ask_no_agent(people: Any, room: Conversation) -> None:
    Conversation.objects.filter(pk=room.pk).update(answers="always")
    finished = finish(post(people["ada"], room, "@support go").start, text="@poet and @assistant: your turn!")
    assert finished.next is None
    assert Run.objects.count() == 1


def test_a_waiting_user_who_may_no_longer_ask_gets_no_answer(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "@support One")
    post(people["bob"], room, "@support Two")
    Participant.objects.filter(user=people["bob"]).update(role="viewer")
    finished = end(started)
    assert finished is not None
    assert finished.next is None
    room.refresh_from_db()
    assert room.waiting == []


def test_a_waiting_agent_that_was_removed_does_not_answer(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "@support One")
    post(people["bob"], room, "@poet Two")
    Conversation.objects.filter(pk=room.pk).update(other_agents=[])
    finished = end(started)
    assert finished is not None
    assert finished.next is None


# --- Prompts


def test_each_agent_sees_only_its_own_answers_as_the_assistants(people: Any, room: Conversation) -> None:
    finish(post(people["ada"], room, "@support Which tyre?").start, text="28 inch.")
    store.add_participant(people["ada"].pk, room.pk, _newcomer("zoe"), "member")
    post(people["bob"], room, "Thanks!")
    run = post(people["bob"], room, "@poet Praise it").start
    assert run is not None
    poets = store.start_run(run, HOST)
    assert poets is not None
    assert poets.prompt == [
        engine.Message("user", "@support Which tyre?", name="ada"),
        engine.Message("user", "28 inch.", name="Support"),
        engine.Message("user", "Thanks!", name="bob"),
        engine.Message("user", "@poet Praise it", name="bob"),
    ]
    end(poets, text="O tyre!")
    supports = begin(people["ada"], room, "@support And?")
    assert [(turn.role, turn.name) for turn in supports.prompt] == [
        ("user", "ada"),
        ("assistant", None),
        ("user", "bob"),
        ("user", "bob"),
        ("user", "The Poet"),
        ("user", "ada"),
    ]


def _newcomer(name: str) -> str:
    from django.contrib.auth import get_user_model

    return str(get_user_model().objects.create_user(name).username)


def test_a_prompt_of_one_user_and_one_agent_has_no_names(people: Any, room: Conversation) -> None:
    alone(room)
    finish(post(people["ada"], room, "One").start)
    assert [turn.name for turn in begin(people["ada"], room, "Two").prompt] == [None, None, None]


def test_an_agent_does_not_see_the_tool_calls_of_another(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "@support One")
    call = engine.ToolCall("c1", "look_up", {}, "{}")
    turns = [
        engine.Message("assistant", "", tool_calls=(call,)),
        engine.Message("tool", "secret", name="look_up", call_id="c1"),
        engine.Message("assistant", "It is there."),
    ]
    end(started, text="It is there.", transcript=turns)
    prompt = begin(people["ada"], room, "@poet Two").prompt
    assert [(turn.role, turn.text) for turn in prompt] == [
        ("user", "@support One"),
        ("user", "It is there."),
        ("user", "@poet Two"),
    ]


class Recorder:
    """A custom agent that records what it is sent."""

    def __init__(self, says: str) -> None:
        self.says, self.sent = says, list[list[engine.Message]]()

    async def run_stream(self, messages: Any, *, context: Any) -> Any:
        self.sent.append(list(messages))
        yield engine.TextDelta(self.says)
        yield engine.Finish(engine.Result(text=self.says))


first, second = Recorder("From the first."), Recorder("From the second.")


def test_two_agents_answer_in_one_conversation_over_sockets(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {
        "AGENTS": {
            "support": {"name": "Support", "agent": f"{__name__}.first"},
            "poet": {"name": "The Poet", "agent": f"{__name__}.second"},
        }
    }

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Good morning, Bob")
            await bob.hear("message.created")
            await bob.say("@support, then @poet: good morning?")
            for peer in (ada, bob):
                await peer.hear("run.finished", 2)
                assert [end["message"]["run"]["agent"]["name"] for end in peer.finished] == ["Support", "The Poet"]
                assert [end["message"]["text"] for end in peer.finished] == [first.says, second.says]
            reply_to = bob.finished[0]["message"]["id"]
            await ada.say("How so?", reply_to=reply_to)
            finished = await bob.hear("run.finished", 3)
            assert finished["message"]["run"]["agent"]["slug"] == "support"
            created = bob.of_type("message.created")[-1]["message"]
            assert created["reply_to"] == reply_to

    scenario(talk)
    assert [turn.name for turn in second.sent[0]] == ["ada", "bob", "Support"]
    assert Message.objects.filter(role="assistant").count() == 3


def test_adjacent_user_turns_are_merged_for_wires_that_need_alternating_roles(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chat.engine.limits import Limits
    from chat.engine.providers import provider_for
    from chat.engine.providers.provider import Request

    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")
    finish(post(people["ada"], room, "@support One").start, text="From support.")
    started = begin(people["bob"], room, "@poet Two")
    wire: Any = provider_for("anthropic:m")
    body = json.dumps(wire.request_body(Request(tuple(started.prompt), "", Limits())))
    assert body.count('"role": "user"') == 1
    assert "Support: From support." in body
