import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import (
    Agent,
    Completion,
    DemoProvider,
    EngineError,
    Error,
    Event,
    Finish,
    Limits,
    Message,
    ProviderError,
    Replay,
    Result,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolContext,
    ToolError,
    ToolResult,
    Usage,
    run,
    run_stream,
    tool,
)  # fmt: skip
from chat.engine.providers.openai import OpenAIProvider
from chat.engine.providers.provider import Request

from ..support.upstream import Upstream
from .scripted import ScriptedModel, call, collect, events_of, failed, finished, results, tool_message


def scripted(*steps: Any) -> Agent:
    return Agent(DemoProvider(script=steps))


def test_a_stream_ends_with_one_finish_with_the_whole_result() -> None:
    call = ToolCall("1", "add", {"x": 1})
    deltas = [ThinkingDelta("Hm. "), TextDelta("Yes"), TextDelta("!"), call]
    usage = Usage(1, 2, 3)
    events = events_of(scripted(*deltas, Completion("stop", usage)))
    messages = (Message("assistant", "Yes!", tool_calls=(call,)),)
    result = Result("Yes!", "Hm. ", (call,), "stop", usage, "", "demo", "script", messages)
    assert events == [*deltas, Finish(result)]


def test_a_failed_stream_ends_with_one_error_with_the_partial_result() -> None:
    failure = ProviderError("Too bad.", "overloaded", provider="demo")
    events = events_of(scripted(TextDelta("Ye"), Completion(None, Usage(1)), failure))
    assert events[0] == TextDelta("Ye")
    messages = (Message("assistant", "Ye"),)
    assert events[1:] == [
        Error(failure, Result("Ye", usage=Usage(1), provider="demo", model="script", messages=messages))
    ]


def test_run_returns_the_result_of_the_same_events() -> None:
    assert asyncio.run(run(scripted(TextDelta("a"), TextDelta("b")), "Hi")).text == "ab"


def test_run_raises_the_error_of_the_error_event() -> None:
    failure = ProviderError("Too bad.", "overloaded", provider="demo")
    with pytest.raises(ProviderError) as raised:
        asyncio.run(run(scripted(TextDelta("a"), failure), "Hi"))
    assert raised.value is failure


@pytest.mark.parametrize("model", ["", "gpt-4o", "nobody:x", "openai:", "anthropic:claude", "custom:x", "demo:what"])
def test_an_invalid_model_is_a_configuration_error(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "CUSTOM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (error,) = events_of(Agent(model))
    assert isinstance(error, Error)
    assert error.error.code == "configuration"


class Broken:
    name = "broken"
    model = "x"

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        yield TextDelta("a")
        raise KeyError("sk-a-secret-in-a-bug")


def test_a_bug_is_an_internal_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "nous_chat.engine"):
        events = events_of(Agent(Broken()))
    assert isinstance(events[-1], Error)
    assert (events[-1].error.code, events[-1].result.text) == ("internal", "a")
    assert "sk-a-secret" not in repr(events[-1].error)
    assert "KeyError" in caplog.text


def test_a_prompt_is_one_message_of_the_user() -> None:
    requests: list[Request] = []

    def answer(request: Request) -> list[TextDelta]:
        requests.append(request)
        return []

    provider = DemoProvider(script=answer)
    events_of(Agent(provider, instructions="Be brief.", settings={"temperature": 0}), "Hi")
    events_of(Agent(provider), [Message("user", "One"), Message("assistant", "Two")])
    assert list(requests[0].messages) == [Message("user", "Hi")]
    assert (requests[0].instructions, requests[0].settings) == ("Be brief.", {"temperature": 0})
    assert list(requests[1].messages) == [Message("user", "One"), Message("assistant", "Two")]


class WatchedProvider:
    """A provider that records the exception that ended its stream."""

    name = "watched"
    model = "x"

    def __init__(self) -> None:
        self.exceptions: list[str] = []

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        try:
            yield TextDelta("a")
            await asyncio.sleep(3600)
        except BaseException as error:
            self.exceptions.append(type(error).__name__)
            raise


@pytest.mark.parametrize(("stop", "how"), [("close", "GeneratorExit"), ("cancel", "CancelledError")])
def test_closing_or_cancelling_closes_the_provider_without_an_event(stop: str, how: str) -> None:
    provider = WatchedProvider()

    async def scenario() -> list[Event]:
        events: list[Event] = []
        received = asyncio.Event()

        async def read() -> None:
            async with aclosing(run_stream(Agent(provider), "Hi")) as stream:
                async for event in stream:
                    events.append(event)
                    received.set()
                    if stop == "close":
                        break

        task = asyncio.create_task(read())
        await received.wait()
        await asyncio.sleep(0.01)
        if stop == "cancel":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return events

    assert asyncio.run(scenario()) == [TextDelta("a")]
    assert provider.exceptions == [how]


def test_an_exception_of_the_reader_is_not_caught() -> None:
    async def read() -> None:
        async for _ in run_stream(scripted(TextDelta("a"), 3600), "Hi"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(read())


def test_a_long_answer_takes_linear_time() -> None:
    """20,000 deltas of 50 characters take about twice as long as 10,000."""

    def seconds(deltas: int) -> float:
        agent = scripted(*[TextDelta("x" * 50)] * deltas)
        start = time.process_time()
        assert len(asyncio.run(run(agent, "Hi")).text) == 50 * deltas
        return time.process_time() - start

    seconds(1000)
    half, whole = min(seconds(10_000) for _ in range(3)), min(seconds(20_000) for _ in range(3))
    assert whole < 4 * half


def test_an_error_without_a_code_is_internal() -> None:
    assert EngineError("x").code == "internal"


# --- Turns and tool calls


@tool
def add(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


@tool
async def shout(text: str) -> str:
    """Convert to upper case."""
    return text.upper()


class TestLoop:
    def test_text_calls_and_results_come_in_one_stream(self) -> None:
        add_call = call("add", x=1, y=2)
        model = ScriptedModel([TextDelta("Let me see."), add_call, Completion("tool_calls", Usage(1, 2, 3))],
                      [TextDelta("It is "), TextDelta("3."), Completion("stop", Usage(10, 20, 30))])  # fmt: skip
        *events, last = all_events = events_of(model.agent(tools=[add]))
        result = ToolResult("1", "add", "3")
        assert events == [TextDelta("Let me see."), add_call, result, TextDelta("\n\nIt is "), TextDelta("3.")]
        assert last == Finish(
            Result(
                text="Let me see.\n\nIt is 3.",
                tool_calls=(add_call,),
                finish_reason="stop",
                usage=Usage(11, 22, 33),
                provider="demo",
                model="script",
                messages=(
                    Message("assistant", "Let me see.", tool_calls=(add_call,)),
                    tool_message("1", "add", "3"),
                    Message("assistant", "It is 3."),
                ),
            )
        )
        assert finished(all_events).text == "".join(e.text for e in events if isinstance(e, TextDelta))

    def test_the_model_gets_the_tools_and_the_results(self) -> None:
        model = ScriptedModel([call("add", x=1, y=2)], [TextDelta("3")])
        result = finished(events_of(model.agent(tools=[add, shout])))
        first, second = model.requests
        assert [spec.name for spec in first.tools] == ["add", "shout"]
        assert first.tools[0].schema["properties"] == {"x": {"type": "integer"}, "y": {"type": "integer"}}
        assert list(first.messages) == [Message("user", "Hi")]
        assert (*second.messages, Message("assistant", "3")) == (Message("user", "Hi"), *result.messages)

    def test_the_messages_of_a_result_continue_a_history(self) -> None:
        replay = Replay("anthropic", [{"type": "thinking", "signature": "x"}])
        model = ScriptedModel([call("add", x=1, y=2), Completion("tool_use", replay=replay)], [TextDelta("3")])
        agent = model.agent(tools=[add])
        history = [Message("user", "1 + 2?")]
        result = finished(events_of(agent, history))
        longer = [*history, *result.messages, Message("user", "And?")]
        assert finished(events_of(agent, longer)).text == "3"
        assert list(model.requests[-1].messages) == longer
        assert model.requests[-1].messages[1].replay == replay
        encoded = msgspec.json.encode(result.messages)
        assert msgspec.json.decode(encoded, type=tuple[Message, ...]) == result.messages

    def test_calls_of_a_turn_run_concurrently_and_are_stored_in_order(self) -> None:
        """The first call ends last: it waits until the reader has the result of the second."""

        async def scenario() -> list[Event]:
            read = asyncio.Event()

            @tool
            async def meet(who: str) -> str:
                if who == "first":
                    await read.wait()
                return who

            model = ScriptedModel([call("meet", "1", who="first"), call("meet", "2", who="second")], [TextDelta("met")])
            events = []
            async for event in run_stream(model.agent(tools=[meet]), "Hi"):
                events.append(event)
                if isinstance(event, ToolResult):
                    read.set()
            return events

        events = asyncio.run(asyncio.wait_for(scenario(), 30))
        assert [result.id for result in results(events)] == ["2", "1"]
        assert [message.call_id for message in finished(events).messages] == ["", "1", "2", ""]

    def test_an_agent_without_tools_leaves_calls_to_its_caller(self) -> None:
        model = ScriptedModel([call("add", "", x=1)])
        result = finished(events_of(model.agent()))
        (made,) = result.tool_calls
        assert (made.name, made.arguments, len(made.id)) == ("add", {"x": 1}, 9)
        assert result.messages == (Message("assistant", "", tool_calls=result.tool_calls),)

    def test_an_unknown_tool_is_a_failed_result(self) -> None:
        model = ScriptedModel([call("divide")], [TextDelta("ok")])
        events = events_of(model.agent(tools=[add]))
        assert results(events) == [ToolResult("1", "divide", "There is no tool 'divide'. The tools are: add.", True)]
        assert finished(events).text == "ok"

    def test_cut_off_arguments_are_a_failed_result(self) -> None:
        model = ScriptedModel([ToolCall("1", "add", None, '{"x": 1, "y'), Completion("length")], [TextDelta("ok")])
        (result,) = results(events_of(model.agent(tools=[add])))
        assert result.failed
        assert "not a JSON object" in result.text

    def test_every_call_has_a_unique_id(self) -> None:
        """Some servers send no id, some the same for all calls, some count from 0 in each answer."""
        calls = [call("shout", given, text=given or "none") for given in ("", "a", "a", "b")]
        model = ScriptedModel(calls, [call("shout", "a", text="again")], [TextDelta("ok")])
        before = [Message("assistant", "", tool_calls=(call("add", "b"),)), tool_message("b", "add", "3")]
        events = events_of(model.agent(tools=[shout]), [*before, Message("user", "Hi")])
        ids = [event.id for event in events if isinstance(event, ToolCall)]
        assert len(set(ids)) == 5
        assert ids[1] == "a"
        assert all(identity.isalnum() and len(identity) == 9 for identity in (ids[0], *ids[2:]))
        answered = {result.id: result.text for result in results(events)}
        assert [answered[identity] for identity in ids] == ["NONE", "A", "A", "B", "AGAIN"]

    @pytest.mark.parametrize(
        ("first", "then", "whole"),
        [("One.", "Two.", "One.\n\nTwo."), ("One.\n", "Two.", "One.\nTwo."), ("One.", "\n\nTwo.", "One.\n\nTwo.")],
    )
    def test_turns_form_one_text_with_blank_lines_between_them(self, first: str, then: str, whole: str) -> None:
        model = ScriptedModel(
            [ThinkingDelta(first), TextDelta(first), call("add", x=1, y=1)], [ThinkingDelta(then), TextDelta(then)]
        )
        result = finished(events_of(model.agent(tools=[add])))
        assert (result.text, result.thinking) == (whole, whole)
        assert [message.text for message in result.messages if message.role == "assistant"] == [first, then]

    def test_a_model_that_keeps_calling_tools_is_stopped(self) -> None:
        counted = []

        @tool
        def count() -> int:
            counted.append(1)
            return len(counted)

        model = ScriptedModel([TextDelta("x"), call("count")])
        events = events_of(model.agent(tools=[count], limits=Limits(max_turns=3)))
        last = failed(events)
        assert last.error.code == "too_many_turns"
        assert (len(model.requests), len(counted)) == (3, 2)
        assert last.result.text == "x\n\nx\n\nx"
        assert [message.role for message in last.result.messages] == ["assistant", "tool"] * 3
        assert results(events)[-1].text == "Not called: this answer has taken too many turns already."

    def test_calls_beyond_the_limit_of_a_turn_are_not_made(self) -> None:
        model = ScriptedModel([call("add", str(i), x=i, y=i) for i in range(5)], [TextDelta("ok")])
        events = events_of(model.agent(tools=[add], limits=Limits(max_calls=3)))
        assert [result.failed for result in sorted(results(events), key=lambda r: r.id)] == [False] * 3 + [True] * 2

    @pytest.mark.parametrize(("number", "argument"), [(13, ""), (5, "a" * 900)], ids=["calls", "arguments"])
    def test_calls_far_beyond_the_limits_end_the_answer_and_none_is_made(self, number: int, argument: str) -> None:
        raw = f'{{"text":"{argument}"}}'
        calls = [ToolCall(str(i), "shout", {"text": argument}, raw) for i in range(number)]
        model = ScriptedModel([TextDelta("Hi"), *calls], [TextDelta("ok")])
        events = events_of(model.agent(tools=[shout], limits=Limits(max_calls=3, max_argument_chars=1000)))
        assert failed(events).error.code == "answer_too_large"
        assert failed(events).result.messages == (Message("assistant", "Hi"),)
        assert (results(events), len(model.requests)) == ([], 1)

    def test_arguments_that_are_too_long_are_not_kept_and_their_call_is_not_made(self) -> None:
        long = ToolCall("2", "shout", {"text": "a" * 900}, '{"text": "' + "a" * 900 + '"}')
        model = ScriptedModel([call("shout", "1", text="a"), long, call("x" * 5000, "3")], [TextDelta("ok")])
        events = events_of(model.agent(tools=[shout], limits=Limits(max_argument_chars=500)))
        assert finished(events).text == "ok"
        answers = {result.id: result.text for result in results(events)}
        assert answers["1"] == "A"
        assert answers["2"].startswith("Not called: the arguments of the calls in one turn may have 500 characters.")
        kept = finished(events).tool_calls
        assert kept[1].arguments is None
        assert max(len(repr(kept_call)) for kept_call in kept) < 1000

    @pytest.mark.parametrize("kind", [TextDelta, ThinkingDelta])
    def test_an_answer_without_end_is_ended_and_what_came_is_kept(self, kind: Any) -> None:
        model = ScriptedModel([TextDelta("Hi "), *[kind("word ") for _ in range(100)]])
        last = failed(events_of(model.agent(limits=Limits(max_text_chars=250))))
        assert last.error.code == "answer_too_large"
        assert "What came before is kept" in last.error.message
        assert last.result.text.startswith("Hi ")
        assert len(last.result.text if kind is TextDelta else last.result.thinking) == 250

    def test_a_delta_that_is_too_long_is_cut(self) -> None:
        last = failed(events_of(ScriptedModel([TextDelta("a" * 300)]).agent(limits=Limits(max_text_chars=250))))
        assert (last.error.code, last.result.text) == ("answer_too_large", "a" * 250)

    def test_a_failure_keeps_the_earlier_turns(self) -> None:
        failure = ProviderError("Too bad.", "overloaded", provider="demo")
        model = ScriptedModel(
            [call("add", x=1, y=2), Completion("", Usage(1))], [TextDelta("It"), Completion("", Usage(2)), failure]
        )
        last = failed(events_of(model.agent(tools=[add])))
        assert last.error is failure
        assert [message.text for message in last.result.messages] == ["", "3", "It"]
        assert last.result.usage == Usage(3)

    def test_tools_work_over_a_real_connection(self, provider: Upstream) -> None:
        """The upstream calls the tool in every answer; the second request has the results."""

        @tool
        def weather(city: str) -> str:
            return f"rain in {city}"

        upstream_model = OpenAIProvider("custom", "tools", provider.url, "", "CUSTOM_API_KEY")
        events = events_of(Agent(upstream_model, tools=[weather], limits=Limits(max_turns=2)))
        assert failed(events).error.code == "too_many_turns"
        assert [result.text for result in results(events)][:2] == ["rain in Oslo", "rain in Rome"]
        sent = provider.last()["body"]
        assert [offered["function"]["name"] for offered in sent["tools"]] == ["weather"]
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool", "tool"]
        assert [message["content"] for message in sent["messages"]][2:] == ["rain in Oslo", "rain in Rome"]


class TestTime:
    def test_a_tool_timeout_is_a_failed_result(self) -> None:
        noticed_cancellation = threading.Event()

        @tool(timeout=0.05)
        async def never() -> None:
            await asyncio.sleep(3600)

        @tool(timeout=0.05)
        def sleepy(context: ToolContext) -> None:
            while not context.is_cancelled():
                time.sleep(0.005)
            noticed_cancellation.set()

        model = ScriptedModel([call("never", "1"), call("sleepy", "2")], [TextDelta("ok")])
        events = events_of(model.agent(tools=[never, sleepy]))
        assert sorted(result.text for result in results(events)) == [
            "never gave no result within 0.05 seconds.",
            "sleepy gave no result within 0.05 seconds.",
        ]
        assert finished(events).text == "ok"
        assert noticed_cancellation.wait(30)

    def test_a_tool_that_ignores_cancellation_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("chat.engine.tool_runner._CANCEL_TIMEOUT", 0.01)

        async def scenario() -> list[Event]:
            gate = asyncio.Event()

            @tool(timeout=0.01)
            async def stubborn() -> None:
                while not gate.is_set():
                    with suppress(asyncio.CancelledError):
                        await gate.wait()

            model = ScriptedModel([call("stubborn")], [TextDelta("ok")])
            events = await collect(model.agent(tools=[stubborn]))
            gate.set()
            return events

        assert finished(asyncio.run(scenario())).text == "ok"

    def test_the_total_time_includes_tools(self) -> None:
        @tool(timeout=None)
        async def never() -> None:
            await asyncio.sleep(3600)

        model = ScriptedModel([TextDelta("So."), call("add", "1", x=1, y=1), call("never", "2")])
        last = failed(events_of(model.agent(tools=[add, never], limits=Limits(total=1.5))))
        assert (last.error.code, last.result.text) == ("total_timeout", "So.")
        assert "1.5 seconds" in last.error.message
        assert [message.call_id for message in last.result.messages] == ["", "1"]

    def test_each_request_gets_the_remaining_time(self) -> None:
        model = ScriptedModel([call("add", x=1, y=1)], [TextDelta("ok")])
        events_of(model.agent(tools=[add], limits=Limits(total=100)))
        first, second = (request.limits.total for request in model.requests)
        assert 0 < second < first <= 100


class TestLeaving:
    @pytest.mark.parametrize("stop", ["close", "cancel"])
    def test_tools_are_cancelled_and_nothing_is_left_behind(self, stop: str) -> None:
        cancelled: list[str] = []
        noticed_cancellation = threading.Event()

        async def scenario() -> set[Any]:
            before = asyncio.all_tasks()
            running = asyncio.Event()
            loop = asyncio.get_running_loop()

            @tool
            async def slow() -> None:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    cancelled.append("slow")
                    raise

            @tool
            def thread(context: ToolContext) -> None:
                loop.call_soon_threadsafe(running.set)
                while not context.is_cancelled():
                    time.sleep(0.005)
                noticed_cancellation.set()

            model = ScriptedModel([call("slow", "1"), call("thread", "2"), call("add", "3", x=1, y=1)])
            stream = run_stream(model.agent(tools=[slow, thread, add]), "Hi")

            async def read() -> None:
                async with aclosing(stream):
                    async for event in stream:
                        if isinstance(event, ToolResult):
                            await running.wait()
                            if stop == "close":
                                return

            task = asyncio.create_task(read())
            await running.wait()
            await asyncio.sleep(0.01)
            if stop == "cancel":
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return asyncio.all_tasks() - before

        assert asyncio.run(asyncio.wait_for(scenario(), 30)) == set()
        assert cancelled == ["slow"]
        assert noticed_cancellation.wait(30)


_CALLS = st.builds(
    ToolCall, st.sampled_from(["", "a", "b"]), st.sampled_from(["add", "shout", "fail", "ask", "nothing"]),
    st.none() | st.fixed_dictionaries({}, optional={"x": st.integers(), "y": st.integers(), "text": st.text()}),
)  # fmt: skip
_STEPS = st.builds(TextDelta, st.text()) | st.builds(ThinkingDelta, st.text()) | _CALLS
_ENDS = st.just(Completion("stop", Usage(1))) | st.just(ProviderError("No.", "overloaded", provider="demo"))


@given(
    st.lists(
        st.lists(_STEPS, max_size=4).flatmap(lambda steps: _ENDS.map(lambda end: [*steps, end])), min_size=1, max_size=5
    )
)
def test_any_behaviour_of_a_model_gives_one_end_and_a_consistent_result(scripts: list[list[Any]]) -> None:
    @tool
    async def fail() -> None:
        raise ToolError("No.")

    @tool(requires_approval=True)
    async def ask() -> None: ...

    model = ScriptedModel(*scripts)
    *events, last = events_of(model.agent(tools=[shout, fail, ask], limits=Limits(max_turns=4)))
    assert isinstance(last, Finish | Error)
    result = last.result
    assert result.text == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert result.thinking == "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    assert result.tool_calls == tuple(event for event in events if isinstance(event, ToolCall))
    call_ids = [call.id for message in result.messages for call in message.tool_calls]
    result_ids = [message.call_id for message in result.messages if message.role == "tool"]
    assert len(set(call_ids)) == len(call_ids)
    assert sorted(result_ids + [call.id for call in result.pending]) == sorted(call_ids)
    if isinstance(last, Finish):
        assert sorted(call_ids) == sorted(call.id for call in result.tool_calls)
    assert result.usage in (None, Usage(len(model.requests)), Usage(len(model.requests) - 1))
