"""The command behind `make chaos`: its options, its output, its exit code."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from .runner import Report, Terms, play, play_side_by_side
from .schedule import make_document_schedule, make_rush, make_schedule
from .soak import soak


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make chaos", description="Break everything at random, and check what is left.")
    parser.add_argument("--seeds", type=int, default=20, help="number of schedules (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (%(default)s)")
    parser.add_argument("--rush", action="store_true", help="schedules in which everybody asks at the same moment")
    parser.add_argument("--documents", action="store_true", help="schedules in which three people and an agent type")
    parser.add_argument("--soak", type=float, default=0, help="instead: seconds of answers for a stalled reader")
    parser.add_argument("--jobs", type=int, default=1, help="schedules at once, each on its own servers (%(default)s)")
    parser.add_argument("--patience", type=float, default=1, help="times as long as on a quiet machine (%(default)s)")
    parser.add_argument("--sqlite", action="store_true", help="use SQLite even if there is a PostgreSQL")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write the servers' log to this file")
    return parser.parse_args()


def run_seeds(options: argparse.Namespace) -> bool:
    """Run the seeds and print the table. Returns whether there was no violation."""
    make = make_document_schedule if options.documents else make_rush if options.rush else make_schedule
    terms = Terms(make, options.patience, options.sqlite, options.log)
    seeds = range(options.seed, options.seed + options.seeds)
    report = Report(play_side_by_side(terms, seeds, options.jobs) if options.jobs > 1 else play(terms, seeds))
    print(report)
    for outcome in report.failed:
        rush = " ARGS=--rush" if options.rush else " ARGS=--documents" if options.documents else ""
        print(f"\nTo repeat seed {outcome.seed} alone: make chaos SEEDS=1 SEED={outcome.seed}{rush}")
    return not report.failed


def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    passed = asyncio.run(soak(options.soak, options.log)) if options.soak else run_seeds(options)
    sys.exit(not passed)


if __name__ == "__main__":
    main()
