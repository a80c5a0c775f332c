"""Tool calls and approvals in a conversation: published, stored, decided, and resumed in any process."""

import asyncio
import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer

from chat import engine
from chat.engine import Agent, DemoProvider
from chat.engine import ToolCall as EngineCall
from chat.engine.providers.provider import Request
from chat.models import Conversation, Message, Participant, Run, ToolCall
from chat.node import node
from chat.runs.broadcast import MAX_HELD_CALLS

from ..sites import clerk
from ..support.client import InProcess

Scenario = Callable[..., Any]


@pytest.fixture
def room(people: dict[str, Any], settings: Any) -> Conversation:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.sites.clerk.agent"}}}
    room = Conversation.objects.create(agent="clerk", answers="always")
    Participant.objects.create(conversation=room, user=people["ada"], role="owner")
    Participant.objects.create(conversation=room, user=people["bob"], role="member")
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    return room


def awaits_approval(peer: InProcess) -> bool:
    """Whether the newest message is an answer that awaits approval."""
    newest = max(peer.messages.values(), key=lambda message: message["seq"], default=None)
    return bool(newest and newest["run"] and newest["run"]["status"] == "awaiting_approval")


def test_tool_calls_and_results_stream_between_texts_and_are_stored(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await ada.say("name and order")
            finished = await bob.hear("run.finished")
            assert finished["status"] == "completed"
            calls = {call["name"]: call for call in finished["message"]["calls"]}
            assert {name: call["status"] for name, call in calls.items()} == {"who_asks": "done", "look_up": "done"}
            assert calls["look_up"]["result"] == '{"order":7,"state":"shipped"}'
            assert calls["who_asks"]["result"] == "ada"
            assert "Let me see." in finished["message"]["text"]
            assert '{"order":7,"state":"shipped"}' in finished["message"]["text"]
            kinds = [event["type"] for event in bob.events if event["type"] in ("run.delta", "run.tool")]
            assert kinds == ["run.delta", *["run.tool"] * 4, "run.delta"]
            assert bob.healed == finished["message"]["text"]
            assert bob.answer["calls"] == finished["message"]["calls"]
            assert [part["type"] for part in finished["message"]["parts"]] == ["text", "call", "call", "text"]
            assert bob.healed_parts == finished["message"]["parts"]

    scenario(talk)
    assert ToolCall.objects.filter(status="done").count() == 2
    context = clerk.seen[-1]
    assert (context.user, context.deps) == (people["ada"], room)


@pytest.mark.parametrize(
    ("question", "word"), [("missing", "no such order"), ("broken", "failed"), ("wrong", "order")], ids=str
)
def test_a_failed_tool_is_a_result_for_the_model_and_an_event_for_the_page(
    scenario: Scenario, people: Any, room: Conversation, question: str, word: str
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say(question)
            finished = await ada.hear("run.finished")
            (call,) = finished["message"]["calls"]
            assert (finished["status"], call["status"]) == ("completed", "failed")
            assert word in call["result"]
            assert "secret internals" not in str(ada.events)

    scenario(talk)


def test_the_prompt_of_the_next_run_contains_earlier_calls_and_results(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("order")
            await ada.hear("run.finished")
            await ada.say("thanks")
            await ada.hear("run.finished", 2)

    scenario(talk)
    from chat.store import prompts

    rows = Message.objects.filter(conversation=room).order_by("-seq")
    turns = prompts.build_prompt(rows, 10_000, "clerk").messages
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert turns[1].tool_calls[0].name == "look_up"
    short = prompts.build_prompt(rows, 12, "clerk").messages
    assert [turn.role for turn in short] in (["user", "assistant"], ["assistant"]), (
        "a call and its result stay together"
    )


def test_a_run_waits_for_an_approval_then_continues_in_another_process(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def ask() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("refund the order")
            await ada.until(
                lambda: (
                    ada.runs
                    and any(e["message"]["run"]["status"] == "awaiting_approval" for e in ada.of_type("run.state"))
                )
            )
            assert not ada.finished

    async def decide() -> None:
        async with InProcess(people["bob"], room.pk) as bob, InProcess(people["ada"], room.pk) as ada:
            assert bob.snapshot is not None
            (run,) = bob.snapshot["runs"]
            assert run["status"] == "awaiting_approval"
            waiting = next(call for call in bob.answer["calls"] if call["name"] == "refund")
            assert (waiting["status"], waiting["arguments"]) == ("awaiting_approval", {"order": 7, "amount": 5.0})
            await bob.send("tool.decide", call=waiting["id"], decision="approve", ref="bob")
            assert (await bob.answered("bob"))["code"] == "forbidden"
            changed = {"order": 7, "amount": 2.5}
            await ada.send("tool.decide", call=waiting["id"], decision="approve", arguments=changed, ref="ada")
            assert (await ada.answered("ada"))["type"] == "ack"
            finished = await bob.hear("run.finished")
            assert finished["status"] == "completed"
            assert "refunded 2.5 for 7" in finished["message"]["text"]
            assert finished["message"]["text"].startswith("Let me see. \n\nResult: ")
            looked_up, refunded = (call["id"] for call in finished["message"]["calls"])
            assert finished["message"]["parts"] == [
                {"type": "text", "length": len("Let me see. ")},
                {"type": "call", "call": looked_up},
                {"type": "call", "call": refunded},
                {"type": "text", "length": len(finished["message"]["text"]) - len("Let me see. ")},
            ]
            stored = [message async for message in Message.objects.filter(role="assistant").values("text", "parts")]
            assert stored == [{key: finished["message"][key] for key in ("text", "parts")}], "for a reload"
            assert bob.healed_parts == finished["message"]["parts"]
            call = next(call for call in finished["message"]["calls"] if call["name"] == "refund")
            assert (call["status"], call["decided_by"]["name"], call["arguments"]) == ("done", "ada", changed)
            assert bob.healed == finished["message"]["text"], "the text continues where it stopped"
            assert finished["usage"]["output_tokens"] >= 8, "three words before the approval, five after it"
            await ada.send("tool.decide", call=waiting["id"], decision="reject", ref="late")
            assert (await ada.answered("late"))["code"] == "conflict"

    scenario(ask)
    assert Run.objects.get().status == "awaiting_approval"
    scenario(decide)  # another loop, as another process or a restart would be


@pytest.mark.parametrize(
    ("agent", "question"),
    [
        *(("agent", question) for question in clerk.ODD_IDS),
        *(("odd_agent", question) for question, ids in clerk.ODD_IDS.items() if len(set(ids)) == len(ids)),
    ],
)
def test_calls_are_decided_one_by_one_whatever_their_ids(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, question: str, agent: str
) -> None:
    ids = clerk.ODD_IDS[question]
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": f"tests.sites.clerk.{agent}"}}}

    async def ask() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say(question)
            await ada.until(lambda: awaits_approval(ada))
            assert {call["status"] for call in ada.answer["calls"]} == {"awaiting_approval"}

    async def decide() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            calls = ada.answer["calls"]
            assert [call["arguments"]["order"] for call in calls] == list(range(len(ids)))
            for number, call in enumerate(calls):
                await ada.send(
                    "tool.decide", call=call["id"], decision="reject" if number else "approve", ref=call["id"]
                )
                assert (await ada.answered(call["id"]))["type"] == "ack"
            finished = await ada.hear("run.finished")
            assert finished["status"] == "completed"
            assert "Result:" in finished["message"]["text"]
            assert [call["status"] for call in finished["message"]["calls"]] == ["done", "rejected"][: len(ids)]

    scenario(ask)
    scenario(decide)


def test_a_decision_during_the_publication_of_the_wait_does_not_lose_the_run(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both parts of a run have its id. The end of the first part must not remove the second."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    async def talk() -> None:
        layer = get_channel_layer()
        send, first, second = layer.group_send, asyncio.Event(), asyncio.Event()
        gates = iter((first, second))

        async def send_when_open(group: str, message: dict[str, Any]) -> None:
            await send(group, message)
            if '"run.state"' in message.get("text", ""):
                await next(gates).wait()

        monkeypatch.setattr("chat.realtime.layer.TIMEOUT", 60.0)
        monkeypatch.setattr(layer, "group_send", send_when_open)
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("refund")
            await ada.until(lambda: awaits_approval(ada))
            (call,) = ada.answer["calls"]
            await ada.send("tool.decide", call=call["id"], decision="approve", ref="yes")
            await ada.answered("yes")
            first.set()
            await ada.hear("run.state", 2)  # the first part is over, the second continues
            assert len(node.current().supervisor._runs) == 1
            second.set()
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["message"]["calls"][0]["status"]) == ("completed", "done")
            async with asyncio.timeout(30):
                while node.current().supervisor._runs:
                    await asyncio.sleep(0.05)

    scenario(talk)


def test_the_model_gets_the_reason_for_a_rejection(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("refund it")
            await ada.until(lambda: awaits_approval(ada))
            (call,) = ada.answer["calls"]
            await ada.send("tool.decide", call=call["id"], decision="reject", reason="Too much money")
            finished = await ada.hear("run.finished")
            (call,) = finished["message"]["calls"]
            assert call["status"] == "rejected"
            assert "Too much money" in finished["message"]["text"]

    scenario(talk)


@pytest.mark.parametrize("action", ["stop", "interrupt"])
def test_a_run_that_awaits_approval_can_be_stopped_or_interrupted(
    scenario: Scenario, people: Any, room: Conversation, action: str
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("refund it")
            await ada.until(lambda: awaits_approval(ada))
            if action == "stop":
                await ada.send("run.stop", run=ada.answer["run"]["id"])
                finished = await ada.hear("run.finished")
            else:
                await ada.say("never mind")
                await ada.hear("run.finished", 2)
                finished = ada.finished[0]
                assert ada.finished[1]["status"] == "completed"
            assert finished["status"] == "stopped"
            assert finished["message"]["calls"][0]["status"] == "stopped"

    scenario(talk)


def test_a_viewer_cannot_decide_and_an_unknown_call_is_not_found(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["eve"], room.pk) as eve:
            await ada.say("refund it")
            await eve.until(lambda: awaits_approval(eve))
            await eve.send("tool.decide", call=eve.answer["calls"][0]["id"], decision="approve", ref="1")
            assert (await eve.answered("1"))["code"] == "forbidden"
            await ada.send("tool.decide", call=str(uuid.uuid4()), decision="approve", ref="2")
            assert (await ada.answered("2"))["code"] == "not_found"
            await ada.send("tool.decide", call=str(uuid.uuid4()), decision="perhaps", ref="3")
            assert (await ada.answered("3"))["code"] == "invalid"

    scenario(talk)


def test_a_custom_agent_can_be_any_stream_of_events(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.consumers.test_tools.parrot"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("completed", "Hello, ada")
            assert finished["message"]["run"]["model"] == "tests.consumers.test_tools.parrot"

    scenario(talk)


def test_an_answer_of_nothing_but_calls_that_nobody_makes_is_a_failure(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.consumers.test_tools.inventor"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "empty_answer")
            assert [call["name"] for call in finished["message"]["calls"]] == ["search"]

    scenario(talk)


inventor = Agent(DemoProvider("inventor", script=lambda _: [EngineCall("1", "search", {"q": "x"})]))
"""An agent without tools, whose model calls one."""


class Parrot:
    async def run_stream(self, messages: Any, *, context: Any) -> Any:
        from chat.engine import Finish, Result, TextDelta

        yield TextDelta(messages[-1].text)
        yield TextDelta(f", {context.user.username}")
        yield Finish(Result(text="Hello"))


parrot = Parrot()


class Refuser:
    """Refuses at length."""

    async def run_stream(self, messages: Any, *, context: Any) -> Any:
        yield engine.Finish(engine.Result(refusal="I would rather not. " * 10_000))


refuser = Refuser()


def test_a_refusal_is_cut(scenario: Scenario, people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.consumers.test_tools.refuser"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            error = (await ada.hear("run.finished"))["error"]
            assert error["code"] == "refused"
            assert 9_000 < len(error["message"]) <= 10_000

    scenario(talk)


class Restless:
    """Makes calls without end."""

    async def run_stream(self, messages: Any, *, context: Any) -> Any:
        for number in itertools.count():
            yield engine.ToolCall(f"c{number}", "look_up", {"order": number})
            yield engine.ToolResult(f"c{number}", "look_up", "found")


restless = Restless()


def test_a_stop_ends_an_agent_that_makes_calls_without_end(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.consumers.test_tools.restless"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            await ada.hear("run.tool")
            await ada.send("run.stop", run=run, ref="stop")
            await ada.answered("stop")
            frames = len(ada.of_type("run.tool"))
            finished = await ada.hear("run.finished")
            assert finished["status"] == "stopped"
            assert len(ada.of_type("run.tool")) - frames <= 3 * MAX_HELD_CALLS
            assert len(finished["message"]["calls"]) < 1000

    scenario(talk)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


ODD_CALLS = [
    EngineCall("c1", "look_up", nested(500)),
    EngineCall("c2", "look_up", nested(5000)),
    EngineCall("c3", "look_up", {"order": "\ud800"}),
]


class OddCaller:
    """A custom agent whose calls have arguments that no frame can hold."""

    async def run_stream(self, messages: Any, *, context: Any) -> Any:
        for made in ODD_CALLS:
            yield made
            yield engine.ToolResult(made.id, made.name, "found")
        yield engine.TextDelta("done")
        yield engine.Finish(engine.Result())


odd_caller = OddCaller()


def call_oddly(request: Request) -> list[Any]:
    return [engine.TextDelta("done")] if request.messages[-1].role == "tool" else ODD_CALLS[:2]


odd_model = Agent(DemoProvider("odd", script=call_oddly), tools=[clerk.look_up])


@pytest.mark.parametrize(("agent", "status"), [("odd_caller", "done"), ("odd_model", "failed")])
def test_arguments_that_no_frame_can_hold_are_left_out(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, agent: str, status: str
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": f"tests.consumers.test_tools.{agent}"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]) == ("completed", None)
            assert finished["message"]["text"].strip() == "done"
            calls = finished["message"]["calls"]
            assert {(call["arguments"], call["status"]) for call in calls} == {(None, status)}

    scenario(talk)


def test_an_agent_with_an_unknown_tool_fails_with_configuration(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"tools": ["tests.sites.clerk.nothing"], "model": "demo:tour"}}}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            assert (await ada.hear("run.finished"))["error"]["code"] == "configuration"
            assert node.current().draining is False

    scenario(talk)
