"""Recordings of the run inspector: what they hold, and that they neither change a run nor outlive what was said."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chat import agents, store
from chat.engine.providers import recording
from chat.models import Breaker, Conversation, Inspection, Run, RunRecording

from ..support.client import InProcess
from ..support.upstream import text

Scenario = Callable[..., Any]

KEY = "sk-test-0123456789"  # of the fixture `model`


def recorded() -> recording.RecordedRun:
    """The only recording."""
    return recording.decode(RunRecording.objects.get().content)


def kinds(run: recording.RecordedRun) -> list[str]:
    return [moment.kind for moment in run.moments]


def find(run: recording.RecordedRun, kind: str) -> recording.Moment:
    return next(moment for moment in run.moments if moment.kind == kind)


@pytest.fixture
def ask(scenario: Scenario, people: Any, room: Conversation) -> Callable[..., str]:
    """Ask as Ada; returns the run's id when everything is written."""

    def ask(question: str = "Hello") -> str:
        async def talk() -> str:
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say(question)
                return str((await ada.hear("run.finished"))["run"])

        return str(scenario(talk))

    return ask


def test_a_recording_holds_the_request_the_answer_and_the_time_of_each_event(
    ask: Callable[..., str], room: Conversation, model: Any
) -> None:
    model("words@n=30,delay=1")
    store.start_inspection(None, 1, conversation=room.pk)
    run_id = ask(f'My api_key="{KEY}", keep it.')
    row = RunRecording.objects.get()
    assert str(row.run_id) == run_id
    assert KEY not in row.content
    run = recorded()
    found = kinds(run)
    assert found[0] == "began"
    order = [found.index(each) for each in ("request", "response", "text", "finish", "ended")]
    assert order == sorted(order)
    (exchange,) = run.exchanges
    assert exchange.metadata["request"]["messages"][-1]["content"].endswith('My api_key="***", keep it.')
    assert exchange.metadata["status"] == 200
    assert b"[DONE]" in exchange.read_body()
    said = find(run, "text")
    assert "".join(piece for _at, piece in said.pieces) == text(30)
    assert said.count == len(said.pieces) == 30
    times = [at for at, _piece in said.pieces]
    assert times == sorted(times)
    assert find(run, "request").at <= times[0] <= times[-1] <= find(run, "ended").at
    frames = [number for moment in run.moments if moment.kind == "frames" for _at, number in moment.pieces]
    assert frames == [str(number) for number in range(1, Run.objects.get().seq + 1)]


@pytest.mark.parametrize("scope", ["nothing", "another conversation", "another agent", "ended", "sealed"])
def test_nothing_is_recorded_unless_it_is_switched_on(
    ask: Callable[..., str], people: Any, room: Conversation, model: Any, settings: Any, scope: str
) -> None:
    model("words@n=3")
    settings.NOUS_CHAT = {**settings.NOUS_CHAT, "AGENTS": {"assistant": {}, "other": {}}}
    if scope == "another conversation":
        store.start_inspection(None, 1, conversation=store.create_conversation(people["ada"]).id)
    elif scope == "another agent":
        store.start_inspection(None, 1, agent="other")
    elif scope != "nothing":
        store.start_inspection(None, 1)
        if scope == "ended":
            Inspection.objects.update(until=timezone.now() - timedelta(seconds=1))
        else:
            settings.NOUS_CHAT = {**settings.NOUS_CHAT, "SEAL_TRANSCRIPTS": True}
    ask()
    assert not RunRecording.objects.exists()


@pytest.mark.parametrize("by", ["agent", "conversation", "both", "all"])
def test_an_inspection_is_of_an_agent_a_conversation_both_or_all(
    ask: Callable[..., str], room: Conversation, model: Any, by: str
) -> None:
    model("words@n=3")
    agent = "assistant" if by in ("agent", "both") else ""
    store.start_inspection(None, 1, agent=agent, conversation=room.pk if by in ("conversation", "both") else None)
    ask()
    assert RunRecording.objects.count() == 1


def test_retries_and_fallbacks_are_recorded_with_their_reasons(
    ask: Callable[..., str], model: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "1")
    model("status@code=503")
    settings.NOUS_CHAT = {**settings.NOUS_CHAT, "AGENTS": {"assistant": {"fallback": ["custom:words@n=3"]}}}
    store.start_inspection(None, 1)
    ask()
    run = recorded()
    engine = ("request", "response", "failed", "retry", "fallback", "finish")
    assert [kind for kind in kinds(run) if kind in engine] == [
        *("request", "response", "failed", "retry"),
        *("request", "response", "failed", "fallback"),
        *("request", "response", "finish"),
    ]
    assert [exchange.metadata["status"] for exchange in run.exchanges] == [503, 503, 200]
    failed = find(run, "failed").facts
    assert (failed["model"], failed["code"]) == ("custom:status@code=503", "overloaded")
    assert 0 < find(run, "retry").facts["seconds"] <= 0.5
    assert find(run, "answers_instead").facts["model"] == "custom:words@n=3"


def test_an_open_breaker_is_recorded(ask: Callable[..., str], model: Any, settings: Any) -> None:
    model("words@n=3")
    row = Breaker.objects.create(model="custom:words@n=3", setting="open")
    agents.refresh_breakers()
    store.start_inspection(None, 1)
    try:
        ask()
    finally:
        row.delete()
        agents.refresh_breakers()
    run = recorded()
    assert run.exchanges == []
    assert find(run, "failed").facts["code"] == find(run, "error").facts["code"] == "model_paused"


def test_readers_and_healed_gaps_are_recorded(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Any
) -> None:
    model("words@n=6,hold=3")
    store.start_inspection(None, 1)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta")
            async with InProcess(people["bob"], room.pk) as bob:
                run_id = (await bob.hear("run.state"))["run"]
                await ada.until(lambda: {"ada", "bob"} <= people_online(ada))
                await bob.send("run.sync", run=run_id, ref="again")
                await bob.answered("again")
            await ada.until(lambda: "bob" not in people_online(ada))
            upstream.release()
            await ada.hear("run.finished")

    scenario(talk)
    run = recorded()
    assert {moment.facts["name"] for moment in run.moments if moment.kind == "reads"} == {"ada", "bob"}
    assert find(run, "left").facts["name"] == "bob"
    assert find(run, "synced_opened").at <= find(run, "synced_gap").at <= find(run, "left").at


def people_online(reader: InProcess) -> set[str]:
    frames = reader.of_type("presence")
    return {person["name"] for person in frames[-1]["people"]} if frames else set()


def test_a_run_with_an_approval_has_two_recordings(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"clerk": {"agent": "tests.sites.clerk.agent"}}}
    Conversation.objects.filter(pk=room.pk).update(agent="clerk")
    store.start_inspection(None, 1)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("refund")
            state = await ada.until(
                lambda: next(
                    (e for e in ada.of_type("run.state") if e["message"]["run"]["status"] == "awaiting_approval"), None
                )
            )
            (call,) = (call for call in state["message"]["calls"] if call["status"] == "awaiting_approval")
            await ada.send("tool.decide", call=call["id"], decision="approve")
            await ada.hear("run.finished")

    scenario(talk)
    first, second = (recording.decode(row.content) for row in RunRecording.objects.order_by("since"))
    assert [kind for kind in kinds(first) if kind not in ("reads", "left")][-1] == "awaits_approval"
    assert kinds(second)[0] == "resumed"
    assert find(first, "call").facts["tool"] == find(second, "result").facts["tool"]


def test_a_failure_to_keep_it_is_no_failure_of_the_run(
    ask: Callable[..., str], model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model("words@n=3")
    store.start_inspection(None, 1)

    def fail(*_: object) -> bool:
        raise ValueError("It cannot be stored.")

    monkeypatch.setattr(store, "save_recording", fail)
    ask()
    assert Run.objects.get().status == "completed"
    assert not RunRecording.objects.exists()
    assert "could not be kept" in caplog.text


def test_a_stopped_run_is_recorded_as_far_as_it_came(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=6,hold=3")
    store.start_inspection(None, 1)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.delta"))["run"]
            await ada.send("run.stop", run=run)
            await ada.hear("run.finished")

    scenario(talk)
    run = recorded()
    assert find(run, "cancelled").facts["status"] == find(run, "ended").facts["status"] == "stopped"
    assert b"[DONE]" not in run.exchanges[0].read_body()


def test_a_deletion_while_it_runs_leaves_nothing(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Any
) -> None:
    model("words@n=6,hold=3")
    store.start_inspection(None, 1)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Secret")
            await ada.hear("run.delta")
            question = ada.of_type("message.created")[0]["message"]["id"]
            await ada.send("message.delete", message=question, ref="deleted")
            await ada.answered("deleted")
            upstream.release()
            await ada.hear("run.finished")

    scenario(talk)
    assert not RunRecording.objects.exists()


@pytest.mark.parametrize("limit", ["MAX_BYTES", "MAX_PIECES", "MAX_MOMENTS"])
def test_a_recording_is_bounded(
    ask: Callable[..., str], model: Any, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    model("words@n=50,delay=1")
    monkeypatch.setattr(recording, limit, {"MAX_BYTES": 3000, "MAX_PIECES": 10, "MAX_MOMENTS": 4}[limit])
    store.start_inspection(None, 1)
    ask()
    run = recorded()
    (exchange,) = run.exchanges
    if limit == "MAX_BYTES":
        assert (exchange.body, exchange.left_out) == ("", "size")
        assert exchange.metadata["request"] is not None
    elif limit == "MAX_PIECES":
        assert sum(len(moment.pieces) for moment in run.moments) == 10
        assert find(run, "text").count == 50
    else:
        assert len(run.moments) == 4
        assert run.left_out > 0
    assert exchange.can_be_replayed is (limit != "MAX_BYTES")


def test_long_strings_of_a_request_are_shortened(ask: Callable[..., str], model: Any) -> None:
    model("words@n=3")
    store.start_inspection(None, 1)
    recording_limit = recording.MAX_STRING
    recording.MAX_STRING = 2000
    try:
        ask("x" * 20_000)
    finally:
        recording.MAX_STRING = recording_limit
    sent = recorded().exchanges[0].metadata["request"]["messages"][-1]["content"]
    assert len(sent) < 1100
    assert sent.endswith("more characters)")
