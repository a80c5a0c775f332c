"""A process ends, by a signal or by force: what it was making is kept, what waited is answered by another one."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from ..support import servers
from ..support.client import all_said, last_message, signed_in
from ..support.servers import Site, Upstream, Uvicorn
from ..support.upstream import text
from .test_outages import tuned

StartSite = Callable[..., Site]
FLOWING = "custom:flowing"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_what_waited_when_a_process_ended_is_answered_by_another(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str, how: signal.Signals
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=redis, **tuned(DRAIN_SECONDS=1, HOST_TIMEOUT=5))
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation, other) as two:
                await two.hear("snapshot")
                async with ada.socket(conversation) as one:
                    await one.say("One")
                    await two.hear("run.delta", 3)
                    await two.say("Two", mode="queue", ref="2")
                    assert (await two.answered("2"))["type"] == "ack"
                    site.process.send_signal(how)
                    ended = await two.hear("run.finished")
                    assert ended["status"] == "interrupted"
                    assert ended["error"]["code"] == ("shutdown" if how == signal.SIGTERM else "host_lost")
                    started = await two.hear("run.started", 2)
                    await two.send("run.stop", run=started["run"])
                    assert (await two.hear("run.finished", 2))["run"] == started["run"]
            ada.http.base_url = other.url
            assert [m["role"] for m in await ada.messages(conversation)] == ["user", "assistant", "user", "assistant"]

    asyncio.run(talk())


def test_what_waited_in_the_only_process_is_answered_when_it_is_back_and_somebody_reads(
    start_site: StartSite, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, **tuned(DRAIN_SECONDS=0, MAX_RUNS=1))

    async def begin() -> list[str]:
        async with signed_in(site, "ada") as ada:
            first, second = await ada.new_conversation(), await ada.new_conversation()
            async with ada.socket(first) as one, ada.socket(second) as two:
                await one.say("One")
                await one.hear("run.delta", 3)
                await one.say("And?", mode="queue", ref="1")
                await one.answered("1")
                await two.say("Two")
                assert (await two.hear("run.queued"))["place"] == 1
                site.process.send_signal(signal.SIGTERM)
                for socket in (one, two):
                    await socket.wait_closed()
            return [first, second]

    first, second = asyncio.run(begin())
    site.process.wait(60)
    again = site.restarted()
    with servers.running(again):

        async def look() -> None:
            async with signed_in(again, "ada") as ada, ada.socket(second) as two:
                await two.hear("run.delta")
                upstream.release()
                finished = await two.hear("run.finished")
                assert finished["message"]["text"] == all_said(finished)
                async with ada.socket(first) as one:
                    await one.hear("run.delta")
                    upstream.release()
                    finished = await one.hear("run.finished")
                    assert finished["message"]["text"] == all_said(finished)
                    statuses = [m["run"]["status"] for m in await ada.messages(first) if m["run"]]
                    assert statuses == ["interrupted", "completed"]

        asyncio.run(look())


def test_sigterm_under_uvicorn_lets_an_answer_finish_and_sends_browsers_away(
    start_site: StartSite, upstream: Upstream
) -> None:
    env = start_site(NOUS_CHAT_MODEL=FLOWING).env
    site = Uvicorn(env)

    async def talk() -> str:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
                site.process.send_signal(signal.SIGTERM)
                assert await socket.wait_closed() == 1012
            return conversation

    with servers.running(site):
        conversation = asyncio.run(talk())
        upstream.release()
        site.process.wait(60)
    stored = last_message(site.restarted(), conversation)
    assert (stored["run"]["status"], stored["text"]) == ("completed", text(upstream.stats()["words"]))


def test_sigterm_under_uvicorn_interrupts_what_takes_too_long_and_keeps_its_text(start_site: StartSite) -> None:
    env = start_site(NOUS_CHAT_MODEL=FLOWING, **tuned(DRAIN_SECONDS=1)).env
    site = Uvicorn(env)

    async def talk() -> tuple[str, str]:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
                site.process.send_signal(signal.SIGTERM)
                await socket.wait_closed()
                return conversation, socket.answer["text"]

    with servers.running(site):
        conversation, seen = asyncio.run(talk())
        site.process.wait(60)
    stored = last_message(site.restarted(), conversation)
    assert (stored["run"]["status"], stored["run"]["error"]["code"]) == ("interrupted", "shutdown")
    assert stored["text"].startswith(seen)
    assert text(10_000).startswith(stored["text"])


def test_the_command_takes_what_dead_processes_left_and_nothing_of_the_living(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=redis, **tuned(HOST_TIMEOUT=5))
    dying = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            mine, lost = await ada.new_conversation(), await ada.new_conversation()
            async with ada.socket(mine) as here, ada.socket(lost, dying) as there:
                for socket in (here, there):
                    await socket.say("Hello")
                    await socket.hear("run.delta", 3)
                dying.kill()
                # The living process might take it as well, in HOST_TIMEOUT; who is first does not matter.
                await asyncio.to_thread(servers.manage, site.env, "nous_reap")
                ended = (await ada.messages(lost))[-1]["run"]
                assert (ended["status"], ended["error"]["code"]) == ("interrupted", "host_lost")
                assert (await ada.messages(mine))[-1]["run"]["status"] == "running"
                await here.send("run.stop", run=here.of_type("run.started")[0]["run"])
                await here.hear("run.finished")

    asyncio.run(talk())


def test_the_command_alone_marks_what_the_only_process_left(start_site: StartSite) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, **tuned(HOST_TIMEOUT=2))

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
                site.kill()

    asyncio.run(talk())
    assert "1 marked" in servers.manage(site.env, "nous_reap")
    assert "0 marked" in servers.manage(site.env, "nous_reap", "--now")
