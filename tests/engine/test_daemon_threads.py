"""Threads for which a process that ends does not wait."""

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from chat.engine.daemon_threads import DaemonThreads, in_daemon_thread

ENDS = """
import threading
from chat.engine.daemon_threads import DaemonThreads
began = threading.Event()

def hang():
    began.set()
    threading.Event().wait()

DaemonThreads(1, "hanging").submit(hang)
began.wait()
print("over")
"""


def test_a_process_ends_although_a_thread_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS], timeout=60, check=True, capture_output=True, text=True)
    assert ended.stdout == "over\n"


def test_work_is_done_in_order_and_raises_where_it_is_awaited() -> None:
    begun: list[threading.Thread] = []
    threads = DaemonThreads(1, "one", lambda: begun.append(threading.current_thread()))
    done: list[int] = []
    futures = [threads.submit(done.append, number) for number in range(5)]
    failed = threads.submit(int, "x")
    last = threads.submit(threading.current_thread)
    assert [last.result(30)] == begun
    assert all(future.done() for future in futures)
    assert done == [0, 1, 2, 3, 4]
    assert begun[0].name == "one_0"
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result(30)
    threads.shutdown()
    begun[0].join(30)
    assert not begun[0].is_alive()


def test_there_are_as_many_threads_as_there_is_work_up_to_a_number() -> None:
    begun: list[threading.Thread] = []
    threads = DaemonThreads(3, "three", lambda: begun.append(threading.current_thread()))
    meeting = threading.Barrier(3)
    futures = [threads.submit(meeting.wait, 30) for _ in range(6)]
    assert sorted(future.result(30) for future in futures) == [0, 0, 1, 1, 2, 2]
    assert len(begun) == 3
    threads.shutdown()
    for thread in begun:
        thread.join(30)


def test_what_nobody_waits_for_any_longer_is_not_begun() -> None:
    threads = DaemonThreads(1, "one")
    may_end = threading.Event()
    threads.submit(may_end.wait, 30)
    given_up = threads.submit(pytest.fail, "it was given up")
    assert given_up.cancel()
    last = threads.submit(int, "1")
    may_end.set()
    assert last.result(30) == 1
    threads.shutdown()


def test_a_call_in_a_thread_of_its_own_keeps_its_context() -> None:
    language: ContextVar[str] = ContextVar("language")

    async def ask() -> tuple[str, str]:
        language.set("de")
        return await in_daemon_thread(lambda: (language.get(), threading.current_thread().name))

    assert asyncio.run(ask()) == ("de", "nous-chat-outside")
