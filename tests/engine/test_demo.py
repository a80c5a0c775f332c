import asyncio
import json
from typing import Any

import pytest

from chat.conf import Conf
from chat.engine import (
    CONTINUE_PROMPT,
    DEMO_TOOLS,
    Agent,
    Approve,
    Completion,
    Decision,
    DemoProvider,
    Error,
    Finish,
    Message,
    Reject,
    Result,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    resume,
    run,
    run_stream,
)  # fmt: skip
from chat.engine.providers.demo import Step
from chat.engine.providers.demo_documents import DEMO_DOCUMENTS
from chat.engine.providers.demo_script import demo_answer
from chat.engine.providers.provider import Request, ToolSpec

from .scripted import events_of, finished


def answer_to(text: str) -> list[Any]:
    """The demo's answer to a message, without its pauses."""
    steps = list(demo_answer(Request([Message("user", text)])))
    return [step for step in steps if not isinstance(step, float)]


def words(steps: list[Any], kind: type[TextDelta] | type[ThinkingDelta] = TextDelta) -> str:
    return "".join(step.text for step in steps if isinstance(step, kind))


class TestScript:
    def test_a_script_is_played_again_for_every_request(self) -> None:
        script: list[Step] = [TextDelta("a "), 0.001, ThinkingDelta("b c "), TextDelta("d")]
        agent = Agent(DemoProvider(script=iter(script)))
        first, second = (asyncio.run(run(agent, "one two three")) for _ in range(2))
        messages = (Message("assistant", "a d"),)
        usage = Usage(3, 4, 7, None, 2)
        assert first == second == Result("a d", "b c ", (), "stop", usage, "", "demo", "script", messages)

    def test_a_script_may_contain_the_completion(self) -> None:
        agent = Agent(DemoProvider(script=[Completion("length", None), TextDelta("a")]))
        result = asyncio.run(run(agent, "x"))
        assert (result.finish_reason, result.usage) == ("length", None)

    def test_a_script_waits_at_a_gate(self) -> None:
        async def scenario() -> list[str]:
            gate, received = asyncio.Event(), asyncio.Event()
            order = []

            async def read() -> None:
                async for event in run_stream(
                    Agent(DemoProvider(script=[TextDelta("a"), gate.wait, TextDelta("b")])), "x"
                ):
                    order.append(event.text if isinstance(event, TextDelta) else "end")
                    received.set()

            task = asyncio.create_task(read())
            await received.wait()
            await asyncio.sleep(0.01)
            order.append("open")
            gate.set()
            await task
            return order

        assert asyncio.run(scenario()) == ["a", "open", "b", "end"]


class TestDemoScript:
    @pytest.mark.parametrize("question", ["hello", "long", "think", "slow", "code", "error", "usage", "tour", ""])
    def test_the_first_sentence_introduces_the_demo(self, question: str) -> None:
        assert words(answer_to(question)).startswith("I am the built-in demo, not a model")

    def test_keywords_in_the_question_choose_the_answer(self) -> None:
        assert words(answer_to("Something LONG please")).count("\n\n") > 5
        assert words(answer_to("think about it"), ThinkingDelta)
        assert isinstance(answer_to("Think!")[0], ThinkingDelta)
        assert "```python\n" in words(answer_to("some code"))
        questions = ("x", "long", "think", "slow", "code", "error", "usage", "tour", "stream", "poem")
        assert len({words(answer_to(q)) for q in questions}) == len(questions)

    def test_the_starters_get_what_they_ask_for(self) -> None:
        tour, report, program, table = (words(answer_to(starter)) for starter in Conf().AGENTS["assistant"].starters)
        assert "Stop me" in tour
        assert "\n# How a document is written\n" in report
        assert "\n```python\n" in program
        assert "\n```csv\nPlanet,Distance" in table

    def test_it_still_explains_streaming_and_writes_a_poem(self) -> None:
        explanation, poem = (words(answer_to(text)) for text in ("Explain how streaming works", "Write a short poem"))
        assert all(f"\n{step}. **" in explanation for step in range(1, 7)), "step by step"
        assert sum(line.startswith("> ") for line in poem.splitlines()) == 8

    @pytest.mark.parametrize("asked", ["Write a report", "write me a program please", "Fill a table"])
    def test_with_the_tool_it_writes_a_document_piece_by_piece(self, asked: str) -> None:
        specs = [ToolSpec("create_document", "", {}, stream_arguments=True)]
        steps = list(demo_answer(Request([Message("user", asked)], tools=specs)))
        call = steps[-1]
        assert isinstance(call, ToolCall)
        pieces = [step.text for step in steps if isinstance(step, ToolCallDelta)]
        assert len(pieces) > 30
        assert "".join(pieces) == call.raw
        assert json.loads(call.raw) == call.arguments
        assert call.arguments is not None
        assert list(call.arguments)[-1] == "text"
        result = Message("tool", "Created.", name="create_document", call_id=call.id)
        history = [Message("user", asked), Message("assistant", "", tool_calls=(call,)), result]
        assert words(list(demo_answer(Request(history, tools=specs)))).startswith("You can write in it now")

    def test_the_tables_and_the_program_are_what_they_seem(self) -> None:
        rows = DEMO_DOCUMENTS["table"].text.splitlines()
        assert {row.count(",") for row in rows} == {4}
        found: dict[str, Any] = {}
        exec(DEMO_DOCUMENTS["program"].text.partition("def main")[0], found)
        assert found["primes"](30) == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]

    def test_the_tour_shows_each_kind_of_content(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asyncio, "sleep", no_sleep)
        agent = Agent("demo:tour", tools=DEMO_TOOLS)
        question = [Message("user", "What can I try here?")]
        first = finished(events_of(agent, question))
        assert first.thinking
        assert [call.name for call in first.tool_calls] == ["current_time", "send_postcard"]
        assert [call.name for call in first.pending] == ["send_postcard"]
        assert all(mark in first.text for mark in ("\n| say | to see |\n", "\n$$\n\\int_{", "```mermaid\n"))
        assert " so there can be" in first.text
        (waiting,) = first.pending
        closings = []
        for decision in (Approve(), Reject("No stamps.")):

            async def decide(decision: Decision = decision) -> list[Any]:
                history = [*question, *first.messages]
                return [event async for event in resume(agent, history, {waiting.id: decision}, before=first)]

            closings.append(finished(asyncio.run(decide())))
        approved, rejected = (closing.text for closing in closings)
        assert approved.startswith("\n\nThank you!")
        assert rejected.startswith("\n\nAs you wish")
        assert all("Stop me" in text for text in (approved, rejected))

    def test_the_tour_continues_where_it_was_cut_off(self) -> None:
        specs = [tool.spec for tool in DEMO_TOOLS]
        question = Message("user", "tour")
        call = ToolCall("c1", "current_time", {}, "{}")
        called = Message("assistant", "So far", tool_calls=(call,))
        result = Message("tool", "noon", name="current_time", call_id="c1")

        def turn(*messages: Message) -> list[Any]:
            steps = list(demo_answer(Request([question, *messages], tools=specs)))
            return [step for step in steps if not isinstance(step, float)]

        proceed = Message("user", CONTINUE_PROMPT)
        whole = turn(called, result)
        assert isinstance(whole[-1], ToolCall)
        rest = turn(called, result, Message("assistant", words(whole)[:30]), proceed)
        assert words(rest) == words(whole)[30:]
        assert rest[-1] == whole[-1]
        assert words(turn(called, result, proceed)) == words(whole)
        both = f"{words(turn())}\n\n{words(whole)[:30]}"
        assert "Stop me" in words(turn(Message("assistant", both), proceed)), "the calls are not in the history"

    def test_the_last_message_of_the_user_is_answered(self) -> None:
        messages = [Message("user", "long"), Message("assistant", "code"), Message("user", "usage")]
        assert words(list(demo_answer(Request(messages)))) == words(answer_to("usage"))

    def test_the_answer_comes_word_by_word(self) -> None:
        pieces = [step.text for step in answer_to("code") if isinstance(step, TextDelta)]
        assert all(len(piece.split()) <= 1 for piece in pieces)

    def test_the_error_comes_in_the_middle_of_the_answer(self) -> None:
        *steps, failure = answer_to("error")
        assert words(steps)
        assert (failure.code, failure.retryable) == ("server_error", True)

    @pytest.mark.parametrize("model", ["demo", "demo:tour"])
    def test_the_demo_runs_like_any_model(self, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asyncio, "sleep", no_sleep)
        result = asyncio.run(run(Agent(model), "usage"))
        assert result.text == words(answer_to("usage"))
        assert result.usage == Usage(1, len(result.text.split()), 1 + len(result.text.split()), None, 0)
        assert (result.provider, result.model, result.finish_reason) == ("demo", "tour", "stop")

    def test_an_error_of_the_demo_keeps_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asyncio, "sleep", no_sleep)

        async def collect() -> list[Any]:
            return [event async for event in run_stream(Agent("demo"), "error")]

        *_, last = asyncio.run(collect())
        assert isinstance(last, Error)
        assert last.result.text == words(answer_to("error"))
        assert not isinstance(last, Finish)


async def no_sleep(seconds: float) -> None:
    pass
