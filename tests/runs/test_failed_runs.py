"""Whatever is raised in the tasks of a run, by whomever, ends the run at once, as failed, with the text so far."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection
from django.db.models.signals import post_save

from chat import engine, store
from chat.models import Conversation, Message, Participant, Run, Spending, ToolCall
from chat.realtime import groups
from chat.runs import run as live_runs
from chat.runs.meter import Meter
from chat.store import executor, prompts, run_lifecycle

from ..support.client import InProcess

Scenario = Callable[..., Any]

CALL = engine.ToolCall("c1", "look_up", {"order": 7})


class Saying:
    """An agent that says a word, and then does what `act` does."""

    def __init__(self, act: Callable[[], AsyncIterator[Any]]) -> None:
        self._act = act

    async def run_stream(self, messages: Any, *, context: Any) -> AsyncIterator[Any]:
        yield engine.TextDelta("Hello")
        await asyncio.sleep(0.1)  # so that it is published
        async for event in self._act():
            yield event


def raising(error: BaseException) -> Saying:
    async def act() -> AsyncIterator[Any]:
        yield engine.TextDelta(" you")
        raise error

    return Saying(act)


async def finish() -> AsyncIterator[Any]:
    yield engine.TextDelta(" you")
    yield engine.Finish(engine.Result())


async def call_and_finish() -> AsyncIterator[Any]:
    yield engine.TextDelta(" you")
    yield CALL
    yield engine.Finish(engine.Result())


async def wait_for_approval() -> AsyncIterator[Any]:
    yield engine.TextDelta(" you")
    yield CALL
    turn = engine.Message("assistant", "Hello you", tool_calls=(CALL,))
    yield engine.Finish(engine.Result(messages=(turn,), pending=(CALL,)))


async def wait_for_nothing() -> AsyncIterator[Any]:
    yield engine.TextDelta(" you")
    yield CALL
    yield engine.Finish(engine.Result(pending=(CALL,)))  # but no message with it


async def wait_without_event() -> AsyncIterator[Any]:
    yield engine.TextDelta(" you")
    turn = engine.Message("assistant", "Hello you", tool_calls=(CALL,))
    yield engine.Finish(engine.Result(messages=(turn,), pending=(CALL,)))


async def odd_arguments() -> AsyncIterator[Any]:
    yield engine.TextDelta(" you")
    yield engine.ToolCall("c1", "look_up", {"order": object()})
    yield engine.Finish(engine.Result())


AGENTS: dict[str, Any] = {
    "finishes": Saying(finish),
    "calls": Saying(call_and_finish),
    "waits": Saying(wait_for_approval),
    "waits for nothing": Saying(wait_for_nothing),
    "waits without an event": Saying(wait_without_event),
    "odd arguments": Saying(odd_arguments),
    **{type(error).__name__: raising(error) for error in (
        ValueError("no"), StopIteration(), SystemExit(3), GeneratorExit(), asyncio.CancelledError(),
    )},
}  # fmt: skip


class Chosen:
    """The agent of these tests: one of AGENTS."""

    name = "finishes"

    def run_stream(self, messages: Any, *, context: Any) -> AsyncIterator[Any]:
        stream: AsyncIterator[Any] = AGENTS[self.name].run_stream(messages, context=context)
        return stream


chosen = Chosen()


@pytest.fixture
def room(people: dict[str, Any], settings: Any) -> Conversation:
    settings.NOUS_CHAT = {"AGENTS": {"it": {"agent": "tests.runs.test_failed_runs.chosen"}}}
    room = Conversation.objects.create(agent="it", answers="always")
    Participant.objects.create(conversation=room, user=people["ada"], role="owner")
    Participant.objects.create(conversation=room, user=people["bob"], role="viewer")
    return room


@pytest.fixture
def ask(scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Ask the agent of that name; returns the frame of the end, and checks that the conversation goes on."""

    def ask(agent: str, before: Callable[[], Any] = lambda: None, after: Callable[[], Any] = lambda: None) -> Any:
        async def talk() -> Any:
            monkeypatch.setattr(chosen, "name", agent, raising=False)
            async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
                before()
                await ada.say("Hi")
                finished = await bob.hear("run.finished", seconds=20)
                after()
                monkeypatch.setattr(chosen, "name", "finishes", raising=False)
                await ada.say("And now?")
                again = await bob.hear("run.finished", 2, seconds=20)
                assert (again["status"], again["message"]["text"]) == ("completed", "Hello you")
                if finished["message"]:
                    assert bob.messages[finished["message"]["id"]]["text"] == finished["message"]["text"]
                return finished

        finished = scenario(talk)
        row = Run.objects.order_by("created_at").first()
        assert row is not None
        error = finished["error"] or {"code": ""}
        assert (row.status, row.error_code) == (finished["status"], error["code"])
        return finished

    return ask


def check(finished: Any, text: str = "Hello you") -> None:
    assert (finished["status"], finished["error"]["code"]) == ("failed", "internal")
    assert finished["message"]["text"] == text


@pytest.mark.parametrize(
    "agent", ["ValueError", "StopIteration", "SystemExit", "GeneratorExit", "CancelledError", "odd arguments"]
)
def test_an_agent_may_raise_anything(ask: Any, agent: str) -> None:
    check(ask(agent))


@pytest.mark.parametrize("agent", ["waits for nothing", "waits without an event"])
def test_a_run_does_not_wait_for_a_decision_that_nobody_can_make(ask: Any, agent: str) -> None:
    check(ask(agent))


@pytest.mark.parametrize(
    "error", [ValueError("no"), StopIteration(), SystemExit(3), asyncio.CancelledError(), GeneratorExit()], ids=repr
)
def test_the_deps_of_an_agent_may_raise_anything(ask: Any, settings: Any, error: BaseException) -> None:
    settings.NOUS_CHAT = {
        "AGENTS": {"it": {"agent": "tests.runs.test_failed_runs.chosen", "deps": "tests.runs.test_failed_runs.deps"}}
    }
    errors.append(error)
    check(ask("finishes", after=errors.clear), "")


errors: list[BaseException] = []


def deps(user: Any, conversation: Any) -> None:
    if errors:
        raise errors[0]


def test_deps_that_use_a_table_that_is_missing_are_not_tried_for_ever(ask: Any, settings: Any) -> None:
    """SQLite reports it by the exception that also means that a database is away."""
    settings.NOUS_CHAT = {
        "AGENTS": {"it": {"agent": "tests.runs.test_failed_runs.chosen", "deps": "tests.runs.test_failed_runs.query"}}
    }
    tables.append("no_such_table")
    check(ask("finishes", after=tables.clear), "")


tables: list[str] = []


def query(user: Any, conversation: Any) -> None:
    from django.db import transaction

    for table in tables:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table}")


@contextmanager
def handler(sender: Any, receive: Callable[[Any, bool], None]) -> Iterator[None]:
    def receiver(instance: Any, created: bool, **_: Any) -> None:
        receive(instance, created)

    post_save.connect(receiver, sender=sender)
    try:
        yield
    finally:
        post_save.disconnect(receiver, sender=sender)


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), SystemExit(3)], ids=repr)
def test_a_signal_handler_may_raise_when_the_answer_begins(ask: Any, error: BaseException) -> None:
    """The message is stored without the answer, which then begins by itself."""
    raised = threading.Event()

    def receive(message: Message, created: bool) -> None:
        if created and message.role == "assistant" and not raised.is_set():
            raised.set()
            raise error

    with handler(Message, receive):
        finished = ask("finishes")
    assert (finished["status"], finished["message"]["text"]) == ("completed", "Hello you")


def test_a_signal_handler_may_raise_whenever_an_answer_begins(ask: Any) -> None:
    """There is no answer that could show the error; the run ends all the same."""
    broken = threading.Event()

    def receive(message: Message, created: bool) -> None:
        if created and message.role == "assistant" and broken.is_set():
            raise ValueError("a signal handler of the site")

    with handler(Message, receive):
        finished = ask("finishes", broken.set, broken.clear)
    assert (finished["status"], finished["error"]["code"], finished["message"]) == ("failed", "internal", None)


@pytest.mark.parametrize("agent", ["finishes", "ValueError", "calls"])
def test_a_signal_handler_may_raise_whenever_the_answer_ends(ask: Any, agent: str) -> None:
    """It raises again when the end as failed is written."""
    broken = threading.Event()

    def receive(spending: Spending, created: bool) -> None:
        if broken.is_set():
            raise ValueError("a signal handler of the site")

    with handler(Spending, receive):
        check(ask(agent, broken.set, broken.clear))


@pytest.mark.parametrize(
    ("where", "name", "agent"),
    [
        (store, "save_calls", "calls"),
        (store, "await_approval", "waits"),
        (store, "finish_runs", "finishes"),
        (run_lifecycle, "compute_charge", "finishes"),
        (prompts, "encode_transcript", "waits"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_database_may_refuse_a_row(
    ask: Any, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, agent: str
) -> None:
    original = getattr(where, name)
    refused: list[bool] = []

    def refuse(*args: Any, **kwargs: Any) -> Any:
        if not refused:
            refused.append(True)
            raise IntegrityError("no such row, thank you")
        return original(*args, **kwargs)

    refuse.__name__ = name
    monkeypatch.setattr(where, name, refuse)
    check(ask(agent))
    assert refused


def test_an_end_that_meets_an_outage_is_tried_again_alone(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it is too much for the database together with others, it would be so for ever."""
    finish_runs, run_together = store.finish_runs, executor.run_together
    together: list[Any] = []
    attempts: list[Any] = []

    def fail_once(finishes: Any) -> Any:
        attempts.append(finishes)
        if len(attempts) == 1:
            raise OperationalError("canceling statement due to statement timeout")
        return finish_runs(finishes)

    async def spy(work: Any, item: Any, **options: Any) -> Any:
        together.append(work)
        return await run_together(work, item, **options)

    monkeypatch.setattr(store, "finish_runs", fail_once)
    monkeypatch.setattr(executor, "run_together", spy)
    assert ask("finishes")["status"] == "completed"
    assert (together.count(fail_once), len(attempts)) == (2, 3)  # of this answer, and of the next one


def test_the_database_may_refuse_a_text(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MariaDB does with an emoji in a column of three bytes a character. The end is stored without it."""

    def refuse(written: store.Written) -> Any:
        raise DataError("Incorrect string value")

    with monkeypatch.context() as patch:
        finished = ask(
            "finishes",
            lambda: patch.setattr(store.Written, "fields", property(refuse)),
            patch.undo,
        )
    check(finished, "")


def test_a_checkpoint_that_the_database_refuses_does_not_stop_the_heartbeat(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat, alive = store.heartbeat, threading.Event()

    def refuse(host: str, runs: Any, checkpoints: Any, places: Any = None) -> Any:
        if checkpoints:
            raise DataError("Incorrect string value")
        alive.set()
        return heartbeat(host, runs, checkpoints, places)

    monkeypatch.setattr(store, "heartbeat", refuse)

    async def wait() -> AsyncIterator[Any]:
        async with asyncio.timeout(60):
            while not alive.is_set():
                await asyncio.sleep(0.05)
        yield engine.Finish(engine.Result())

    monkeypatch.setitem(AGENTS, "waits for a heartbeat", Saying(wait))
    monkeypatch.setattr(chosen, "name", "waits for a heartbeat", raising=False)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hi")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["message"]["text"]) == ("completed", "Hello")

    scenario(talk)


@pytest.mark.parametrize("event", ["RunStarted", "RunDelta", "RunTool"])
def test_a_frame_may_not_be_published(ask: Any, monkeypatch: pytest.MonkeyPatch, event: str) -> None:
    publish = groups.publish
    refused: list[bool] = []

    async def refuse(group: str, published: Any, since: float | None = None) -> None:
        if type(published).__name__ == event and not refused:
            refused.append(True)
            raise TypeError("this cannot be encoded")
        await publish(group, published, since)

    monkeypatch.setattr(groups, "publish", refuse)
    finished = ask("calls")
    assert (finished["status"], finished["error"]["code"]) == ("failed", "internal")
    assert refused


def test_the_meter_may_fail_and_a_resumed_answer_keeps_its_text(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a deployment that has broken something, while the run awaited an approval."""

    class Broken(Meter):
        def __init__(self, *_: Any) -> None:
            raise ZeroDivisionError

    def break_transcript(*_: Any) -> Any:
        raise ValueError("not a transcript")

    async def talk() -> None:
        for where, name, broken in ((live_runs, "Meter", Broken), (prompts, "decode_transcript", break_transcript)):
            monkeypatch.setattr(chosen, "name", "waits", raising=False)
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hi")
                call = await ada.until(waiting_call(ada))
                with monkeypatch.context() as patch:
                    patch.setattr(where, name, broken)
                    await ada.send("tool.decide", call=call["id"], decision="approve")
                    check(await ada.hear("run.finished", seconds=20))

    scenario(talk)
    assert set(Message.objects.filter(role="assistant").values_list("text", flat=True)) == {"Hello you"}
    assert not ToolCall.objects.exclude(status="stopped").exists()


def waiting_call(peer: InProcess) -> Callable[[], Any]:
    def find() -> Any:
        calls = [call for message in peer.messages.values() for call in message["calls"]]
        return next((call for call in calls if call["status"] == "awaiting_approval"), None)

    return find


def test_an_agent_that_ignores_its_end_does_not_keep_the_run(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_runs, "CLOSE_TIMEOUT", 0.2)
    ended = asyncio.Event()

    async def stay() -> AsyncIterator[Any]:
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue
        yield engine.Finish(engine.Result())

    monkeypatch.setitem(AGENTS, "stays", Saying(stay))
    monkeypatch.setattr(chosen, "name", "stays", raising=False)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hi")
            await ada.hear("run.delta")
            await ada.send("run.stop", run=(await ada.hear("run.started"))["run"])
            finished = await ada.hear("run.finished", seconds=20)
            assert (finished["status"], finished["message"]["text"]) == ("stopped", "Hello")
            ended.set()

    scenario(talk)
