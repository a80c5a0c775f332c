"""Administration of a made-up site: its pages, export and import, and pruning with streams next to it.

The site has no other work, but the streams. administrator.py works inside the site, in processes of its own.
"""

import asyncio
import filecmp
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support import servers
from .clients import Tally
from .load import LONGEST, streaming
from .measure import median, percentile
from .targets import Bench, SiteTarget

ALONE = 10.0
"""Seconds of streams before the pruning begins."""

LONGEST_PRUNING = LONGEST - 30
"""Seconds after which it is stopped: before the streams end."""


@dataclass(frozen=True)
class Page:
    """Milliseconds of requests, without a server between."""

    name: str
    p50: float
    worst: float
    statements: int


@dataclass(frozen=True)
class Transfer:
    """An export or an import of the whole site. `grown_mib` is by how much the process grew after the first tenth."""

    seconds: float
    peak_mib: float
    grown_mib: float


@dataclass(frozen=True)
class Pruning:
    """Erasing everything, or as much as the time allows. Milliseconds of its transactions, and of the lag of streams
    before and meanwhile.
    """

    messages: int
    seconds: float
    complete: bool
    transaction_p50: float
    transaction_p99: float
    transaction_worst: float
    lag_alone: float
    """The 99th percentile, as of `lag_beside`."""
    lag_beside: float


@dataclass(frozen=True)
class Administration:
    target: str
    conversations: int
    messages: int
    pages: list[Page]
    exported: Transfer
    imported: Transfer
    equal: bool
    """Whether all conversations were imported, and an export of the new site has the same lines."""
    pruned: Pruning


async def administration(bench: Bench, target: SiteTarget, streams: int, size: tuple[int, int]) -> Administration:
    """Measure it on a site that has so many conversations and messages of `nous_showcase`."""
    env = bench.administrate(target.sites[0].env)
    await _call(env, "manage.py", "collectstatic", "--noinput", "-v0")
    pages = json.loads(await _administrate(env, "pages"))
    first, second = bench.folder / "first.jsonl", bench.folder / "second.jsonl"
    exported = json.loads(await _administrate(env, "export", first))
    empty = env | {"DATABASE_URL": bench.empty_database(target.kind.database)}
    imported = json.loads(await _administrate(empty, "load", first))
    failed = imported.pop("failed")
    await _administrate(empty, "export", second)
    return Administration(
        target=target.name,
        conversations=size[0],
        messages=size[1],
        pages=[_page(**page) for page in pages],
        exported=Transfer(**exported),
        imported=Transfer(**imported),
        equal=not failed and filecmp.cmp(first, second, shallow=False),
        pruned=await _prune(target, env, streams),
    )


def _page(name: str, took: list[float], statements: int) -> Page:
    return Page(name, median(took), max(took), statements)


async def _prune(target: SiteTarget, env: dict[str, str], streams: int) -> Pruning:
    async with streaming(target, streams) as tally:
        tally.recording = True
        await asyncio.sleep(ALONE)
        alone = _take_lags(tally)
        printed = await _administrate(env | {"RETENTION": '[{"max_days": 1}]'}, "prune", LONGEST_PRUNING - ALONE)
        beside = _take_lags(tally)
    figures = json.loads(printed)
    took = figures["transactions"]
    return Pruning(
        messages=figures["messages"],
        seconds=figures["seconds"],
        complete=figures["complete"],
        transaction_p50=median(took),
        transaction_p99=percentile(took, 99),
        transaction_worst=max(took, default=0.0),
        lag_alone=percentile(alone, 99),
        lag_beside=percentile(beside, 99),
    )


def _take_lags(tally: Tally) -> list[float]:
    taken = list(tally.lags)
    del tally.lags[:]
    return taken


async def _administrate(env: dict[str, str], action: str, *arguments: float | Path) -> str:
    return await _call(env, "-m", "tests.benchmarks.administrator", action, *map(str, arguments))


async def _call(env: dict[str, str], *arguments: str) -> str:
    """What a Python program prints. Raises RuntimeError if it fails."""
    process: Any = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=env, cwd=servers.ROOT, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{arguments} failed")
    return str(printed.decode())
