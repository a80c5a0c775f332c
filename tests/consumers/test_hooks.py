"""The site's hooks before and after the model: they change, reject, and fail closed."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

import chat
from chat.hooks import HookContext
from chat.models import Conversation, Message, Run

from ..support.client import InProcess
from ..support.store_helpers import refused

Scenario = Callable[..., Any]

pytestmark = pytest.mark.django_db

CONTEXTS: list[HookContext] = []


def redact(context: HookContext, text: str) -> str:
    CONTEXTS.append(context)
    return text.replace("secret", "[redacted]").replace("w3", "[third]")


def change(context: HookContext, text: str) -> str:
    return text.upper()


def reject(context: HookContext, text: str) -> str:
    raise chat.Rejected("Please be kind.")


def fail(context: HookContext, text: str) -> str:
    raise RuntimeError("the moderation service is away, key=123")


def forget(context: HookContext, text: str) -> Any:
    return None


CLOSED = {
    "reject": "Please be kind.",
    "fail": "could not be checked",
    "forget": "could not be checked",
    "gone": "could not",
}


def test_a_message_is_stored_and_sent_as_the_hook_returns_it(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("echo", BEFORE_MODEL=f"{__name__}.redact")
    CONTEXTS.clear()

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("My secret is out")
            answer = (await ada.hear("run.finished"))["message"]
            assert answer["text"].strip() == "My [redacted] is out"
            question = ada.of_type("message.created")[0]["message"]
            await ada.send("message.edit", message=question["id"], text="No secret", ref="1")
            assert (await ada.hear("message.updated"))["message"]["text"] == "No [redacted]"

    scenario(talk)
    assert CONTEXTS[0] == HookContext(people["ada"].pk, room.pk)


@pytest.mark.parametrize("hook", CLOSED)
def test_a_message_that_does_not_pass_is_refused_at_every_edge(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, client: Client, hook: str
) -> None:
    settings.NOUS_CHAT = {"BEFORE_MODEL": f"{__name__}.{hook}"}

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello", ref="1")
            told = await ada.answered("1")
            assert told["code"] == "rejected"
            assert CLOSED[hook] in told["message"]
            assert "key=123" not in told["message"]

    scenario(talk)
    client.force_login(people["ada"])
    page = client.post(f"/chat/{room.pk}/say/", {"text": "Hello", "client_id": str(uuid.uuid4())})
    assert page.status_code == 403
    assert CLOSED[hook] in page.content.decode()
    for work in (chat.say, chat.ask):
        with refused("rejected"):
            work(room, "Hello", people["ada"])
    assert not Message.objects.exists()


def test_an_answer_is_shown_as_the_hook_returns_it_and_not_before(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=5", AFTER_MODEL=f"{__name__}.redact")
    CONTEXTS.clear()

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob, InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await bob.hear("run.finished")
            assert "[third]" in finished["message"]["text"]
            shown = "".join(each.get("text", "") for each in bob.of_type("run.delta"))
            assert shown == finished["message"]["text"]
            assert "w3" not in shown

    scenario(talk)
    assert [HookContext(people["ada"].pk, room.pk, "assistant")] == CONTEXTS
    assert "w3" not in Run.objects.get().transcript, "models are sent the changed text later"


@pytest.mark.parametrize("hook", CLOSED)
def test_an_answer_that_does_not_pass_is_withheld(
    scenario: Scenario, people: Any, room: Conversation, model: Any, hook: str
) -> None:
    model("thinking", AFTER_MODEL=f"{__name__}.{hook}")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "withheld")
            assert CLOSED[hook] in finished["error"]["message"]
            assert (finished["message"]["text"], finished["message"]["thinking"]) == ("", "")
            assert ada.of_type("run.delta") == []

    scenario(talk)
    answer = Message.objects.get(role="assistant")
    assert (answer.text, answer.thinking, answer.run.transcript) == ("", "", "")


def test_a_stopped_answer_shows_nothing_that_was_not_checked(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing", AFTER_MODEL=f"{__name__}.redact")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            await ada.send("run.stop", run=run)
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("stopped", "")

    scenario(talk)
