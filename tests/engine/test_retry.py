import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import (
    Agent,
    Completion,
    ConfigurationError,
    DeadlineError,
    Event,
    Limits,
    ProviderError,
    RetryWait,
    TextDelta,
    ThinkingDelta,
    Usage,
    tool,
)  # fmt: skip
from chat.engine.providers.openai import OpenAIProvider
from chat.engine.retry import backoff

from ..support.upstream import Upstream
from .scripted import ScriptedModel, call, collect, events_of, failed, finished

SHORT_WAIT = 0.001


def busy(retry_after: float | None = SHORT_WAIT, *, retryable: bool = True, message: str = "Busy.") -> ProviderError:
    return ProviderError(
        message, "overloaded", provider="demo", status=503, retry_after=retry_after, retryable=retryable
    )


def agent_with_retries(model: ScriptedModel, retries: int = 2, **limits: Any) -> Agent:
    return model.agent(limits=Limits(max_retries=retries, **limits))


class TestAgain:
    def test_a_failure_before_the_first_delta_is_retried(self, caplog: pytest.LogCaptureFixture) -> None:
        model = ScriptedModel([busy()], [busy()], [TextDelta("Hi"), Completion("stop", Usage(1))])
        with caplog.at_level(logging.WARNING, "nous_chat.engine"):
            events = events_of(agent_with_retries(model))
        assert events[:-1] == [TextDelta("Hi")]
        assert finished(events).usage == Usage(1)
        assert [record.message for record in caplog.records] == [
            "Busy. Retrying in 0.0 s, 1 of 2.",
            "Busy. Retrying in 0.0 s, 2 of 2.",
        ]

    def test_a_wait_of_a_second_is_announced(self) -> None:
        model = ScriptedModel([busy(retry_after=1)], [TextDelta("Hi"), Completion("stop")])
        wait, *rest = events_of(agent_with_retries(model))
        assert isinstance(wait, RetryWait)
        assert 1 <= wait.seconds <= 1.1
        assert wait.code == "overloaded"
        assert rest[0] == TextDelta("Hi")

    def test_each_retry_is_a_new_request_with_the_remaining_time(self) -> None:
        model = ScriptedModel([busy()], [TextDelta("Hi")])
        events_of(agent_with_retries(model))
        one, two = model.requests
        assert one is not two
        assert two.limits.total < one.limits.total

    def test_retries_are_limited_and_the_last_error_is_raised(self) -> None:
        last = busy(message="Still busy.")
        model = ScriptedModel([busy()], [busy()], [last], [TextDelta("too late")])
        error = failed(events_of(agent_with_retries(model))).error
        assert error is last
        assert error.__notes__ == ["Before: Busy. (overloaded)"] * 2

    @pytest.mark.parametrize("first_event", [TextDelta("H"), ThinkingDelta("H"), call("add")])
    def test_never_after_the_first_delta(self, first_event: Event) -> None:
        failure = busy()
        model = ScriptedModel([first_event, failure], [TextDelta("again")])
        assert failed(events_of(agent_with_retries(model))).error is failure
        assert len(model.requests) == 1

    def test_a_completion_alone_does_not_prevent_a_retry(self) -> None:
        model = ScriptedModel([Completion(None, Usage(7)), busy()], [TextDelta("Hi"), Completion("stop", Usage(1))])
        assert finished(events_of(agent_with_retries(model))).usage == Usage(1)

    @pytest.mark.parametrize(
        "failure",
        [
            ProviderError("No.", "bad_request", provider="demo", status=400),
            DeadlineError("Late.", "first_token_timeout", provider="demo"),
            ConfigurationError("No key."),
        ],
    )
    def test_errors_that_are_not_retryable_are_final(self, failure: Exception) -> None:
        model = ScriptedModel([failure], [TextDelta("again")])
        assert failed(events_of(agent_with_retries(model))).error is failure
        assert len(model.requests) == 1

    def test_a_retry_after_beyond_the_limit_is_final(self) -> None:
        failure = busy(retry_after=60)
        model = ScriptedModel([failure], [TextDelta("again")])
        error = failed(events_of(agent_with_retries(model))).error
        assert error is failure
        assert isinstance(error, ProviderError)
        assert error.retry_after == 60

    def test_a_retry_after_beyond_the_total_time_is_final(self) -> None:
        failure = busy(retry_after=5)
        model = ScriptedModel([failure], [TextDelta("again")])
        assert failed(events_of(agent_with_retries(model, total=1))).error is failure

    def test_a_later_turn_of_a_run_is_retried(self) -> None:
        @tool
        def look() -> str:
            return "seen"

        model = ScriptedModel([TextDelta("a"), call("look")], [busy()], [TextDelta("b")])
        agent = model.agent(tools=[look], limits=Limits(max_retries=1))
        assert finished(events_of(agent)).text == "a\n\nb"

    def test_the_environment_sets_the_number_of_retries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for value, retries in [("5", 5), ("0", 0), (" 3 ", 3), ("", 2), ("-1", 2), ("many", 2)]:
            monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", value)
            assert Limits().max_retries == retries
        monkeypatch.delenv("NOUS_CHAT_MAX_RETRIES")
        assert Limits().max_retries == 2
        assert Limits(max_retries=1).max_retries == 1

    def test_requests_over_a_real_connection_are_retried(self, provider: Upstream) -> None:
        before = provider.stats()["started"]
        upstream_model = OpenAIProvider("custom", "status@code=503,retry_after=0.01", provider.url)
        error = failed(events_of(Agent(upstream_model, limits=Limits(max_retries=2)))).error
        assert error.code == "overloaded"
        assert provider.stats()["started"] == before + 3


class TestPause:
    def test_the_wait_doubles_up_to_eight_seconds(self) -> None:
        assert [backoff(attempt, None, 0.0) for attempt in range(6)] == [0.5, 1, 2, 4, 8, 8]

    @given(st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
    def test_jitter_shortens_the_wait_by_up_to_half(self, attempt: int, jitter: float) -> None:
        longest = backoff(attempt, None, 0.0)
        assert longest / 2 <= backoff(attempt, None, jitter) <= longest <= 8

    @given(st.integers(0, 1000), st.floats(0.001, 100), st.floats(0, 1, exclude_max=True))
    def test_the_wait_is_never_shorter_than_retry_after(self, attempt: int, retry_after: float, jitter: float) -> None:
        assert retry_after <= backoff(attempt, retry_after, jitter) <= retry_after * 1.1


class TestFallback:
    def test_the_next_model_answers_if_one_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        first = ScriptedModel([busy(retryable=False)])
        second = ScriptedModel([TextDelta("Hi")], model="second")
        result = finished(events_of(first.agent(fallback=[second.provider])))
        assert (result.text, result.provider, result.model) == ("Hi", "demo", "second")
        assert "Busy. Falling back to demo:second." in caplog.text

    def test_the_fallback_comes_after_the_retries(self) -> None:
        first, second = ScriptedModel([busy()]), ScriptedModel([TextDelta("Hi")])
        agent = first.agent(fallback=[second.provider], limits=Limits(max_retries=2))
        assert finished(events_of(agent)).text == "Hi"
        assert (len(first.requests), len(second.requests)) == (3, 1)

    def test_a_retry_after_beyond_the_limit_switches_to_the_fallback_at_once(self) -> None:
        first, second = ScriptedModel([busy(retry_after=600)]), ScriptedModel([TextDelta("Hi")])
        agent = first.agent(fallback=[second.provider], limits=Limits(max_retries=2))
        assert finished(events_of(agent)).text == "Hi"
        assert len(first.requests) == 1

    def test_the_last_error_has_notes_about_the_earlier_ones(self) -> None:
        one, two = (
            ScriptedModel([busy(message="One.", retryable=False)]),
            ScriptedModel([busy(message="Two.", retryable=False)]),
        )
        last = failed(events_of(one.agent(fallback=[two.provider])))
        assert last.error.message == "Two."
        assert last.error.__notes__ == ["Before: One. (overloaded)"]

    def test_never_after_the_first_delta(self) -> None:
        first, second = ScriptedModel([TextDelta("H"), busy(retryable=False)]), ScriptedModel([TextDelta("Hi")])
        assert failed(events_of(first.agent(fallback=[second.provider]))).result.text == "H"
        assert second.requests == []

    def test_a_fallback_that_is_not_set_up_is_skipped(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.delenv("GROQ_API_KEY", raising=False)
        first, second = ScriptedModel([busy(retryable=False)]), ScriptedModel([TextDelta("Hi")])
        assert finished(events_of(first.agent(fallback=["groq:x", second.provider]))).text == "Hi"
        assert "The fallback groq:x is skipped: There is no key for groq." in caplog.text
        alone = failed(events_of(first.agent(fallback=["groq:x"])))
        assert alone.error.code == "overloaded"

    def test_a_fallback_with_a_configuration_error_is_skipped(self) -> None:
        first, second = ScriptedModel([busy(retryable=False)]), ScriptedModel([ConfigurationError("No such host.")])
        error = failed(events_of(first.agent(fallback=[second.provider]))).error
        assert error.code == "overloaded"
        assert error.__notes__ == ["Before: No such host. (configuration)"]

    def test_the_agents_own_model_has_to_be_set_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GROQ_API_KEY", raising=False)
        second = ScriptedModel([TextDelta("Hi")])
        assert failed(events_of(Agent("groq:x", fallback=[second.provider]))).error.code == "configuration"
        broken = ScriptedModel([ConfigurationError("No such host.")])
        assert failed(events_of(broken.agent(fallback=[second.provider]))).error.code == "configuration"
        assert second.requests == []

    def test_a_fallback_model_keeps_the_rest_of_the_run(self) -> None:
        @tool
        def look() -> str:
            return "seen"

        first = ScriptedModel([busy(retryable=False)])
        second = ScriptedModel([call("look")], [TextDelta("Hi")], model="second")
        agent = first.agent(tools=[look], fallback=[second.provider])
        assert finished(events_of(agent)).model == "second"
        assert (len(first.requests), len(second.requests)) == (1, 2)

    def test_settings_go_only_to_models_of_the_same_provider(self) -> None:
        first, second, third = (
            ScriptedModel([busy(retryable=False)]),
            ScriptedModel([busy(retryable=False)]),
            ScriptedModel([TextDelta("Hi")]),
        )
        third.provider.name = "elsewhere"
        agent = first.agent(fallback=[second.provider, third.provider], settings={"temperature": 0})
        events_of(agent)
        sent = [model.requests[0].settings for model in (first, second, third)]
        assert sent == [{"temperature": 0}, {"temperature": 0}, {}]

    def test_a_bug_does_not_switch_to_the_fallback(self, caplog: pytest.LogCaptureFixture) -> None:
        async def bug() -> None:
            raise KeyError

        first, second = ScriptedModel([bug]), ScriptedModel([TextDelta("Hi")])
        with caplog.at_level(logging.CRITICAL, "nous_chat.engine"):
            assert failed(events_of(first.agent(fallback=[second.provider]))).error.code == "internal"

    def test_the_total_time_covers_all_attempts(self) -> None:
        late = DeadlineError("Not done within 0.3 seconds.", "total_timeout", provider="demo")
        first, second = ScriptedModel([late]), ScriptedModel([TextDelta("Hi")])
        agent = first.agent(fallback=[second.provider], limits=Limits(total=20))
        error = failed(events_of(agent)).error
        assert (error.code, error.message) == (
            "total_timeout",
            "The answer was not finished within 20 seconds. Try again.",
        )
        assert second.requests == []


def test_waiting_can_be_cancelled() -> None:
    async def scenario() -> None:
        requested = asyncio.Event()

        async def note() -> None:
            requested.set()

        model = ScriptedModel([note, busy(retry_after=10)])
        task = asyncio.create_task(collect(agent_with_retries(model)))
        await requested.wait()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(scenario(), 30))
