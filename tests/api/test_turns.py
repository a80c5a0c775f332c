"""HTTP clients take turns: one with many requests does not hold up the others."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import markcoroutinefunction, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import override_settings
from django.urls import path

from chat import middleware
from chat.concurrency import TaskSets
from chat.store import executor
from chat.turns import Line, Turns, client, give_up_turn


class View:
    """Answers nothing until it is told to. `active` are the clients it works for."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.served: list[str] = []
        self._free = asyncio.Semaphore(0)

    async def __call__(self, request: Any) -> HttpResponse:
        client = request.COOKIES["sessionid"]
        self.active.append(client)
        try:
            await self._free.acquire()
            self.served.append(client)
        finally:
            self.active.remove(client)
        return HttpResponse()

    async def finish(self, number: int = 1) -> None:
        for _ in range(number):
            self._free.release()
            await settle()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def line_of(turns: Turns) -> Line:
    return turns._lines[asyncio.get_running_loop()]


def request_of(client: str) -> Any:
    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = client
    return request


Ask = Callable[[str], "asyncio.Task[HttpResponse]"]


def serve(scenario: Callable[[View, Ask], Awaitable[None]]) -> None:
    async def run() -> None:
        view = View()
        take_turns = middleware.TakeTurns(markcoroutinefunction(view))
        async with asyncio.timeout(60):
            await scenario(view, lambda client: asyncio.create_task(take_turns(request_of(client))))

    asyncio.run(run())


def test_a_client_has_few_requests_at_once_and_others_do_not_wait_behind_its_queue() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        flood = [ask("eve") for _ in range(50)]
        await settle()
        assert view.active == ["eve"] * middleware.PER_CLIENT
        ada = ask("ada")
        await settle()
        assert "ada" in view.active
        await view.finish(51)
        assert {(await task).status_code for task in (*flood, ada)} == {200}

    serve(scenario)


def test_a_process_has_few_requests_at_once_and_clients_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_turns", Turns(1, 1))

    async def scenario(view: View, ask: Ask) -> None:
        asked = [ask(client) for client in ("eve", "eve", "eve", "eve", "ada", "bob", "ada")]
        await settle()
        await view.finish(7)
        assert view.served == ["eve", "eve", "ada", "bob", "eve", "ada", "eve"]
        await asyncio.gather(*asked)

    serve(scenario)


def test_too_many_waiting_requests_of_one_client_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_turns", Turns(4, 1, max_waiting=3))

    async def scenario(view: View, ask: Ask) -> None:
        kept = [ask("eve") for _ in range(middleware.PER_CLIENT + 3)]
        await settle()
        refused = await ask("eve")
        assert (refused.status_code, refused["Retry-After"]) == (429, "1")
        assert b'"rate_limited"' in refused.content
        ada = ask("ada")
        await view.finish(len(kept) + 1)
        assert {(await task).status_code for task in (*kept, ada)} == {200}

    serve(scenario)


def test_a_client_that_goes_while_it_waits_leaves_the_line() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        active = [ask("eve") for _ in range(middleware.PER_CLIENT)]
        waiting = [ask("eve") for _ in range(3)]
        await settle()
        waiting[0].cancel()
        await view.finish(len(active) + 2)
        assert {(await task).status_code for task in (*active, *waiting[1:])} == {200}
        assert waiting[0].cancelled()
        assert not view.active

    serve(scenario)


class Site:
    """Django's own handler, with a view that answers nothing until `free` is set."""

    def __init__(self) -> None:
        self.active, self.most, self.free = 0, 0, threading.Event()
        self._counting = threading.Lock()
        self.urlpatterns = [path("", self.view)]

    def view(self, request: HttpRequest) -> HttpResponse:
        with self._counting:
            self.active += 1
            self.most = max(self.most, self.active)
        self.free.wait(60)
        with self._counting:
            self.active -= 1
        return HttpResponse()

    async def ask(self, handler: ASGIHandler, hang_up: asyncio.Event) -> None:
        """A request, by a client that goes when `hang_up` is set."""
        requested = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if requested:
                return requested.pop()
            await hang_up.wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", b"sessionid=eve")]}
        await handler(scope, receive, sync_to_async(lambda message: None))


def test_a_client_that_hangs_up_keeps_its_turns_until_their_threads_are_done() -> None:
    """Under the middleware of nousproject in production, of which none may be synchronous."""
    site = Site()

    async def run() -> None:
        handler = ASGIHandler()
        hang_up = asyncio.Event()
        asked = [asyncio.create_task(site.ask(handler, hang_up)) for _ in range(4)]
        async with asyncio.timeout(60):
            while site.active < middleware.PER_CLIENT:
                await asyncio.sleep(0.01)
            hang_up.set()
            staying = asyncio.create_task(site.ask(handler, asyncio.Event()))
            await asyncio.wait([staying], timeout=0.2)  # time enough for it to begin, if it may
            site.free.set()
            await asyncio.gather(*asked, staying)
        assert (site.active, site.most) == (0, middleware.PER_CLIENT)

    production = [
        "chat.middleware.TakeTurns",
        "nousproject.csp.ContentSecurityPolicy",
        "nousproject.static.StaticFiles",
    ]
    with override_settings(MIDDLEWARE=production, ROOT_URLCONF=site, STATIC_ROOT=None):
        try:
            asyncio.run(run())
        finally:
            site.free.set()


def test_a_turn_that_comes_as_its_client_goes_is_passed_on() -> None:
    async def scenario(view: View, ask: Ask) -> None:
        turns = Turns(1, 1)
        client.set("eve")
        async with turns.turn():

            async def wait() -> None:
                async with turns.turn():
                    await asyncio.sleep(0)

            gone, other = asyncio.create_task(wait()), asyncio.create_task(wait())
            await settle()
        gone.cancel()  # its turn has come, and it does not know yet
        await asyncio.wait_for(other, 10)
        assert not line_of(turns).active

    serve(scenario)


def test_a_request_that_waits_for_something_else_gives_up_its_turn() -> None:
    """Also from the task that finishes its work if the client goes. The turn ends once, whatever follows."""

    async def scenario(view: View, ask: Ask) -> None:
        turns = Turns(1, 1)
        client.set("eve")
        async with turns.turn():

            async def work() -> None:
                give_up_turn()
                give_up_turn()

            await TaskSets().run_to_completion(work())
            client.set("ada")
            async with asyncio.timeout(10), turns.turn():
                assert line_of(turns).active == {"ada": 1}
            client.set("eve")
        assert not line_of(turns).active

    serve(scenario)


def test_a_thread_can_give_up_the_turn_in_which_it_works() -> None:
    """A synchronous view that waits. The one whose turn it is then begins at once, although the loop was idle."""
    free = threading.Event()

    def wait() -> None:
        give_up_turn()
        free.wait(60)

    async def scenario(view: View, ask: Ask) -> None:
        turns = Turns(1, 1)

        async def work() -> None:
            async with turns.turn():
                await sync_to_async(wait)()

        working = asyncio.create_task(work())
        await settle()
        try:
            async with turns.turn():
                assert not working.done()
        finally:
            free.set()
        await working
        assert not line_of(turns).active

    serve(scenario)


def test_a_request_that_waits_for_the_storage_has_no_turn() -> None:
    """Else a few requests for files that hang would stop all others."""
    free = threading.Event()

    async def scenario(view: View, ask: Ask) -> None:
        turns = Turns(1, 1)

        async def read_file() -> None:
            client.set("eve")
            async with turns.turn():
                await executor.run_storage(free.wait, 60)

        reading = asyncio.create_task(read_file())
        await settle()
        client.set("ada")
        try:
            async with asyncio.timeout(10), turns.turn():
                assert not reading.done()
        finally:
            free.set()
        await reading

    serve(scenario)


def test_a_turn_passes_those_who_have_just_gone() -> None:
    """They are cancelled in the same moment, and have not noticed it yet."""

    async def scenario(view: View, ask: Ask) -> None:
        turns = Turns(1, 1)

        async def wait() -> None:
            async with turns.turn():
                await asyncio.sleep(0)

        client.set("eve")
        async with turns.turn():
            gone, other = asyncio.create_task(wait()), asyncio.create_task(wait())
            await settle()
            gone.cancel()
        await asyncio.wait_for(other, 10)
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert not line_of(turns).active
        assert not line_of(turns).waiting

    serve(scenario)
