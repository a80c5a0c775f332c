"""Recordings: bounded, of any bytes, and of requests that run at the same time."""

import json

import pytest

from chat.engine.providers import recording
from chat.engine.providers.recording import Exchange, RecordedRun, Recording, decode, encode

KEY = "sk-test-key-of-the-suite"


def begin(tape: Recording, text: str = "Hello") -> Exchange:
    body = json.dumps({"messages": [text]}).encode()
    exchange = tape.begin_exchange("custom", "m", "openai", "https://example.org/v1/chat?key=1", body, KEY)
    exchange.add_response(200, {"Content-Type": "text/event-stream", "Set-Cookie": "secret"})
    return exchange


def kept(tape: Recording) -> RecordedRun:
    """What is left of it after it was stored and read."""
    return decode(encode(tape.freeze()))


def test_older_exchanges_make_room_for_newer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_BYTES", 1000)
    tape = Recording(bounded=True)
    for number in range(3):
        begin(tape, str(number)).add_chunk(b"x" * 450)
    first, second, third = kept(tape).exchanges
    assert (first.metadata["request"], first.body, first.left_out) == (None, "", "size")
    assert second.metadata["request"] == {"messages": ["1"]}
    assert (len(second.body), len(third.body)) == (450, 450)
    assert not first.can_be_replayed
    assert third.can_be_replayed


def test_an_answer_that_is_too_large_alone_keeps_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_BYTES", 1000)
    tape = Recording(bounded=True)
    exchange = begin(tape)
    for _ in range(10):
        exchange.add_chunk(b"x" * 300)
    (found,) = kept(tape).exchanges
    assert (found.metadata["request"], found.body, found.left_out) == ({"messages": ["Hello"]}, "", "size")
    assert exchange.chunks == []


def test_without_bounds_everything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_BYTES", "MAX_MOMENTS", "MAX_PIECES", "MAX_STRING"):
        monkeypatch.setattr(recording, name, 1)
    tape = Recording()
    exchange = begin(tape, "x" * 100)
    for _ in range(5):
        exchange.add_chunk(b"x" * 300)
    run = kept(tape)
    assert len(run.exchanges[0].body) == 1500
    assert run.exchanges[0].metadata["request"] == {"messages": ["x" * 100]}
    assert [moment.kind for moment in run.moments] == ["request", "response", "received"]
    assert run.moments[-1].count == len(run.moments[-1].pieces) == 5
    assert run.left_out == 0


def test_exchanges_at_the_same_time_do_not_mix() -> None:
    tape = Recording(bounded=True)
    one, two = begin(tape), begin(tape)
    for exchange, chunk in ((one, b"a"), (two, b"b"), (one, b"a")):
        exchange.add_chunk(chunk)
    assert [each.body for each in kept(tape).exchanges] == ["aa", "b"]


@pytest.mark.parametrize("body", [b"", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} \x00".encode(), b"\xff\xfe\x00"])
def test_any_bytes_are_kept_and_come_back(body: bytes) -> None:
    tape = Recording(bounded=True)
    exchange = begin(tape)
    for position in range(len(body)):  # also in the middle of a character
        exchange.add_chunk(body[position : position + 1])
    (found,) = kept(tape).exchanges
    assert found.read_body() == body
    assert "\x00" not in encode(tape.freeze()), "which a database refuses"


def test_half_of_an_emoji_does_not_prevent_a_recording() -> None:
    tape = Recording(bounded=True)
    tape.add("text", "\ud83d")
    (moment,) = kept(tape).moments
    assert moment.pieces[0][1] == "?"


def test_keys_are_masked_in_requests_addresses_answers_and_facts() -> None:
    tape = Recording(bounded=True)
    exchange = begin(tape, f"It is {KEY}")
    exchange.add_chunk(f"You said {KEY}".encode())
    tape.note("call", arguments='{"api_key": "0123456789"}')
    content = encode(tape.freeze())
    assert KEY not in content
    assert "0123456789" not in content
    assert "secret" not in content
    assert "chat?key=1" not in content
    in_pieces = begin(tape)
    in_pieces.key_in_pieces = True
    in_pieces.add_chunk(KEY[:9].encode())
    assert KEY[:9] not in encode(tape.freeze())
