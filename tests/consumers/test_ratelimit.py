"""Rate limits of commands and requests, per user."""

import asyncio
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from chat import ratelimit, store
from chat.api import conversations
from chat.concurrency import now
from chat.consumers import base
from chat.models import Conversation, Message
from chat.node import node

from ..support.client import InProcess
from ..support.pictures import png, png_chunk
from ..support.store_helpers import post


@pytest.fixture(autouse=True)
def low_rate(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A low rate, buckets that no other test has used, and a clock that stands still."""
    settings.NOUS_CHAT = {"COMMAND_RATE": 2.0, "COMMAND_BURST": 5}
    monkeypatch.setattr(ratelimit, "_requests", ratelimit.Buckets(ratelimit.Bucket))
    monkeypatch.setattr(ratelimit, "_files", ratelimit.Buckets(ratelimit.Bucket))
    monkeypatch.setattr(ratelimit, "time", SimpleNamespace(monotonic=lambda: 1.0))


def test_a_burst_is_admitted_and_then_the_rate_applies() -> None:
    bucket = ratelimit.Bucket()
    assert [bucket.take(0.0) for _ in range(5)] == [0.0] * 5
    wait = bucket.take(0.0)
    assert wait == pytest.approx(1.0)
    assert bucket.take(wait) == 0.0, "after that wait, the next one is admitted"
    assert bucket.take(wait) > 0


def test_a_bucket_is_exhausted_after_many_refusals_and_recovers_after_a_wait() -> None:
    bucket = ratelimit.Bucket()
    for _ in range(10):
        bucket.take(0.0)
    assert not bucket.exhausted
    bucket.take(0.0)
    assert bucket.exhausted
    assert bucket.take(100.0) == 0.0
    assert not bucket.exhausted


def test_a_room_of_a_thousand_gets_no_more_typing_frames_than_a_small_one() -> None:
    bucket, frames = ratelimit.TypingBucket(), 0
    for tenth in range(600):
        if not bucket.take(tenth / 10, 0):
            bucket.take(tenth / 10, 2_000)
            frames += 2_000
    assert frames <= bucket.burst + 60 * bucket.rate + 2_000


def test_the_sockets_of_a_user_share_one_bucket_which_outlives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit.Buckets, "MAX_KEPT", 2)
    buckets = ratelimit.Buckets(ratelimit.SocketBucket)
    assert [buckets.of("ada").take(0.0) for _ in range(5)] == [0.0] * 5
    assert buckets.of("ada").take(0.0) > 0
    assert buckets.of("bob").take(0.0) == 0.0
    assert buckets.of("eve").take(0.0) == 0.0
    assert len(buckets._kept) == 2


def test_http_requests_have_a_bucket_per_user_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit.Buckets, "MAX_KEPT", 2)
    requests = ratelimit.Buckets(ratelimit.Bucket)
    assert [requests.take("ada", 0.0) for _ in range(5)] == [0.0] * 5
    for _ in range(100):
        wait = requests.take("ada", 0.0)
    assert 0 < wait <= 4, "however long a user keeps asking"
    assert requests.take("bob", 0.0) == 0.0
    assert requests.take("eve", 0.0) == 0.0
    assert len(requests._kept) == 2


def test_too_many_http_requests_get_429_with_retry_after(client: Any, people: Any) -> None:
    client.force_login(people["ada"])
    responses = [client.get("/chat/api/conversations/") for _ in range(6)]
    assert [response.status_code for response in responses] == [200] * 5 + [429]
    assert responses[-1].json()["code"] == "rate_limited"
    assert int(responses[-1]["Retry-After"]) >= 1
    client.force_login(people["bob"])
    assert client.get("/chat/api/conversations/").status_code == 200


def test_posts_of_the_form_without_javascript_count_as_well(client: Any, people: Any) -> None:
    client.force_login(people["eve"])
    room = store.create_conversation(people["eve"])
    while client.get("/chat/api/conversations/").status_code == 200:
        pass
    assert client.post(f"/chat/{room.id}/say/", {"text": "Hello"}).status_code == 429
    assert client.post("/chat/begin/").status_code == 429
    assert (Message.objects.count(), Conversation.objects.count()) == (0, 1)


@pytest.mark.parametrize("page", ["", "plain/", "join/nothing/", "{room}/"])
def test_pages_count_as_well_and_the_refusal_is_a_page(client: Any, people: Any, page: str) -> None:
    client.force_login(people["ada"])
    address = f"/chat/{page}".format(room=store.create_conversation(people["ada"]).id)
    answers = [client.get(address) for _ in range(6)]
    assert [answer.status_code for answer in answers].count(429) == 1
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) >= 1
    assert "Try again in" in answers[-1].text
    assert "</html>" in answers[-1].text
    client.force_login(people["bob"])
    assert client.get("/chat/").status_code == 200, "each user has a bucket of their own"


def test_links_cannot_be_tried_at_any_rate(client: Any, people: Any) -> None:
    client.force_login(people["ada"])
    assert [client.post(f"/chat/join/{number}/").status_code for number in range(6)] == [404] * 5 + [429]


def test_a_message_that_is_not_posted_is_on_the_page(client: Any, people: Any) -> None:
    client.force_login(people["ada"])
    room = store.create_conversation(people["ada"])
    while client.get("/chat/plain/").status_code == 200:
        pass
    refused = client.post(f"/chat/{room.id}/say/", {"text": "A <long> message"})
    assert refused.status_code == 429
    assert "A &lt;long&gt; message</textarea>" in refused.text


def test_files_have_a_bucket_of_their_own_that_takes_a_page_of_pictures(client: Any, people: Any) -> None:
    client.force_login(people["ada"])
    answers = [client.get(f"/chat/attachments/{uuid.uuid4()}/").status_code for _ in range(21)]
    assert answers == [404] * 20 + [429]
    assert client.get("/chat/api/conversations/").status_code == 200


@pytest.mark.django_db
def test_requests_without_a_session_ask_no_database(client: Any, django_assert_num_queries: Any) -> None:
    room = uuid.uuid4()
    for path, status in (
        ("", 302),
        (f"{room}/", 302),
        ("join/x/", 302),
        ("api/token/", 401),
        (f"attachments/{room}/", 401),
    ):
        with django_assert_num_queries(0):
            assert client.get(f"/chat/{path}").status_code == status, path


def test_who_opens_too_many_sockets_is_refused_and_nobody_else(
    scenario: Callable[..., Any],
    people: Any,
    room: Conversation,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 0.0001, "COMMAND_BURST": 8}
    monkeypatch.setattr(ratelimit, "MAX_NEW_SOCKETS", 2)
    monkeypatch.setattr(base, "REFUSED_FOR", 0.0)

    async def connect() -> None:
        for _ in range(2):
            async with InProcess(people["ada"], room.pk) as peer:
                assert peer.snapshot
        async with InProcess(people["ada"], room.pk) as peer:
            assert await peer.wait_closed() == 4429
        async with InProcess(people["bob"], room.pk) as peer:
            assert peer.snapshot

    scenario(connect)


def test_who_has_many_sockets_open_gets_no_more_until_one_closes(
    scenario: Callable[..., Any], people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame of a conversation is sent to every socket, so their number multiplies what one user costs."""
    monkeypatch.setattr(ratelimit, "MAX_OPEN_SOCKETS", 2)
    monkeypatch.setattr(base, "REFUSED_FOR", 0.0)

    async def connect() -> None:
        async with InProcess(people["ada"], room.pk) as kept:
            async with InProcess(people["ada"]) as peer:
                await peer.until(lambda: peer.events)
                async with InProcess(people["ada"], room.pk) as third:
                    assert await third.wait_closed() == 4429
                async with InProcess(people["bob"], room.pk) as other:
                    assert other.snapshot
            async with InProcess(people["ada"], room.pk) as again:
                assert again.snapshot
            assert kept.closed is None

    scenario(connect)


def test_a_large_burst_of_commands_leaves_the_rate_of_sockets(settings: Any) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 20.0, "COMMAND_BURST": 10_000}
    bucket = ratelimit.SocketBucket()
    while not bucket.take_socket(0.0):
        pass
    assert [bucket.take_socket(10.0) for _ in range(20)] == [0.0] * 20


Scenario = Callable[..., Any]


@pytest.mark.parametrize("inbox", [False, True], ids=["conversation", "inbox"])
@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ("{", "bad_json"),
        (b"x", "bad_json"),
        ("[" * 70_000, "too_large"),
        ('{"type": "nothing", "ref": "x"}', "unknown_command"),
        ('{"type": "run.stop", "ref": "x"}', "invalid"),
        ('{"type": "ping", "ref": "x"}', "pong"),
    ],
    ids=["no JSON", "binary", "long", "unknown", "invalid", "ping"],
)
def test_every_frame_counts_whatever_it_holds(
    scenario: Scenario, people: Any, room: Conversation, frame: str | bytes, answer: str, inbox: bool
) -> None:
    async def flood() -> None:
        async with InProcess(people["ada"], "" if inbox else room.pk) as ada:
            for _ in range(50):
                await (ada.transmit(frame) if isinstance(frame, str) else ada.transmit_bytes(frame))
            assert await ada.wait_closed() == 4429
            answers = [event.get("code", "pong") for event in ada.events if event["type"] in ("error", "pong")]
            assert 2 <= answers.count(answer) <= 5, "as many as the bucket holds"
            assert len(answers) <= 11, "and no more than as many refusals"
            assert set(answers) <= {answer, "rate_limited"}
            if "ref" in str(frame):
                assert {event["ref"] for event in ada.of_type("error")} <= {"x"}

    scenario(flood)


def test_acknowledgements_have_a_limit_of_their_own(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def flood(number: int, ref: str) -> InProcess:
        async with InProcess(people["ada"], room.pk) as ada:
            for _ in range(number):
                await ada.send("run.ack", run=str(uuid.uuid4()), seq=1, ref=ref)
            await ada.until(lambda: len(ada.of_type("ack")) >= min(number, 45))
            if number > 60:
                await ada.wait_closed()
        return ada

    peer = scenario(flood, 40, "x")
    assert (peer.closed, len(peer.of_type("ack")), peer.of_type("error")) == (None, 40, [])
    peer = scenario(flood, 100, "x")
    assert peer.closed == 4429
    assert len(peer.of_type("ack")) <= 55, "ten for each of COMMAND_BURST, and those gained meanwhile"


def test_the_characters_of_frames_count_before_they_are_parsed(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def flood() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            for _ in range(4):
                await ada.transmit("[" * 60_000)
            assert await ada.wait_closed() == 4429
            assert len(ada.of_type("error")) == 2, "160 Ki characters at once, at this rate"

    scenario(flood)


def test_a_flood_lets_other_sockets_have_their_turn(scenario: Scenario, people: Any, room: Conversation) -> None:
    """Neither the frames, which have arrived already, nor the answers make the socket wait."""

    async def flood() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with InProcess(people["ada"], room.pk) as ada:
            for _ in range(30):
                await ada.send("run.ack", run=str(uuid.uuid4()), seq=1, ref="x")
            other = asyncio.create_task(others())
            await ada.until(lambda: len(ada.of_type("ack")) == 30)
            other.cancel()
        assert turns >= 30

    scenario(flood)


def test_pages_in_many_tabs_stay_far_below_the_limits(settings: Any) -> None:
    """What the page sends by itself: an acknowledgement a second while it reads a stream, a ping every 20 seconds. A
    hundred tabs do that, and their user writes and scrolls as fast as people can.
    """
    settings.NOUS_CHAT = {}
    bucket = ratelimit.SocketBucket()
    for second in range(120):
        for tab in range(100):
            assert bucket.take_frame(second + tab / 100, 90), "run.ack"
            if second % 20 == tab % 20:
                assert bucket.take_frame(second + tab / 100, 20)
                assert bucket.take(second + tab / 100) == 0, "ping"
        for _ in range(5):
            assert bucket.take_frame(second + 1, 32_000)
            assert bucket.take(second + 1) == 0


def test_forks_count_by_their_length(
    client: Any, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "COPIES_PER_TOKEN", 2)
    client.force_login(people["ada"])
    last = [post(people["ada"], room).message for _ in range(8)][-1]
    path, body = f"/chat/api/conversations/{room.pk}/fork/", {"message": str(last.id)}
    answers = [client.post(path, body, content_type="application/json").status_code for _ in range(2)]
    assert answers == [201, 429], "five tokens are one request and eight messages"


def test_uploads_count_by_their_size(client: Any, people: Any, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    client.force_login(people["ada"])
    path = f"/chat/api/conversations/{store.create_conversation(people['ada']).id}/attachments/"
    large = png(2, 2, png_chunk(b"iCCP", bytes(3 * 1024 * 1024)))
    answers = [client.post(path, {"file": SimpleUploadedFile("a.png", large)}).status_code for _ in range(2)]
    assert answers == [201, 429]


class Unread(InProcess):
    """A client that takes nothing but a close."""

    offered = 0
    """How many frames the server has tried to send."""

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            self.offered += 1
            self._changed.set()
            await asyncio.Future()
        await super()._send(message)

    async def __aenter__(self) -> "Unread":
        await self._incoming.put({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._app(self._scope, self._incoming.get, self._send))
        return self


def test_few_snapshots_of_a_user_wait_for_clients_that_do_not_read(
    scenario: Callable[..., Any], people: Any, room: Conversation
) -> None:
    async def talk() -> None:
        stalled = [Unread(people["bob"], room.pk) for _ in range(ratelimit.MAX_ENTERING + 2)]
        for peer in stalled:
            await peer.__aenter__()
        last = stalled[ratelimit.MAX_ENTERING - 1]
        await last.until(lambda: last.offered)
        async with InProcess(people["ada"], room.pk):  # came after all of them, and got its snapshot
            assert [peer.offered for peer in stalled] == [1] * ratelimit.MAX_ENTERING + [0, 0]
            for socket in node.current().hub.sockets:
                socket.watch(now() + 2 * base.DROP_AFTER)
            for peer in stalled[: ratelimit.MAX_ENTERING]:
                assert await peer.wait_closed() == 4408, "so the next ones have their turn"
            for peer in stalled[ratelimit.MAX_ENTERING :]:
                await peer.until(lambda peer=peer: peer.offered)
            for socket in node.current().hub.sockets:
                socket.watch(now() + 2 * base.DROP_AFTER)
            for peer in stalled:
                await peer.__aexit__()

    scenario(talk)
