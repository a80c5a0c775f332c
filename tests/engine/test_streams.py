"""Streams over real connections: deadlines, failures, closing, and the shared client."""

import asyncio
import gzip
import json
import socket
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest

from chat.engine import (
    Agent,
    Error,
    Event,
    Finish,
    Limits,
    Message,
    ProviderError,
    Result,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Usage,
    connections,
    run,
    run_stream,
)  # fmt: skip
from chat.engine.connections import read_pause, unread
from chat.engine.providers.openai import OpenAIProvider
from chat.engine.providers.recording import Recording, recording
from chat.engine.providers.transport import MAX_READ

from ..support.upstream import Upstream, text
from .conftest import KEY

Make = Callable[..., Agent]


async def events_of(agent: Agent, prompt: str = "Hello there") -> list[Event]:
    return [event async for event in run_stream(agent, prompt)]


def ask(agent: Agent, prompt: str = "Hello there") -> Result:
    return asyncio.run(run(agent, prompt))


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most bytes that Python has allocated inside, beyond what it had before: the only item, after the end."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


def failure(agent: Agent) -> Error:
    last = asyncio.run(events_of(agent))[-1]
    assert isinstance(last, Error), last
    assert KEY not in last.error.message + last.error.detail
    return last


def test_an_answer_is_a_sequence_of_deltas_and_one_finish(agent: Make) -> None:
    *deltas, finish = asyncio.run(events_of(agent("words@n=30")))
    assert all(isinstance(event, TextDelta) for event in deltas)
    assert len(deltas) == 30
    messages = (Message("assistant", text(30)),)
    usage = Usage(2, 30, 32)
    result = Result(text(30), "", (), "stop", usage, provider="custom", model="words@n=30", messages=messages)
    assert finish == Finish(result)


def test_an_answer_may_arrive_byte_by_byte(agent: Make) -> None:
    assert ask(agent("words@n=30,split=1")).text == text(30)


def test_thinking_tool_calls_and_unstreamed_answers_arrive(agent: Make) -> None:
    kinds = [type(event) for event in asyncio.run(events_of(agent("thinking@n=2")))]
    assert kinds == [ThinkingDelta, ThinkingDelta, TextDelta, TextDelta, Finish]
    calls = ask(agent("tools")).tool_calls
    assert [(call.name, call.arguments) for call in calls] == [
        ("weather", {"city": "Oslo"}),
        ("weather", {"city": "Rome"}),
    ]
    assert ask(agent("whole@n=5")).text == text(5)


def test_messages_and_the_key_are_sent(agent: Make, provider: Upstream) -> None:
    asyncio.run(run(agent("echo"), [Message("user", "One"), Message("assistant", "Two"), Message("user", "Three")]))
    last = provider.last()
    assert last["headers"]["authorization"] == f"Bearer {KEY}"
    assert [message["content"] for message in last["body"]["messages"]] == ["One", "Two", "Three"]
    assert ask(agent("echo"), "half of an emoji \ud83c").text == "half of an emoji ? "


def test_the_first_delta_arrives_long_before_the_last_is_written(agent: Make) -> None:
    async def first() -> str:
        async with aclosing(run_stream(agent("words@n=1000,delay=20"), "x")) as stream:
            async for event in stream:
                assert isinstance(event, TextDelta)
                return event.text
        raise AssertionError

    assert asyncio.run(asyncio.wait_for(first(), 18)) == "w0 "


class TestDeadlines:
    @pytest.mark.parametrize("model", ["deaf", "silent", "comments", "words@first=60000"])
    def test_a_missing_first_token_is_a_timeout(self, agent: Make, model: str) -> None:
        last = failure(agent(model, first_token=0.2))
        assert last.error.code == "first_token_timeout"
        assert "0.2 seconds" in last.error.detail

    @pytest.mark.parametrize("model", ["stall@n=3", "drone@n=3"])
    def test_silence_in_mid_stream_is_a_timeout_that_keeps_the_text(self, agent: Make, model: str) -> None:
        last = failure(agent(model, idle=1))  # the three words must arrive within it
        assert (last.error.code, last.result.text) == ("idle_timeout", text(3))

    def test_an_endless_answer_is_a_timeout_that_keeps_the_text(self, agent: Make) -> None:
        last = failure(agent("words@n=100000,delay=5", total=2))
        assert last.error.code == "total_timeout"
        assert text(100_000).startswith(last.result.text)
        assert last.result.text

    def test_a_connection_that_is_not_established_is_a_timeout(self) -> None:
        with a_server(lambda connection: None, wait=False) as port:  # accepts connections without a TLS handshake
            provider = OpenAIProvider("custom", "x", f"https://127.0.0.1:{port}/v1", KEY)
            last = failure(Agent(provider, limits=Limits(connect=0.2)))
        assert last.error.code == "connect_timeout"
        assert "0.2 seconds" in last.error.detail

    def test_the_time_that_the_reader_takes_is_not_silence(self, agent: Make) -> None:
        async def read_slowly() -> list[Event]:
            events = []
            async with aclosing(run_stream(agent("words@n=3,delay=1", idle=1), "x")) as stream:
                async for event in stream:
                    events.append(event)
                    await asyncio.sleep(1.5 if len(events) == 1 else 0)
            return events

        assert isinstance(asyncio.run(read_slowly())[-1], Finish)

    def test_an_answer_ends_with_its_end_marker_not_with_the_connection(self, agent: Make) -> None:
        assert ask(agent("late@n=3", idle=30)).text == text(3)


class TestFailures:
    @pytest.mark.parametrize("model", ["cut@n=5", "unfinished@n=5"])
    def test_a_connection_that_breaks_keeps_the_text(self, agent: Make, model: str) -> None:
        last = failure(agent(model))
        assert (last.error.code, last.result.text, last.result.usage) == ("stream_cut", text(5), None)

    @pytest.mark.parametrize("model", ["garbage", "page"])
    def test_a_response_that_is_no_answer_is_a_bad_response(self, agent: Make, model: str) -> None:
        assert failure(agent(model)).error.code == "bad_response"

    @pytest.mark.parametrize("model", ["endless", "line@size=20000000"])
    def test_a_line_of_more_than_8_mb_is_too_large(self, agent: Make, model: str) -> None:
        error = failure(agent(model))
        assert (error.error.code, error.result.text) == (
            "answer_too_large",
            "begun" if model.startswith("line") else "",
        )

    def test_a_response_that_is_too_large_keeps_the_text(self, agent: Make) -> None:
        error = failure(agent("flowing@delay=1", max_bytes=20_000))
        assert error.error.code == "answer_too_large"
        assert "a response of more than 20,000 bytes" in error.error.detail
        assert text(10_000).startswith(error.result.text)
        assert len(error.result.text) > 100

    def test_an_error_in_mid_stream_keeps_the_text(self, agent: Make) -> None:
        last = failure(agent("fails@n=5"))
        assert (last.error.code, last.result.text) == ("server_error", text(5))

    @pytest.mark.parametrize(("model", "code", "status"), [
        ("status@code=401", "authentication", 401),
        ("status@code=429,retry_after=7", "rate_limited", 429),
        ("status@code=500", "server_error", 500),
        ("status@code=302", "bad_response", 302),
        ("unheard-of", "model_not_found", 404),
    ])  # fmt: skip
    def test_an_http_status_has_an_error_code(self, agent: Make, model: str, code: str, status: int) -> None:
        error: Any = failure(agent(model)).error
        assert (error.code, error.status, error.provider) == (code, status, "custom")
        assert error.retry_after == (7 if status == 429 else None)

    @pytest.mark.parametrize(("url", "code"), [
        ("http://127.0.0.1:1/v1", "unreachable"),
        ("http://no-such-host.invalid/v1", "unreachable"),
        ("http://127.0.0.1:99999/v1", "configuration"),
        ("http:///v1", "configuration"),
        ("http://[::bad/v1", "configuration"),
        ("ftp://127.0.0.1/v1", "configuration"),
    ])  # fmt: skip
    def test_a_wrong_address_is_named_in_the_details(self, url: str, code: str) -> None:
        last = failure(Agent(OpenAIProvider("custom", "x", url, KEY)))
        assert last.error.code == code
        assert url in last.error.detail

    @pytest.mark.parametrize(("reply", "code"), [
        (b"", "unreachable"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "unreachable"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\ndata: {", "stream_cut"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n", "stream_cut"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\ndata: {}\n\n", "stream_cut"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 900\r\nretry-after: 3\r\n\r\nBusy", "overloaded"),
    ])  # fmt: skip
    def test_broken_http_has_an_error_code(self, reply: bytes, code: str) -> None:
        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(reply)

        with a_server(answer) as port:
            assert failure(Agent(OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1", KEY))).error.code == code

    def test_a_server_without_tls_is_unreachable_over_https(self) -> None:
        with a_server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            last = failure(Agent(OpenAIProvider("custom", "x", f"https://127.0.0.1:{port}/v1", KEY)))
        assert last.error.code == "unreachable"

    def test_a_response_without_a_length_ends_with_the_connection(self) -> None:
        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            chunk = b'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\n'
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + chunk)

        with a_server(answer) as port:
            assert ask(Agent(OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1"))).text == "Hi"


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


HALVES = chunk("one "), chunk("two", "stop")


class TestAfterTheFinishReason:
    """What does not come after it is not missed, and without it nothing is complete."""

    def answer(
        self, body: bytes, head: bytes = b"", *, reset: bool = False, wait: bool = True, **limits: Any
    ) -> Result:
        """The answer of a server that sends this body and closes the connection, or keeps it open (`wait=False`)."""

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + head + b"\r\n" + body)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with a_server(answer, wait=wait) as port:
            model = OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1", KEY)
            return ask(Agent(model, limits=Limits(**limits)))

    @pytest.mark.parametrize(("head", "end"), [
        (b"content-length: 4000\r\n", b""), (b"transfer-encoding: chunked\r\n", b"0\r\n"),
    ])  # fmt: skip
    def test_a_short_body_is_complete(self, head: bytes, end: bytes) -> None:
        def body(*chunks: bytes) -> bytes:
            return b"".join(b"%x\r\n%s\r\n" % (len(c), c) if end else c for c in chunks)

        assert self.answer(body(*HALVES), head).text == "one two"
        with pytest.raises(ProviderError) as error:
            self.answer(body(HALVES[0]), head)
        assert error.value.code == "stream_cut"

    def test_a_reset_is_complete(self) -> None:
        # A reset may overtake what was sent before it, so the answer may also be missing, but never half of it.
        with suppress(ProviderError):
            assert self.answer(b"".join(HALVES), reset=True).text == "one two"

    def test_silence_is_complete(self) -> None:
        assert self.answer(b"".join(HALVES), wait=False, idle=0.2).text == "one two"
        with pytest.raises(ProviderError) as error:
            self.answer(HALVES[0], wait=False, idle=0.2)
        assert error.value.code == "idle_timeout"

    def test_gzip_that_is_cut_off_is_complete(self) -> None:
        head = b"content-encoding: gzip\r\n"
        assert self.answer(gzip.compress(b"".join(HALVES))[:-4], head).text == "one two"

    def test_gzip_may_have_several_members(self) -> None:
        members = b"".join(map(gzip.compress, HALVES))
        assert self.answer(members, b"content-encoding: gzip\r\n").text == "one two"

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_a_body_that_unpacks_to_far_more_is_too_large_and_never_in_memory(self, coding: str) -> None:
        """What arrives in one or two chunks would unpack to 128 MB."""
        packing = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
        body = packing.compress(HALVES[0])
        comments = b": " + b"x" * (1024 * 1024 - 4) + b"\n\n"
        body += b"".join(packing.compress(comments) for _ in range(128)) + packing.flush()
        head = f"content-encoding: {coding}\r\n".encode()
        with pytest.raises(ProviderError) as error, peak_memory() as peak:
            self.answer(body, head, max_bytes=4 * 1024 * 1024)
        assert error.value.code == "answer_too_large"
        assert peak[0] < 16 * 1024 * 1024

    def test_others_get_a_turn_while_large_chunks_are_read(self) -> None:
        """A few packets unpack to 1 MB of small events, for each of four streams."""
        body = gzip.compress(HALVES[0] * (2**20 // len(HALVES[0])) + HALVES[1])
        events = 0
        at_each_turn = [0]

        async def others() -> None:
            while True:
                await asyncio.sleep(0)
                at_each_turn.append(events)

        async def read(model: OpenAIProvider) -> None:
            nonlocal events
            async for _ in run_stream(Agent(model), "Hello there"):
                events += 1

        async def read_all(model: OpenAIProvider) -> None:
            other = asyncio.create_task(others())
            async with connections():
                await asyncio.gather(*(read(model) for _ in range(4)))
            other.cancel()

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + body)

        with a_server(answer) as port:
            asyncio.run(read_all(OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1", KEY)))
        assert events > 40_000
        at_once = [after - before for before, after in pairwise(at_each_turn)]
        one_turn = 2 + MAX_READ // len(HALVES[0])
        # Only the first bytes of a stream do not wait for a turn.
        assert sum(number for number in at_once if number > one_turn) <= 2 * 4 * one_turn

    def test_a_body_that_unpacks_to_nothing_is_too_large(self) -> None:
        nothing = gzip.compress(b"") * 50_000
        with pytest.raises(ProviderError) as error:
            self.answer(nothing, b"content-encoding: gzip\r\n", max_bytes=100_000)
        assert error.value.code == "answer_too_large"

    def test_deflate_is_unpacked(self) -> None:
        assert self.answer(zlib.compress(b"".join(HALVES)), b"content-encoding: deflate\r\n").text == "one two"

    @pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
    def test_other_codings_are_bad_responses(self, coding: str) -> None:
        with pytest.raises(ProviderError) as error:
            self.answer(b"".join(HALVES), f"content-encoding: {coding}\r\n".encode())
        assert error.value.code == "bad_response"
        assert repr(coding) in error.value.detail

    def test_gzip_that_is_none_breaks_the_stream(self) -> None:
        with pytest.raises(ProviderError) as error:
            self.answer(b"".join(HALVES), b"content-encoding: gzip\r\n")
        assert error.value.code == "stream_cut"


class TestStatusAndHeaders:
    def answer(self, status: bytes, head: bytes = b"", body: bytes = b"".join(HALVES)) -> Error | Result:
        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n" + body)

        with a_server(answer) as port:
            model = OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1", KEY)
            last = asyncio.run(events_of(Agent(model)))[-1]
        return last if isinstance(last, Error) else last.result  # type: ignore[union-attr]

    @pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"202 Accepted", b"203 Fine"])
    def test_every_status_of_success_has_an_answer(self, status: bytes) -> None:
        answer = self.answer(status)
        assert isinstance(answer, Result)
        assert answer.text == "one two"

    def test_no_content_is_a_bad_response(self) -> None:
        answer = self.answer(b"204 No Content", body=b"")
        assert isinstance(answer, Error)
        assert (answer.error.code, "it sent nothing" in answer.error.detail) == ("bad_response", True)

    def test_headers_may_be_long(self) -> None:
        answer = self.answer(b"200 OK", b"x-model-group: " + b"m" * 60_000 + b"\r\n")
        assert isinstance(answer, Result)


class TestEmptyAnswers:
    def test_an_empty_answer_is_asked_for_again(self) -> None:
        answers = iter([chunk("", "stop"), b"".join(HALVES)])

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + next(answers))

        with a_server(answer) as port:
            model = OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1", KEY)
            assert ask(Agent(model, limits=Limits(max_retries=1))).text == "one two"

    def test_after_the_results_of_tools_an_answer_may_be_empty(self) -> None:
        call = ToolCall("a", "clock", {})
        history = [
            Message("user", "?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "12", call_id="a"),
        ]

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + chunk("", "stop"))

        with a_server(answer) as port:
            model = OpenAIProvider("custom", "x", f"http://127.0.0.1:{port}/v1", KEY)
            assert asyncio.run(run(Agent(model), history)).text == ""


class TestClosing:
    """The provider sees its connection closed at once, and the client stays usable."""

    def test_cancelling_the_reader_while_deltas_come(self, agent: Make, provider: Upstream) -> None:
        asyncio.run(self.stop_twenty(agent("words@n=100000,delay=1"), provider, after=0.02))

    def test_cancelling_the_reader_before_the_headers(self, agent: Make, provider: Upstream) -> None:
        asyncio.run(self.stop_twenty(agent("deaf"), provider, after=0.02))

    def test_cancelling_the_reader_before_the_first_token(self, agent: Make, provider: Upstream) -> None:
        asyncio.run(self.stop_twenty(agent("silent"), provider, after=0.02))

    def test_cancelling_the_reader_at_once(self, agent: Make, provider: Upstream) -> None:
        asyncio.run(self.stop_twenty(agent("deaf"), provider, after=0))

    def test_closing_the_stream_between_two_deltas(self, agent: Make, provider: Upstream) -> None:
        async def scenario() -> None:
            async with connections():
                for number in range(1, 21):
                    before = provider.stats()["aborted"]
                    async with aclosing(run_stream(agent("words@n=100000,delay=1"), "x")) as stream:
                        for _ in range(number):
                            await anext(stream)
                    await wait_until_closed(provider, before + 1)
                assert (await run(agent("words"), "x")).text == text(20)

        asyncio.run(scenario())

    async def stop_twenty(self, agent: Agent, provider: Upstream, after: float) -> None:
        async with connections():
            for _ in range(20):
                before = provider.stats()
                task = asyncio.create_task(events_of(agent))
                await asyncio.sleep(after)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                if provider.stats()["started"] > before["started"]:
                    await wait_until_closed(provider, before["aborted"] + 1)
            words = OpenAIProvider("custom", "words", provider.url, KEY)
            assert (await run(Agent(words), "x")).text == text(20)


async def wait_until_closed(provider: Upstream, aborted: int) -> None:
    """Wait until the upstream has seen this many aborted connections, and none is active."""

    async def all_closed() -> None:
        # The upstream runs in another thread, so there is no event to wait for.
        while (stats := provider.stats())["aborted"] < aborted or stats["active"]:
            await asyncio.sleep(0.005)

    await asyncio.wait_for(all_closed(), 30)


class TestConnections:
    def test_a_connection_is_reused_for_the_next_run(self, agent: Make, provider: Upstream) -> None:
        async def scenario() -> int:
            async with connections():
                await run(agent("words"), "x")
                before = provider.stats()["connections"]
                for _ in range(5):
                    await run(agent("words"), "x")
                # The second look at the statistics is a connection itself.
                return int(provider.stats()["connections"] - before - 1)

        assert asyncio.run(scenario()) == 0

    def test_the_last_user_closes_the_client(self) -> None:
        async def scenario() -> None:
            async with connections() as one:
                async with connections() as two:
                    assert one is two
                assert not one.is_closed
            assert one.is_closed
            async with connections() as three:
                assert three is not one

        asyncio.run(scenario())

    def test_a_hundred_and_fifty_runs_work_at_the_same_time(self, agent: Make) -> None:
        async def scenario() -> set[str]:
            results = await asyncio.gather(*(run(agent("words@n=10,delay=10"), "x") for _ in range(150)))
            return {result.text for result in results}

        assert asyncio.run(scenario()) == {text(10)}

    def test_a_kept_connection_that_the_server_closed_is_replaced(self) -> None:
        """The server does not announce that it closes, and the client sends before it notices."""

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            body = b'{"choices": [{"message": {"content": "Hi"}}]}'
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

        async def scenario(url: str) -> None:
            async with connections():
                for _ in range(50):
                    assert (await run(Agent(OpenAIProvider("custom", "x", url)), "x")).text == "Hi"

        with a_server(answer) as port:
            asyncio.run(scenario(f"http://127.0.0.1:{port}/v1"))

    def test_many_streams_are_read_less_often_in_larger_chunks(self, agent: Make) -> None:
        async def reads(others: int) -> int:
            recorder = Recording()
            recording.set(recorder)
            async with AsyncExitStack() as stack:
                for _ in range(others):
                    await stack.enter_async_context(connections())
                assert (await run(agent("words@n=100,delay=8"), "x")).text == text(100)
            return len(recorder.exchanges[-1].chunks)

        def less_often() -> bool:
            return asyncio.run(reads(100)) * 3 < asyncio.run(reads(0))

        assert any(less_often() for _ in range(5)), (
            "a stalled machine reads everything that arrived meanwhile in one chunk"
        )

    def test_what_arrives_while_nothing_is_read_is_received_at_once_afterwards(self) -> None:
        received: list[bytes] = []

        class Protocol(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                received.append(data)

        async def scenario(port: int, provider: Callable[[], socket.socket]) -> None:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(Protocol, "127.0.0.1", port)
            connection = provider()
            with unread(transport):
                for piece in (b"a", b"b", b"c"):
                    connection.sendall(piece)
                    await asyncio.sleep(0.01)
                assert received == []
            while not received:
                await asyncio.sleep(0)
            assert received == [b"abc"]
            with unread(transport):
                transport.abort()
                await asyncio.sleep(0)
            with unread(transport):  # closed by now
                pass
            connection.close()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            asyncio.run(scenario(listener.getsockname()[1], lambda: listener.accept()[0]))

    def test_the_pause_between_reads_grows_with_the_number_of_streams(self) -> None:
        async def pauses(streams: int) -> float:
            async with AsyncExitStack() as stack:
                for _ in range(streams):
                    await stack.enter_async_context(connections())
                return read_pause()

        assert asyncio.run(pauses(0)) == asyncio.run(pauses(10)) == 0
        assert 0.040 < asyncio.run(pauses(11)) < asyncio.run(pauses(30)) < 0.100
        assert asyncio.run(pauses(1000)) == 0.100

    def test_cookies_are_not_kept(self) -> None:
        requests = []

        def answer(connection: socket.socket) -> None:
            requests.append(connection.recv(65536).lower())
            body = b'{"choices": [{"message": {"content": "Hi"}}]}'
            head = b"HTTP/1.1 200 OK\r\nset-cookie: a=b; path=/\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            connection.sendall(head % len(body) + body)

        async def scenario(url: str) -> None:
            async with connections():
                for _ in range(2):
                    await run(Agent(OpenAIProvider("custom", "x", url)), "x")

        with a_server(answer) as port:
            asyncio.run(scenario(f"http://localhost:{port}/v1"))
        assert len(requests) == 2
        assert b"cookie" not in requests[1]


@contextmanager
def a_server(answer: Callable[[socket.socket], Any], *, wait: bool = True) -> Iterator[int]:
    """A server that calls `answer` for each connection and closes it (`wait=False`: keeps it open); yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()
    connections_ = []

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(30)
            with suppress(OSError):
                answer(connection)
            connections_.append(connection)
            if wait:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        for connection in connections_:
            connection.close()
        listener.close()
