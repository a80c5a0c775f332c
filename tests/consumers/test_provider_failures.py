"""A provider that fails ends the run, and the conversation goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Conversation, Run

from ..support.client import InProcess
from ..support.servers import Upstream
from ..support.upstream import text

Scenario = Callable[..., Any]


def test_everybody_is_told_at_once_that_a_busy_model_is_asked_again(
    scenario: Scenario, people: Any, room: Conversation, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "1")
    model("status@code=429,retry_after=2")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            waiting = await ada.hear("run.waiting")
            assert 2 <= waiting["retry_in"] <= 2.2
            async with InProcess(people["bob"], room.pk) as late:
                state = await late.hear("run.state")
                assert 0 < state["message"]["run"]["retry_in"] <= waiting["retry_in"]
            finished = await ada.hear("run.finished")
            assert (finished["error"]["message"], finished["error"]["retry_after"]) == ("The model is busy.", 2)
            assert finished["message"]["run"]["retry_in"] is None
            assert len(ada.of_type("run.waiting")) == 1

    scenario(talk)


@pytest.mark.parametrize(
    ("behaviour", "chat_settings", "code", "word"),
    [
        ("status@code=401", {}, "authentication", "key"),
        ("status@code=429,retry_after=7", {}, "rate_limited", ""),
        ("status@code=500", {}, "server_error", ""),
        ("deaf", {"FIRST_TOKEN_TIMEOUT": 0.3}, "first_token_timeout", ""),
        ("silent", {"FIRST_TOKEN_TIMEOUT": 0.3}, "first_token_timeout", ""),
        ("stall@n=5", {"IDLE_TIMEOUT": 1.5}, "idle_timeout", ""),  # the five words have to arrive within it
        ("drone@n=5,delay=20", {"IDLE_TIMEOUT": 1.5}, "idle_timeout", ""),
        ("flowing", {"TOTAL_TIMEOUT": 0.5}, "total_timeout", ""),
        ("cut@n=5", {}, "stream_cut", ""),
        ("unfinished@n=5", {}, "stream_cut", ""),
        ("garbage", {}, "bad_response", ""),
        ("page", {}, "bad_response", "http://127.0.0.1"),
        ("fails", {}, "server_error", ""),
        ("words@n=0", {}, "empty_answer", "without a word"),
    ],
)
def test_a_provider_failure_ends_the_run_with_a_code_a_sentence_and_the_text_so_far(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    model: Any,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    chat_settings: Any,
    code: str,
    word: str,
) -> None:
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "0")
    model(behaviour, **chat_settings)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            error = finished["error"]
            assert (finished["status"], error["code"]) == ("failed", code)
            assert error["message"].endswith((".", "?"))
            assert "0123456789" not in str(finished), "the key is never shown"
            assert "127.0.0.1" not in str(ada.events), "nor where the provider is"
            if "retry_after" in behaviour:
                assert error["retry_after"] == 7
            if "n=5" in behaviour:
                assert finished["message"]["text"] == text(5)
            model("words@n=7")
            await ada.send("run.start", message=finished["message"]["id"], ref="again")
            assert (await ada.answered("again"))["type"] == "ack"
            again = await ada.hear("run.finished", 2)
            assert (again["status"], again["message"]["text"]) == ("completed", text(7))
            assert again["message"]["alternatives"] == [finished["message"]["id"], again["message"]["id"]]
            assert ada.transcript == [("user", "Hello"), ("assistant", text(7))]

    scenario(talk)
    detail = Run.objects.get(status="failed").error_detail
    assert word in detail, "staff can see why"
    assert "0123456789" not in detail


@pytest.mark.parametrize("model_name", ["openai:gpt-4o", "nosuch:model", "nothing"])
def test_an_agent_that_is_not_set_up_fails_with_configuration(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch, model_name: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.NOUS_CHAT = {"MODEL": model_name}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "configuration")

    scenario(talk)


def test_the_settings_of_an_agent_are_in_its_requests(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    settings = {"temperature": 0.2, "stream_options": None}
    model("words", AGENTS={"assistant": {"settings": settings}})

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            assert (await ada.hear("run.finished"))["status"] == "completed"

    scenario(talk)
    sent = upstream.last()["body"]
    assert sent["temperature"] == 0.2
    assert "stream_options" not in sent


def test_a_provider_that_is_down_fails_with_unreachable(
    scenario: Scenario, people: Any, room: Conversation, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOM_BASE_URL", "http://127.0.0.1:1/v1")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            assert (await ada.hear("run.finished"))["error"]["code"] == "unreachable"
            assert "127.0.0.1" not in str(ada.events)

    scenario(talk)
    assert "127.0.0.1:1" in Run.objects.get().error_detail, "staff can see which address it was"
