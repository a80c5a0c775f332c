"""Alternatives of an answer, and the continuation of an answer that was cut off."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from chat import engine, store
from chat.models import Conversation, Message, Participant, Run, Spending, ToolCall
from chat.protocol import objects
from chat.store import prompts

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post, refused
from ..support.upstream import text

Scenario = Callable[..., Any]


def again(user: Any, room: Conversation, message: objects.Message, *, continues: bool = False) -> store.StartedRun:
    run_id = store.request_run(user.pk, room.pk, message.id, HOST, continues=continues)
    started = store.start_run(run_id, HOST)
    assert started is not None
    return started


def shown(room: Conversation) -> list[str]:
    return [
        message.text
        for message in store.list_messages(room.participants.get(role="owner").user_id, room.pk, None, 50)[0]
    ]


def answered(finished: store.FinishedRun | None) -> objects.Message:
    assert finished is not None
    assert finished.message is not None
    return finished.message


def said(started: store.StartedRun) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in started.prompt]


def test_all_alternatives_are_kept_and_the_newest_is_shown(people: Any, room: Conversation) -> None:
    first = answered(end(begin(people["ada"], room), text="One"))
    assert first.alternatives == ()
    started = again(people["bob"], room, first)
    assert started.message.replaces == first.id, "while it is made, it stands in the place of the first"
    assert said(started) == [("user", "Hello")], "the model does not see what is made again"
    second = answered(end(started, text="Two"))
    third = answered(end(again(people["ada"], room, second), text="Three"))

    assert third.replaces is None
    assert third.alternatives == (first.id, second.id, third.id)
    assert shown(room) == ["Hello", "Three"]
    assert Message.objects.filter(role="assistant").count() == 3


def test_the_chosen_alternative_is_shown_to_everyone_and_sent_to_models(people: Any, room: Conversation) -> None:
    first = answered(end(begin(people["ada"], room), text="One"))
    second = answered(end(again(people["ada"], room, first), text="Two"))

    chosen = store.choose_alternative(people["bob"].pk, room.pk, first.id)

    assert (chosen.id, chosen.shown, chosen.alternatives) == (first.id, True, (first.id, second.id))
    assert shown(room) == ["Hello", "One"]
    assert said(begin(people["ada"], room, "And now?")) == [
        ("user", "Hello"),
        ("assistant", "One"),
        ("user", "And now?"),
    ]
    store.choose_alternative(people["ada"].pk, room.pk, second.id)
    assert shown(room) == ["Hello", "Two", "And now?", ""], "in the middle of a conversation, too"


def test_answers_to_the_old_text_of_a_question_cannot_be_chosen(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    first = answered(end(started, text="One"))
    answered(end(again(people["ada"], room, first), text="Two"))
    question = Message.objects.get(role="user")
    store.edit_message(people["ada"].pk, room.pk, question.pk, "Hello again", True, HOST)
    Run.objects.filter(status="queued").delete()

    with refused("conflict"):
        store.choose_alternative(people["ada"].pk, room.pk, first.id)
    assert shown(room) == ["Hello again"]


def test_only_alternatives_can_be_chosen_and_only_by_users_who_can_post(people: Any, room: Conversation) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    question = post(people["ada"], room).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    first = answered(end(started, text="One"))
    for message_id in (question.id, first.id):
        with refused("conflict"):
            store.choose_alternative(people["ada"].pk, room.pk, message_id)
    started = again(people["ada"], room, first)
    with refused("conflict"):
        store.choose_alternative(people["ada"].pk, room.pk, first.id)
    second = answered(end(started, "stopped", text="Two"))
    store.request_run(people["ada"].pk, room.pk, second.id, HOST, continues=True)
    with refused("conflict"):  # it is about to go on
        store.choose_alternative(people["ada"].pk, room.pk, first.id)
    Run.objects.filter(status="queued").delete()
    with refused("forbidden"):
        store.choose_alternative(people["eve"].pk, room.pk, first.id)
    elsewhere = store.create_conversation(people["bob"])
    for conversation_id in (elsewhere.id, room.pk):
        with refused("not_found"):
            store.choose_alternative(
                people["bob"].pk, conversation_id, uuid.uuid4() if conversation_id == room.pk else first.id
            )
    Participant.objects.get(user=people["eve"]).delete()
    with refused("not_found"):
        store.choose_alternative(people["eve"].pk, room.pk, first.id)


@pytest.mark.parametrize("status", ["stopped", "failed", "interrupted"])
def test_a_cut_off_answer_continues_from_its_text(people: Any, room: Conversation, status: str) -> None:
    begun = begin(people["ada"], room)
    cut = answered(end(begun, status, text="Once upon"))
    started = again(people["bob"], room, cut, continues=True)

    assert (started.message.text, started.message.replaces) == ("Once upon", cut.id)
    assert started.message.continues
    assert started.message.run is not None
    assert started.message.run.seq == 0, "its frames count from 1: they are appended to what is there"
    assert said(started) == [("user", "Hello"), ("assistant", "Once upon"), ("user", engine.CONTINUE_PROMPT)]
    whole = answered(end(started, text="Once upon a time"))
    assert (whole.text, whole.alternatives) == ("Once upon a time", ())
    assert shown(room) == ["Hello", "Once upon a time"]
    assert said(begin(people["ada"], room, "More"))[1] == ("assistant", "Once upon a time")


def test_an_answer_at_its_length_limit_can_be_continued_and_a_complete_one_cannot(
    people: Any, room: Conversation
) -> None:
    cut = answered(end(begin(people["ada"], room), text="Once upon", finish_reason="length"))
    assert cut.run is not None
    assert (cut.run.status, cut.run.cut_off) == ("completed", True)
    further = again(people["ada"], room, cut, continues=True)
    whole = answered(end(further, text="Once upon a time", finish_reason="stop"))
    assert whole.run is not None
    assert not whole.run.cut_off
    with refused("conflict"):
        store.request_run(people["ada"].pk, room.pk, whole.id, HOST, continues=True)


def test_a_continued_answer_can_be_continued_again_and_regenerated(people: Any, room: Conversation) -> None:
    cut = answered(end(begin(people["ada"], room), "stopped", text="Once"))
    longer = answered(end(again(people["ada"], room, cut, continues=True), "stopped", text="Once upon"))
    whole = answered(end(again(people["ada"], room, longer, continues=True), text="Once upon a time"))
    other = answered(end(again(people["ada"], room, whole), text="No."))
    assert other.alternatives == (whole.id, other.id), "what only began them is no alternative"
    assert not other.continues
    with refused("conflict"):
        store.choose_alternative(people["ada"].pk, room.pk, longer.id)


def test_a_continued_answer_has_the_usage_of_both_runs(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"PRICES": {"demo:tour": {"input": 1000, "output": 2000}}, "MODEL": "demo:tour"}
    known, estimate = engine.Usage(10, 20, 30), engine.Usage(10, 5, 15)
    cut = answered(end(begin(people["ada"], room), "stopped", charged_usage=estimate, estimated=True))
    assert cut.run is not None
    assert (cut.run.usage, cut.run.tokens, cut.run.cost) == (None, 5, Decimal("0.02"))
    started = again(people["ada"], room, cut, continues=True)
    middle = answered(end(started, finish_reason="length", usage=known, charged_usage=known))
    assert middle.run is not None
    assert (middle.run.usage, middle.run.tokens, middle.run.cost) == (known, 25, Decimal("0.07"))
    last = again(people["ada"], room, middle, continues=True)
    assert last.message.run is not None
    assert last.message.run.usage == known
    assert Spending.objects.aggregate(cost=Sum("cost"))["cost"] == Decimal("0.07"), "charged once"


def test_a_continued_alternative_keeps_its_place(people: Any, room: Conversation) -> None:
    first = answered(end(begin(people["ada"], room), "stopped", text="One"))
    second = answered(end(again(people["ada"], room, first), text="Two"))
    store.choose_alternative(people["ada"].pk, room.pk, first.id)
    with refused("conflict"):  # the second was made later, but is not shown
        store.request_run(people["ada"].pk, room.pk, second.id, HOST, continues=True)
    on = answered(end(again(people["ada"], room, first, continues=True), text="One more"))
    assert set(on.alternatives) == {second.id, on.id}
    assert store.choose_alternative(people["ada"].pk, room.pk, second.id).alternatives == on.alternatives
    assert shown(room) == ["Hello", "Two"]


def test_a_continued_answer_keeps_its_tool_calls(people: Any, room: Conversation) -> None:
    begun = begin(people["ada"], room)
    assert begun.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={}, status="done", result="found", decided_by=None)
    store.save_calls(begun.message.run.id, HOST, {"c1": call})
    parts = (objects.TextPart(2), objects.CallPart(call.id), objects.TextPart(3))
    cut = answered(end(begun, "stopped", written=store.Written(3, "I see", "", parts)))
    started = again(people["ada"], room, cut, continues=True)
    (copied,) = started.message.calls
    assert started.message.parts == (objects.TextPart(2), objects.CallPart(copied.id), objects.TextPart(3))
    assert [(c.name, c.result) for c in started.message.calls] == [("look_up", "found")]
    assert started.message.calls[0].id != call.id
    assert "c1" not in started.call_keys, "the model may use its id again"
    assert ToolCall.objects.count() == 2


def test_an_answer_that_failed_after_tool_calls_continues_after_their_results(people: Any, room: Conversation) -> None:
    turns = [
        engine.Message("assistant", "", tool_calls=(engine.ToolCall("c1", "look_up", {}, "{}"),)),
        engine.Message("tool", "found", name="look_up", call_id="c1"),
        engine.Message("assistant", "I see"),
    ]
    cut = answered(end(begin(people["ada"], room), "failed", text="I see", transcript=turns))
    started = again(people["ada"], room, cut, continues=True)
    assert [m.role for m in started.prompt] == ["user", "assistant", "tool", "assistant", "user"]
    end(started, text="I see it", transcript=[*started.transcript, engine.Message("assistant", " it")])
    kept = prompts.decode_transcript(Run.objects.select_related("message").get(continues=True))
    assert [m.role for m in kept] == ["assistant", "tool", "assistant", "user", "assistant"]


def test_only_the_last_cut_off_answer_can_be_continued(people: Any, room: Conversation) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    question = post(people["ada"], room).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None

    def ask(message_id: uuid.UUID | None, name: str = "ada") -> uuid.UUID:
        return store.request_run(people[name].pk, room.pk, message_id, HOST, continues=True)

    with refused("conflict"):
        ask(started.message.id)  # it is being made
    answer = answered(end(started, "completed", text="All of it"))
    with refused("conflict"):
        ask(answer.id)
    with refused("conflict"):
        ask(question.id)
    with refused("invalid"):
        ask(None)
    with refused("not_found"):
        ask(uuid.uuid4())
    with refused("forbidden"):
        ask(answer.id, "eve")


def test_an_empty_answer_is_continued_from_the_start(people: Any, room: Conversation) -> None:
    cut = answered(end(begin(people["ada"], room), "failed", text=""))
    assert said(again(people["ada"], room, cut, continues=True)) == [("user", "Hello")]


def test_a_stopped_demo_answer_continues_to_its_end(scenario: Scenario, people: Any, room: Conversation) -> None:
    """Stopped, continued, and the deltas appended: a reader has the same complete text as the database."""
    from chat.engine.providers import demo_script

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("code")
            await ada.until(lambda: len(ada.answer["text"]) > 20 if ada.of_type("run.started") else False)
            await ada.send("run.stop", run=ada.answer["run"]["id"])
            cut = (await ada.hear("run.finished"))["message"]
            assert 20 < len(cut["text"]) < len(demo_script._CODE)
            await ada.send("run.start", message=cut["id"], **{"continue": True})
            finished = await bob.hear("run.finished", 2)
            await ada.hear("run.finished", 2)
            assert bob.of_type("run.started")[1]["message"]["continues"]
            assert finished["status"] == "completed"
            assert finished["message"]["text"] == demo_script._CODE
            assert ada.transcript == bob.transcript == [("user", "code"), ("assistant", demo_script._CODE)]
            assert bob.healed == demo_script._CODE, "the old text and the deltas alone make the whole"
            assert bob.delta_chars == len(demo_script._CODE)

    scenario(talk)


def test_a_choice_is_published_to_everyone(
    scenario: Scenario, people: Any, room: Conversation, upstream: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOM_BASE_URL", f"{upstream.url}/v1")
    settings.NOUS_CHAT = {"MODEL": "custom:words@n=3"}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("Hello")
            first = (await ada.hear("run.finished"))["message"]
            settings.NOUS_CHAT = {"MODEL": "custom:words@n=5"}
            await ada.send("run.start", message=first["id"])
            second = (await ada.hear("run.finished", 2))["message"]
            assert second["alternatives"] == [first["id"], second["id"]]
            await bob.send("message.choose", message=first["id"], ref="1")
            assert (await bob.answered("1"))["message"] == first["id"]
            updated = await ada.hear("message.updated")
            assert (updated["message"]["id"], updated["message"]["shown"]) == (first["id"], True)
            assert ada.transcript == bob.transcript == [("user", "Hello"), ("assistant", text(3))]
            async with InProcess(people["bob"], room.pk) as late:
                assert late.transcript == ada.transcript

    scenario(talk)
