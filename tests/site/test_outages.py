"""Something that the server depends on is away for a while: real processes, a real Redis, a database that is locked."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from chat.consumers.base import COMMAND_TIMEOUT

from ..chaos.proxy import Proxy
from ..support import servers
from ..support.client import Socket, all_said, signed_in
from ..support.servers import Server, Site, Upstream
from ..support.upstream import text

StartSite = Callable[..., Site]
FLOWING = "custom:flowing"
LAYER_AWAY = "the channel layer does not answer"


def tuned(**settings: Any) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.sites.tuned", "NOUS_CHAT": json.dumps(settings)}


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """One that a test may stop."""
    server = servers.start_redis()
    yield server
    server.process.send_signal(signal.SIGCONT)
    server.kill()


def address(redis: Server) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


@contextlib.contextmanager
def locked(site: Site) -> Iterator[None]:
    """Whoever else wants to write to the database waits, as before a server that hangs."""
    url = site.env["DATABASE_URL"]
    if not url.startswith("sqlite:///"):
        pytest.skip("a file is needed to lock it")
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


async def notice(socket: Socket, code: str) -> None:
    await socket.until(lambda: any(event["code"] == code for event in socket.of_type("notice")))


async def probes(site: Site) -> dict[str, tuple[int, str]]:
    """What a load balancer hears, which knows no host of the site."""
    async with httpx.AsyncClient(base_url=site.url, headers={"Host": "unknown.example"}, trust_env=False) as http:
        answers = {name: await http.get(f"/chat/{name}") for name in ("healthz", "readyz")}
    return {name: (answer.status_code, answer.text.strip()) for name, answer in answers.items()}


async def refused_at_once(socket: Socket) -> None:
    """What is said while it is known that the database is away: nothing waits for it until patience ends."""
    asked = time.monotonic()
    await socket.say("Are you there?", ref="away")
    refused = await socket.answered("away")
    assert (refused["code"], refused["retry_after"] > 0) == ("unavailable", True)
    assert time.monotonic() - asked < COMMAND_TIMEOUT


async def goes_on(socket: Socket) -> None:
    heard = len(socket.of_type("run.delta"))
    await socket.hear("run.delta", heard + 10)


async def shows(socket: Socket, answer: str) -> None:
    """One question, and one answer that is complete."""
    await socket.until(
        lambda: len(socket.transcript) == 2 and socket.transcript[1] == ("assistant", answer) and not socket.runs, 60
    )


def test_while_the_database_is_away_answers_go_on_commands_are_refused_at_once_and_all_is_stored_after_it(
    start_site: StartSite, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
                with locked(site):
                    await notice(socket, "database_away")
                    await refused_at_once(socket)
                    await goes_on(socket)
                await notice(socket, "database_back")
                upstream.release()
                answer = await socket.ended_answer()
                assert answer["text"] == all_said(answer["run"])
                await socket.until(lambda: len(socket.of_type("snapshot")) > 1)
                await socket.say("And now?", ref="back")
                assert (await socket.answered("back"))["type"] == "ack"
            stored = await ada.messages(conversation)
            assert [m["text"] for m in stored if m["role"] == "user"] == ["Hello", "And now?"]
            assert stored[1]["text"] == answer["text"]

    asyncio.run(talk())


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database on a PostgreSQL of one's own."""
    programs = servers.postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here")
    with tempfile.TemporaryDirectory(prefix="nous-outage-") as folder:
        os.chmod(folder, 0o755)  # it does not run as root
        with servers.postgres(programs, Path(folder) / "postgres") as (url, _):
            yield servers.Database(Path(folder), url).copy()


@pytest.mark.parametrize("how", [pytest.param("cut_off", marks=pytest.mark.slow), "held"])
def test_postgresql_is_gone_for_ten_seconds_or_says_nothing_for_as_long(
    start_site: StartSite, postgresql: str, upstream: Upstream, how: str
) -> None:
    async def talk() -> None:
        port = urlsplit(postgresql).port or 0
        async with Proxy(port) as proxy:
            between = postgresql.replace(f":{port}/", f":{proxy.port}/")
            site = await asyncio.to_thread(start_site, NOUS_CHAT_MODEL=FLOWING, DATABASE_URL=between)
            async with signed_in(site, "ada") as ada:
                conversation = await ada.new_conversation()
                async with ada.socket(conversation) as socket:
                    await socket.say("Hello")
                    await socket.hear("run.delta", 3)
                    with getattr(proxy, how)():
                        ten_seconds = asyncio.create_task(asyncio.sleep(10))
                        await notice(socket, "database_away")
                        await refused_at_once(socket)
                        await goes_on(socket)
                        await ten_seconds
                        await asyncio.to_thread(upstream.release)
                    await notice(socket, "database_back")
                    answer = await socket.ended_answer()
                    assert (answer["run"]["status"], answer["text"]) == ("completed", all_said(answer["run"]))
                    await socket.say("And now?", ref="back")
                    assert (await socket.answered("back"))["type"] == "ack"
                assert (await ada.messages(conversation))[1]["text"] == answer["text"]

    asyncio.run(talk())


@contextlib.contextmanager
def full_disk(site: Site) -> Iterator[None]:
    """The site's process can make no file longer than nothing: each write fails, as on a disk that is full."""
    if not site.env["DATABASE_URL"].startswith("sqlite:///"):
        pytest.skip("the database writes for itself")
    process = psutil.Process(site.process.pid)
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, before)


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="limits of a process are Linux's")
def test_while_the_disk_is_full_answers_go_on_and_are_stored_when_there_is_room(
    start_site: StartSite, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
                with full_disk(site):
                    await notice(socket, "database_away")
                    await goes_on(socket)
                    upstream.release()
                    whole = text(upstream.ended()["words"])
                    await socket.until(lambda: socket.answer["text"] == whole)
                    await asyncio.sleep(1)
                    assert not socket.finished, "its end cannot be written yet"
                await notice(socket, "database_back")
                answer = await socket.ended_answer()
                assert (answer["run"]["status"], answer["text"]) == ("completed", whole)
            assert (await ada.messages(conversation))[-1]["text"] == whole

    asyncio.run(talk())


def test_a_command_that_meets_a_locked_database_is_answered_soon_and_can_be_sent_again(start_site: StartSite) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words")

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                client_id = ""
                with locked(site):
                    client_id = await socket.say("Hello", ref="1")
                    assert (await socket.answered("1"))["code"] == "unavailable"
                    assert await ada.messages(conversation) == [], "reading goes on"
                await socket.say("Hello", client_id=client_id, ref="2")
                assert (await socket.answered("2"))["type"] == "ack"
                await socket.ended_answer()
            assert [m["role"] for m in await ada.messages(conversation)] == ["user", "assistant"], "said once"

    asyncio.run(talk())


def test_after_an_outage_of_the_database_no_process_takes_the_living_runs_of_another(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=redis, **tuned(HOST_TIMEOUT=5))
    others = [stop_after(site.second_process()) for _ in range(2)]

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, contextlib.AsyncExitStack() as open_sockets:
            sockets = []
            for process in (site, *others):
                conversation = await ada.new_conversation()
                sockets.append(await open_sockets.enter_async_context(ada.socket(conversation, process)))
                await sockets[-1].hear("snapshot")
            await asyncio.sleep(6)  # now each of them might judge
            for socket in sockets:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
            with locked(site):
                await asyncio.sleep(7)
            for socket in sockets:
                await notice(socket, "database_back")
            await asyncio.sleep(3)  # heartbeats, and looks for runs that were left behind
            upstream.release()
            for socket in sockets:
                answer = await socket.ended_answer()
                assert (answer["run"]["status"], answer["text"]) == ("completed", all_said(answer["run"]))

    asyncio.run(talk())


def test_a_process_that_stood_still_and_was_declared_dead_publishes_nothing_more(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=redis, **tuned(HOST_TIMEOUT=5))
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation, other) as two:
                await two.hear("snapshot")
                await asyncio.sleep(6)
                async with ada.socket(conversation) as one:
                    await one.say("Hello")
                    await two.hear("run.delta", 5)
                    with frozen(site):
                        finished = await two.hear("run.finished")
                        assert (finished["status"], finished["error"]["code"]) == ("interrupted", "host_lost")
                        heard = len(two.events)
                    async with asyncio.timeout(30):
                        while upstream.stats()["active"]:
                            await asyncio.sleep(0.1)
                    await asyncio.sleep(1)
                    late = [e for e in two.events[heard:] if e["type"] in ("run.delta", "run.state", "run.finished")]
                    assert late == [], "the end was the end"
                    await one.until(lambda: not one.runs and one.transcript == two.transcript)
            assert (await ada.messages(conversation))[-1]["text"] == finished["message"]["text"]

    asyncio.run(talk())


def test_while_redis_hangs_acks_come_at_once_answers_go_on_and_all_converge_after_it(
    start_site: StartSite, stop_after: Callable[[Any], Any], own_redis: Server, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:told", REDIS_URL=address(own_redis))
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation, second, third = [await ada.new_conversation() for _ in range(3)]
            async with (
                ada.socket(conversation) as one,
                ada.socket(conversation, other) as two,
                ada.socket(second) as three,
                contextlib.AsyncExitStack() as later,
            ):
                await three.hear("snapshot")
                await one.say("flowing@")
                await two.hear("run.delta", 3)
                with frozen(own_redis):
                    asked = time.monotonic()
                    await three.say("words@n=300,delay=10", ref="1")
                    assert (await three.answered("1"))["type"] == "ack"
                    assert time.monotonic() - asked < 5, "the patience of the client of Redis (settings.py)"
                    for socket in (one, two, three):
                        await notice(socket, "layer_away")
                    assert await probes(site) == {"healthz": (200, "ok"), "readyz": (503, LAYER_AWAY)}
                    late = await later.enter_async_context(ada.socket(third))
                    await notice(late, "layer_away")
                    assert [event["type"] for event in late.events] == ["snapshot", "notice"]
                    await late.say("words@n=300,delay=10", ref="1")
                    assert (await late.answered("1"))["type"] == "ack"
                    upstream.release()
                    async with asyncio.timeout(60):
                        while (await ada.messages(conversation))[-1]["run"]["status"] == "running":
                            await asyncio.sleep(0.2)
                    stored = (await ada.messages(conversation))[-1]
                    said = len(stored["text"].split())
                    assert said >= 3
                    assert (stored["run"]["status"], stored["text"]) == ("completed", text(said))
                    assert stored["run"]["usage"]["output_tokens"] == said, "nothing is missing at its end"
                for socket, words in ((one, said), (two, said), (three, 300), (late, 300)):
                    await notice(socket, "layer_back")
                    await shows(socket, text(words))
                assert await probes(site) == {"healthz": (200, "ok"), "readyz": (200, "ok")}

    asyncio.run(talk())


def test_a_process_that_starts_without_redis_says_so_and_serves_when_it_is_there(
    start_site: StartSite, own_redis: Server
) -> None:
    own_redis.kill()
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=5", REDIS_URL=address(own_redis))

    async def talk() -> None:
        async with asyncio.timeout(60):
            while (said := (await probes(site))["readyz"]) == (503, "starting"):
                await asyncio.sleep(0.05)
            assert said == (503, LAYER_AWAY)
            assert (await probes(site))["healthz"] == (200, "ok")
            with servers.running(servers.start_redis(own_redis.port)):
                while (said := (await probes(site))["readyz"]) != (200, "ok"):
                    assert said == (503, LAYER_AWAY)
                    await asyncio.sleep(0.05)
                async with signed_in(site, "ada") as ada, ada.socket(await ada.new_conversation()) as socket:
                    await socket.say("Hello")
                    assert (await socket.hear("run.finished"))["status"] == "completed"

    asyncio.run(talk())


def test_redis_restarts_in_the_middle_of_answers_and_everybody_ends_with_the_stored_text(
    start_site: StartSite, stop_after: Callable[[Any], Any], own_redis: Server, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=address(own_redis))
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as one, ada.socket(conversation, other) as two:
                await two.hear("snapshot")
                await one.say("Hello")
                await two.hear("run.delta", 5)
                own_redis.kill()
                await asyncio.sleep(5)
                own_redis.process = servers.start_redis(own_redis.port).process
                upstream.release()
                whole = text(upstream.ended()["words"])
                for socket in (one, two):
                    await shows(socket, whole)

    asyncio.run(talk())
