"""`python -m tests.abuse.attacker NAME`: one attack in a process of its own. Its stdin is a Target, its stdout an
Outcome, both as JSON.
"""

import asyncio
import os
import sys

import msgspec
import uvloop

from . import attacks  # noqa: F401  registers them
from .attackers import ATTACKS, Arena
from .testbed import Target

TIMEOUT = 180.0
"""Seconds after which an attack is given up: somebody did not get an answer."""

NICENESS = 10
"""The attacker's clients and the hostile provider run on the machine that they attack. With this niceness they take
what the servers and the bystander leave, as if they were elsewhere.
"""


class Outcome(msgspec.Struct):
    answers: dict[str, int]
    failure: str = ""
    """Why the attack could not be carried out."""


async def carry_out(name: str, target: Target, scale: int = 1) -> Outcome:
    """Run an attack to its end."""
    async with Arena(target, scale) as arena:
        try:
            async with asyncio.timeout(TIMEOUT):
                await ATTACKS[name].run(arena)
        except Exception as error:
            return Outcome(dict(arena.answers), f"{type(error).__name__} {error}")
        return Outcome(dict(arena.answers))


def main() -> None:
    os.nice(NICENESS)
    outcome = uvloop.run(carry_out(sys.argv[1], msgspec.json.decode(sys.stdin.buffer.read(), type=Target)))
    print(msgspec.json.encode(outcome).decode())


if __name__ == "__main__":
    main()
