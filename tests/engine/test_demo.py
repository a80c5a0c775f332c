import asyncio
from typing import Any

import pytest

from chat.engine import (
    Agent,
    Completion,
    DemoProvider,
    Error,
    Finish,
    Message,
    Result,
    TextDelta,
    ThinkingDelta,
    Usage,
    run,
    run_stream,
)  # fmt: skip
from chat.engine.providers.demo_script import demo_answer
from chat.engine.providers.provider import Request


def said(text: str) -> list[Any]:
    """What the tour says to a message, without waiting for it."""
    steps = list(demo_answer(Request([Message("user", text)])))
    return [step for step in steps if not isinstance(step, float)]


def words(steps: list[Any], kind: type = TextDelta) -> str:
    return "".join(step.text for step in steps if isinstance(step, kind))


class TestScript:
    def test_it_plays_the_same_for_every_request(self) -> None:
        agent = Agent(DemoProvider(script=iter([TextDelta("a "), 0.001, ThinkingDelta("b c "), TextDelta("d")])))
        first, second = (asyncio.run(run(agent, "one two three")) for _ in range(2))
        said = (Message("assistant", "a d"),)
        usage = Usage(3, 4, 7, None, 2)
        assert first == second == Result("a d", "b c ", (), "stop", usage, "", "demo", "script", said)

    def test_it_may_say_how_it_ends(self) -> None:
        agent = Agent(DemoProvider(script=[Completion("length", None), TextDelta("a")]))
        result = asyncio.run(run(agent, "x"))
        assert (result.finish_reason, result.usage) == ("length", None)

    def test_it_waits_at_a_gate(self) -> None:
        async def scenario() -> list[str]:
            gate, heard = asyncio.Event(), asyncio.Event()
            order = []

            async def read() -> None:
                async for event in run_stream(
                    Agent(DemoProvider(script=[TextDelta("a"), gate.wait, TextDelta("b")])), "x"
                ):
                    order.append(event.text if isinstance(event, TextDelta) else "end")
                    heard.set()

            task = asyncio.create_task(read())
            await heard.wait()
            await asyncio.sleep(0.01)
            order.append("open")
            gate.set()
            await task
            return order

        assert asyncio.run(scenario()) == ["a", "open", "b", "end"]


class TestTour:
    @pytest.mark.parametrize("question", ["hello", "long", "think", "slow", "code", "error", "usage", ""])
    def test_its_first_sentence_says_what_it_is(self, question: str) -> None:
        assert words(said(question)).startswith("I am the built-in demo, not a model")

    def test_it_answers_by_what_is_asked(self) -> None:
        assert words(said("Something LONG please")).count("\n\n") > 5
        assert words(said("think about it"), ThinkingDelta)
        assert isinstance(said("Think!")[0], ThinkingDelta)
        assert "```python\n" in words(said("some code"))
        assert "Stop me" in words(said("What can I try here?"))
        assert len({words(said(q)) for q in ("x", "long", "think", "slow", "code", "error", "usage")}) == 7

    def test_it_answers_the_last_message_of_a_person(self) -> None:
        messages = [Message("user", "long"), Message("assistant", "code"), Message("user", "usage")]
        assert words(list(demo_answer(Request(messages)))) == words(said("usage"))

    def test_it_comes_word_by_word(self) -> None:
        pieces = [step.text for step in said("code") if isinstance(step, TextDelta)]
        assert all(len(piece.split()) <= 1 for piece in pieces)

    def test_an_error_comes_in_mid_answer(self) -> None:
        *steps, failure = said("error")
        assert words(steps)
        assert (failure.code, failure.retryable) == ("server_error", True)

    @pytest.mark.parametrize("model", ["demo", "demo:tour"])
    def test_it_runs_like_any_model(self, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asyncio, "sleep", quickly)
        result = asyncio.run(run(Agent(model), "usage"))
        assert result.text == words(said("usage"))
        assert result.usage == Usage(1, len(result.text.split()), 1 + len(result.text.split()), None, 0)
        assert (result.provider, result.model, result.finish_reason) == ("demo", "tour", "stop")

    def test_its_error_keeps_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asyncio, "sleep", quickly)

        async def collect() -> list[Any]:
            return [event async for event in run_stream(Agent("demo"), "error")]

        *_, last = asyncio.run(collect())
        assert isinstance(last, Error)
        assert last.result.text == words(said("error"))
        assert not isinstance(last, Finish)


async def quickly(seconds: float) -> None:
    pass
