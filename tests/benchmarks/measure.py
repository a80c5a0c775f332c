"""CPU time of processes, load of the rest of the machine, percentiles, and a description of the machine."""

import asyncio
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

import psutil


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed. 0 if there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process. On Linux from its CPU clock (clock_getcpuclockid(3)), which is exact;
    elsewhere from psutil, whose steps of 10 ms are coarse for one stream.
    """
    if sys.platform == "linux":
        return time.clock_gettime((~pid << 3) | 2)
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def family_cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes and their children, including children that have ended."""
    spent = 0.0
    for pid in pids:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system
                if process.pid == pid:
                    spent += times.children_user + times.children_system
    return spent


def machine_cpu_seconds() -> float:
    """The busy time of all cores together, including time taken by other virtual machines."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0))


class Pace:
    """The speed of the machine: the CPU microseconds that the same small piece of work takes, ten times a second.

    The speed of shared machines, or of those that change their clock, varies by a third from one second to the next.
    """

    def __init__(self) -> None:
        self._samples: list[float] = []

    def restart(self) -> None:
        """Forget the samples until now."""
        self._samples.clear()

    async def run(self) -> None:
        """Take samples. Started and cancelled by `pacing`; nothing escapes."""
        while True:
            await asyncio.sleep(0.1)
            started = time.thread_time_ns()
            table: dict[int, int] = {}
            for i in range(6000):
                table[i % 97] = table.get(i % 89, 0) + i
            self._samples.append((time.thread_time_ns() - started) / 1000)

    @property
    def microseconds(self) -> float:
        return sum(self._samples) / len(self._samples) if self._samples else 0.0


def resident_mib(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 2**20


async def wait_until_quiet(ours: Sequence[int], seconds: float, limit: float = 0.15) -> float:
    """Wait at most `seconds` for a second in which other processes took at most `limit` of one core. `ours` are the
    benchmark's own. Returns what the others took in the last second.
    """
    deadline = time.monotonic() + seconds
    while True:
        before, own = machine_cpu_seconds(), sum(map(cpu_seconds, ours))
        await asyncio.sleep(min(1.0, max(seconds, 0.2)))
        others = max(0.0, machine_cpu_seconds() - before - (sum(map(cpu_seconds, ours)) - own))
        if others <= limit or time.monotonic() >= deadline:
            return others


def describe_machine() -> list[str]:
    """Lines with the date, the machine, and the versions of the packages that matter."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 2**30
    versions = []
    for name in (
        "django",
        "channels",
        "daphne",
        "channels-redis",
        "httpx",
        "aiohttp",
        "uvloop",
        "uvicorn",
    ):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return [
        f"{date.today().isoformat()}, {model}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}, {', '.join(versions)}",
    ]
