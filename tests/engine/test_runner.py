import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from chat.engine import (
    Agent,
    Completion,
    DemoProvider,
    EngineError,
    Error,
    Event,
    Finish,
    Message,
    ProviderError,
    Result,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Usage,
    run,
    run_stream,
)  # fmt: skip
from chat.engine.providers.provider import Request


def scripted(*steps: Any) -> Agent:
    return Agent(DemoProvider(script=steps))


def events_of(agent: Agent, prompt: str | list[Message] = "Hi") -> list[Event]:
    async def collect() -> list[Event]:
        return [event async for event in run_stream(agent, prompt)]

    return asyncio.run(collect())


def test_a_stream_ends_with_one_finish_that_holds_everything() -> None:
    deltas = [ThinkingDelta("Hm. "), TextDelta("Yes"), TextDelta("!"), ToolCall("1", "add", {"x": 1})]
    usage = Usage(1, 2, 3)
    events = events_of(scripted(*deltas, Completion("stop", usage)))
    result = Result("Yes!", "Hm. ", (ToolCall("1", "add", {"x": 1}),), "stop", usage, "", "demo", "script")
    assert events == [*deltas, Finish(result)]


def test_or_with_one_error_that_holds_what_there_was() -> None:
    failure = ProviderError("Too bad.", "overloaded", provider="demo")
    events = events_of(scripted(TextDelta("Ye"), Completion(None, Usage(1)), failure))
    assert events[0] == TextDelta("Ye")
    assert events[1:] == [Error(failure, Result("Ye", usage=Usage(1), provider="demo", model="script"))]


def test_run_folds_the_same_events() -> None:
    assert asyncio.run(run(scripted(TextDelta("a"), TextDelta("b")), "Hi")).text == "ab"


def test_run_raises_what_the_error_would_have_held() -> None:
    failure = ProviderError("Too bad.", "overloaded", provider="demo")
    with pytest.raises(ProviderError) as raised:
        asyncio.run(run(scripted(TextDelta("a"), failure), "Hi"))
    assert raised.value is failure


@pytest.mark.parametrize("model", ["", "gpt-4o", "nobody:x", "openai:", "anthropic:claude", "custom:x", "demo:what"])
def test_a_model_that_cannot_be_is_an_error_of_configuration(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert "sk-a-secret" not in events[-1].error.message
    assert "KeyError" in caplog.text


def test_a_prompt_is_one_message_of_the_user() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> list[TextDelta]:
        asked.append(request)
        return []

    provider = DemoProvider(script=answer)
    events_of(Agent(provider, instructions="Be brief.", settings={"temperature": 0}), "Hi")
    events_of(Agent(provider), [Message("user", "One"), Message("assistant", "Two")])
    assert asked[0].messages == [Message("user", "Hi")]
    assert (asked[0].instructions, asked[0].settings) == ("Be brief.", {"temperature": 0})
    assert asked[1].messages == [Message("user", "One"), Message("assistant", "Two")]


class Watched:
    """A provider that tells how it was left."""

    name = "watched"
    model = "x"

    def __init__(self) -> None:
        self.left: list[str] = []

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        try:
            yield TextDelta("a")
            await asyncio.sleep(3600)
        except BaseException as error:
            self.left.append(type(error).__name__)
            raise


@pytest.mark.parametrize(("stop", "how"), [("close", "GeneratorExit"), ("cancel", "CancelledError")])
def test_closing_or_cancelling_closes_the_provider_and_makes_no_event(stop: str, how: str) -> None:
    provider = Watched()

    async def scenario() -> list[Event]:
        events: list[Event] = []

        async def read() -> None:
            async with aclosing(run_stream(Agent(provider), "Hi")) as stream:
                async for event in stream:
                    events.append(event)
                    if stop == "close":
                        break

        task = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        if stop == "cancel":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return events

    assert asyncio.run(scenario()) == [TextDelta("a")]
    assert provider.left == [how]


def test_an_exception_of_the_reader_is_the_readers_own() -> None:
    async def read() -> None:
        async for _ in run_stream(scripted(TextDelta("a"), 3600), "Hi"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(read())


def test_a_long_answer_costs_linear_time() -> None:
    """20,000 deltas of 50 characters; adding to one string again and again would show."""

    def seconds(deltas: int) -> float:
        agent = scripted(*[TextDelta("x" * 50)] * deltas)
        start = time.process_time()
        assert len(asyncio.run(run(agent, "Hi")).text) == 50 * deltas
        return time.process_time() - start

    seconds(1000)
    half, whole = min(seconds(10_000) for _ in range(3)), min(seconds(20_000) for _ in range(3))
    assert whole < 4 * half


def test_an_error_without_a_code_is_ours() -> None:
    assert EngineError("x").code == "internal"
