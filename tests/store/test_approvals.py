"""Approvals of tool calls: who decides, that one decision counts, who is told, and expiry."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chat import engine, permissions, store
from chat.models import Conversation, Participant, Run, ToolCall
from chat.node import node
from chat.protocol import commands
from chat.store import executor

from ..sites import clerk
from ..support.client import InProcess
from ..support.store_helpers import HOST, end, post, refused

Scenario = Callable[..., Any]


@pytest.fixture
def room(people: dict[str, Any], settings: Any) -> Conversation:
    """Ada owns it, Bob is a member, Eve a viewer; the clerk refunds only what somebody approves."""
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.sites.clerk.agent"}}}
    made = Conversation.objects.create(agent="clerk", answers="always")
    for name, role in (("ada", "owner"), ("bob", "member"), ("eve", "viewer")):
        Participant.objects.create(conversation=made, user=people[name], role=role)
    return made


@pytest.fixture
def waiting(scenario: Scenario, people: Any, room: Conversation) -> dict[str, Any]:
    """A pending call of a run that Bob launched."""

    async def talk() -> dict[str, Any]:
        async with InProcess(people["bob"], room.pk) as bob:
            await bob.say("refund")
            state = await bob.hear("run.state")
            call: dict[str, Any] = state["message"]["calls"][0]
            return call

    call: dict[str, Any] = scenario(talk)
    return call


def test_a_pending_call_has_its_arguments_and_expiry_and_no_decision(waiting: dict[str, Any]) -> None:
    assert (waiting["name"], waiting["status"]) == ("refund", "awaiting_approval")
    assert waiting["arguments"] == {"order": 7, "amount": 5.0}
    assert waiting["expires_at"] is not None
    assert [waiting[name] for name in ("decided_by", "decided_at", "reason", "changed")] == [None, None, "", False]


def test_lists_show_whether_a_run_awaits_approval(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    async def talk() -> None:
        async with InProcess(people["eve"]) as inbox, InProcess(people["bob"], room.pk) as bob:
            (listed,) = inbox.events[0]["conversations"]
            assert (listed["running"], listed["awaiting_approval"]) == (True, True)
            assert bob.events[0]["conversation"]["awaiting_approval"] is True

            def told() -> list[tuple[bool, bool]]:
                updates = [update["conversation"] for update in inbox.of_type("conversation.updated")]
                return [(listed["running"], listed["awaiting_approval"]) for listed in updates]

            await bob.send("tool.decide", call=waiting["id"], decision="reject")
            await bob.hear("run.finished")
            await inbox.until(lambda: (False, False) in told())
            await bob.say("refund")
            await inbox.until(lambda: (True, True) in told())

    scenario(talk)


def test_lists_are_told_when_a_run_is_resumed(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any], settings: Any
) -> None:
    settings.NOUS_CHAT |= {"MAX_RUNS": 0}

    async def talk() -> None:
        async with InProcess(people["eve"]) as inbox, InProcess(people["bob"], room.pk) as bob:
            await bob.send("tool.decide", call=waiting["id"], decision="approve")
            await inbox.until(lambda: inbox.of_type("conversation.updated"))
            told = inbox.of_type("conversation.updated")[0]["conversation"]
            assert (told["running"], told["awaiting_approval"]) == (True, False)

    scenario(talk)


@pytest.mark.parametrize(("who", "may"), [("bob", True), ("ada", True), ("eve", False)])
def test_the_launcher_and_owners_can_decide_and_viewers_cannot(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any], who: str, may: bool
) -> None:
    async def talk() -> None:
        async with InProcess(people[who], room.pk) as peer:
            await peer.send("tool.decide", call=waiting["id"], decision="reject", ref="x")
            answer = await peer.answered("x")
            assert (answer["type"] == "ack") is may
            assert may or answer["code"] == "forbidden"
            if may:
                await peer.hear("run.finished")

    scenario(talk)


def test_a_launcher_who_is_a_viewer_by_now_cannot_decide(
    people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    Participant.objects.filter(user=people["bob"]).update(role="viewer")
    asked = commands.ToolDecide(
        call=uuid.UUID(waiting["id"]), decision="approve", arguments={"order": 8, "amount": 900}
    )
    with refused("forbidden"):
        store.decide_call(people["bob"].pk, room.pk, asked, HOST)


def test_a_fork_does_not_let_its_owner_decide_on_pending_calls(
    people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    """They would own the copy, and the tool would run for Bob."""
    Participant.objects.filter(user=people["eve"]).update(role="member")
    after = post(people["eve"], room, "And I?", mode="queue").message
    with refused("conflict"):
        store.fork_conversation(people["eve"].pk, room.pk, after.id)
    assert ToolCall.objects.count() == 1


class TwoPairsOfEyes(permissions.Permissions):
    """The launcher must not approve."""

    def can_decide(self, participant: Participant, run: Run) -> bool:
        return super().can_decide(participant, run) and run.launched_by_id != participant.user_id


def test_a_site_can_require_a_decision_by_a_second_person(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any], settings: Any
) -> None:
    settings.NOUS_CHAT |= {"PERMISSIONS": f"{__name__}.TwoPairsOfEyes"}

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob, InProcess(people["ada"], room.pk) as ada:
            await bob.send("tool.decide", call=waiting["id"], decision="approve", ref="x")
            assert (await bob.answered("x"))["code"] == "forbidden"
            await ada.send("tool.decide", call=waiting["id"], decision="approve", ref="x")
            assert (await ada.answered("x"))["type"] == "ack"
            await bob.hear("run.finished")

    scenario(talk)


def test_an_answer_that_is_stopped_after_an_approval_continues_from_its_text(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    decision = commands.ToolDecide(call=uuid.UUID(waiting["id"]), decision="approve")
    decided = store.decide_call(people["bob"].pk, room.pk, decision, HOST)
    resumed = store.start_run(decided.run, HOST)
    assert resumed is not None
    stopped = end(resumed, "stopped", text="Let me see. \n\nResult: refu")
    assert stopped is not None
    assert stopped.message is not None
    again = store.request_run(people["bob"].pk, room.pk, stopped.message.id, HOST, continues=True)
    started = store.start_run(again, HOST)
    assert started is not None
    assert started.decisions is None, "they were made"
    assert [(m.role, m.text) for m in started.prompt[-2:]] == [
        ("assistant", "Let me see. \n\nResult: refu"),
        ("user", engine.CONTINUE_PROMPT),
    ]
    assert [call.status for call in started.message.calls] == ["stopped"]


@pytest.fixture
def refunds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The orders that were refunded."""
    made: list[int] = []

    async def refund(order: int, amount: float) -> str:
        made.append(order)
        return "refunded"

    monkeypatch.setattr(clerk.refund, "function", refund)
    return made


@pytest.mark.parametrize("status", [*(s for s in ToolCall.Status.values if s != "rejected"), "no row"])
def test_only_an_approval_makes_the_call(
    people: Any, room: Conversation, waiting: dict[str, Any], refunds: list[int], scenario: Scenario, status: str
) -> None:
    """Nobody has decided, whatever the row of the call says, and the run is queued all the same."""
    calls = ToolCall.objects.filter(pk=waiting["id"])
    calls.update(status=status) if status != "no row" else calls.delete()
    Run.objects.update(status="queued", host="")

    async def resume() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            answer = await bob.ended_answer()
            assert answer["run"]["status"] == "completed"
            assert "Result: A person refused this call" in answer["text"]

    scenario(resume)
    assert refunds == []


@pytest.mark.parametrize("partly_approved", [False, True])
@pytest.mark.parametrize("then", ["continue", "retry", "post", "send again", "fork and continue"])
def test_after_a_stop_nothing_makes_a_call_that_awaited_approval(
    scenario: Scenario, people: Any, room: Conversation, refunds: list[int], then: str, partly_approved: bool
) -> None:
    question = "ids that differ in case" if partly_approved else "refund"  # two calls, or one

    async def stop() -> dict[str, Any]:
        async with InProcess(people["ada"], room.pk) as ada:
            client_id = await ada.say(question)
            calls = (await ada.hear("run.state"))["message"]["calls"]
            for call in calls[1:]:
                await ada.send("tool.decide", call=call["id"], decision="approve", ref="yes")
                await ada.answered("yes")
            await ada.send("run.stop", run=ada.answer["run"]["id"])
            answer = await ada.ended_answer()
            assert answer["run"]["status"] == "stopped"
            assert {call["status"] for call in answer["calls"]} == {"stopped"}
            for call in calls:
                await ada.send("tool.decide", call=call["id"], decision="approve", ref=call["id"])
                assert (await ada.answered(call["id"]))["code"] == "conflict"
            return {"answer": answer, "question": next(m for m in ada.messages.values() if m["client_id"] == client_id)}

    async def go_on() -> None:
        where = room.pk
        if then == "fork and continue":
            copy = await executor.run(
                store.fork_conversation, people["ada"].pk, room.pk, uuid.UUID(stopped["answer"]["id"])
            )
            where = copy.id
        async with InProcess(people["ada"], where) as ada:
            answer = _newest(ada)
            match then:
                case "retry":
                    await ada.send("run.start", message=answer["id"])
                case "post":
                    await ada.say("thanks")
                case "send again":
                    await ada.send("message.edit", message=stopped["question"]["id"], text="thanks", resend=True)
                case _:
                    await ada.send("run.start", message=answer["id"], **{"continue": True})
            ends = {"completed", "awaiting_approval"}
            await ada.until(lambda: _status(ada) in ends and _newest(ada)["id"] != answer["id"])
            assert _status(ada) == ("awaiting_approval" if then == "retry" else "completed")

    stopped: dict[str, Any] = scenario(stop)
    scenario(go_on)
    assert refunds == []
    assert not Run.objects.filter(status__in=("queued", "running")).exists()


def _newest(peer: InProcess) -> dict[str, Any]:
    """The newest answer, or else the first message."""
    return max(peer.messages.values(), key=lambda message: (message["run"] is not None, message["seq"]))


def _status(peer: InProcess) -> str:
    run = _newest(peer)["run"]
    return str(run["status"]) if run else ""


def test_the_first_decision_counts_and_the_second_is_refused(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await asyncio.gather(
                ada.send("tool.decide", call=waiting["id"], decision="approve", ref="x"),
                bob.send("tool.decide", call=waiting["id"], decision="reject", reason="No", ref="x"),
            )
            answers = [await ada.answered("x"), await bob.answered("x")]
            assert sorted(answer["type"] for answer in answers) == ["ack", "error"]
            refused = next(answer for answer in answers if answer["type"] == "error")
            assert refused["code"] == "conflict"
            for peer in (ada, bob):
                (call,) = (await peer.hear("run.finished"))["message"]["calls"]
                winner = "ada" if answers[0]["type"] == "ack" else "bob"
                assert call["decided_by"]["name"] == winner
                assert call["status"] == ("done" if winner == "ada" else "rejected")

    scenario(talk)


def test_late_joiners_see_the_decision(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["eve"], room.pk) as eve:
            changed = {"order": 7, "amount": 1.0}
            await ada.send("tool.decide", call=waiting["id"], decision="approve", arguments=changed)
            first = (await eve.hear("run.tool"))["call"]
            assert (first["decided_by"]["name"], first["changed"], first["arguments"]) == ("ada", True, changed)
            await eve.hear("run.finished")
        async with InProcess(people["eve"], room.pk) as late:
            (call,) = late.answer["calls"]
            assert call == first | {"status": "done", "result": call["result"]}
            assert call["decided_at"] is not None

    scenario(talk)


def test_a_rejection_keeps_its_reason(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.send("tool.decide", call=waiting["id"], decision="reject", reason="Too much")
            (call,) = (await ada.hear("run.finished"))["message"]["calls"]
            assert (call["status"], call["reason"]) == ("rejected", "Too much")

    scenario(talk)


def late() -> None:
    ToolCall.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def test_a_call_that_nobody_decides_on_in_time_is_rejected_and_the_model_is_told(
    scenario: Scenario, people: Any, room: Conversation, waiting: dict[str, Any]
) -> None:
    late()

    async def talk() -> None:
        async with InProcess(people["eve"], room.pk) as eve:
            told = (await eve.hear("run.tool"))["call"]
            assert (told["status"], told["decided_by"]) == ("rejected", None)
            assert told["decided_at"] is not None
            assert "in time" in told["reason"]
            finished = await eve.hear("run.finished")
            assert finished["status"] == "completed"
            assert "in time" in finished["message"]["text"], "the model was told"
            assert node.current().host == await _host(finished["run"])

    scenario(talk)


async def _host(run: str) -> str:
    return (await Run.objects.aget(pk=run)).host


def test_a_call_expires_once_and_not_before_its_time(people: Any, room: Conversation, waiting: dict[str, Any]) -> None:
    assert store.expire_approvals(HOST) == []
    late()
    ((conversation, decided),) = store.expire_approvals(HOST)
    assert (conversation, decided.start) == (room.pk, True)
    assert store.expire_approvals("another") == []
    assert Run.objects.get().host == HOST


def test_a_site_can_let_calls_wait_forever(scenario: Scenario, people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT |= {"APPROVAL_TIMEOUT": None}

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            await bob.say("refund")
            state = await bob.hear("run.state")
            assert state["message"]["calls"][0]["expires_at"] is None

    scenario(talk)
    assert store.expire_approvals(HOST) == []
