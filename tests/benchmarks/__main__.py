"""`python -m tests.benchmarks [options]`: start everything, measure it, print the report, and write it as JSON too.

docs/benchmarks.md explains the report. One server is measured at a time, while the others idle. Each round has a window
for every server, so that changes in the machine's speed affect all of them.
"""

import asyncio
import json
import resource
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime
from itertools import islice

import uvloop

from ..support.servers import ROOT
from . import report
from .admin import administration
from .answers import answers, count_statements
from .arrivals import climb
from .engine import EngineCosts
from .measure import describe_machine, wait_until_quiet
from .monitoring import flood, trace, watch
from .options import SECTIONS, WARMING_UP, Plan, parse_options
from .page import PageCosts, Streamed, Tenth
from .people import Sizes
from .reconnects import reconnects
from .report.streams import Memory
from .room import room
from .startup import startup
from .targets import Bench, PeerTarget, SiteTarget, Target
from .typists import typing
from .windows import stops, window
from .writing import writing

FOLDER = ROOT / "var" / "bench"


async def measure(bench: Bench, plan: Plan) -> report.Results:
    results = report.Results(machine=describe_machine(), missing=bench.missing)
    results.busy = await wait_until_quiet([], 2.0 if plan.patience else 0.0)
    for target in bench.targets:
        _progress("warming up", target)
        await window(bench, target, WARMING_UP, 1)
        target.note_memory()
    bench.patience = plan.patience
    await _measure_answers(bench, plan, results)
    await _measure_streams(bench, plan, results)
    if plan.has("room"):
        for target in bench.sites:
            if target.kind.processes > 1:
                _progress(f"a room of {plan.room[0]}", target)
                results.rooms.append(await room(target, *plan.room))
    if plan.has("documents"):
        await _measure_documents(bench, plan, results)
    if plan.has("monitoring"):
        await _measure_monitoring(bench, plan, results)
    results.memory = [Memory(target.name, target.resident, target.resident_mib()) for target in bench.targets]
    if plan.has("reconnects"):  # restarts the sites
        for target in bench.sites:
            _progress(f"{plan.sockets} sockets come back", target)
            results.reconnects.append(await reconnects(bench, target, plan.sockets, plan.beside))
    if plan.has("startup"):
        for target in bench.sites:
            if target.kind.processes == 1:
                _progress("startup", target)
                results.startups.append(await asyncio.to_thread(startup, target, plan.starts))
    if plan.has("engine"):
        _progress("the engine alone")
        results.engine = await _measure_engine(bench, plan)
    return results


async def administrate(bench: Bench, plan: Plan, results: report.Results) -> None:
    """On sites of their own: the other measurements should not depend on how many rows there are."""
    results.missing |= bench.missing
    for target in bench.sites:
        _progress(f"administration of {plan.showcase[1]:,} messages", target)
        results.administration.append(await administration(bench, target, plan.beside, plan.showcase))


async def _measure_answers(bench: Bench, plan: Plan, results: report.Results) -> None:
    if plan.has("answers"):
        for shape in plan.shapes:
            for target in bench.targets * plan.rounds:
                if isinstance(target, SiteTarget) or not shape.history:
                    _progress(str(shape), target)
                    results.answers.append(await answers(bench, target, shape, plan.beside))
            for site in bench.sites:
                _progress(f"statements of {shape}", site)
                results.counts.append(await count_statements(site, shape))
    if plan.has("arrivals"):
        for target in bench.targets:
            _progress(f"{plan.rates} starts a second", target)
            results.arrivals += await climb(bench, target, plan.rates, plan.climb, plan.pool)


async def _measure_streams(bench: Bench, plan: Plan, results: report.Results) -> None:
    targets = [target for target in bench.targets if len(target.processes) == 1]
    if plan.has("streams"):
        for streams in plan.streams:
            for target in targets * plan.rounds:
                _progress(f"{streams} streams", target)
                results.windows.append(await window(bench, target, streams, plan.seconds))
    if plan.has("fan-out"):
        streams, viewers = plan.fan_out
        for target in targets * plan.rounds:
            if isinstance(target, SiteTarget):
                _progress(f"{streams} streams x {viewers} viewers", target)
                results.fan_out.append(await window(bench, target, streams, plan.seconds, viewers))
    if plan.has("stop"):
        for target in (target for target in targets if not isinstance(target, PeerTarget)):  # it may never stop
            _progress(f"{plan.stops} stops", target)
            results.stops.append(await stops(bench, target, plan.stops))


async def _measure_documents(bench: Bench, plan: Plan, results: report.Results) -> None:
    for target in bench.sites:
        _progress(f"{plan.typists[0]} people type in a document", target)
        results.typing.append(await typing(target, *plan.typists))
        seats = iter(target.cast.writing)
        for documents in plan.documents:
            _progress(f"agents write {documents} documents at the same time", target)
            results.writing.append(await writing(bench, target, list(islice(seats, documents)), *plan.writing))


async def _measure_monitoring(bench: Bench, plan: Plan, results: report.Results) -> None:
    for target in bench.sites:
        for streams in (0, plan.monitoring.streams):
            _progress(f"monitoring next to {streams} streams", target)
            results.watching.append(await watch(bench, target, plan.monitoring, streams))
        _progress("a flood of log lines", target)
        results.floods.append(await flood(bench, target, plan.monitoring))
        _progress("traces", target)
        results.tracing.append(await trace(bench, target, plan.monitoring))


async def _measure_engine(bench: Bench, plan: Plan) -> EngineCosts:
    arguments = [bench.upstream_url, *map(str, plan.engine)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.engine", *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    return EngineCosts(**json.loads(printed))


def _measure_page(plan: Plan) -> PageCosts:
    """Measure the page in a process of its own, because Playwright has its own event loop."""
    command = [sys.executable, "-m", "tests.benchmarks.page", *map(str, plan.page)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for name in ("answer", "document"):
        found[name] = Streamed(**found[name] | {"tenths": [Tenth(**tenth) for tenth in found[name]["tenths"]]})
    return PageCosts(**found)


def _progress(step: str, target: Target | None = None) -> None:
    print(f"{datetime.now():%H:%M:%S} {step}{f': {target.name}' if target else ''}", file=sys.stderr, flush=True)


def main() -> None:
    plan = parse_options()
    if plan is None:
        print("\n".join(f"{name:<12}{about}" for name, about in SECTIONS.items()))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # thousands of sockets, here and in the servers
    if plan.needs_servers:
        _progress("starting the servers")
        with Bench(plan.kinds, plan.sizes, plan.peers) as bench:
            results = uvloop.run(measure(bench, plan))
    else:
        busy = uvloop.run(wait_until_quiet([], 2.0 if plan.patience else 0.0))
        results = report.Results(machine=describe_machine(), busy=busy)
    if plan.has("admin"):
        _progress(f"making up {plan.showcase[1]:,} messages")
        with Bench(plan.administrated, Sizes(alone={0: plan.beside}), showcase=plan.showcase) as bench:
            uvloop.run(administrate(bench, plan, results))
    if plan.has("page"):
        _progress("a page")
        results.page = _measure_page(plan)
    print(report.render(results))
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{datetime.now():%Y-%m-%d-%H%M%S}.json"
    file.write_text(json.dumps(asdict(results), indent=1))
    _progress(f"written to {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
