"""More is asked than can be made: runs wait in places that are told, then are refused; commands have a rate."""

import asyncio
import itertools
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from chat import store
from chat.consumers import base
from chat.models import Conversation, Message, Participant, Run
from chat.node import node
from chat.store import executor

from ..support.client import InProcess, Socket, all_said, signed_in
from ..support.servers import Site, Upstream, Uvicorn
from ..support.store_helpers import post

Scenario = Callable[..., Any]


@pytest.fixture
def rooms(people: dict[str, Any]) -> list[Conversation]:
    """Five of Ada's, in which Bob may read."""
    made = [Conversation.objects.get(pk=store.create_conversation(people["ada"]).id) for _ in range(5)]
    for room in made:
        Participant.objects.create(conversation=room, user=people["bob"], role="viewer")
    return made


async def enter(stack: AsyncExitStack, person: Any, rooms: list[Conversation]) -> list[InProcess]:
    return [await stack.enter_async_context(InProcess(person, room.pk)) for room in rooms]


def places(peer: InProcess) -> list[int]:
    return [frame["place"] for frame in peer.of_type("run.queued")]


def test_runs_beyond_the_limit_wait_are_told_their_place_move_up_and_are_all_answered(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any, upstream: Upstream
) -> None:
    model("flowing", MAX_RUNS=1)

    async def talk() -> None:
        async with AsyncExitStack() as stack:
            peers = await enter(stack, people["ada"], rooms[:3])
            for peer in peers:
                await peer.say("Hello")
                await peer.until(lambda peer=peer: peer.of_type("run.started") or peer.of_type("run.queued"))
            assert [places(peer) for peer in peers] == [[], [1], [2]]
            late = await stack.enter_async_context(InProcess(people["bob"], rooms[2].pk))
            assert (await late.hear("run.queued"))["place"] == 2, "who joins is told, too"
            for peer in peers:
                await peer.hear("run.delta", 3)
                if peer is peers[1]:
                    await peers[2].hear("run.queued", 2)
                upstream.release()
                finished = await peer.hear("run.finished")
                assert finished["message"]["text"] == all_said(finished)
            assert [places(peer) for peer in peers] == [[], [1], [2, 1]]
            assert await Run.objects.filter(place=None, status="completed").acount() == 3

    scenario(talk)


def test_a_run_that_waits_can_be_stopped_and_the_next_moves_up(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any
) -> None:
    model("flowing", MAX_RUNS=1)

    async def talk() -> None:
        async with AsyncExitStack() as stack:
            one, two, three = await enter(stack, people["ada"], rooms[:3])
            await one.say("Hello")
            await one.hear("run.started")
            for peer in (two, three):
                await peer.say("Hello")
                await peer.hear("run.queued")
            await two.send("run.stop", run=two.of_type("run.queued")[0]["run"])
            stopped = await two.hear("run.finished")
            assert (stopped["status"], stopped["message"]) == ("stopped", None)
            await three.until(lambda: places(three) == [2, 1])
            await one.send("run.stop", run=one.of_type("run.started")[0]["run"])
            await three.hear("run.started")
            await three.send("run.stop", run=three.of_type("run.started")[0]["run"])
            await three.hear("run.finished")

    scenario(talk)


def test_guests_wait_for_each_other_and_users_do_not_wait_for_guests(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any
) -> None:
    """However many addresses they come from: they have few slots, and half of the places to wait."""
    model("flowing", MAX_RUNS=2, MAX_QUEUED=2, GUESTS={"runs": 1})
    guests = [store.begin_guest() for _ in range(3)]

    async def talk() -> None:
        async with AsyncExitStack() as stack:
            visitors = [await stack.enter_async_context(InProcess(user, room)) for user, room in guests]
            ada, again = await enter(stack, people["ada"], rooms[:2])
            first, second, third = visitors
            await first.say("Hello")
            await first.hear("run.started")
            await second.say("Hello")
            assert (await second.hear("run.queued"))["place"] == 1
            await third.say("Hello", ref="1")
            assert (await third.answered("1"))["code"] == "busy"
            await ada.say("Hello")
            await ada.hear("run.started")
            await again.say("Hello")
            await again.hear("run.queued")
            await first.send("run.stop", run=first.of_type("run.started")[0]["run"])
            await second.hear("run.started")

    scenario(talk)


def test_a_full_queue_refuses_before_anything_is_stored_and_says_when_to_come_back(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any
) -> None:
    model("flowing", MAX_RUNS=1, MAX_QUEUED=2)

    async def talk() -> None:
        async with AsyncExitStack() as stack:
            peers = await enter(stack, people["ada"], rooms)
            await asyncio.gather(*(peer.say("Hello", ref="1") for peer in peers))
            answers = [await peer.answered("1") for peer in peers]
            assert sorted(answer["type"] for answer in answers) == ["ack"] * 3 + ["error"] * 2
            for answer in answers:
                if answer["type"] == "error":
                    assert (answer["code"], answer["retry_after"] > 0) == ("busy", True)
            assert await Message.objects.filter(role="user").acount() == await Run.objects.acount() == 3
            taken = next(peer for peer, answer in zip(peers, answers, strict=True) if answer["type"] == "ack")
            await taken.say("And?", ref="2", mode="queue")
            assert (await taken.answered("2"))["type"] == "ack", "it waits for a run that there is"

    scenario(talk)


def test_one_person_does_not_keep_the_others_waiting(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any, upstream: Upstream
) -> None:
    model("flowing", MAX_RUNS=5, MAX_RUNS_PER_USER=1)
    bobs = Conversation.objects.get(pk=store.create_conversation(people["bob"]).id)

    async def talk() -> None:
        async with AsyncExitStack() as stack:
            first, second = await enter(stack, people["ada"], rooms[:2])
            (other,) = await enter(stack, people["bob"], [bobs])
            await first.say("Hello")
            await first.hear("run.delta")
            await second.say("Hello")
            assert (await second.hear("run.queued"))["place"] == 1
            await other.say("Hello")
            await other.hear("run.delta")
            assert not second.of_type("run.started")
            upstream.release()
            await first.hear("run.finished")
            await second.hear("run.delta")
            upstream.release()
            assert (await second.hear("run.finished"))["status"] == "completed"

    scenario(talk)


def test_what_waits_where_nobody_reads_is_left_until_somebody_does(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any
) -> None:
    model("flowing", MAX_RUNS=1, DISCONNECT_GRACE=0.1)

    async def talk() -> None:
        async with InProcess(people["ada"], rooms[0].pk) as one:
            await one.say("Hello")
            run = (await one.hear("run.started"))["run"]
            async with InProcess(people["ada"], rooms[1].pk) as two:
                await two.say("Hello")
                waiting = (await two.hear("run.queued"))["run"]
            async with asyncio.timeout(30):
                while not await Run.objects.filter(pk=waiting, host="", status="queued").aexists():
                    await asyncio.sleep(0.05)
            await one.send("run.stop", run=run)
            await one.hear("run.finished")
            await asyncio.sleep(1.2)
            assert await Run.objects.filter(pk=waiting, host="", status="queued").aexists()
            async with InProcess(people["bob"], rooms[1].pk) as back:
                started = await back.hear("run.started")
                assert started["run"] == waiting

    scenario(talk)


def test_who_asks_too_often_is_told_when_to_go_on_and_who_does_not_stop_is_sent_away(
    scenario: Scenario, people: Any, rooms: list[Conversation], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 5.0, "COMMAND_BURST": 10}

    async def talk() -> None:
        clock = asyncio.get_running_loop().time()  # stands still: twelve pings are asked in one moment
        monkeypatch.setattr(base, "now", lambda: clock)
        async with InProcess(people["ada"], rooms[0].pk) as ada, InProcess(people["bob"], rooms[0].pk) as bob:
            for number in range(12):
                await ada.send("ping", ref=str(number))
            refused = await ada.answered("11")
            assert (refused["code"], refused["retry_after"] > 0) == ("rate_limited", True)
            assert (await ada.answered("8"))["type"] == "pong", "opening the socket took a part of a token"
            await bob.send("ping", ref="1")
            assert (await bob.answered("1"))["type"] == "pong", "it is a person's, not everybody's"
            clock += refused["retry_after"] + 0.001  # floats
            await ada.send("ping", ref="again")
            assert (await ada.answered("again"))["type"] == "pong"
            for _ in range(40):
                await ada.send("ping")
            assert await ada.wait_closed() == 4429

    scenario(talk)


def test_a_sign_of_life_does_not_stand_in_the_line_for_the_database(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any, upstream: Upstream
) -> None:
    """Behind fifty runs that begin in one moment it came so late that people were told of an outage, and behind more of
    them other processes would have taken the runs of this one for dead.
    """
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["ada"], rooms[0].pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.delta", 2)
            begun = await Run.objects.aget()
            here, done = node.current(), list[int]()
            line = [asyncio.ensure_future(executor.run(done.append, number)) for number in range(100)]
            await asyncio.sleep(0)
            for _ in range(2):  # what follows from the first one stands in the line and does not keep the second
                await here.heartbeat._beat(asyncio.get_running_loop().time())
            assert len(done) < 50
            await asyncio.gather(*line)
            assert done == list(range(100)), "all else comes in its turn"
            assert begun.heartbeat_at is not None
            await begun.arefresh_from_db()
            assert begun.seq > 0, "the checkpoint is in it"
            upstream.release()
            await ada.hear("run.finished")

    scenario(talk)


def test_a_stop_does_not_stand_in_the_line_for_the_database(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any, upstream: Upstream
) -> None:
    model("flowing")

    def work(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    done: list[int] = []

    async def talk() -> None:
        async with InProcess(people["ada"], rooms[0].pk) as ada:
            await ada.say("Hello")
            run = (await ada.hear("run.delta"))["run"]
            line = [asyncio.ensure_future(executor.run(work, number)) for number in range(200)]
            await ada.send("run.stop", run=run, ref="stop")
            assert (await ada.answered("stop"))["type"] == "ack"
            assert len(done) < 200
            await asyncio.gather(*line)
            assert (await ada.hear("run.finished"))["status"] == "stopped"

    scenario(talk)


def test_what_waits_for_the_database_when_the_process_has_to_end_is_left_to_others(
    scenario: Scenario, people: Any, rooms: list[Conversation], model: Any
) -> None:
    model("flowing")
    go_on = threading.Event()

    async def talk() -> None:
        here = node.current()
        await here.open()
        posted = await executor.run(post, people["ada"], rooms[0], host=here.host)
        assert posted.start is not None
        line = [asyncio.ensure_future(executor.run(go_on.wait, 10)) for _ in range(3)]
        await asyncio.sleep(0)
        here.supervisor.start(posted.start, rooms[0].pk, None)
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(here.drain(0))
        await asyncio.sleep(0.1)
        go_on.set()
        await asyncio.gather(ending, *line)
        run = await Run.objects.aget()
        assert (run.status, run.host, run.message_id) == ("queued", "", None)

    scenario(talk)


def test_what_a_site_does_in_the_database_s_thread_may_ask_for_more(scenario: Scenario, people: Any) -> None:
    """A signal handler, or the `deps` of an agent, that comes back to the loop while others stand in the line."""
    done: list[int] = []

    def comes_back(number: int) -> None:
        async_to_sync(executor.run)(done.append, number)

    async def talk() -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(*(executor.run(comes_back, number) for number in range(10)))
            assert done == list(range(10))
            await executor.run(done.append, 10)  # and the line is as it was
            line = [asyncio.ensure_future(executor.run(done.append, number)) for number in range(11, 20)]
            await executor.run_urgent(comes_back, 20)  # past the line, it comes back to it
            await asyncio.gather(*line)

    scenario(talk)


async def say_until_stored(socket: Socket, text: str) -> None:
    """As the page does. Next to other tests, a process that was flooded may take its database for away for a while."""
    client_id = str(uuid.uuid4())
    for ref in map(str, itertools.count()):
        await socket.say(text, client_id=client_id, ref=ref)
        answer = await socket.answered(ref)
        if answer["type"] == "ack":
            break
        assert answer["code"] == "unavailable"
        await asyncio.sleep(answer["retry_after"])


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_a_flood_of_frames_ends_its_socket_and_no_other(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], server: str
) -> None:
    """87,000 frames `{`, as fast as the server reads them. Most have arrived when the first is refused."""
    site = start_site()
    if server == "uvicorn":
        site.stop()
        site = stop_after(Uvicorn(site.env))

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            conversation = await bob.new_conversation()
            async with ada.socket() as flooding, bob.socket(conversation) as bystander:
                await flooding.hear("snapshot")
                await bystander.hear("snapshot")
                flooding.connection.transport.write(b"\x81\x81\x00\x00\x00\x00{" * 87_000)  # a text of one character
                assert await flooding.wait_closed() == 4429
                assert 100 <= len(flooding.of_type("error")) <= 300
                assert bystander.of_type("error") == []
                await say_until_stored(bystander, "Hello")

    asyncio.run(talk())


def test_all_browsers_connect_while_the_process_is_busy(site: Site) -> None:
    """A process that computes accepts nobody. After a restart, hundreds come at once, and the system keeps them."""
    site.process.send_signal(signal.SIGSTOP)
    try:
        with ExitStack() as waiting:
            for _ in range(300):
                connecting = socket.create_connection(("127.0.0.1", site.port), timeout=20)
                waiting.enter_context(connecting)
    finally:
        site.process.send_signal(signal.SIGCONT)
