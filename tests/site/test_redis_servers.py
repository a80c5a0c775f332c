"""Three Redis servers share the conversations; one of them is killed, and comes back."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from channels_redis.utils import _consistent_hash

from ..support import servers
from ..support.client import Person, Socket, signed_in
from ..support.servers import Server, Site, Upstream
from .test_outages import address, goes_on, notice, probes

HEALS_WITHIN = 10.0
"""Seconds after which everything is as before, when a server is back."""


@pytest.fixture
def redises() -> Iterator[list[Server]]:
    """Three that a test may stop."""
    started = [servers.start_redis() for _ in range(3)]
    yield started
    for server in started:
        server.kill()


def server_of(group: str, prefix: str) -> int:
    """The number of the server that carries a group, by the rule of channels_redis."""
    number: int = _consistent_hash(f"{prefix}__group__nous_chat.{group}", 3)
    return number


async def conversation_on(ada: Person, server: int, prefix: str) -> str:
    while True:
        made = await ada.new_conversation()
        if server_of(f"conversation.{made.replace('-', '')}", prefix) == server:
            return made


@contextlib.asynccontextmanager
async def follow(ada: Person, conversation: str, *sites: Site) -> AsyncIterator[list[Socket]]:
    """A socket at each of these processes, with its snapshot."""
    async with contextlib.AsyncExitStack() as opened:
        sockets = [await opened.enter_async_context(ada.socket(conversation, site)) for site in sites]
        for socket in sockets:
            await socket.hear("snapshot")
        yield sockets


async def closes(socket: Socket, code: int) -> None:
    async with asyncio.timeout(20):
        assert await socket.wait_closed() == code


def test_one_of_three_redis_servers_is_killed_and_only_its_conversations_degrade(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], redises: list[Server], upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:told", REDIS_URL=",".join(map(address, redises)), REDIS_PREFIX="three")
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            first = await ada.new_conversation()
            async with follow(ada, first, site) as (socket,):
                assert socket.snapshot is not None
                account = hashlib.sha256(str(socket.snapshot["you"]["id"]).encode()).hexdigest()[:32]
            # It also carries what concerns Ada's account, and all of her sockets have to work without that.
            killed = server_of(f"account.{account}", "three")
            theirs = await conversation_on(ada, killed, "three")
            others = [await conversation_on(ada, (killed + number) % 3, "three") for number in (1, 2)]
            async with (
                follow(ada, theirs, site, other) as (one, two),
                follow(ada, others[0], site, other) as (three, four),
                follow(ada, others[1], site, other) as (five, six),
            ):
                for socket, reader in ((one, two), (three, four), (five, six)):
                    await socket.say("flowing@")
                    await reader.hear("run.delta", 3)
                redises[killed].kill()
                for socket in (one, two):
                    await notice(socket, "layer_away")
                assert (await probes(site))["readyz"] == (200, "ok"), "the others are served"
                for socket in (three, four, five, six):
                    await goes_on(socket)
                async with follow(ada, others[0], other) as (late,), follow(ada, theirs, other) as (late_there,):
                    await goes_on(late)
                    await notice(late_there, "layer_away")
                    await one.say("words@n=3", mode="queue", ref="1")
                    assert (await one.answered("1"))["type"] == "ack", "it is stored"
                    await three.say("words@n=3", mode="queue", ref="2")
                    await late.until(lambda: ("user", "words@n=3") in late.transcript)
                    redises[killed].process = servers.start_redis(redises[killed].port).process
                    back = time.monotonic()
                    for socket in (one, two, late_there):
                        await notice(socket, "layer_back")
                        await goes_on(socket)
                        await socket.until(lambda socket=socket: ("user", "words@n=3") in socket.transcript)
                    assert time.monotonic() - back < HEALS_WITHIN
                    await asyncio.to_thread(upstream.release)
                    for conversation, watching in (
                        (theirs, (one, two, late_there)),
                        (others[0], (three, four, late)),
                        (others[1], (five, six)),
                    ):
                        asked = 1 if conversation == others[1] else 2
                        for socket in watching:
                            await socket.until(
                                lambda socket=socket, asked=asked: (
                                    len(socket.transcript) == 2 * asked and not socket.runs
                                )
                            )
                            stored = await ada.messages(conversation)
                            assert socket.transcript == [(message["role"], message["text"]) for message in stored]
                            assert all(m["run"]["status"] == "completed" for m in stored if m["run"])
                    for socket in (three, four, late, five, six):
                        assert len(socket.of_type("snapshot")) == 1, "it did not have to start over"
                        assert not socket.of_type("notice")
                    await ada.sign_out()
                    for socket in (one, late_there, three, late):  # `late` joined the account's group afterwards
                        await closes(socket, 4401)

    asyncio.run(talk())
