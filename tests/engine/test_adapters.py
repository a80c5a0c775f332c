"""Custom agents: a site's own, and those of Pydantic AI, whose tests are skipped if it is not installed."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chat.engine import (
    Approve,
    ConfigurationError,
    Decision,
    Error,
    Event,
    Finish,
    Image,
    Message,
    ProviderError,
    Reject,
    Replay,
    Result,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolContext,
    ToolError,
    ToolResult,
    Usage,
    resume,
    run,
    run_stream,
    tool,
)  # fmt: skip
from chat.engine.adapters.pydantic_ai import PydanticAIAgent

from .scripted import events_of, failed, finished, results


class ScriptedCustomAgent:
    """A custom agent that yields or raises the given steps."""

    def __init__(self, *steps: Any) -> None:
        self.steps = steps
        self.received: list[Any] = []
        self.closed = False

    async def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncGenerator[Event, None]:
        self.received.append((list(messages), context))
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed = True


class TestCustomAgents:
    def test_events_are_relayed(self) -> None:
        result = Result("Hi", "Hm", usage=Usage(1), provider="mine", messages=(Message("assistant", "Hi"),))
        steps = [ThinkingDelta("Hm"), TextDelta("Hi"), ToolResult("1", "x", "y"), Finish(result)]
        agent = ScriptedCustomAgent(*steps)
        context = ToolContext(user="Ada")
        assert events_of(agent, "Hello", context=context) == steps
        assert agent.received == [([Message("user", "Hello")], context)]

    def test_empty_fields_of_the_result_are_filled_in(self) -> None:
        call = ToolCall("1", "x", {})
        events = events_of(
            ScriptedCustomAgent(TextDelta("H"), ThinkingDelta("m"), TextDelta("i"), call, Finish(Result(model="x")))
        )
        messages = (Message("assistant", "Hi"),)
        assert finished(events) == Result("Hi", "m", (call,), model="x", messages=messages)

    def test_text_after_a_tool_call_follows_after_a_blank_line(self) -> None:
        steps = [TextDelta("I look."), ToolCall("1", "x", {}), ToolResult("1", "x", "y"), TextDelta("It "),
                 TextDelta("rains."), ToolResult("2", "x", "y"), TextDelta("\nSo."), Finish(Result())]  # fmt: skip
        assert finished(events_of(ScriptedCustomAgent(*steps), "Hello")).text == "I look.\n\nIt rains.\nSo."

    def test_text_follows_what_readers_had_before(self) -> None:
        steps = [ThinkingDelta("Hm."), TextDelta("Done."), Finish(Result())]
        events = events_of(ScriptedCustomAgent(*steps), "Hello", before=Result("One moment.", "Let me see."))
        assert events[:2] == [ThinkingDelta("\n\nHm."), TextDelta("\n\nDone.")]

    def test_run_returns_the_result(self) -> None:
        assert asyncio.run(run(ScriptedCustomAgent(TextDelta("Hi"), Finish(Result())), "Hello")).text == "Hi"

    def test_events_after_the_end_are_ignored(self) -> None:
        agent = ScriptedCustomAgent(Finish(Result("a")), TextDelta("b"), Finish(Result("c")))
        assert len(events_of(agent)) == 1
        assert agent.closed

    @pytest.mark.parametrize("step", [KeyError("sk-secret-of-a-bug"), "text", Result("x"), None])
    def test_an_exception_or_an_invalid_event_is_an_internal_error(
        self, step: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        agent = ScriptedCustomAgent(TextDelta("Hi"), step)
        with caplog.at_level(logging.ERROR, "nous_chat.engine"):
            last = failed(events_of(agent))
        assert (last.error.code, last.result.text) == ("internal", "Hi")
        assert "secret" not in last.error.message + repr(last.error)
        assert agent.closed
        assert "failed" in caplog.text

    @pytest.mark.parametrize(
        "event",
        [
            TextDelta("a" * 400_000),
            ThinkingDelta("a" * 400_000),
            ToolCall("c", "find", {"words": "a" * (400_000 - len('{"words":""}'))}),
            ToolCall("c", "find", None, "a" * 400_000),
            ToolResult("c", "find", "a" * 400_000),
        ],
        ids=["text", "thinking", "arguments", "raw arguments", "results"],
    )
    def test_an_answer_without_end_is_ended_as_too_large(self, event: Event) -> None:
        events = events_of(ScriptedCustomAgent(*[event] * 8, Finish(Result())))
        assert isinstance(events[-1], Error)
        assert events[-1].error.code == "answer_too_large"
        assert len(events) == 7, "five are accepted, of the sixth what fits"
        assert sum(len(getattr(each, "text", "")) for each in events[:-1]) <= 2_000_100
        assert sum(len(call.raw) for call in events[-1].result.tool_calls) <= 2_000_000

    @pytest.mark.parametrize(
        "message",
        [
            Message("assistant", "a" * 400_000),
            Message("tool", "a" * 400_000, call_id="c"),
            Message("assistant", "", tool_calls=(ToolCall("c", "find", {"word": "a" * 400_000}),)),
            Message("assistant", "", tool_calls=(ToolCall("c", "find", None, "a" * 400_000),)),
            Message("assistant", "", replay=Replay("mine", ["a" * 400_000])),
        ],
        ids=["text", "result", "arguments", "raw arguments", "replay"],
    )
    def test_messages_of_a_result_without_end_are_not_kept(self, message: Message) -> None:
        pending = (ToolCall("p", "find", {}),)
        short = finished(events_of(ScriptedCustomAgent(TextDelta("Hi"), Finish(Result(messages=(message,) * 19)))))
        assert len(short.messages) == 19
        long = Finish(Result(messages=(message,) * 20, usage=Usage(1), pending=pending))
        last = failed(events_of(ScriptedCustomAgent(TextDelta("Hi"), long)))
        assert last.error.code == "answer_too_large"
        assert last.result == Result("Hi", usage=Usage(1), messages=(Message("assistant", "Hi"),))

    def test_engine_errors_are_passed_on(self) -> None:
        failure = ProviderError("Busy.", "overloaded", provider="mine")
        assert failed(events_of(ScriptedCustomAgent(failure))).error is failure
        assert events_of(ScriptedCustomAgent(TextDelta("a"), Error(failure, Result())))[-1] == Error(
            failure, Result("a", messages=(Message("assistant", "a"),))
        )

    def test_a_stream_without_an_end_is_an_error(self) -> None:
        last = failed(events_of(ScriptedCustomAgent(TextDelta("Hi"))))
        assert (last.error.code, last.result.text) == ("internal", "Hi")

    def test_an_agent_that_cannot_start_is_an_error(self) -> None:
        class Nothing:
            def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncIterator[Event]:
                raise RuntimeError

        assert failed(events_of(Nothing())).error.code == "internal"
        assert failed(events_of(object())).error.code == "internal"

    @pytest.mark.parametrize("stop", ["close", "cancel"])
    def test_leaving_closes_the_stream_in_the_task_that_reads(self, stop: str) -> None:
        closed_in = []

        class Waiting:
            async def run_stream(
                self, messages: Sequence[Message], *, context: ToolContext
            ) -> AsyncGenerator[Event, None]:
                try:
                    yield TextDelta("Hi")
                    await asyncio.sleep(3600)
                finally:
                    closed_in.append(asyncio.current_task())

        async def scenario() -> asyncio.Task[None]:
            received_event = asyncio.Event()

            async def read() -> None:
                async with aclosing(run_stream(Waiting(), "x")) as stream:
                    async for _ in stream:
                        received_event.set()
                        if stop == "close":
                            return

            task = asyncio.create_task(read())
            await received_event.wait()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return task

        task = asyncio.run(scenario())
        assert closed_in == [task]

    def test_a_plain_async_iterator_is_accepted(self) -> None:
        class Plain:
            def __init__(self) -> None:
                self.events: list[Event] = [TextDelta("a"), Finish(Result())]

            def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncIterator[Event]:
                return self

            def __aiter__(self) -> AsyncIterator[Event]:
                return self

            async def __anext__(self) -> Event:
                return self.events.pop(0)

        assert finished(events_of(Plain())).text == "a"

    def test_a_resumable_agent_gets_the_decisions(self) -> None:
        class Asking(ScriptedCustomAgent):
            async def resume(
                self, messages: Sequence[Message], decisions: Mapping[str, Decision], *, context: ToolContext
            ) -> AsyncGenerator[Event, None]:
                yield TextDelta(f"{decisions['1']}")
                yield Finish(Result())

        async def go_on(agent: Any) -> list[Event]:
            return [event async for event in resume(agent, [], {"1": Reject("no")})]

        assert finished(asyncio.run(go_on(Asking()))).text == "Reject(reason='no')"
        assert failed(asyncio.run(go_on(ScriptedCustomAgent()))).error.code == "configuration"


def test_the_engine_does_not_import_frameworks() -> None:
    code = "import sys, chat.engine, chat.engine.adapters.pydantic_ai as a; assert 'pydantic_ai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


class TestPydanticAI:
    @pytest.fixture
    def ai(self) -> Any:
        return pytest.importorskip("pydantic_ai", reason="pydantic_ai is not installed")

    def agent(self, ai: Any, stream: Any, **options: Any) -> Any:
        """An agent whose model streams what `stream` yields for the messages."""
        from pydantic_ai.models.function import FunctionModel

        return ai.Agent(FunctionModel(stream_function=stream), **options)

    def test_text_and_usage_are_converted(self, ai: Any) -> None:
        from pydantic_ai.models.test import TestModel

        events = events_of(PydanticAIAgent(ai.Agent(TestModel(custom_output_text="Hello there"))), "Hi")
        result = finished(events)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello there"
        assert (result.text, result.provider, result.model) == ("Hello there", "test", "test")
        assert [(message.role, message.text) for message in result.messages] == [("assistant", "Hello there")]
        assert result.usage is not None
        assert result.usage.output_tokens == 2

    def test_thinking_calls_and_results_are_converted(self, ai: Any) -> None:
        from pydantic_ai.models.function import DeltaThinkingPart, DeltaToolCall

        async def stream(messages: list[Any], info: Any) -> AsyncIterator[Any]:
            if len(messages) == 1:
                yield {0: DeltaThinkingPart(content="Hm.")}
                yield "Looking."
                yield {2: DeltaToolCall(name="weather", json_args='{"city": ', tool_call_id="c1")}
                yield {2: DeltaToolCall(json_args='"Oslo"}')}
            else:
                yield "It "
                yield "rains."

        agent = self.agent(ai, stream, deps_type=str)

        @agent.tool  # type: ignore[untyped-decorator]  # of Any
        def weather(context: ai.RunContext[str], city: str) -> dict[str, str]:
            return {city: context.deps}

        events = events_of(PydanticAIAgent(agent), "Weather?", context=ToolContext(deps="rain"))
        call = ToolCall("c1", "weather", {"city": "Oslo"}, '{"city": "Oslo"}')
        assert events[:-1] == [
            ThinkingDelta("Hm."),
            TextDelta("Looking."),
            call,
            ToolResult("c1", "weather", '{"Oslo":"rain"}'),
            TextDelta("\n\nIt "),
            TextDelta("rains."),
        ]
        result = finished(events)
        assert (result.text, result.thinking, result.tool_calls) == ("Looking.\n\nIt rains.", "Hm.", (call,))
        assert [(message.role, message.text) for message in result.messages] == [
            ("assistant", "Looking."), ("tool", '{"Oslo":"rain"}'), ("assistant", "It rains."),
        ]  # fmt: skip

    def test_tools_of_the_context_are_offered_and_their_arguments_streamed(self, ai: Any) -> None:
        from pydantic_ai.models.function import DeltaToolCall

        offered: list[Any] = []
        raw = '{"text": "Hi"}'

        @tool(stream_arguments=True)
        def write(context: ToolContext, text: str) -> str:
            """Write a text."""
            if text == "Hi":
                raise ToolError("Longer, please.")
            return f"{context.call_id} {context.deps}: {text}"

        async def stream(messages: list[Any], info: Any) -> AsyncIterator[Any]:
            offered[:] = [(each.name, each.description) for each in info.function_tools]
            if len(messages) == 1:
                yield {0: DeltaToolCall(name="write", json_args=raw[:6], tool_call_id="c1")}
                yield {0: DeltaToolCall(json_args=raw[6:])}
            elif len(messages) == 3:
                yield {0: DeltaToolCall(name="write", json_args=raw.replace("Hi", "Hello"), tool_call_id="c2")}
            else:
                yield "Done."

        context = ToolContext(deps="dep", tools=[write])
        events = events_of(PydanticAIAgent(self.agent(ai, stream)), context=context)
        assert offered == [("write", "Write a text.")]
        deltas = [event for event in events if isinstance(event, ToolCallDelta)]
        assert deltas[:2] == [ToolCallDelta("c1", "write", raw[:6]), ToolCallDelta("c1", "write", raw[6:])]
        first, second = results(events)
        assert (first.id, first.failed) == ("c1", True)
        assert "Longer, please." in first.text
        assert second == ToolResult("c2", "write", "c2 dep: Hello")
        assert finished(events).text == "Done."

    def test_the_history_is_converted_in_both_directions(self, ai: Any) -> None:
        received: list[Any] = []

        async def stream(messages: list[Any], info: Any) -> AsyncIterator[str]:
            received.append(messages)
            yield "Yes."

        agent = PydanticAIAgent(self.agent(ai, stream))
        history = [
            Message("system", "Be kind."),
            Message("user", "See?", images=(Image(data=b"x"), Image("https://a.example/b.png"))),
            Message("assistant", "A cat.", tool_calls=(ToolCall("1", "look", {"at": "b"}),)),
            Message("tool", "a cat", name="look", call_id="1", failed=True),
            Message("user", "Sure?", name="Ada"),
        ]
        first = finished(events_of(agent, history))
        kept = msgspec.json.decode(msgspec.json.encode(first.messages), type=tuple[Message, ...])
        assert finished(events_of(agent, [*history, *kept, Message("user", "Really?")])).text == "Yes."
        request, response, second, answer, third = received[1]
        assert [part.part_kind for part in request.parts] == ["system-prompt", "user-prompt"]
        prompt, data, address = request.parts[1].content
        assert (prompt, data.data, data.media_type, address.url) == (
            "See?",
            b"x",
            "image/png",
            "https://a.example/b.png",
        )
        assert [part.part_kind for part in response.parts] == ["text", "tool-call"]
        assert (second.parts[0].content, second.parts[0].outcome, second.parts[1].content) == (
            "a cat", "failed", "Ada: Sure?",
        )  # fmt: skip
        assert answer.parts[0].content == "Yes."
        assert third.parts[-1].content == "Really?"

    def test_a_structured_output_is_the_output(self, ai: Any) -> None:
        from pydantic_ai.models.test import TestModel

        agent = ai.Agent(TestModel(custom_output_args={"city": "Oslo"}), output_type=dict[str, str])
        result = finished(events_of(PydanticAIAgent(agent)))
        assert result.output == {"city": "Oslo"}
        assert result.tool_calls == ()

    @pytest.mark.parametrize("decision", [Approve(), Approve({"name": "b.txt"}), Reject("No.")])
    def test_approvals_are_converted(self, ai: Any, decision: Decision) -> None:
        from pydantic_ai.models.function import DeltaToolCall

        async def stream(messages: list[Any], info: Any) -> AsyncIterator[Any]:
            if len(messages) == 1:
                yield {0: DeltaToolCall(name="look", json_args="{}", tool_call_id="c1")}
                yield {1: DeltaToolCall(name="delete", json_args='{"name": "a.txt"}', tool_call_id="c2")}
            else:
                yield "Done."

        made = self.agent(ai, stream, output_type=[str, ai.DeferredToolRequests])

        @made.tool_plain  # type: ignore[untyped-decorator]  # of Any
        def look() -> str:
            return "seen"

        @made.tool_plain(requires_approval=True)  # type: ignore[untyped-decorator]  # of Any
        def delete(name: str) -> str:
            return f"{name} deleted"

        agent = PydanticAIAgent(made)
        history = [Message("user", "Clean up.")]
        first = finished(events_of(agent, history))
        assert [call.id for call in first.pending] == ["c2"]
        assert first.output is None

        async def go_on() -> list[Event]:
            kept = msgspec.json.decode(msgspec.json.encode(first.messages), type=list[Message])
            return [event async for event in resume(agent, [*history, *kept], {"c2": decision})]

        events = asyncio.run(go_on())
        (result,) = [result for result in results(events) if result.id == "c2"]
        texts = {"Approve(arguments=None)": "a.txt deleted", "Reject(reason='No.')": "A person refused this call: No."}
        assert result.text == texts.get(repr(decision), "b.txt deleted")
        assert result.failed is isinstance(decision, Reject)
        assert finished(events).text == "Done."

    def test_failures_have_our_codes(self, ai: Any) -> None:
        for error, code in [
            (ai.ModelHTTPError(429, "gpt", "secret body"), "rate_limited"),
            (ai.ModelHTTPError(401, "gpt"), "authentication"),
            (ai.ModelHTTPError(500, "gpt"), "server_error"),
            (ai.ModelHTTPError(400, "gpt"), "bad_request"),
            (ai.ModelAPIError("gpt", "no route"), "unreachable"),
            (ai.UsageLimitExceeded("more than 3 requests"), "too_many_turns"),
            (ai.UserError("set it up"), "configuration"),
            (ai.UnexpectedModelBehavior("odd"), "bad_response"),
        ]:

            async def stream(messages: list[Any], info: Any, error: Any = error) -> AsyncIterator[str]:
                yield "So"
                raise error

            last = failed(events_of(PydanticAIAgent(self.agent(ai, stream))))
            assert last.error.code == code
            assert "secret" not in last.error.message + repr(last.error)

    def test_leaving_cancels_the_run(self, ai: Any) -> None:
        exceptions = []

        async def stream(messages: list[Any], info: Any) -> AsyncIterator[str]:
            try:
                yield "So"
                yield "So"
                await asyncio.sleep(3600)
            except BaseException as error:
                exceptions.append(type(error))
                raise

        async def scenario() -> set[Any]:
            before = asyncio.all_tasks()
            async with aclosing(run_stream(PydanticAIAgent(self.agent(ai, stream)), "x")) as events:
                async for _ in events:
                    break
            return asyncio.all_tasks() - before

        assert asyncio.run(asyncio.wait_for(scenario(), 30)) == set()
        assert exceptions


def test_a_missing_framework_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ConfigurationError, match="pip install pydantic-ai-slim"):
        PydanticAIAgent(object())
