"""`python -m tests.benchmarks [options]`: start everything, measure it, print the report.

docs/benchmarks.md explains the report. One server is measured at a time, while the others idle. Each round has a window
for every server, so that changes in the machine's speed affect all of them.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import uvloop

from . import report
from .engine import EngineCosts
from .measure import describe_machine, resident_mib, wait_until_quiet
from .page import PageCosts, Tenth
from .room import room
from .targets import SITES, Bench, SiteTarget
from .windows import burst, stops, window

SECTIONS = ("streams", "fan-out", "burst", "stop", "room", "engine", "page")


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make bench", description="The site compared with a bare relay, in one run.")
    parser.add_argument("--seconds", type=float, default=4, help="length of each window (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each kind (%(default)s)")
    parser.add_argument("--streams", type=_numbers, default=[1, 10, 50], help="numbers of streams (1,10,50)")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="only this section; may be repeated")
    parser.add_argument("--sites", default="", help="only sites whose names contain one of these: memory,postgres")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file as well")
    parser.add_argument("--quick", action="store_true", help="a few seconds in all: does it run? Ignore its numbers")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.seconds, chosen.rounds, chosen.streams = 0.6, 1, [1, 4]
    chosen.only = chosen.only or list(SECTIONS)
    wanted = [part.strip().lower() for part in chosen.sites.split(",")]
    chosen.sites = [name for name in SITES if any(part in name.lower() for part in wanted)]
    return chosen


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


class Plan:
    """The sizes of all measurements, for these options."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        quick = chosen.quick
        self.only: list[str] = chosen.only
        self.seconds: float = chosen.seconds
        self.rounds: int = chosen.rounds
        self.streams: list[int] = chosen.streams
        self.fan_out = (2, 3) if quick else (5, 20)
        self.burst = 5 if quick else 50
        self.stops = 3 if quick else 20
        self.room = (6, 2) if quick else (200, 40)
        self.page = (500, 60) if quick else (5000, 1000)
        self.engine = (5, 0.5, 0.05) if quick else (50, self.seconds, 1)
        self.patience = 0.0 if quick else 10.0
        self.seats = 4 + self.rounds * (sum(self.streams) + self.fan_out[0]) + self.burst + self.stops


async def measure(bench: Bench, plan: Plan) -> report.Results:
    results = report.Results(machine=describe_machine(), missing=bench.missing)
    results.busy = await wait_until_quiet([], 2.0 if plan.patience else 0.0)
    sites = [target for target in bench.targets if target.is_site]
    for target in bench.targets:
        _progress(f"warming up: {target.name}")
        await window(bench, target, 4, 1)
        target.note_memory()
    bench.patience = plan.patience
    if "streams" in plan.only:
        for streams in plan.streams:
            for target in bench.targets * plan.rounds:
                _progress(f"{streams} streams: {target.name}")
                results.windows.append(await window(bench, target, streams, plan.seconds))
    if "fan-out" in plan.only:
        for target in sites * plan.rounds:
            streams, viewers = plan.fan_out
            _progress(f"{streams} streams x {viewers} viewers: {target.name}")
            results.fan_out.append(await window(bench, target, streams, plan.seconds, viewers))
    if "burst" in plan.only:
        for target in bench.targets:
            _progress(f"{plan.burst} at once: {target.name}")
            results.bursts.append(await burst(bench, target, plan.burst))
    if "stop" in plan.only:
        for target in bench.targets:
            _progress(f"{plan.stops} stops: {target.name}")
            results.stops.append(await stops(bench, target, plan.stops))
    if "room" in plan.only:
        for target in sites:
            if isinstance(target, SiteTarget) and target.spans_processes:
                _progress(f"a room of {plan.room[0]}: {target.name}")
                results.rooms.append(await room(bench, target, *plan.room))
    results.memory = [report.Memory(t.name, t.resident, resident_mib(t.pid)) for t in bench.targets]
    if "engine" in plan.only:
        _progress("the engine alone")
        results.engine = await _engine_alone(bench, plan)
    return results


async def _engine_alone(bench: Bench, plan: Plan) -> EngineCosts:
    arguments = [bench.upstream_url, *map(str, plan.engine)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.engine", *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    return EngineCosts(**json.loads(printed))


def _page(plan: Plan) -> PageCosts:
    """Measure the page in a process of its own, because Playwright has its own event loop."""
    command = [sys.executable, "-m", "tests.benchmarks.page", *map(str, plan.page)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return PageCosts(**found | {"tenths": [Tenth(**tenth) for tenth in found["tenths"]]})


def _progress(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


def main() -> None:
    chosen = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    plan = Plan(chosen)
    _progress("starting the servers")
    if plan.only == ["page"]:
        results = report.Results(
            machine=describe_machine(), busy=uvloop.run(wait_until_quiet([], 2.0 if plan.patience else 0.0))
        )
    else:
        with Bench(chosen.sites, plan.seats, plan.room[0] if "room" in plan.only else 0) as bench:
            results = uvloop.run(measure(bench, plan))
    if "page" in plan.only:
        _progress("a page")
        results.page = _page(plan)
    print(report.render(results))
    if chosen.json:
        chosen.json.write_text(json.dumps(asdict(results), indent=1))


if __name__ == "__main__":
    main()
