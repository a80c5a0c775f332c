"""The decoder of JSON streams: which objects a body holds, however the network cuts it."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.providers.json_stream import JSONStreamDecoder
from chat.engine.providers.parser import NotJSONError
from chat.engine.sse import EventTooLongError

from .responses import cut, cut_everywhere


def decode(*chunks: bytes) -> list[Any]:
    decoder = JSONStreamDecoder()
    events = [event for chunk in chunks for event in decoder.decode(chunk)]
    return [json.loads(data) for _, data in [*events, *decoder.flush()]]


@pytest.mark.parametrize(
    "body", [b'{"a":1}{"a":2}', b'{"a":1}\n{"a":2}\n', b'[{"a":1}\n,\r\n{"a":2}]\n', b' [ {"a":1} , {"a":2} ] ']
)
def test_objects_may_come_in_lines_or_in_an_array(body: bytes) -> None:
    assert decode(body) == [{"a": 1}, {"a": 2}]


def test_an_object_comes_with_its_last_brace() -> None:
    decoder = JSONStreamDecoder()
    assert list(decoder.decode(b'[{"a": {"b": 1}')) == []
    assert [data for _, data in decoder.decode(b'},{"c"')] == [b'{"a": {"b": 1}}']


def test_braces_and_quotes_in_strings_are_text() -> None:
    values = [{"a": '}{"\\'}, {"b\\": '\\\\"}'}]
    assert decode(json.dumps(values).encode()) == values


@pytest.mark.parametrize("body", [b"x{}", b"{}x", b'"a"', b"{}}", b"}", b"[1]"])
def test_anything_else_between_objects_is_an_error(body: bytes) -> None:
    with pytest.raises(NotJSONError):
        decode(body)


def test_the_objects_before_an_error_come_out() -> None:
    events = JSONStreamDecoder().decode(b'{"a": 1}{"a": 2}x')
    assert [next(events).data, next(events).data] == [b'{"a": 1}', b'{"a": 2}']
    with pytest.raises(NotJSONError):
        next(events)


def test_half_an_object_at_the_end_is_an_error() -> None:
    with pytest.raises(NotJSONError):
        decode(b'[{"a": 1}, {"b"')


def test_an_endless_object_is_an_error() -> None:
    decoder = JSONStreamDecoder(max_object=1000)
    with pytest.raises(EventTooLongError):
        for _ in range(100):
            list(decoder.decode(b'{"a": "' + b"x" * 100))


def test_a_long_object_takes_linear_time_even_byte_by_byte() -> None:
    start = time.process_time()
    body = b'{"a": "' + b"x" * 300_000 + b'"}'
    assert len(decode(*cut_everywhere(body))) == 1
    assert time.process_time() - start < 20


json_values = st.recursive(
    st.none() | st.text(alphabet='a"\\{}[],🌊', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"\\{}', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=3), json_values, max_size=3), max_size=4),
    st.lists(st.integers(0, 200)),
    st.booleans(),
)
def test_any_cut_gives_the_same_objects(objects: list[Any], cuts: list[int], in_lines: bool) -> None:
    if in_lines:
        body = b"\n".join(json.dumps(value).encode() for value in objects)
    else:
        body = json.dumps(objects, indent=1).encode()
    assert decode(*cut(body, cuts)) == objects


def outcome(chunks: list[bytes], max_object: int) -> tuple[list[bytes], str]:
    """The objects, and the error after them."""
    decoder = JSONStreamDecoder(max_object)
    found: list[bytes] = []
    try:
        for chunk in chunks:
            for event in decoder.decode(chunk):
                found.append(event.data)  # one by one, to keep those before an error
        list(decoder.flush())
    except (NotJSONError, EventTooLongError) as error:
        return found, type(error).__name__
    return found, ""


@given(st.text(alphabet='{}[]",\\ a\n', max_size=60).map(str.encode), st.lists(st.integers(0, 60)), st.integers(1, 20))
def test_any_cut_gives_the_same_objects_and_the_same_error(body: bytes, cuts: list[int], max_object: int) -> None:
    assert outcome(cut(body, cuts), max_object) == outcome([body], max_object)
