"""Sign-in: one password at a time, few attempts for a name."""

import asyncio
import threading
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from nousproject import sign_in
from nousproject.sign_in import ATTEMPT_EVERY, ATTEMPTS, Attempts, Gate


def test_passwords_are_checked_one_at_a_time_and_a_crowd_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "AT_ONCE", 1)
    monkeypatch.setattr(sign_in, "MAX_WAITING", 3)
    lock, finish = threading.Lock(), threading.Event()

    def check() -> HttpResponse:
        assert lock.acquire(blocking=False), "another password is being checked"
        finish.wait(60)
        lock.release()
        return HttpResponse()

    async def run() -> None:
        gate = Gate()
        waiting = [asyncio.create_task(gate.enter(check)) for _ in range(3)]
        await asyncio.sleep(0)
        assert await gate.enter(check) is None
        waiting[1].cancel()
        finish.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [HttpResponse, asyncio.CancelledError, HttpResponse]
        assert await gate.enter(check) is not None, "who has gone takes no place"

    asyncio.run(run())


def test_wrong_attempts_use_up_and_time_gives_back() -> None:
    attempts = Attempts()
    assert [attempts.take("ada", 100.0) for _ in range(ATTEMPTS)] == [0.0] * ATTEMPTS
    assert attempts.take("ada", 100.0) == ATTEMPT_EVERY
    assert attempts.take("bob", 100.0) == 0
    assert attempts.take("ada", 100.0 + ATTEMPT_EVERY) == 0
    attempts.succeeded("ada")
    assert [attempts.take("ada", 200.0) for _ in range(ATTEMPTS)] == [0.0] * ATTEMPTS


def test_too_many_attempts_get_a_page_that_says_when_to_try_again(
    client: Client, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "_attempts", Attempts())
    form = {"username": "Ada", "password": "wrong"}
    answers = [client.post("/accounts/login/", form) for _ in range(ATTEMPTS + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1]["Retry-After"]) <= ATTEMPT_EVERY
    assert b"Try again in" in answers[-1].content
    assert client.post("/admin/login/", form).status_code == 429, "the same passwords"
    assert client.get("/accounts/login/").status_code == 200


def test_all_spellings_of_a_name_count_together(client: Client, people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's form strips a name and normalizes it (NFKC), so all of these are Ada's account."""
    monkeypatch.setattr(sign_in, "_attempts", Attempts())
    for spelling in [" " * 2000 + "ada", "ada\u2003", "\uff41da", "\U0001d41ada", "a\u24d3a"] * (ATTEMPTS // 5):
        assert client.post("/accounts/login/", {"username": spelling, "password": "wrong"}).status_code == 200
    assert client.post("/accounts/login/", {"username": "ada", "password": "wrong"}).status_code == 429


def test_invented_names_that_are_not_checked_push_nobody_out(
    client: Client, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts()
    monkeypatch.setattr(sign_in, "_attempts", attempts)
    monkeypatch.setattr(sign_in, "MAX_WAITING", 0)
    assert client.post("/accounts/login/", {"username": "nobody", "password": "wrong"}).status_code == 429
    assert not attempts._names
