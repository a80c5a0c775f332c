"""A little of `make chaos` in every run of the suite: a few seeds."""

import asyncio

from .chaos.play import Report, play
from .chaos.schedule import schedule
from .chaos.world import world

SEEDS = (6, 14, 16, 12)


def test_a_seed_is_a_schedule() -> None:
    assert schedule(6) == schedule(6)
    assert schedule(6) != schedule(7)


def test_after_a_few_schedules_of_faults_everything_is_as_it_should_be() -> None:
    async def run() -> Report:
        async with world() as whole:
            return Report([await play(whole, seed) for seed in SEEDS])

    report = asyncio.run(run())
    assert not report.failed, "\n".join(str(violation) for outcome in report.failed for violation in outcome.violations)
