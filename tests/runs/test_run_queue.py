"""Who may be at work and who waits, and in which place."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from chat.runs.run_queue import RunQueue

A, B, C, D = (UUID(int=number) for number in range(1, 5))


@pytest.fixture(autouse=True)
def two_slots(settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_RUNS": 2}


def looped(test: Callable[[], None]) -> None:
    async def run() -> None:
        test()

    asyncio.run(run())


def test_who_comes_later_waits_in_order_and_moves_up() -> None:
    def story() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C, D)}
        assert [turns[run].done() for run in (A, B, C, D)] == [True, True, False, False]
        assert queue.places() == {C: 1, D: 2}
        queue.leave(B)
        assert turns[C].result() is True
        assert queue.places() == {D: 1}

    looped(story)


def test_who_leaves_while_he_waits_is_told_and_the_others_move_up() -> None:
    def story() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C, D)}
        queue.leave(C)
        assert turns[C].result() is False
        assert queue.places() == {D: 1}
        queue.leave(C)
        queue.leave(A)
        assert turns[D].result() is True

    looped(story)


def test_who_may_not_use_his_slot_lets_others_pass_and_keeps_his_place() -> None:
    def story() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C, D)}
        turns[A] = queue.block(A, "ada")
        assert turns[C].result() is True, "C goes before it"
        assert queue.places() == {A: 1, D: 2}
        queue.unblock()
        queue.leave(B)
        assert turns[A].result() is True
        assert not turns[D].done()

    looped(story)


def test_one_blocked_run_of_each_person_tries_again_and_not_all_of_them() -> None:
    def story() -> None:
        queue = RunQueue()
        turns = {}
        for run, person in ((A, "ada"), (B, "ada"), (C, "bob")):
            assert queue.enter(run).result()
            turns[run] = queue.block(run, person)
        queue.unblock()
        assert [turns[run].done() for run in (A, B, C)] == [True, False, True]

    looped(story)


def test_once_closed_nobody_gets_a_slot() -> None:
    def story() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C)}
        queue.close()
        assert turns[C].result() is False
        assert queue.block(A, "ada").result() is False, "it was refused while the process began to end"
        assert queue.enter(D).result() is False
        assert queue.places() == {}

    looped(story)
