"""Work that is done together for all who wait for it, and files, of which each client gets one at a time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError

from chat.store import executor
from chat.store.unit_of_work import ConversationLocked
from chat.turns import Turns, client

Scenario = Callable[..., Any]


class Reads:
    """Doubles numbers. `groups` are those that it got together; 13 is refused, 666 makes the whole work fail."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    def __call__(self, numbers: list[int]) -> list[int | Exception]:
        self.groups.append(list(numbers))
        if 666 in numbers:
            raise ValueError("the number of the beast")
        return [LookupError(number) if number == 13 else 2 * number for number in numbers]


async def gather(work: Any, *numbers: Any) -> list[Any]:
    waiting = [executor.run_together(work, number) for number in numbers]
    return await asyncio.gather(*waiting, return_exceptions=True)


def in_event_loop(test: Callable[[], Awaitable[None]]) -> None:
    """Without a synchronous caller, for whom the work would run in its thread."""
    asyncio.run(test())  # type: ignore[arg-type]


def test_those_who_wait_are_served_by_one_unit_of_work() -> None:
    async def check() -> None:
        reads = Reads()
        assert await gather(reads, 1, 2, 3) == [2, 4, 6]
        assert reads.groups == [[1, 2, 3]]
        assert await executor.run_together(reads, 4) == 8

    in_event_loop(check)


def test_one_unit_of_work_serves_a_limited_number() -> None:
    async def check() -> None:
        reads = Reads()
        numbers = range(2 * executor.MAX_TOGETHER + 1)
        assert await gather(reads, *[0 for _ in numbers]) == [0 for _ in numbers]
        assert [len(group) for group in reads.groups] == [executor.MAX_TOGETHER, executor.MAX_TOGETHER, 1]
        reads.groups.clear()
        await asyncio.gather(*(executor.run_together(reads, number, most=2) for number in range(5)))
        assert reads.groups == [[0, 1], [2, 3], [4]]

    in_event_loop(check)


def test_others_pass_those_who_wait_together_for_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "is_lock_timeout", lambda error: True)
    monkeypatch.setattr(executor, "LOCK_PAUSES", (3600,))
    attempts: list[list[str]] = []

    def find_locked(rows: list[str]) -> list[str | Exception]:
        attempts.append(rows)
        raise OperationalError("locked")

    async def check() -> None:
        waiting = [
            asyncio.create_task(executor.run_together(find_locked, row, key=row))
            for row in "abc"[: executor.IN_FLIGHT + 1]
        ]
        while len(attempts) < len(waiting):
            await asyncio.sleep(0.001)
        assert await asyncio.wait_for(executor.run(lambda: "served"), 60) == "served"
        for one in waiting:
            one.cancel()

    in_event_loop(check)


def test_a_request_that_waits_for_others_gives_up_its_turn() -> None:
    free = threading.Event()

    def hang(rows: list[str]) -> list[str | Exception]:
        free.wait(60)
        return list(rows)

    async def check() -> None:
        line = Turns(1, 1)

        async def ask(who: str) -> None:
            client.set(who)
            async with line.turn():
                assert await executor.run_together(hang, who) == who

        waiting = [asyncio.create_task(ask("ada"))]
        await asyncio.sleep(0)
        client.set("bob")
        async with asyncio.timeout(60), line.turn():
            free.set()
        await asyncio.gather(*waiting)

    in_event_loop(check)


def test_one_that_is_refused_or_fails_does_so_alone() -> None:
    async def check() -> None:
        reads = Reads()
        first, second, third = await gather(reads, 1, 13, 3)
        assert (first, third) == (2, 6)
        assert isinstance(second, LookupError)
        first, second, third = await gather(reads, 1, 666, 3)
        assert (first, third) == (2, 6)
        assert isinstance(second, ValueError)

    in_event_loop(check)


def test_one_that_needs_what_is_locked_is_tried_alone() -> None:
    """As by `run`: until the lock is free, and without holding up the others."""
    attempts: list[list[str]] = []

    def end(names: list[str]) -> list[str | Exception]:
        attempts.append(names)
        return [ConversationLocked(name) if len(names) > 1 and name == "b" else name for name in names]

    async def check() -> None:
        assert await gather(end, *"abc") == ["a", "b", "c"]
        assert attempts == [["a", "b", "c"], ["b"]]

    in_event_loop(check)


def test_one_that_the_database_refuses_fails_alone() -> None:
    """Such as a row that is too long for an index, which is an OperationalError, too."""

    def refuse(names: list[str]) -> list[str | Exception]:
        if "b" in names:
            raise OperationalError("too long") from TooLong()
        return list(names)

    async def check() -> None:
        first, second, third = await gather(refuse, *"abc")
        assert (first, third) == ("a", "c")
        assert isinstance(second, OperationalError)

    in_event_loop(check)


class TooLong(Exception):
    sqlstate = "54000"


def test_who_leaves_takes_nobody_along() -> None:
    async def check() -> None:
        reads = Reads()
        leaving = asyncio.create_task(executor.run_together(reads, 1))
        staying = asyncio.create_task(executor.run_together(reads, 2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 4

    in_event_loop(check)


def test_a_job_that_comes_back_to_the_event_loop_does_not_wait_for_itself(scenario: Scenario) -> None:
    async def talk() -> None:
        reads = Reads()

        def come_back() -> int:
            return async_to_sync(executor.run_together)(reads, 4)

        async with asyncio.timeout(30):
            assert await executor.run(come_back) == 8

    scenario(talk)


@pytest.mark.parametrize("number", [13, 666])
def test_a_single_one_raises_what_the_work_raises(number: int) -> None:
    async def check() -> None:
        with pytest.raises((LookupError, ValueError)):
            await executor.run_together(Reads(), number)

    in_event_loop(check)


def test_a_client_reads_one_file_at_a_time_and_others_do_not_wait_for_it() -> None:
    async def check() -> None:
        begun: list[str] = []
        free = threading.Event()

        def read(who: str) -> None:
            begun.append(who)
            assert who == "ada" or free.wait(60)

        async def ask(who: str) -> None:
            client.set(who)
            await executor.run_storage(read, who)

        eve = [asyncio.create_task(ask("eve")) for _ in range(3)]
        try:
            await asyncio.create_task(ask("ada"))
            assert begun == ["eve", "ada"]
        finally:
            free.set()
            await asyncio.gather(*eve)
        assert begun == ["eve", "ada", "eve", "eve"]

    in_event_loop(check)
