"""`RedisLayer`: publications share round trips, in order, and one that fails or is cancelled harms no later one."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from chat import channel_layer
from chat.channel_layer import RedisLayer, Server


def run(address: str, scenario: Callable[[RedisLayer], Awaitable[None]]) -> None:
    async def talk() -> None:
        host = {"address": address, "protocol": 2, "socket_connect_timeout": 3}
        layer = RedisLayer(hosts=[host], prefix=os.urandom(4).hex())
        async with asyncio.timeout(60):
            await scenario(layer)
            await layer.flush()

    async_to_sync(talk)()


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[list[int], asyncio.Event]]:
    """How many messages each round trip carries; none begins before the event is set."""

    def hold() -> tuple[list[int], asyncio.Event]:
        carried: list[int] = []
        free = asyncio.Event()
        publish = Server._publish_together

        async def publish_held(self: Server, together: Any) -> None:
            carried.append(len(together))
            await free.wait()
            await publish(self, together)

        monkeypatch.setattr(Server, "_publish_together", publish_held)
        return carried, free

    return hold


def send(layer: RedisLayer, number: int) -> "asyncio.Task[None]":
    return asyncio.ensure_future(layer.group_send("somewhere", {"type": "frame", "text": str(number)}))


async def receive(layer: RedisLayer, channel: str, number: int) -> list[str]:
    return [(await layer.receive(channel))["text"] for _ in range(number)]


def test_what_is_published_during_a_round_trip_shares_the_next_one_in_order(redis: str, round_trips: Any) -> None:
    async def talk(layer: RedisLayer) -> None:
        channel = await layer.new_channel()
        await layer.group_add("somewhere", channel)
        carried, free = round_trips()
        first = send(layer, 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        following = [send(layer, number) for number in range(1, 30)]
        free.set()
        await asyncio.gather(first, *following)
        assert carried == [1, 29]
        assert await receive(layer, channel, 30) == [str(number) for number in range(30)]
        await layer.send(channel, {"type": "frame", "text": "to one channel"})
        assert await receive(layer, channel, 1) == ["to one channel"]

    run(redis, talk)


def test_a_sender_that_is_cancelled_leaves_the_others_alone(redis: str, round_trips: Any) -> None:
    async def talk(layer: RedisLayer) -> None:
        channel = await layer.new_channel()
        await layer.group_add("somewhere", channel)
        _, free = round_trips()
        sending = [send(layer, number) for number in range(3)]
        await asyncio.sleep(0)
        sending[0].cancel()
        free.set()
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert outcomes[1:] == [None, None]
        assert (await receive(layer, channel, 3))[1:] == ["1", "2"]

    run(redis, talk)


def test_all_senders_hear_that_a_server_is_away() -> None:
    async def talk(layer: RedisLayer) -> None:
        for _ in range(2):
            outcomes = await asyncio.gather(*(send(layer, number) for number in range(3)), return_exceptions=True)
            assert all(isinstance(outcome, Exception) for outcome in outcomes)

    run("redis://127.0.0.1:1/0", talk)


def test_a_server_that_hangs_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_layer, "TIMEOUT", 0.05)

    async def talk() -> None:
        gone = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gone.wait()
            writer.close()

        async with await asyncio.start_server(hang, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            layer = RedisLayer(hosts=[f"redis://127.0.0.1:{port}/0"])
            for _ in range(2):
                outcomes = await asyncio.gather(*(send(layer, number) for number in range(3)), return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 3
            gone.set()

    async_to_sync(talk)()


def test_each_of_several_servers_has_round_trips_of_its_own(redis: str) -> None:
    async def talk() -> None:
        layer = RedisLayer(hosts=[redis, "redis://127.0.0.1:1/0"], prefix=os.urandom(4).hex())
        outcomes = await asyncio.gather(
            *(layer.group_send(f"group{number}", {"type": "frame"}) for number in range(20)), return_exceptions=True
        )
        failed = [outcome is not None for outcome in outcomes]
        homes = [layer._get_shard(layer._get_group_channel_name(f"group{number}")) for number in range(20)]
        assert failed == [home is layer._shards[1] for home in homes]
        assert len(set(failed)) == 2
        await layer.flush()

    async_to_sync(talk)()
