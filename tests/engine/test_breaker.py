"""Circuit breakers: when a model is not asked, and who answers instead."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from chat.engine import Agent, Breakers, Completion, Fallback, Limits, ProviderError, TextDelta, run_stream
from chat.engine.breaker import MOST

from .scripted import ScriptedModel, events_of, failed, finished

HELLO = [TextDelta("Hi"), Completion("stop")]
ONCE = Limits(max_retries=0)
MODEL = "vendor:large"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return Breakers(failures=2, seconds=30, now=clock)


def failure(code: str = "overloaded", retryable: bool = False) -> ProviderError:
    return ProviderError("Away.", code, provider="vendor", retryable=retryable, retry_after=0.001)


def model(*scripts: Any, provider: str = "vendor", name: str = "large") -> ScriptedModel:
    made = ScriptedModel(*scripts, model=name)
    made.provider.name = provider
    return made


def ask(made: ScriptedModel, breakers: Breakers, **options: Any) -> list[Any]:
    return events_of(made.agent(breakers=breakers, **{"limits": ONCE, **options}))


def state(breakers: Breakers) -> tuple[str, int, float]:
    [found] = [each for each in breakers.states() if each.model == MODEL]
    return found.state, found.failures, found.seconds


def test_a_model_that_fails_again_and_again_is_not_asked_for_a_while(breakers: Breakers, clock: Clock) -> None:
    away = model([failure()])
    assert failed(ask(away, breakers)).error.code == "overloaded"
    assert state(breakers) == ("closed", 1, 0)
    assert failed(ask(away, breakers)).error.code == "overloaded"
    assert state(breakers) == ("open", 2, 30)
    clock.now += 10
    error = failed(ask(away, breakers)).error
    assert (error.code, error.retry_after) == ("model_paused", 20)  # type: ignore[attr-defined]
    assert error.message == "The model does not answer at the moment. Try again later."
    assert error.detail == (
        "vendor:large is not asked: its circuit breaker is open for 20 more seconds. It failed with overloaded."
    )
    assert len(away.requests) == 2


def test_the_fallback_answers_at_once_and_the_stream_says_so(breakers: Breakers) -> None:
    away, other = model([failure()]), model(HELLO, name="small")
    for _ in range(2):
        events = ask(away, breakers, fallback=[other.provider])
        assert events[0] == Fallback("vendor:small", "overloaded")
    events = ask(away, breakers, fallback=[other.provider])
    assert events[0] == Fallback("vendor:small", "model_paused")
    assert finished(events).text == "Hi"
    assert finished(events).model == "small"
    assert len(away.requests) == 2


def test_retries_end_when_the_breaker_opens(breakers: Breakers) -> None:
    away, other = model([failure(retryable=True)]), model(HELLO, name="small")
    events = ask(away, breakers, fallback=[other.provider], limits=Limits(max_retries=9))
    assert finished(events).text == "Hi"
    assert len(away.requests) == 2


def test_without_a_fallback_the_reader_gets_the_error_of_the_provider(breakers: Breakers) -> None:
    away = model([failure(retryable=True)])
    assert failed(ask(away, breakers, limits=Limits(max_retries=9))).error.code == "overloaded"


def test_one_request_tries_again_and_closes_it_or_opens_it_again(breakers: Breakers, clock: Clock) -> None:
    away = model([failure()], [failure()], [failure()], HELLO)
    ask(away, breakers)
    ask(away, breakers)
    clock.now += 30
    assert state(breakers) == ("half_open", 2, 0)
    assert failed(ask(away, breakers)).error.code == "overloaded"
    assert state(breakers) == ("open", 3, 30)
    clock.now += 30
    assert finished(ask(away, breakers)).text == "Hi"
    assert state(breakers) == ("closed", 0, 0)


def test_others_are_refused_while_one_tries(breakers: Breakers, clock: Clock) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        slow = model([failure()], [failure()], [gate.wait, *HELLO])
        agent = slow.agent(breakers=breakers, limits=ONCE)
        for _ in range(2):
            await _collect(agent)
        clock.now += 30
        trying = asyncio.create_task(_collect(agent))
        while len(slow.requests) < 3:
            await asyncio.sleep(0)
        assert failed(await _collect(agent)).error.code == "model_paused"
        gate.set()
        assert finished(await trying).text == "Hi"
        assert finished(await _collect(agent)).text == "Hi"

    asyncio.run(scenario())


def test_a_try_that_is_stopped_leaves_it_to_the_next_request(breakers: Breakers, clock: Clock) -> None:
    async def scenario() -> None:
        forever = asyncio.Event()
        slow = model([failure()], [failure()], [forever.wait], HELLO)
        agent = slow.agent(breakers=breakers, limits=ONCE)
        for _ in range(2):
            await _collect(agent)
        clock.now += 30
        trying = asyncio.create_task(_collect(agent))
        while len(slow.requests) < 3:
            await asyncio.sleep(0)
        trying.cancel()
        await asyncio.wait([trying])
        assert state(breakers) == ("half_open", 2, 0)
        assert finished(await _collect(agent)).text == "Hi"

    asyncio.run(scenario())


async def _collect(agent: Agent) -> list[Any]:
    async with aclosing(run_stream(agent, "Hi")) as stream:
        return [event async for event in stream]


def test_an_answer_ends_the_row_and_what_the_request_is_to_blame_for_is_not_in_it(breakers: Breakers) -> None:
    for script in ([failure()], HELLO, [failure()], [failure("bad_request")], [failure("authentication")]):
        ask(model(script), breakers)
    assert state(breakers) == ("closed", 1, 0)
    ask(model([TextDelta("H"), failure("stream_cut")]), breakers)
    assert state(breakers)[0] == "open", "also if it breaks off"


def test_models_have_breakers_of_their_own_and_the_demo_has_none(breakers: Breakers) -> None:
    for _ in range(3):
        ask(model([failure()]), breakers)
        assert failed(ask(model([failure()], provider="demo"), breakers)).error.code == "overloaded"
    assert finished(ask(model(HELLO, name="small"), breakers)).text == "Hi"
    assert [each.model for each in breakers.states()] == ["vendor:large", "vendor:small"]
    breakers.forget()
    assert list(breakers.states()) == []


def test_people_open_and_close_it(breakers: Breakers, clock: Clock) -> None:
    away = model([failure()], [failure()], [failure()], HELLO)
    breakers.settings = {MODEL: "closed"}
    for _ in range(3):
        assert failed(ask(away, breakers)).error.code == "overloaded"
    assert state(breakers)[0] == "closed"
    breakers.settings = {MODEL: "open"}
    clock.now += 1000
    error = failed(ask(away, breakers)).error
    assert (error.code, error.retry_after) == ("model_paused", None)  # type: ignore[attr-defined]
    assert "until staff close it" in error.detail
    assert state(breakers) == ("open", 3, 0)
    breakers.settings = {}
    assert finished(ask(away, breakers)).text == "Hi"


def test_zero_failures_never_open_it(clock: Clock) -> None:
    never, away = Breakers(failures=0, now=clock), model([failure()])
    for _ in range(20):
        assert failed(ask(away, never)).error.code == "overloaded"
    assert failed(events_of(away.agent(limits=ONCE))).error.code == "overloaded", "nor without breakers"


def test_it_remembers_a_bounded_number_of_models_and_rather_the_open_ones(breakers: Breakers) -> None:
    for _ in range(2):
        ask(model([failure()]), breakers)
    for number in range(MOST + 10):
        with breakers.admit("vendor", str(number)) as attempt:
            attempt.complete()
    assert len(list(breakers.states())) < MOST
    assert state(breakers)[0] == "open"
