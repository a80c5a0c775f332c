"""Event streams without a server: who is let in, what they cost, and what the stream does in its reader's name."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import AnonymousUser

from chat import ratelimit, store
from chat.asgi import with_streams
from chat.consumers import event_stream, local_client
from chat.consumers.event_stream import Position
from chat.consumers.follower import MAX_PAGES, SILENCE, Follower
from chat.models import Conversation
from chat.node import node
from chat.realtime import layer

from ..support.authorization import CLOSE_CODES, SECRET, build_world
from ..support.event_stream import EventParser
from ..support.protocol_client import Reader

Scenario = Callable[..., Any]
STATUSES = {4401: 401, 4404: 404}


class InProcessStream(Reader):
    """A stream of this process: `async with` it, once it has begun or was refused."""

    def __init__(self, user: Any, conversation: object = "", **headers: str) -> None:
        super().__init__()
        path = f"conversations/{conversation}/" if conversation else ""
        given = [(b"host", b"testserver")]
        given += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self._scope = {"type": "http", "method": "GET", "path": f"/chat/api/{path}stream/", "headers": given}
        if user is not None:
            self._scope["user"] = user
        self.parser = EventParser(headers.get("last_event_id", ""))
        self.status = 0
        self.head: dict[str, str] = {}
        self.body = b""
        self.gone = asyncio.Event()
        self.stuck = asyncio.Event()
        self.stuck.set()
        self._changed = asyncio.Event()

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.stuck.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.head = {name.decode(): value.decode() for name, value in message["headers"]}
        elif self.status != 200:
            self.body += message["body"]
        else:
            for frame in self.parser.feed(message["body"]):
                self.apply(frame)
        self._changed.set()

    async def until(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        async with asyncio.timeout(seconds):
            while not (value := condition()):
                self._changed.clear()
                await self._changed.wait()
            return value

    async def hear(self, name: str, number: int = 1) -> dict[str, Any]:
        await self.until(lambda: len(self.of_type(name)) >= number)
        return self.of_type(name)[number - 1]

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.shield(self._task), 60)

    async def __aenter__(self) -> Self:
        async def no_site(*_: Any) -> None:
            raise AssertionError("the stream is not found")

        self._task = asyncio.ensure_future(with_streams(no_site)(self._scope, self._receive, self._send))
        self._task.add_done_callback(lambda _: self._changed.set())
        await self.until(lambda: self.snapshot or self._task.done())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gone.set()
        await self._task


@pytest.mark.parametrize("role", ["viewer", "member", "owner", *CLOSE_CODES])
def test_those_who_may_open_a_socket_may_open_a_stream(scenario: Scenario, role: str) -> None:
    world = build_world(role)

    async def talk() -> None:
        async with InProcessStream(world.users[role], world.room.pk) as stream:
            assert stream.status == STATUSES.get(CLOSE_CODES.get(role, 0), 200)
            assert (SECRET in json.dumps(stream.events)) == (stream.status == 200)
            assert SECRET.encode() not in stream.body

    scenario(talk)


def test_a_visitor_has_no_inbox(scenario: Scenario) -> None:
    async def talk() -> None:
        async with InProcessStream(AnonymousUser()) as stream:
            assert stream.status == 401

    scenario(talk)


def test_a_stream_counts_as_a_socket(
    scenario: Scenario, people: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 0.001, "COMMAND_BURST": 100}
    monkeypatch.setattr("chat.consumers.base.REFUSED_FOR", 0)

    async def talk() -> None:
        for _ in range(ratelimit.MAX_NEW_SOCKETS):
            async with InProcessStream(people["ada"]) as stream:
                assert stream.status == 200
        async with InProcessStream(people["ada"]) as stream:
            assert (stream.status, json.loads(stream.body)["code"]) == (429, "rate_limited")
            assert stream.head["retry-after"] == "10"
            assert stream.head["cache-control"] == "private, no-store"

    scenario(talk)


def test_a_server_that_cannot_serve_it_says_503(
    scenario: Scenario, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk() -> None:
        monkeypatch.setattr(type(get_channel_layer()), "new_channel", broken, raising=False)  # Redis delegates it
        async with InProcessStream(people["ada"]) as stream:
            assert (stream.status, json.loads(stream.body)["code"]) == (503, "unavailable")
            assert int(stream.head["retry-after"]) > 0
        monkeypatch.undo()
        node.current().process.draining = True
        async with InProcessStream(people["ada"]) as stream:
            assert stream.status == 503
        node.current().process.draining = False

    async def broken(*_: Any) -> None:
        raise OSError("no layer")

    scenario(talk)


def test_a_host_that_is_not_the_sites_is_refused(scenario: Scenario, people: Any) -> None:
    async def talk() -> None:
        stream = InProcessStream(people["ada"])
        stream._scope["headers"] = [(b"host", b"evil.example")]
        async with stream:
            assert stream.status == 403

    scenario(talk)


def test_the_stream_acknowledges_for_its_reader(
    scenario: Scenario, people: Any, room: Conversation, model: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, a reader gets no deltas beyond 256 KiB."""
    model("documented@n=600,chars=1000")
    acknowledged: list[int] = []
    acknowledge = local_client.LocalClient._command

    def note(self: Any, command: dict[str, Any]) -> None:
        if command["type"] == "run.ack":
            acknowledged.append(command["seq"])
        acknowledge(self, command)

    monkeypatch.setattr(local_client.LocalClient, "_command", note)

    async def talk() -> None:
        async with InProcessStream(people["ada"], room.pk) as stream:
            from ..support.client import InProcess

            async with InProcess(people["ada"], room.pk) as socket:
                await socket.say("Hello")
                finished = await stream.hear("run.finished")
            assert stream.healed == finished["message"]["text"]
            assert len(finished["message"]["text"]) == 600_000
            assert acknowledged == sorted(set(acknowledged))
            largest = max(len(event.get("text", "")) for event in stream.of_type("run.delta"))  # more on a busy machine
            assert len(acknowledged) >= 600_000 // (local_client.ACKNOWLEDGE_CHARS + largest) - 1

    scenario(talk)


def test_a_ping_becomes_a_comment(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_client, "TICK", 0)
    monkeypatch.setattr(local_client, "PING_EVERY", 0)

    async def talk() -> None:
        async with InProcessStream(people["ada"], room.pk) as stream:
            await stream.until(lambda: stream.parser.comments > 1)
            assert {event["type"] for event in stream.events} <= {"snapshot", "presence"}

    scenario(talk)


def test_a_reader_who_takes_nothing_is_dropped(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "END_TIMEOUT", 0)

    async def talk() -> None:
        async with InProcessStream(people["ada"], room.pk) as stream:
            stream.stuck.clear()
            (socket,) = node.current().hub.sockets
            socket.close(4408)  # type: ignore[attr-defined]
            await stream.ended()
            assert not node.current().hub.sockets
            stream.stuck.set()

    scenario(talk)


def test_lost_frames_are_asked_for(
    scenario: Scenario, people: Any, room: Conversation, model: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer loses every third delta, and the reader sends no command."""
    model("words@n=60,delay=5")
    send, sent = layer.send_to_group, 0

    async def lossy(group: str, message: dict[str, Any]) -> None:
        nonlocal sent
        sent += "seq" in message
        if "seq" not in message or sent % 3:
            await send(group, message)

    monkeypatch.setattr(layer, "send_to_group", lossy)

    async def talk() -> None:
        async with InProcessStream(people["ada"], room.pk) as stream:
            from ..support.client import InProcess

            async with InProcess(people["bob"], room.pk) as socket:
                await socket.say("Hello")
                finished = await stream.hear("run.finished")
            assert sent > 3
            for earlier, later in zip(stream.of_type("run.delta"), stream.of_type("run.delta")[1:], strict=False):
                assert later["seq"] > earlier["seq"]
            assert stream.answer["text"] == finished["message"]["text"]

    scenario(talk)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("12.34", "12.35"),
        ("", "0.1"),
        ("12", "0.1"),
        ("-1.2", "0.1"),
        ("12.34\n", "0.1"),
        ("99999999999.1", "0.1"),
        ("\u0661.1", "0.1"),
        ("x" * 10_000, "0.1"),
    ],
)
def test_a_last_event_id_that_is_none_counts_as_the_beginning(text: str, position: str) -> None:
    assert Position.parse(text).next() == position


# --- The follower


def run(seq: int, status: str = "running") -> dict[str, Any]:
    return {"id": "r", "seq": seq, "status": status}


def snapshot(*seqs: int, more: bool = False, **last: Any) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"seq": seq, "run": None} for seq in seqs]
    if messages:
        messages[-1] |= last
    return {"type": "snapshot", "messages": messages, "runs": [], "more": more}


def delta(seq: int) -> dict[str, Any]:
    return {"type": "run.delta", "run": "r", "seq": seq}


def follow(follower: Follower, frame: dict[str, Any], at: float = 0) -> tuple[bool, list[dict[str, Any]]]:
    return follower.follow(frame["type"], json.dumps(frame), at)


def test_a_gap_is_asked_for_once_and_what_follows_is_withheld() -> None:
    follower = Follower()
    follow(follower, snapshot(1, 2, run=run(3)))
    assert follow(follower, delta(3)) == (False, [])
    assert follow(follower, delta(4)) == (True, [])
    assert follower.counted == ("r", 4)
    wanted, (asked,) = follow(follower, delta(6))
    assert (wanted, asked["type"], asked["run"]) == (False, "run.sync", "r")
    assert follow(follower, delta(7)) == (False, [])
    state = {"type": "run.state", "run": "r", "seq": 7, "ref": asked["ref"], "message": {"seq": 2, "run": run(7)}}
    assert follow(follower, state) == (True, [])
    assert follower.counted == ("r", 7), "the frames before are acknowledged with it"
    assert follow(follower, delta(8)) == (True, [])
    finished = {"type": "run.finished", "run": "r", "message": {"seq": 2, "run": run(8, "completed")}}
    assert follow(follower, finished) == (True, [])
    assert follow(follower, finished) == (False, [])
    assert follow(follower, delta(9)) == (False, [])


def test_a_run_that_is_silent_is_asked_after_until_it_ends() -> None:
    follower = Follower()
    follow(follower, snapshot(1, 2, run=run(0)), 100)
    assert follower.find_silent(100 + SILENCE) == []
    assert [command["type"] for command in follower.find_silent(101 + SILENCE)] == ["run.sync"]
    assert follower.find_silent(102 + SILENCE) == []
    unchanged = {"type": "run.state", "run": "r", "seq": 0, "ref": "stream", "message": {"seq": 2, "run": run(0)}}
    assert follow(follower, unchanged, 103 + SILENCE) == (False, [])
    assert follow(follower, unchanged | {"ref": None}) == (True, []), "one that nobody asked for tells of a change"
    follow(follower, {"type": "run.finished", "run": "r", "message": None})
    assert follower.find_silent(1e9) == []


def test_messages_that_are_missing_are_loaded_page_by_page() -> None:
    follower = Follower()
    follower.newest = 10
    _, (asked,) = follow(follower, snapshot(250, 251, more=True))
    assert (asked["type"], asked["before"], asked["limit"], follower.known) == ("history.load", 250, 100, 10)
    page = {"type": "history.page", "messages": [{"seq": seq} for seq in range(150, 250)], "more": True}
    wanted, (asked,) = follow(follower, page)
    assert (wanted, asked["before"], asked["limit"]) == (True, 150, 100)
    page = {"type": "history.page", "messages": [{"seq": seq} for seq in range(11, 150)], "more": True}
    assert follow(follower, page) == (True, [])
    assert follower.known == 251
    assert follow(follower, {"type": "message.created", "message": {"seq": 252}}) == (True, [])
    _, (asked,) = follow(follower, {"type": "message.created", "message": {"seq": 255}})
    assert (asked["before"], asked["limit"]) == (255, 2)
    follow(follower, {"type": "history.page", "messages": [], "more": False})
    assert follower.known == 255, "a number that no message has"


def test_not_any_number_of_pages_is_loaded() -> None:
    follower = Follower()
    follower.newest = 1
    _, commands = follow(follower, snapshot(5000, more=True))
    pages = 0
    while commands:
        pages += 1
        before = commands[0]["before"]
        page = {"type": "history.page", "messages": [{"seq": before - 1}], "more": True}
        _, commands = follow(follower, page)
    assert (pages, follower.known) == (MAX_PAGES, 5000)


def test_the_newest_numbers_show_what_is_lost_at_the_end() -> None:
    follower = Follower()
    follow(follower, snapshot(1, 2, run=run(3)))
    state = {"type": "conversation.state", "last_seq": 3, "run": None}
    wanted, commands = follow(follower, state)
    assert (wanted, [command["type"] for command in commands]) == (False, ["history.load", "run.sync"])
    assert follow(Follower(), state | {"last_seq": 0}) == (False, [])
    assert follow(follower, {"type": "error", "ref": "stream", "code": "rate_limited"}) == (False, [])
    assert follow(follower, {"type": "error", "ref": None, "code": "internal"}) == (True, [])


def test_a_token_opens_a_stream(scenario: Scenario, people: Any, room: Conversation) -> None:
    token = store.create_token(people["ada"].pk, "script")

    async def talk() -> None:
        async with InProcessStream(None, room.pk, authorization=f"Bearer {token}") as stream:
            assert stream.snapshot is not None
            assert stream.snapshot["you"]["name"] == "ada"
        async with InProcessStream(None, room.pk, authorization="Bearer nct_wrong") as stream:
            assert (stream.status, stream.head["www-authenticate"]) == (401, 'Bearer error="invalid_token"')

    scenario(talk)
