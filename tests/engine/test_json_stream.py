import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.providers.json_stream import JSONStreamDecoder
from chat.engine.providers.parser import NotJSONError
from chat.engine.sse import EventTooLongError


def decode(*pieces: bytes) -> list[Any]:
    decoder = JSONStreamDecoder()
    events = [event for piece in pieces for event in decoder.decode(piece)]
    return [json.loads(data) for _, data in events + decoder.flush()]


@pytest.mark.parametrize(
    "body", [b'{"a":1}{"a":2}', b'{"a":1}\n{"a":2}\n', b'[{"a":1}\n,\r\n{"a":2}]\n', b' [ {"a":1} , {"a":2} ] ']
)
def test_objects_come_of_lines_and_of_arrays(body: bytes) -> None:
    assert decode(body) == [{"a": 1}, {"a": 2}]


def test_an_object_comes_with_its_last_brace() -> None:
    decoder = JSONStreamDecoder()
    assert decoder.decode(b'[{"a": {"b": 1}') == []
    assert [data for _, data in decoder.decode(b'},{"c"')] == [b'{"a": {"b": 1}}']


def test_braces_and_quotes_in_strings_are_text() -> None:
    objects = [{"a": '}{"\\'}, {"b\\": '\\\\"}'}]
    assert decode(json.dumps(objects).encode()) == objects


@pytest.mark.parametrize("body", [b"x{}", b"{}x", b'"a"', b"{}}", b"}", b"[1]"])
def test_anything_between_them_is_no_answer(body: bytes) -> None:
    with pytest.raises(NotJSONError):
        decode(body)


def test_half_an_object_at_the_end_is_none() -> None:
    with pytest.raises(NotJSONError):
        decode(b'[{"a": 1}, {"b"')


def test_an_endless_object_is_refused() -> None:
    decoder = JSONStreamDecoder(max_object=1000)
    with pytest.raises(EventTooLongError):
        for _ in range(100):
            decoder.decode(b'{"a": "' + b"x" * 100)


def test_a_long_object_costs_linear_time_even_byte_by_byte() -> None:
    start = time.process_time()
    body = b'{"a": "' + b"x" * 300_000 + b'"}'
    assert len(decode(*(body[i : i + 1] for i in range(len(body))))) == 1
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
def test_any_cut_gives_the_same_objects(objects: list[Any], cuts: list[int], lines: bool) -> None:
    body = b"\n".join(json.dumps(o).encode() for o in objects) if lines else json.dumps(objects, indent=1).encode()
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    assert decode(*(body[a:b] for a, b in pairwise(places))) == objects
