"""Sign-in: one password at a time, few attempts for a name."""

import asyncio
import threading
import uuid
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from chat import turns
from nousproject import sign_in
from nousproject.sign_in import ATTEMPT_EVERY, ATTEMPTS, Attempts


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_attempts", Attempts())
    monkeypatch.setattr(sign_in, "monotonic", lambda: 100.0)  # time gives attempts back


def test_passwords_are_checked_one_at_a_time_and_clients_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_turns", turns.Turns(1, 1, max_waiting=3))
    lock, finish, served = threading.Lock(), threading.Event(), list[str]()

    def check(request: HttpRequest) -> HttpResponse:
        assert lock.acquire(blocking=False), "another password is being checked"
        finish.wait(60)
        served.append(request.META["REMOTE_ADDR"])
        lock.release()
        return HttpResponse()

    async def ask(address: str) -> int:
        turns.client.set(address)
        request = RequestFactory().post("/", {"username": uuid.uuid4().hex}, REMOTE_ADDR=address)
        return int((await sign_in.throttled(check)(request)).status_code)

    async def run() -> None:
        crowd = [asyncio.create_task(ask("crowd")) for _ in range(6)]
        await asyncio.sleep(0)
        visitor = asyncio.create_task(ask("visitor"))
        await asyncio.sleep(0)
        finish.set()
        assert await visitor == 200
        assert served[:3] == ["crowd", "crowd", "visitor"], "not after all of the crowd"
        assert sorted(await asyncio.gather(*crowd)) == [200] * 4 + [429] * 2, "one is checked, three wait"

    asyncio.run(run())


def test_guesses_at_ones_own_password_count_by_session(client: Client, people: Any) -> None:
    client.force_login(people["ada"])
    guess = {"old_password": "wrong", "new_password1": "a-Long-one-1", "new_password2": "a-Long-one-1"}
    answers = [client.post("/accounts/password_change/", guess).status_code for _ in range(ATTEMPTS + 1)]
    assert answers == [200] * ATTEMPTS + [429]


def test_wrong_attempts_use_up_and_time_gives_back() -> None:
    attempts = Attempts()
    assert [attempts.take("ada", 100.0) for _ in range(ATTEMPTS)] == [0.0] * ATTEMPTS
    assert attempts.take("ada", 100.0) == ATTEMPT_EVERY
    assert attempts.take("bob", 100.0) == 0
    assert attempts.take("ada", 100.0 + ATTEMPT_EVERY) == 0
    attempts.succeeded("ada")
    assert [attempts.take("ada", 200.0) for _ in range(ATTEMPTS)] == [0.0] * ATTEMPTS


def test_too_many_attempts_get_a_page_that_says_when_to_try_again(client: Client, people: Any) -> None:
    form = {"username": "Ada", "password": "wrong"}
    answers = [client.post("/accounts/login/", form) for _ in range(ATTEMPTS + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1]["Retry-After"]) <= ATTEMPT_EVERY
    assert b"Try again in" in answers[-1].content
    assert client.post("/admin/login/", form).status_code == 429, "the same passwords"
    assert client.get("/accounts/login/").status_code == 200


def test_all_spellings_of_a_name_count_together(client: Client, people: Any) -> None:
    """Django's form strips a name and normalizes it (NFKC), so all of these are Ada's account."""
    for spelling in [" " * 2000 + "ada", "ada\u2003", "\uff41da", "\U0001d41ada", "a\u24d3a"] * (ATTEMPTS // 5):
        assert client.post("/accounts/login/", {"username": spelling, "password": "wrong"}).status_code == 200
    assert client.post("/accounts/login/", {"username": "ada", "password": "wrong"}).status_code == 429
