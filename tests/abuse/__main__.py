"""The command behind `make abuse`: its options, its output, its exit code."""

import argparse
import asyncio
import signal
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path

import msgspec

from ..benchmarks.measure import describe_machine
from . import attacks  # noqa: F401  registers them
from .attackers import ATTACKS
from .judge import HEADER, Result
from .runner import run_configuration
from .testbed import Configuration


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make abuse", description="Attack a site, and watch what a bystander notices.")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help="only these (default: all)")
    parser.add_argument("--list", action="store_true", help="list the attacks, and what answers they get")
    parser.add_argument("--sqlite", action="store_true", help="SQLite instead of PostgreSQL")
    parser.add_argument("--server", choices=("daphne", "uvicorn"), default="daphne", help="%(default)s")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=2, help="of the site (%(default)s)")
    parser.add_argument("--all", action="store_true", help="each database, server and number of processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the results to this file, one a line")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.attacks) - ATTACKS.keys():
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    return chosen


def configurations(chosen: argparse.Namespace) -> list[Configuration]:
    if chosen.all:
        return [Configuration(*one) for one in product(("PostgreSQL", "SQLite"), ("daphne", "uvicorn"), (1, 2))]
    return [Configuration("SQLite" if chosen.sqlite else "PostgreSQL", chosen.server, chosen.processes)]


async def run(chosen: argparse.Namespace) -> list[Result]:
    results: list[Result] = []

    def show(result: Result) -> None:
        print(result, file=sys.stderr, flush=True)
        if chosen.json:
            with chosen.json.open("a") as file:
                file.write(msgspec.json.encode(asdict(result)).decode() + "\n")

    for configuration in configurations(chosen):
        print(configuration, file=sys.stderr, flush=True)
        results += await run_configuration(configuration, chosen.attacks or list(ATTACKS), show)
    return results


def main() -> None:
    chosen = parse_options()
    if chosen.list:
        for attack in ATTACKS.values():
            print(f"{attack.name}: {attack.about} Answers: {', '.join(sorted(attack.allowed))}.")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    results = asyncio.run(run(chosen))
    print("\n".join([*describe_machine(), "", HEADER, *map(str, results)]))
    failed = [result for result in results if result.problems]
    print(f"\n{len(results) - len(failed)} of {len(results)} attacks held.")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
