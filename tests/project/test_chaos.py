"""A sample of `make chaos` in every run of the suite: a few seeds, a short soak, and a rolling restart."""

import asyncio
from typing import Any

import pytest

from ..chaos import checks
from ..chaos.cluster import world
from ..chaos.faults import FAULTS
from ..chaos.runner import Report, play
from ..chaos.schedule import Room, Schedule, Step, schedule
from ..chaos.soak import soak
from ..chaos.trial import Stage

SEEDS = (6, 14, 16)

pytestmark = pytest.mark.chaos


def test_a_seed_always_gives_the_same_schedule() -> None:
    assert schedule(6) == schedule(6)
    assert schedule(6) != schedule(7)


def test_after_a_few_schedules_of_faults_everything_is_as_it_should_be() -> None:
    async def run() -> Report:
        async with world() as whole:
            return Report([await play(whole, seed) for seed in SEEDS])

    report = asyncio.run(run())
    assert not report.failed, "\n".join(str(violation) for outcome in report.failed for violation in outcome.violations)


def test_memory_stays_flat_before_a_reader_that_has_stopped_reading() -> None:
    assert asyncio.run(soak(12))


def test_a_rolling_restart_under_load_loses_nothing() -> None:
    rooms = [Room("queue", [("ada", 0), ("bob", 1)]), Room("queue", [("ada", 1), ("eve", 0)])]
    speaking = [
        Step(at, "say", room, browser, text=f"words@n={n},delay=20")
        for at, n in ((0, 150), (2, 40), (4, 100), (7.5, 150), (9, 40), (11, 100))
        for room, browser in ((0, 0), (1, 1))
    ]
    restarts = [Step(0.8, "terminate", process=0), Step(8.2, "terminate", process=1)]
    rolling = Schedule(0, rooms, {}, [*speaking, *restarts])

    async def run() -> tuple[list[checks.Violation], set[str]]:
        # Nothing breaks here, so every timeout may be long.
        patience: dict[str, Any] = {"HOST_TIMEOUT": 30, "FIRST_TOKEN_TIMEOUT": 30, "IDLE_TIMEOUT": 30}
        async with world(DRAIN_SECONDS=30, **patience) as whole:
            stage = Stage(whole, rolling)
            await stage.open()
            await stage.play(FAULTS)
            violations = await checks.after(stage)
            return violations, {row["status"] for row in await stage.runs()}

    assert asyncio.run(run()) == ([], {"completed"})
