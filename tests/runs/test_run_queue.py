"""The run queue: which runs have a slot, which wait, and in which place."""

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


def in_event_loop(test: Callable[[], None]) -> None:
    async def run() -> None:
        test()

    asyncio.run(run())


def test_later_runs_wait_in_order_and_move_up() -> None:
    def check() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C, D)}
        assert [turns[run].done() for run in (A, B, C, D)] == [True, True, False, False]
        assert queue.places() == {C: 1, D: 2}
        queue.leave(B)
        assert turns[C].result() is True
        assert queue.places() == {D: 1}

    in_event_loop(check)


def test_a_waiting_run_that_leaves_gets_false_and_the_others_move_up() -> None:
    def check() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C, D)}
        queue.leave(C)
        assert turns[C].result() is False
        assert queue.places() == {D: 1}
        queue.leave(C)
        queue.leave(A)
        assert turns[D].result() is True

    in_event_loop(check)


def test_a_blocked_run_lets_others_pass_and_keeps_its_place() -> None:
    def check() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C, D)}
        turns[A] = queue.block(A, "ada")
        assert turns[C].result() is True, "C overtakes it"
        assert queue.places() == {A: 1, D: 2}
        queue.unblock()
        queue.leave(B)
        assert turns[A].result() is True
        assert not turns[D].done()

    in_event_loop(check)


def test_one_blocked_run_per_user_tries_again() -> None:
    def check() -> None:
        queue = RunQueue()
        turns = {}
        for run, user_id in ((A, "ada"), (B, "ada"), (C, "bob")):
            assert queue.enter(run).result()
            turns[run] = queue.block(run, user_id)
        queue.unblock()
        assert [turns[run].done() for run in (A, B, C)] == [True, False, True]

    in_event_loop(check)


def test_a_closed_queue_gives_no_slots() -> None:
    def check() -> None:
        queue = RunQueue()
        turns = {run: queue.enter(run) for run in (A, B, C)}
        queue.close()
        assert turns[C].result() is False
        assert queue.block(A, "ada").result() is False, "blocked after the queue was closed"
        assert queue.enter(D).result() is False
        assert queue.places() == {}

    in_event_loop(check)


def test_guests_have_few_of_the_slots_and_users_overtake_those_who_wait(settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_RUNS": 2, "GUESTS": {"runs": 1}}

    def check() -> None:
        queue = RunQueue()
        assert queue.claim(A, guest=True)
        assert not queue.claim(B, guest=True)
        waiting = queue.enter(B, guest=True)
        assert queue.guests_waiting() == 1
        assert queue.enter(C).result() is True, "a user's, though one of a guest came first"
        assert not waiting.done()
        queue.leave(C)
        assert not waiting.done()
        queue.leave(A)
        assert waiting.result() is True
        assert queue.guests_waiting() == 0
        assert not queue.claim(D, guest=True)

    in_event_loop(check)
