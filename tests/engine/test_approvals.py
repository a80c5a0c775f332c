import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chat.engine import (
    Approve,
    Completion,
    Decision,
    Error,
    Event,
    Limits,
    Message,
    Reject,
    Result,
    TextDelta,
    ToolCall,
    ToolContext,
    ToolResult,
    Usage,
    resume,
    tool,
)  # fmt: skip

from .scripted import ScriptedModel, call, events_of, failed, finished, results, tool_message

HISTORY = [Message("user", "Clean up, please.")]


@tool(requires_approval=True)
def delete(name: str, times: int = 1) -> str:
    """Deletes a file."""
    return f"{name} deleted {times}"


@tool
def look() -> str:
    """Looks around."""
    return "a.txt b.txt"


CALLS = (call("look", "1"), call("delete", "2", name="a.txt"), call("delete", "3", name="b.txt"))
FIRST_TURN = [TextDelta("One moment."), *CALLS]


def paused(*more: list[Any]) -> tuple[ScriptedModel, list[Event]]:
    """A model with a run that waits for decisions about the calls 2 and 3, and its events. `more` are later turns."""
    model = ScriptedModel(
        [*FIRST_TURN, Completion("tool_calls", Usage(1))],
        *(more or ([TextDelta("Done."), Completion("stop", Usage(2))],)),
    )
    return model, events_of(model.agent(tools=[look, delete]), HISTORY)


def resume_with(
    model: ScriptedModel, messages: list[Message], decisions: dict[str, Decision], **options: Any
) -> list[Event]:
    async def collect() -> list[Event]:
        return [event async for event in resume(model.agent(tools=[look, delete]), messages, decisions, **options)]

    return asyncio.run(collect())


def test_the_text_after_the_decisions_follows_after_a_blank_line() -> None:
    model, events = paused([TextDelta("Done"), TextDelta("."), Completion("stop")])
    before = finished(events)
    decisions: dict[str, Decision] = {"2": Approve(), "3": Reject()}
    resumed = finished(resume_with(model, [*HISTORY, *before.messages], decisions, before=before))
    assert before.text + resumed.text == "One moment.\n\nDone."
    assert resumed.messages[-1].text == "Done.", "the history keeps what the model wrote"


def test_a_stream_finishes_with_pending_calls_after_the_other_calls() -> None:
    model, events = paused()
    result = finished(events)
    assert results(events) == [ToolResult("1", "look", "a.txt b.txt")]
    assert result.pending == CALLS[1:]
    assert (result.finish_reason, result.usage, result.text) == ("tool_calls", Usage(1), "One moment.")
    assert result.messages == (
        Message("assistant", "One moment.", tool_calls=CALLS),
        tool_message("1", "look", "a.txt b.txt"),
    )
    assert len(model.requests) == 1


def test_approved_calls_are_made_and_the_answer_continues() -> None:
    model, events = paused()
    messages = [*HISTORY, *finished(events).messages]
    events = resume_with(model, messages, {"2": Approve(), "3": Approve()})
    result = finished(events)
    assert {r.id: r.text for r in results(events)} == {"2": "a.txt deleted 1", "3": "b.txt deleted 1"}
    assert result == Result(
        text="Done.",
        finish_reason="stop",
        usage=Usage(2),
        provider="demo",
        model="script",
        messages=(
            tool_message("2", "delete", "a.txt deleted 1"),
            tool_message("3", "delete", "b.txt deleted 1"),
            Message("assistant", "Done."),
        ),
    )
    assert list(model.requests[1].messages) == [*messages, *result.messages[:2]]


def test_a_rejection_and_its_reason_reach_the_model() -> None:
    model, events = paused()
    messages = [*HISTORY, *finished(events).messages]
    events = resume_with(model, messages, {"2": Reject("It is the only copy."), "3": Reject()})
    assert results(events) == [
        ToolResult("2", "delete", "A person refused this call: It is the only copy.", True),
        ToolResult("3", "delete", "A person refused this call.", True),
    ]
    assert finished(events).messages[0].failed


def test_a_person_may_change_the_arguments_and_the_model_is_told() -> None:
    model, events = paused()
    messages = [*HISTORY, *finished(events).messages]
    events = resume_with(model, messages, {"2": Approve({"name": "c.txt", "times": 2}), "3": Approve({"nome": "x"})})
    by_id = {result.id: result for result in results(events)}
    assert by_id["2"].text == ('(A person changed the arguments to {"name":"c.txt","times":2}.)\nc.txt deleted 2')
    assert by_id["3"].failed
    assert "unknown field `nome`" in by_id["3"].text


def test_invalid_calls_do_not_wait_for_approval() -> None:
    model = ScriptedModel([call("delete", "1", nome="x"), ToolCall("2", "delete", None)], [TextDelta("Sorry.")])
    result = finished(events_of(model.agent(tools=[delete])))
    assert (result.pending, result.text) == ((), "Sorry.")


def test_calls_beyond_the_limit_do_not_wait_for_approval() -> None:
    model = ScriptedModel([call("delete", str(i), name="x") for i in range(5)])
    events = events_of(model.agent(tools=[delete], limits=Limits(max_calls=3)))
    assert [waiting.id for waiting in finished(events).pending] == ["0", "1", "2"]
    assert [(result.id, result.failed) for result in results(events)] == [("3", True), ("4", True)]


def test_a_resumed_run_may_wait_again() -> None:
    model, events = paused([call("delete", "2", name="c.txt")], [TextDelta("Done.")])
    messages = [*HISTORY, *finished(events).messages]
    first = finished(resume_with(model, messages, {"2": Approve(), "3": Approve()}))
    (waiting,) = first.pending
    assert waiting.id not in ("", "1", "2", "3")
    messages += first.messages
    assert finished(resume_with(model, messages, {waiting.id: Approve()})).text == "Done."


def test_messages_may_arrive_while_calls_wait() -> None:
    model, events = paused()
    messages = [*HISTORY, *finished(events).messages, Message("user", "Hurry up!")]
    assert finished(resume_with(model, messages, {"2": Approve(), "3": Reject()})).text == "Done."


def test_tools_get_the_context_passed_to_resume() -> None:
    @tool(requires_approval=True)
    def sign(context: ToolContext) -> str:
        return f"{context.user} {context.call_id}"

    model = ScriptedModel([call("sign")], [TextDelta("ok")])
    agent = model.agent(tools=[sign])
    messages = [*HISTORY, *finished(events_of(agent, HISTORY)).messages]

    async def scenario() -> list[Event]:
        stream = resume(agent, messages, {"1": Approve()}, context=ToolContext(user="Ada"))
        return [event async for event in stream]

    assert results(asyncio.run(scenario())) == [ToolResult("1", "sign", "Ada 1")]


@pytest.mark.parametrize(
    ("decisions", "problem"),
    [
        ({}, "no decision for '2', '3'"),
        ({"2": Approve()}, "no decision for '3'"),
        ({"2": Approve(), "3": Approve(), "9": Approve()}, "No tool call with the id '9' waits. Waiting: '2', '3'."),
        ({"2": Approve(), "3": "yes"}, "'3' is neither Approve nor Reject"),
    ],
)
def test_decisions_that_do_not_match_the_calls_are_an_error(decisions: dict[str, Any], problem: str) -> None:
    model, events = paused()
    (last,) = resume_with(model, [*HISTORY, *finished(events).messages], decisions)
    assert isinstance(last, Error)
    assert last.error.code == "configuration"
    assert problem in last.error.detail
    assert len(model.requests) == 1


def test_a_decision_without_a_pending_call_is_an_error() -> None:
    model, _ = paused()
    last = failed(resume_with(model, [Message("user", "Hi"), Message("assistant", "Hello")], {"1": Approve()}))
    assert "waits for a decision" in last.error.detail


OTHER_PROCESS = """
import asyncio, sys, msgspec
from chat.engine import *
from tests.engine.test_approvals import delete, look

class State(msgspec.Struct):
    messages: list[Message]
    decisions: dict[str, Decision]

state = msgspec.json.decode(sys.stdin.buffer.read(), type=State)
agent = Agent(DemoProvider(script=[TextDelta("Done.")]), tools=[look, delete])

async def main():
    async for event in resume(agent, state.messages, state.decisions):
        print(msgspec.json.encode(event.result if isinstance(event, Finish) else event).decode())

asyncio.run(main())
"""


def test_another_process_can_resume_from_json() -> None:
    _, events = paused()
    result = finished(events)
    pending = msgspec.json.decode(msgspec.json.encode(result.pending), type=tuple[ToolCall, ...])
    decisions = {call.id: Approve({"name": "z"}) if call.id == "2" else Reject("no") for call in pending}
    state = msgspec.json.encode({"messages": [*HISTORY, *result.messages], "decisions": decisions})
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS],
        input=state,
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    *lines, last = done.stdout.decode().splitlines()
    assert [msgspec.json.decode(line)["type"] for line in lines] == ["tool_result", "tool_result", "text_delta"]
    final = msgspec.json.decode(last, type=Result)
    assert [message.text for message in final.messages] == [
        '(A person changed the arguments to {"name":"z"}.)\nz deleted 1', "A person refused this call: no", "Done.",
    ]  # fmt: skip
