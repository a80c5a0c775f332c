"""A sample of `make abuse` in every run of the suite: a few attacks, smaller, and only facts that no slow machine
changes.
"""

import asyncio
import os

import pytest

from ..abuse.attacker import carry_out
from ..abuse.attackers import ATTACKS, Answers
from ..abuse.judge import Result
from ..abuse.runner import bystander_of
from ..abuse.testbed import Configuration, start_testbed

pytestmark = pytest.mark.site

SCALES = {
    "posts_at_once": 10,
    "joins_at_once": 5,
    "ligatures": 50,
    "answer_without_end": 10,
    "call_in_pieces": 2,
    "gzip_bomb": 10,
    "braces": 100,
    "binary_frames": 100,
    "acknowledgements": 20,
    "pings": 100,
    "bad_hosts": 100,
    "slow_bodies": 10,
    "sockets": 6,
    "uploads_beyond_the_quota": 1,
}
"""Attacks, and the parts of their full size that are still enough for the answer they must get."""

HARM = ("closed with", "the stream ended", "not stored")

MAX_GROWTH = 150.0
"""MiB that all of them together may leave behind. Without limits, one of them alone leaves more."""


def test_attacks_get_the_documented_answers_and_disconnect_nobody_else() -> None:
    database = "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite"

    async def run() -> None:
        with start_testbed(Configuration(database), crowd=2, history=200, plain=False) as testbed:
            async with bystander_of(testbed) as bystander:
                memory = await testbed.memory(testbed.sites)
                bystander.begin()
                wrong: dict[str, list[str]] = {}
                for turn, (name, scale) in enumerate(SCALES.items()):
                    testbed.target.turn = turn
                    outcome = await carry_out(name, testbed.target, scale)
                    assert not outcome.failure, f"{name}: {outcome.failure}"
                    if found := ATTACKS[name].verdict(Answers(outcome.answers)):
                        wrong[name] = found
                report = await bystander.report()
                left = await testbed.memory(testbed.sites)
            assert not wrong
            assert not [what for what in report.trouble if any(harm in what for harm in HARM)]
            assert report.acknowledged
            assert not testbed.complaints()
            assert not testbed.died()
            assert left - memory < MAX_GROWTH

    asyncio.run(run())


def test_a_verdict_names_what_did_not_hold() -> None:
    calm = {"delta": 50.0, "ack": 20.0, "ping": 3.0, "snapshot": 40.0, "page": 30.0, "list": 20.0}

    def judge(**changes: object) -> list[str]:
        given = {
            "attack": "pings", "configuration": "", "seconds": 6.0, "before": calm, "during": calm, "trouble": [],
            "acknowledged": 30, "answers": {"closed 4429": 1, "pong": 100}, "failure": "", "memory": 100.0,
            "peak": 130.0, "left": 110.0, "log": [], "died": 0,
        }  # fmt: skip
        return Result(**given | changes).problems  # type: ignore[arg-type]

    assert judge() == []
    assert judge(during=calm | {"ping": 40.0}) == []  # more than three times 3 ms, and less than anybody notices
    assert judge(during=calm | {"ack": 61.0}) == ["ack 20 -> 61 ms"]
    assert judge(trouble=["the socket was closed with 4011"]) == ["bystander: the socket was closed with 4011 x 1"]
    assert judge(answers={"pong": 40_000, "500": 1}) == ["answer: 500 x 1", "answer: no closed 4429"]
    assert judge(left=121.0) == ["memory 100 -> 121 MiB"]
    assert judge(log=["ERROR"], died=1) == ["log: ERROR x 1", "1 processes ended"]
