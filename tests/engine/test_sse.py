"""The decoder of server-sent events: which events a body holds, however the network cuts it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.sse import EventTooLongError, SSEDecoder

from .responses import cut, cut_everywhere


def decode(*chunks: bytes) -> list[tuple[str, bytes]]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.decode(chunk)]
    return [(name, data) for name, data in [*events, *decoder.flush()]]


def byte_by_byte(body: bytes) -> list[tuple[str, bytes]]:
    return decode(*cut_everywhere(body))


def test_a_blank_line_ends_an_event() -> None:
    assert decode(b"data: one\n\ndata: two\n\n") == [("message", b"one"), ("message", b"two")]


def test_an_event_comes_as_soon_as_it_is_complete() -> None:
    decoder = SSEDecoder()
    assert list(decoder.decode(b"data: one\n")) == []
    assert [data for _, data in decoder.decode(b"\ndata: two")] == [b"one"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_three_ways(end: bytes) -> None:
    body = b"event: a" + end + b"data: 1" + end + b"data: 2" + end + end + b"data: 3" + end + end
    assert decode(body) == byte_by_byte(body) == [("a", b"1\n2"), ("message", b"3")]


def test_a_line_end_cut_in_two_is_one_line_end() -> None:
    assert decode(b"data: 1\r", b"\ndata: 2\r", b"\n\r", b"\n") == [("message", b"1\n2")]
    assert decode(b"data: 1\r", b"", b"\n\r\n") == [("message", b"1")]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_nothing_else_ends_a_line(character: str) -> None:
    body = f"data: a{character}b\n\n".encode()
    assert decode(body) == [("message", f"a{character}b".encode())]


def test_characters_may_be_cut_in_the_middle() -> None:
    assert byte_by_byte("data: 🌊ä日\n\n".encode()) == [("message", "🌊ä日".encode())]


def test_comments_ids_and_retries_are_ignored() -> None:
    assert decode(b": PROCESSING\n\n:\nid: 7\nretry: 3\ndata: x\n\n") == [("message", b"x")]


def test_one_blank_after_the_colon_is_removed() -> None:
    assert decode(b"data:x\n\ndata:  y \n\ndata:\n\ndata\n\n") == [
        ("message", b"x"), ("message", b" y "), ("message", b""), ("message", b""),
    ]  # fmt: skip


def test_a_name_applies_to_one_event() -> None:
    assert decode(b"event: error\ndata: x\n\ndata: y\n\nevent: lost\n\ndata: z\n\n") == [
        ("error", b"x"), ("message", b"y"), ("message", b"z"),
    ]  # fmt: skip


@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
def test_the_last_event_counts_without_its_blank_line(end: bytes) -> None:
    assert decode(b"data: x\n\ndata: y" + end) == [("message", b"x"), ("message", b"y")]


@pytest.mark.parametrize("stray", [b"\xef\xbb\xbf", b"\0", b" \t"])
def test_a_byte_order_mark_a_nul_and_blanks_are_skipped_before_a_field(stray: bytes) -> None:
    body = stray + b"data: x\n\n" + stray + b"data: y\n\n" + stray
    assert decode(body) == byte_by_byte(body) == [("message", b"x"), ("message", b"y")]


def test_a_line_that_is_not_a_field_becomes_an_event() -> None:
    assert decode(b'error: {"a": 1}\n') == [("", b'error: {"a": 1}')]
    assert decode(b'data: x\n\n{"error": 1}\n') == [("message", b"x"), ("", b'{"error": 1}')]


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(EventTooLongError):
        decode_repeatedly(b"x" * 100)


def test_an_endless_event_is_refused() -> None:
    with pytest.raises(EventTooLongError):
        decode_repeatedly(b"data: " + b"x" * 100 + b"\n")
    with pytest.raises(EventTooLongError):
        decode_repeatedly(b"data\n" * 100)


def decode_repeatedly(chunk: bytes) -> None:
    decoder = SSEDecoder(max_event=1000)
    for _ in range(100):
        list(decoder.decode(chunk))


def test_many_small_events_do_not_exceed_the_limit() -> None:
    decoder = SSEDecoder(max_event=1000)
    assert len(list(decoder.decode(b"data: 0123456789\n\n" * 1000))) == 1000


def test_a_long_line_takes_linear_time_even_byte_by_byte() -> None:
    """Copying what is there for each byte would take minutes."""
    start = time.process_time()
    body = b"data: " + b"x" * 1_000_000 + b"\n\n"
    assert byte_by_byte(body) == [("message", b"x" * 1_000_000)]
    assert time.process_time() - start < 20


line = st.binary(max_size=20) | st.sampled_from(
    [b"data: a", b"data", b":", b"event: e", b"\xef\xbb\xbf", b"", b"id: 1"]
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b""])
bodies = st.lists(st.tuples(line, ends)).map(lambda parts: b"".join(a + b for a, b in parts))


@given(bodies, st.lists(st.integers(0, 400)))
def test_any_cut_of_any_bytes_gives_the_same_events(body: bytes, cuts: list[int]) -> None:
    assert decode(*cut(body, cuts)) == decode(body) == byte_by_byte(body)


def outcome(chunks: list[bytes], max_event: int) -> tuple[list[tuple[str, bytes]], bool]:
    """The events, and whether an event after them was too long."""
    decoder = SSEDecoder(max_event)
    found: list[tuple[str, bytes]] = []
    try:
        for chunk in chunks:
            for event in decoder.decode(chunk):
                found.append(event)  # one by one, to keep those before an error
        found += decoder.flush()
    except EventTooLongError:
        return found, True
    return found, False


@given(bodies, st.lists(st.integers(0, 400)), st.integers(1, 40))
def test_any_cut_gives_the_same_events_and_the_same_error(body: bytes, cuts: list[int], max_event: int) -> None:
    assert outcome(cut(body, cuts), max_event) == outcome([body], max_event)
