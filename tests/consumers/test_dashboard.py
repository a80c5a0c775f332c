"""The socket of the dashboard: who may watch, who may stop, and what a reader gets who does not keep up."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from chat import store
from chat.consumers import dashboard
from chat.consumers.base import DROP_AFTER
from chat.models import Conversation, Run
from chat.monitoring import live_log
from chat.node import node

from ..support.client import InProcess
from ..support.servers import PATIENCE, Upstream

Scenario = Callable[..., Any]


class Watcher(InProcess):
    """A socket of the dashboard."""

    async def __aenter__(self) -> "Watcher":
        await super().__aenter__()
        return self

    def __init__(self, user: Any, page: str = "dashboard", **options: Any) -> None:
        super().__init__(user, page, **options)

    def apply(self, frame: Any) -> list[Any]:
        self.events.append(frame)
        self.snapshot = frame  # of any type: it is let in
        return []

    def lines(self) -> list[dict[str, Any]]:
        """All lines of the log that came."""
        return [line for frame in self.of_type("log") for line in frame["lines"]]

    def messages_logged(self) -> list[str]:
        return [line["message"] for line in self.lines()]

    def running(self) -> list[dict[str, Any]]:
        """The runs of the newest report."""
        reports = self.of_type("report")
        return list(reports[-1]["runs"]) if reports else []


@pytest.fixture
def staff(people: dict[str, Any]) -> Callable[..., Any]:
    """A user of the staff with these permissions."""

    def make(*permissions: str) -> Any:
        user = people["eve"]
        user.is_staff = True
        user.save()
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return type(user).objects.get(pk=user.pk)

    return make


def test_staff_with_the_permission_watch_all_runs(
    scenario: Scenario, staff: Any, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    model("flowing")
    eve = staff("view_dashboard")

    async def talk() -> None:
        async with Watcher(eve) as watcher, InProcess(people["ada"], room.pk) as ada:
            here = node.current()
            assert watcher.events[0] == {"type": "watching", "processes": [here.host]}
            past = await watcher.hear("past")
            assert past["host"] == here.host
            await ada.say("Hello")
            started = await ada.hear("run.started")
            await ada.hear("run.delta", 3)
            await watcher.until(lambda: watcher.running() and watcher.running()[0].get("tokens"))
            (run,) = watcher.running()
            assert (run["id"], run["conversation"]) == (started["run"], str(room.pk))
            assert (run["agent"], run["model"]) == ("assistant", "custom:flowing")
            report = watcher.of_type("report")[-1]
            added = {series[0] for minute in report["minutes"] for series in minute["series"]}
            assert "streamed_characters_total" in added, "in this minute, or in the one that has just ended"
            assert ["sockets", ["dashboard"], 1.0, []] in report["series"]
            upstream.release()
            await watcher.until(lambda: not watcher.running())
            await watcher.send("ping", ref="1")
            assert (await watcher.answered("1"))["type"] == "pong"
            await watcher.say("Hello", ref="2")
            assert (await watcher.answered("2"))["code"] == "unknown_command"

    scenario(talk)


@pytest.mark.parametrize("who", ["member", "without", "other permissions", "not staff", "deactivated"])
def test_nobody_else_is_let_in_and_that_is_logged(
    scenario: Scenario, staff: Any, people: Any, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    user = people["ada"]
    if who != "member":
        user = staff(*{"without": (), "other permissions": ("stop_run", "view_run")}.get(who, ("view_dashboard",)))
    if who in ("not staff", "deactivated"):
        user.is_staff = user.is_active = False
        user.is_active = who == "not staff"
        user.save()

    async def talk() -> None:
        async with Watcher(user) as watcher:
            assert await watcher.wait_closed() == 4403
            assert watcher.events == []

    with caplog.at_level(logging.WARNING, "nous_chat.consumers"):
        scenario(talk)
    assert who == "deactivated" or f"User {user.pk} may not see the dashboard" in caplog.text


def test_a_token_does_not_open_it(scenario: Scenario, staff: Any) -> None:
    token = store.create_token(staff("view_dashboard").pk, "script")

    async def talk() -> None:
        watcher = Watcher(None, cookie="")
        watcher._scope["headers"] = [(b"authorization", f"Bearer {token}".encode())]
        async with watcher:
            assert await watcher.wait_closed() == 4403

    scenario(talk)


def test_a_lost_permission_closes_it(scenario: Scenario, staff: Any) -> None:
    eve = staff("view_dashboard")

    async def talk() -> None:
        async with Watcher(eve) as watcher:
            await sync_to_async(eve.user_permissions.clear)()
            for socket in node.current().hub.sockets:
                socket.recheck()
            assert await watcher.wait_closed() == 4403

    scenario(talk)


def test_stop_needs_its_permission_and_is_noted(
    scenario: Scenario, staff: Any, people: Any, room: Conversation, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model("flowing")
    eve = staff("view_dashboard")

    def log() -> list[tuple[Any, ...]]:
        return list(LogEntry.objects.values_list("user", "object_id", "change_message"))

    async def talk() -> None:
        async with Watcher(eve) as watcher, InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            await watcher.send("run.stop", run=run, ref="no")
            assert (await watcher.answered("no"))["code"] == "forbidden"
            assert f"User {eve.pk} did not stop run {run}: forbidden" in caplog.text
            assert await sync_to_async(log)() == []
            allowed = await sync_to_async(Permission.objects.get)(codename="stop_run")
            await sync_to_async(eve.user_permissions.add)(allowed)
            await watcher.send("run.stop", run=run, ref="yes")
            assert (await watcher.answered("yes"))["type"] == "ack"
            assert (await ada.hear("run.finished"))["status"] == "stopped"
            assert await sync_to_async(log)() == [(eve.pk, str(room.pk), "Stopped an answer.")]
            await watcher.send("run.stop", run=run, ref="over")
            assert (await watcher.answered("over"))["code"] == "run_over"
            await watcher.send("run.stop", run=str(room.pk), ref="unknown")
            assert (await watcher.answered("unknown"))["code"] == "not_found"
            await sync_to_async(Conversation.objects.filter(pk=room.pk).update)(deleted_at="2026-01-01T00:00Z")
            await sync_to_async(Run.objects.filter(pk=run).update)(status="running")
            await watcher.send("run.stop", run=run, ref="deleted")
            assert (await watcher.answered("deleted"))["code"] == "not_found"

    scenario(talk)


def test_a_reader_who_does_not_keep_up_gets_no_more_until_they_have(
    scenario: Scenario, staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MAX_UNREAD", 2000)
    eve = staff("view_dashboard")

    async def talk() -> None:
        async with Watcher(eve) as watcher:
            (socket,) = node.current().hub.sockets
            assert isinstance(socket, dashboard.DashboardConsumer)
            async with asyncio.timeout(PATIENCE):
                while not socket._withheld_since:
                    await asyncio.sleep(0.05)
            sent = len(watcher.events)
            await socket._send_unless_behind('{"type": "report"}')
            assert len(watcher.events) == sent
            assert not socket.is_exhausted(socket._withheld_since + DROP_AFTER - 1)
            assert socket.is_exhausted(socket._withheld_since + DROP_AFTER + 1)
            await watcher.send("ping", ref="1")
            await watcher.answered("1")
            await watcher.until(lambda: [event for event in watcher.events[sent:] if event["type"] == "report"])

    scenario(talk)


SAID = "openai said: My wife is ill"


def test_the_log_is_read_as_far_as_the_permissions_go(
    scenario: Scenario, staff: Any, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=3")
    eve = staff("view_dashboard")
    log = logging.getLogger("nous_chat.test")

    async def talk() -> None:
        await node.current().open()
        await asyncio.sleep(0)
        log.warning("Before anybody read: %s", SAID)
        async with Watcher(eve, "dashboard/log") as reader:
            await reader.until(lambda: "Before anybody read: ***" in reader.messages_logged())
            log.warning("Live: %s", SAID)
            await reader.until(lambda: "Live: ***" in reader.messages_logged())
            async with InProcess(people["ada"], room.pk) as ada:
                await ada.say("Hello")
                run = (await ada.hear("run.finished"))["run"]
            await reader.until(lambda: any(run in message for message in reader.messages_logged()))
            line = next(line for line in reader.lines() if run in line["message"])
            ids = {"run": run, "conversation": str(room.pk), "user": str(people["ada"].pk)}
            assert ids.items() <= line.items()
            assert SAID not in str(reader.events)
            allowed = await sync_to_async(Permission.objects.get)(codename="view_transcript")
            await sync_to_async(eve.user_permissions.add)(allowed)
            for socket in node.current().hub.sockets:
                socket.recheck()
            await reader.until(lambda: f"Before anybody read: {SAID}" in reader.messages_logged())
            log.warning("Now: %s", SAID)
            await reader.until(lambda: f"Now: {SAID}" in reader.messages_logged())
            assert "Now: ***" not in reader.messages_logged()
            numbers = [line["number"] for line in reader.of_type("log")[-1]["lines"]]
            assert numbers == sorted(set(numbers))
            await reader.send("run.stop", run=run, ref="1")
            assert (await reader.answered("1"))["code"] == "unknown_command"

    scenario(talk)


def test_sealed_transcripts_seal_the_log(scenario: Scenario, staff: Any, settings: Any) -> None:
    settings.NOUS_CHAT = {"SEAL_TRANSCRIPTS": True}
    eve = staff("view_dashboard", "view_transcript")

    async def talk() -> None:
        async with Watcher(eve, "dashboard/log") as reader:
            logging.getLogger("nous_chat.test").warning("Live: %s", SAID)
            await reader.until(lambda: "Live: ***" in reader.messages_logged())

    scenario(talk)


def test_nobody_else_reads_the_log(scenario: Scenario, staff: Any) -> None:
    eve = staff("view_transcript", "stop_run")

    async def talk() -> None:
        async with Watcher(eve, "dashboard/log") as reader:
            assert await reader.wait_closed() == 4403
            assert reader.events == []

    scenario(talk)


def test_a_flood_reaches_a_reader_as_a_count_and_slows_no_stream(
    scenario: Scenario, staff: Any, people: Any, room: Conversation, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model("words@n=30")
    eve = staff("view_dashboard")
    log = logging.getLogger("nous_chat.flood")
    monkeypatch.setattr(log, "level", logging.INFO)
    for handler in logging.getLogger().handlers:  # what the console and pytest do with it is not the subject
        monkeypatch.setattr(handler, "level", logging.WARNING)

    async def flood() -> None:
        while True:
            for number in range(1000):
                log.info("Flood %d", number)
            await asyncio.sleep(0.1)

    async def talk() -> None:
        async with Watcher(eve, "dashboard/log") as reader, InProcess(people["ada"], room.pk) as ada:
            flooding = asyncio.create_task(flood())
            await ada.say("Hello")
            assert (await ada.hear("run.finished"))["status"] == "completed"
            await reader.until(lambda: sum(frame["dropped"] for frame in reader.of_type("log")) > 20_000)
            flooding.cancel()
            assert len(reader.lines()) < 10_000
            assert max(len(str(frame)) for frame in reader.of_type("log")) < 2 * live_log.MAX_CHARS
            assert "Flood 0" in reader.messages_logged()

    scenario(talk)


def test_a_reader_of_the_log_is_told_what_they_missed(
    scenario: Scenario, staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MAX_UNREAD", 100)
    eve = staff("view_dashboard")

    async def talk() -> None:
        async with Watcher(eve, "dashboard/log") as reader:
            (socket,) = node.current().hub.sockets
            assert isinstance(socket, dashboard.LogConsumer)
            await reader.hear("log")
            for text in ("x" * 101, "lost", "lost"):
                await socket.forward({"type": "log", "text": f'{{"type": "{text}"}}', "lines": 7})
            await reader.send("ping", ref="1")
            assert (await reader.hear("missed"))["lines"] in (14, 21)
            assert not reader.of_type("lost")

    scenario(talk)
