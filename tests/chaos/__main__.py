"""`make chaos SEEDS=n [SEED=first]`, `make chaos SOAK=seconds`: how to run it, what it prints, when it fails."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from .cluster import world
from .runner import Report, play
from .soak import soak


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make chaos", description="Break everything at random, and see what is left.")
    parser.add_argument("--seeds", type=int, default=20, help="how many schedules (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first one (%(default)s)")
    parser.add_argument("--soak", type=float, default=0, help="instead: seconds of frames before a stalled reader")
    parser.add_argument("--sqlite", action="store_true", help="a file, even where there is a PostgreSQL")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where the servers' log is to be left")
    return parser.parse_args()


async def seeds(first: int, number: int, sqlite: bool, log: Path | None) -> bool:
    """Play them and print the table; whether none was violated."""
    report = Report()
    async with world(sqlite, log) as whole:
        for seed in range(first, first + number):
            outcome = await play(whole, seed)
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
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    if chosen.soak:
        well = asyncio.run(soak(chosen.soak, chosen.log))
    else:
        well = asyncio.run(seeds(chosen.seed, chosen.seeds, chosen.sqlite, chosen.log))
    sys.exit(not well)


if __name__ == "__main__":
    main()
