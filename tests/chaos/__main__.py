"""The command behind `make chaos`: its options, its output, its exit code."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from .cluster import start_cluster
from .runner import Report, run_seed
from .soak import soak


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make chaos", description="Break everything at random, and check what is left.")
    parser.add_argument("--seeds", type=int, default=20, help="number of schedules (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (%(default)s)")
    parser.add_argument("--soak", type=float, default=0, help="instead: seconds of answers for a stalled reader")
    parser.add_argument("--sqlite", action="store_true", help="use SQLite even if there is a PostgreSQL")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write the servers' log to this file")
    return parser.parse_args()


async def run_seeds(first: int, number: int, sqlite: bool, log: Path | None) -> bool:
    """Run the seeds and print the table. Returns whether there was no violation."""
    report = Report()
    async with start_cluster(sqlite, log) as cluster:
        for seed in range(first, first + number):
            outcome = await run_seed(cluster, seed)
            report.outcomes.append(outcome)
            verdict = "ok" if not outcome.violations else "VIOLATED"
            print(f"seed {seed}: {verdict}, {outcome.seconds:.1f} s", file=sys.stderr, flush=True)
            for violation in outcome.violations:
                print(f"    {violation}", file=sys.stderr, flush=True)
    print(report)
    for outcome in report.failed:
        print(f"\nTo repeat seed {outcome.seed} alone: make chaos SEEDS=1 SEED={outcome.seed}")
    return not report.failed


def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    if options.soak:
        passed = asyncio.run(soak(options.soak, options.log))
    else:
        passed = asyncio.run(run_seeds(options.seed, options.seeds, options.sqlite, options.log))
    sys.exit(not passed)


if __name__ == "__main__":
    main()
