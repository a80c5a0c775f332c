"""The signals of the site: what they tell, in which order, and that a failing receiver stops nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import chat
from chat import signals
from chat.models import Conversation

from ..support.client import InProcess

Scenario = Callable[..., Any]

pytestmark = pytest.mark.django_db

Heard = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What the receivers got, in order. One of them always fails."""
    found: Heard = []
    receivers = []
    for name in ("message_posted", "run_started", "run_finished", "tool_called"):
        signal = getattr(signals, name)

        def receive(name: str = name, **given: Any) -> None:
            found.append((name, given))

        def fail(**_: Any) -> None:
            raise ValueError("a receiver that fails")

        for receiver in (fail, receive):
            signal.connect(receiver, weak=False)
            receivers.append((signal, receiver))
    yield found
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def test_a_question_its_tool_and_its_answer_are_told_in_order(
    scenario: Scenario, people: Any, room: Conversation, model: Any, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    model("calls@n=1", AGENTS={"assistant": {"tools": [f"{__name__}.look_up"]}})

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.finished")

    scenario(talk)
    assert [name for name, _ in heard] == ["message_posted", "run_started", "tool_called", "run_finished"]
    told = dict(heard)
    assert told["message_posted"]["message"].text == "Hello"
    assert told["run_started"]["run"].status == "running"
    assert (told["tool_called"]["call"].arguments, told["tool_called"]["call"].result) == ({"order": 0}, "found")
    assert (told["run_finished"]["status"], told["run_finished"]["run"]) == ("completed", told["run_started"]["run"].id)
    assert "a receiver that fails" in caplog.text


def look_up(order: int) -> str:
    """Look it up."""
    return "found"


def test_what_the_sites_code_says_is_told_after_its_transaction(
    people: Any, room: Conversation, heard: Heard, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        chat.say(room, "Packed", system=True)
        assert heard == []
    ((name, given),) = heard
    assert (name, given["message"].role, given["sender"]) == ("message_posted", "system", None)
