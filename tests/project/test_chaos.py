"""A sample of `make chaos` in every run of the suite: a few seeds, a short soak, and a rolling restart."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ..chaos import checks, runner
from ..chaos.cluster import start_cluster
from ..chaos.faults import FAULTS
from ..chaos.runner import Outcome, Report, Terms, carry_out, play, play_side_by_side
from ..chaos.schedule import ConversationPlan, Schedule, Step, make_document_schedule, make_rush, make_schedule
from ..chaos.soak import soak
from ..chaos.trial import Trial

SCHEDULES = [make_schedule(6), make_rush(1), make_document_schedule(1)]
MORE = [make_schedule(14), make_schedule(16), make_document_schedule(3)]

pytestmark = pytest.mark.chaos


def test_a_seed_always_gives_the_same_schedule() -> None:
    assert make_schedule(6) == make_schedule(6)
    assert make_schedule(6) != make_schedule(7)
    assert make_rush(6) == make_rush(6)
    assert make_rush(6) != make_rush(7)
    assert make_document_schedule(6) == make_document_schedule(6)
    assert make_document_schedule(6) != make_document_schedule(7)


@pytest.mark.parametrize("schedules", [SCHEDULES, pytest.param(MORE, marks=pytest.mark.slow)], ids=["few", "more"])
def test_after_some_schedules_of_faults_everything_is_as_it_should_be(schedules: list[Schedule]) -> None:
    async def run() -> Report:
        async with start_cluster() as cluster:
            return Report([await carry_out(cluster, schedule) for schedule in schedules])

    report = asyncio.run(run())
    assert not report.failed, "\n".join(str(violation) for outcome in report.failed for violation in outcome.violations)


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """Gives this process its handlers of signals back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.usefixtures("signal_handlers")
def test_schedules_can_be_carried_out_side_by_side() -> None:
    report = Report(play_side_by_side(Terms(make_document_schedule, 1, False, None), range(4, 6), jobs=2))
    assert not report.failed, "\n".join(map(str, report.failed))
    assert {outcome.seed for outcome in report.outcomes} == {4, 5}


@pytest.mark.usefixtures("signal_handlers")
def test_after_a_signal_no_other_schedule_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def start_nothing(*_: object) -> AsyncIterator[None]:
        yield

    async def carry_out_nothing(_: None, schedule: Schedule, __: float) -> Outcome:
        if schedule.seed == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0)
        return Outcome(schedule.seed, Counter(), [], 0)

    monkeypatch.setattr(runner, "start_cluster", start_nothing)
    monkeypatch.setattr(runner, "carry_out", carry_out_nothing)
    outcomes = play(Terms(make_document_schedule, 1, False, None), range(1, 6))
    assert [outcome.seed for outcome in outcomes] == [1, 2]


def test_memory_stays_flat_before_a_reader_that_has_stopped_reading() -> None:
    assert asyncio.run(soak(12))


def test_a_rolling_restart_under_load_loses_nothing() -> None:
    conversations = [
        ConversationPlan("queue", [("ada", 0), ("bob", 1)]),
        ConversationPlan("queue", [("ada", 1), ("eve", 0)]),
    ]
    posts = [
        Step(at, "post", conversation, browser, text=f"words@n={n},delay=20")
        for at, n in ((0, 150), (2, 40), (4, 100), (7.5, 150), (9, 40), (11, 100))
        for conversation, browser in ((0, 0), (1, 1))
    ]
    restarts = [Step(0.8, "terminate", process=0), Step(8.2, "terminate", process=1)]
    rolling = Schedule(0, conversations, {}, [*posts, *restarts])

    async def run() -> tuple[list[checks.Violation], set[str]]:
        # Nothing breaks here, so every timeout may be long.
        timeouts: dict[str, Any] = {"HOST_TIMEOUT": 30, "FIRST_TOKEN_TIMEOUT": 30, "IDLE_TIMEOUT": 30}
        async with start_cluster(DRAIN_SECONDS=30, **timeouts) as cluster:
            trial = Trial(cluster, rolling)
            await trial.open()
            await trial.take_steps(FAULTS)
            violations = await checks.find_violations(trial)
            return violations, {row["status"] for row in await trial.runs()}

    assert asyncio.run(run()) == ([], {"completed"})
