"""Carry out attacks against a Testbed, one after another, and judge each."""

import asyncio
import contextlib
import sys
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import msgspec

from .attacker import Outcome
from .attackers import ATTACKS
from .bystander import Report
from .judge import MAX_MEMORY, Result, p99
from .testbed import BYSTANDER_PROCESS, Configuration, Testbed, start_testbed

WARM_UP = 8.0
QUIET = 8.0
"""Seconds of each window without an attack."""

QUIET_WINDOWS = 3
"""How many of them an attack is compared with, the last ones: enough for a p99, and of the same minute."""

AFTERMATH = 2.0
"""Seconds after an attack that still belong to it: what it has queued is done then."""

RECOVERY = 20.0
"""Seconds that memory may take to come back."""


class BystanderProcess:
    """The bystander, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout

    def begin(self) -> None:
        """Begin a window."""
        self._stdin.write(b"begin\n")

    async def report(self) -> Report:
        """End the window."""
        self._stdin.write(b"report\n")
        return msgspec.json.decode(await self._stdout.readline(), type=Report)


@contextlib.asynccontextmanager
async def bystander_of(testbed: Testbed) -> AsyncIterator[BystanderProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.abuse.bystander",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    given = {"port": testbed.target.ports[BYSTANDER_PROCESS], "cast": testbed.target.cast}
    process.stdin.write(msgspec.json.encode(given) + b"\n")
    try:
        yield BystanderProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run_configuration(
    configuration: Configuration, names: Sequence[str], show: Callable[[Result], None]
) -> list[Result]:
    """Carry out these attacks, those that the configuration allows."""
    fitting = [
        name
        for name in names
        if configuration.database in ATTACKS[name].databases and configuration.processes >= ATTACKS[name].processes
    ]
    results: list[Result] = []
    with start_testbed(configuration) as testbed:
        async with bystander_of(testbed) as bystander:
            await asyncio.sleep(WARM_UP)
            undisturbed: deque[dict[str, list[float]]] = deque(maxlen=QUIET_WINDOWS)
            for turn, name in enumerate(fitting):
                testbed.target.turn = turn
                undisturbed.append(await measure_undisturbed(bystander))
                results.append(await measure_attack(testbed, bystander, name, _joined(undisturbed)))
                show(results[-1])
                if results[-1].problems or testbed.died():
                    await testbed.restart()
                    await asyncio.sleep(WARM_UP)
    return results


def _joined(windows: Iterable[dict[str, list[float]]]) -> dict[str, float]:
    """The p99 of several windows."""
    samples: dict[str, list[float]] = defaultdict(list)
    for window in windows:
        for kind, found in window.items():
            samples[kind] += found
    return p99(samples)


async def measure_undisturbed(bystander: BystanderProcess) -> dict[str, list[float]]:
    """The samples of a window without an attack. Waits until the bystander is served again, for three windows."""
    for _ in range(4):
        bystander.begin()
        await asyncio.sleep(QUIET)
        report = await bystander.report()
        if not report.trouble:
            break
    return report.samples


async def measure_attack(testbed: Testbed, bystander: BystanderProcess, name: str, before: dict[str, float]) -> Result:
    """Carry out one attack, and measure what it does to the bystander and to the site."""
    survivors = testbed.sites[: len(testbed.sites) - ATTACKS[name].kills]
    memory = await testbed.memory(survivors)
    testbed.complaints()
    bystander.begin()
    started = time.monotonic()
    attacking = asyncio.create_task(_attack(testbed, name))
    peak = memory
    while not attacking.done():
        peak = max(peak, testbed.resident(survivors))
        await asyncio.wait([attacking], timeout=0.2)
    outcome = attacking.result()
    seconds = time.monotonic() - started
    await asyncio.sleep(AFTERMATH)
    report = await bystander.report()
    left = await testbed.memory(survivors, RECOVERY, memory * MAX_MEMORY)
    return Result(
        attack=name,
        configuration=str(testbed.configuration),
        seconds=seconds,
        before=before,
        during=p99(report.samples),
        trouble=report.trouble,
        acknowledged=report.acknowledged,
        answers=outcome.answers,
        failure=outcome.failure,
        memory=memory,
        peak=peak,
        left=left,
        log=testbed.complaints(),
        died=testbed.died(),
    )


async def _attack(testbed: Testbed, name: str) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.abuse.attacker",
        name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        printed, _ = await process.communicate(msgspec.json.encode(testbed.target))
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        return Outcome({}, f"the attacker ended with {process.returncode}")
    return msgspec.json.decode(printed, type=Outcome)
