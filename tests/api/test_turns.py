"""Clients take turns: one with many requests does not hold up the others. tests/site/test_turns.py has real servers."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError

from chat import turns
from chat.concurrency import TaskSets
from chat.node import http_turns
from chat.store import executor
from chat.turns import Line, Stranger, Turns, client, give_up_turn, out_of_turn

BODY = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class View:
    """An application that answers nothing until it is told to. `active` are the clients it works for."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.served: list[str] = []
        self._free = asyncio.Semaphore(0)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message == GONE:
            return
        address = scope["client"][0]
        self.active.append(address)
        try:
            await self._free.acquire()
            self.served.append(address)
        finally:
            self.active.remove(address)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def finish(self, number: int = 1) -> None:
        for _ in range(number):
            self._free.release()
            await settle()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(30):
        await asyncio.sleep(0)


def line_of(turns: Turns) -> Line:
    return turns._lines[asyncio.get_running_loop()]


class Request:
    """A request, of nobody who is signed in if there is no `cookie`. The client goes when `hang_up` is called. `status`
    is that of the response.
    """

    def __init__(self, application: Any, address: str, *body: dict[str, Any], cookie: bytes = b"") -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for message in body or (BODY,):
            self._messages.put_nowait(message)
        self.sent: list[dict[str, Any]] = []
        headers = [(b"cookie", b"sessionid=" + cookie)] if cookie else []
        scope = {"type": "http", "client": (address, 1), "headers": headers}
        self.task = asyncio.create_task(application(scope, self._messages.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def send_body(self) -> None:
        self._messages.put_nowait(BODY)

    def hang_up(self) -> None:
        self._messages.put_nowait(GONE)

    async def status(self) -> int | None:
        await self.task
        return self.sent[0]["status"] if self.sent else None


Ask = Callable[..., Request]


def serve(scenario: Callable[[View, Ask], Awaitable[None]]) -> None:
    async def run() -> None:
        view = View()
        application = http_turns.take_turns(view)
        async with asyncio.timeout(60):
            await scenario(view, partial(Request, application))

    asyncio.run(run())


@pytest.fixture
def several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of strangers as those of users: several begin at the same moment."""
    monkeypatch.setattr(http_turns, "_strangers", Turns(http_turns.AT_ONCE, http_turns.PER_CLIENT))


@pytest.mark.usefixtures("several_at_once")
def test_a_client_has_few_requests_at_once_and_others_do_not_wait_behind_its_queue() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        flood = [ask("eve") for _ in range(50)]
        await settle()
        assert view.active == ["eve"] * http_turns.PER_CLIENT
        ada = ask("ada")
        await settle()
        assert "ada" in view.active
        await view.finish(51)
        assert {await request.status() for request in (*flood, ada)} == {200}

    serve(scenario)


def test_a_process_has_few_requests_at_once_and_clients_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_turns, "_strangers", Turns(1, 1))

    async def scenario(view: View, ask: Ask) -> None:
        asked = [ask(client) for client in ("eve", "eve", "eve", "eve", "ada", "bob", "ada")]
        await settle()
        await view.finish(7)
        assert view.served == ["eve", "eve", "ada", "bob", "eve", "ada", "eve"]
        assert {await request.status() for request in asked} == {200}

    serve(scenario)


def test_users_do_not_wait_for_strangers_however_many_addresses_these_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SHORT", 3600)
    monkeypatch.setitem(http_turns._users, "known", 1)

    async def scenario(view: View, ask: Ask) -> None:
        strangers = [ask(f"10.0.0.{number}") for number in range(9)]
        await settle()
        assert view.active == ["10.0.0.0"]
        ada = ask("10.0.0.9", cookie=b"known")
        await settle()
        assert view.active == ["10.0.0.0", "10.0.0.9"]
        await view.finish(10)
        assert {await request.status() for request in (*strangers, ada)} == {200}
        assert line_of(http_turns._strangers).short == line_of(http_turns._turns).short == 0

    serve(scenario)


def test_two_requests_of_users_begin_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """While more of them compute, each statement of the chat waits for the interpreter."""
    monkeypatch.setattr(turns, "SHORT", 3600)
    for number in range(5):
        monkeypatch.setitem(http_turns._users, f"known {number}", number)

    async def scenario(view: View, ask: Ask) -> None:
        asked = [ask(f"10.0.0.{number}", cookie=f"known {number}".encode()) for number in range(5)]
        for served in range(4):
            await settle()
            assert view.active == [f"10.0.0.{number}" for number in (served, served + 1)]
            await view.finish()
        await view.finish()
        assert {await request.status() for request in asked} == {200}

    serve(scenario)


def test_strangers_do_not_wait_long_for_one_whose_page_is_slow_but_few_are_slow_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "SHORT", 0)

    async def scenario(view: View, ask: Ask) -> None:
        strangers = [ask(f"10.0.0.{number}") for number in range(9)]
        while len(view.active) < http_turns.STRANGERS_AT_ONCE:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert len(view.active) == http_turns.STRANGERS_AT_ONCE
        for _ in strangers:
            while not view.active:
                await asyncio.sleep(0.001)
            await view.finish()
        assert {await request.status() for request in strangers} == {200}
        assert line_of(http_turns._strangers).short == 0

    serve(scenario)


def test_addresses_of_one_network_are_one_stranger() -> None:
    """A visitor with IPv6 has 2^64 of them."""

    async def scenario(view: View, ask: Ask) -> None:
        asked = [ask(f"2001:db8::{number}") for number in range(3)]
        await settle()
        assert line_of(http_turns._strangers).waiting.keys() == {Stranger("2001:db8::/64")}
        await view.finish(3)
        assert {await request.status() for request in asked} == {200}

    serve(scenario)


def test_too_many_waiting_requests_of_one_client_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_turns, "_strangers", Turns(4, 1, max_waiting=3))

    async def scenario(view: View, ask: Ask) -> None:
        kept = [ask("eve") for _ in range(1 + 3)]
        await settle()
        refused = ask("eve")
        assert await refused.status() == 429
        start, body = refused.sent
        assert dict(start["headers"])[b"retry-after"] == b"1"
        assert b'"rate_limited"' in body["body"]
        ada = ask("ada")
        await view.finish(len(kept) + 1)
        assert {await request.status() for request in (*kept, ada)} == {200}

    serve(scenario)


def test_a_client_that_goes_while_it_waits_leaves_the_line() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        active = ask("eve")
        waiting = [ask("eve") for _ in range(3)]
        await settle()
        waiting[0].hang_up()
        waiting[1].task.cancel()
        assert await waiting[0].status() is None
        await view.finish(2)
        assert [await request.status() for request in (active, waiting[2])] == [200, 200]
        assert waiting[1].task.cancelled()
        assert not line_of(http_turns._strangers).active

    serve(scenario)


def test_a_client_that_goes_while_it_is_answered_keeps_its_turn_until_the_response_begins() -> None:
    """Whether the server tells so, or cancels the application, as daphne does: its threads would go on without it."""

    async def scenario(view: View, ask: Ask) -> None:
        gone = ask("eve")
        following = ask("eve")
        await settle()
        gone.hang_up()
        gone.task.cancel()
        await settle()
        assert view.active == ["eve"]
        await view.finish()
        assert gone.sent, "nothing was cancelled"
        assert view.active == ["eve"]
        await view.finish()
        assert await following.status() == 200

    serve(scenario)


def test_a_request_whose_body_is_not_there_yet_has_no_turn() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        slow = ask("eve", BODY | {"more_body": True})
        await settle()
        other = ask("eve")
        await view.finish()
        assert await other.status() == 200
        slow.send_body()
        await view.finish()
        assert await slow.status() == 200

    serve(scenario)


def test_a_response_that_is_being_sent_has_no_turn_and_learns_that_its_client_is_gone() -> None:
    sending = asyncio.Event()

    async def stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        sending.set()
        assert await receive() == GONE
        await asyncio.Event().wait()

    async def scenario(view: View, ask: Ask) -> None:
        application = http_turns.take_turns(stream)
        request = Request(application, "eve")
        async with asyncio.timeout(30):
            await sending.wait()
        other = ask("eve")
        await view.finish()
        assert await other.status() == 200
        request.hang_up()
        await settle()
        request.task.cancel()
        await asyncio.wait([request.task])
        assert request.task.cancelled()

    serve(scenario)


def test_an_application_that_fails_gives_its_turn_back() -> None:
    async def fail(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        raise LookupError

    async def scenario(view: View, ask: Ask) -> None:
        for _ in range(2):
            with pytest.raises(LookupError):
                await Request(http_turns.take_turns(fail), "eve").status()
        assert not line_of(http_turns._strangers).active

    serve(scenario)


def test_only_so_many_sessions_are_remembered_and_unreadable_ones_are_nobodys(
    monkeypatch: pytest.MonkeyPatch, people: Any
) -> None:
    def cookie_of(name: str) -> str:
        session = SessionStore()
        session["_auth_user_id"] = str(people[name].pk)
        session.save()
        return str(session.session_key)

    async def find(cookie: str) -> Any:
        scope = {
            "client": ("10.0.0.1", 1),
            "headers": [(b"cookie", b"a=b"), (b"cookie", b"sessionid=" + cookie.encode())],
        }
        return await http_turns._find_user(scope)

    ada, bob, nobody = cookie_of("ada"), cookie_of("bob"), "invented"
    monkeypatch.setattr(http_turns, "_users", type(http_turns._users)())
    monkeypatch.setattr(http_turns, "MAX_SESSIONS", 1)
    for _ in range(2):
        assert async_to_sync(find)(ada) == people["ada"].pk
        assert async_to_sync(find)(bob) == people["bob"].pk
        assert async_to_sync(find)(nobody) is async_to_sync(find)("") is None
    assert list(http_turns._users) == [bob]

    def fail(cookie: str) -> Any:
        raise OperationalError

    monkeypatch.setattr("chat.node.sessions.find_user", fail)
    assert async_to_sync(find)(bob) == people["bob"].pk
    assert async_to_sync(find)(ada) is None


def test_a_turn_that_comes_as_its_client_goes_is_passed_on() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(1, 1)
        client.set("eve")
        async with line.turn():

            async def wait() -> None:
                async with line.turn():
                    await asyncio.sleep(0)

            gone, other = asyncio.create_task(wait()), asyncio.create_task(wait())
            await settle()
        gone.cancel()  # its turn has come, and it does not know yet
        await asyncio.wait_for(other, 10)
        assert not line_of(line).active

    serve(scenario)


def test_a_request_that_waits_for_something_else_gives_up_its_turn() -> None:
    """Also from the task that finishes its work if the client goes. The turn ends once, whatever follows."""

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(1, 1)
        client.set("eve")
        async with line.turn():

            async def work() -> None:
                give_up_turn()
                give_up_turn()

            await TaskSets().run_to_completion(work())
            client.set("ada")
            async with asyncio.timeout(10), line.turn():
                assert line_of(line).active == {"ada": 1}
            client.set("eve")
        assert not line_of(line).active

    serve(scenario)


def test_those_who_waited_together_go_on_one_after_another() -> None:
    """Else a crowd that has joined by one transaction computes all its responses at the same time."""

    async def scenario(view: View, ask: Ask) -> None:
        line, let_go = Turns(1, 1, max_waiting=0), asyncio.Event()
        working = Counter[str]()

        async def join(name: str) -> None:
            client.set(name)
            async with line.turn():
                async with out_of_turn():
                    await let_go.wait()
                working["now"] += 1
                working["most"] = max(working["now"], working["most"])
                await settle()
                working["now"] -= 1

        crowd = []
        for number in range(5):  # each gets the only turn, although the ones before it are not finished
            crowd.append(asyncio.create_task(join(f"person {number}")))
            await settle()
            assert not line_of(line).active
        let_go.set()
        await asyncio.gather(*crowd)
        assert working["most"] == 1
        assert not line_of(line).active

    serve(scenario)


@pytest.mark.parametrize("is_busy", [False, True])
def test_what_goes_on_after_its_turn_has_none(is_busy: bool) -> None:
    """A site's view that answers before its work is done. Else the turn would never end."""

    async def scenario(view: View, ask: Ask) -> None:
        line, let_go = Turns(1, 1), asyncio.Event()

        async def work() -> None:
            async with out_of_turn():
                await let_go.wait()

        client.set("eve")
        async with line.turn():
            working = asyncio.create_task(work())
            await settle()
            if is_busy:
                let_go.set()
                client.set("ada")
                async with line.turn():
                    await settle()  # the work waits in the line while its turn is closed
        let_go.set()
        await working
        assert not line_of(line).active

    serve(scenario)


def test_a_thread_can_give_up_the_turn_in_which_it_works() -> None:
    """A synchronous view that waits. The one whose turn it is then begins at once, although the loop was idle."""
    free = threading.Event()

    def wait() -> None:
        give_up_turn()
        free.wait(60)

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(1, 1)

        async def work() -> None:
            async with line.turn():
                await sync_to_async(wait)()

        working = asyncio.create_task(work())
        await settle()
        try:
            async with line.turn():
                assert not working.done()
        finally:
            free.set()
        await working
        assert not line_of(line).active

    serve(scenario)


def test_a_request_that_waits_for_the_storage_has_no_turn() -> None:
    """Else a few requests for files that hang would stop all others."""
    free = threading.Event()

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(1, 1)

        async def read_file() -> None:
            client.set("eve")
            async with line.turn():
                await executor.run_storage(free.wait, 60)

        reading = asyncio.create_task(read_file())
        await settle()
        client.set("ada")
        try:
            async with asyncio.timeout(10), line.turn():
                assert not reading.done()
        finally:
            free.set()
        await reading

    serve(scenario)


def test_a_turn_passes_those_who_have_just_gone() -> None:
    """They are cancelled in the same moment, and have not noticed it yet."""

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(1, 1)

        async def wait() -> None:
            async with line.turn():
                await asyncio.sleep(0)

        client.set("eve")
        async with line.turn():
            gone, other = asyncio.create_task(wait()), asyncio.create_task(wait())
            await settle()
            gone.cancel()
        await asyncio.wait_for(other, 10)
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert not line_of(line).active
        assert not line_of(line).waiting

    serve(scenario)


def test_a_crowd_of_strangers_is_served_as_often_as_all_who_are_signed_in() -> None:
    """Else a user waits for a turn of each of a thousand addresses."""

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(1, 1)
        served: list[Any] = []

        async def work(who: Any) -> None:
            client.set(who)
            async with line.turn():
                served.append(who)
                await asyncio.sleep(0)

        crowd = [Stranger(f"10.0.0.{number}") for number in range(5)]
        order = [*crowd, "ada", "ada", "bob"]
        await asyncio.gather(*(asyncio.create_task(work(who)) for who in order))
        assert served == [crowd[0], "ada", crowd[1], "bob", crowd[2], "ada", crowd[3], crowd[4]]
        assert not line_of(line).waiting

    serve(scenario)


class Clock:
    """The time of an event loop, as a test sets it."""

    def __init__(self) -> None:
        self.now = 100.0
        self._calls: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *args: Any) -> None:
        self._calls.append((when, partial(callback, *args)))

    def advance(self, now: float) -> None:
        while due := [call for call in self._calls if call[0] <= now]:
            call = min(due, key=lambda call: call[0])
            self._calls.remove(call)
            self.now = call[0]
            call[1]()
        self.now = now


EVE, ADA = Stranger("10.0.0.1"), Stranger("10.0.0.2")


@pytest.mark.parametrize(("who", "paused", "free"), [(EVE, [EVE, ADA], ["ada"]), ("eve", ["eve"], ["ada", EVE])])
def test_a_client_and_all_strangers_together_pause_after_short_turns_but_not_for_a_page_with_its_files(
    who: Any, paused: list[Any], free: list[Any]
) -> None:
    """A thread that computes all the time holds up each statement of all others."""
    clock, line = Clock(), Line(Turns(4, 1, pause=3.0))
    loop: Any = clock

    def work(seconds: float) -> None:
        begun_at = clock.now
        clock.advance(begun_at + seconds)
        line.pause(who, begun_at, loop)

    for _ in range(3):
        work(turns.BURST / 10)
        assert line._may_begin(who), "so much is left out after a quiet time"
    work(turns.BURST / 2)
    pause = max(line._pauses.values()) - clock.now
    assert [line._may_begin(one) for one in (*paused, *free)] == [False] * len(paused) + [True] * len(free)
    assert pause == pytest.approx((3 * 0.8 - 1 - 0.7) * turns.BURST), (
        "three times the turns, less the burst and the time"
    )
    clock.advance(clock.now + 0.9 * pause)
    assert not line._may_begin(who)
    clock.advance(clock.now + 0.2 * pause)
    assert line._may_begin(who)
    assert line._pauses
    clock.advance(clock.now + turns.BURST)
    assert not line._pauses, "nothing is kept of a client that was quiet"


def test_who_waits_begins_when_the_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BURST", 0.001)

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(2, 1, pause=3.0)
        client.set("eve")
        for _ in range(2):
            async with asyncio.timeout(30), line.turn():
                assert not line_of(line)._pausing
                await asyncio.sleep(0.01)
            assert line_of(line)._pausing == {"eve"}
        assert not line_of(line).active

    serve(scenario)


def test_nobody_pauses_after_a_long_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who opens one slow page waits as long for the next one."""
    monkeypatch.setattr(turns, "BURST", 0.001)
    monkeypatch.setattr(turns, "SHORT", 0.005)

    async def scenario(view: View, ask: Ask) -> None:
        line = Turns(2, 1, pause=3600.0)
        client.set("eve")
        async with line.turn():
            await asyncio.sleep(0.01)
        assert not line_of(line)._pausing
        async with asyncio.timeout(30), line.turn():
            pass

    serve(scenario)
