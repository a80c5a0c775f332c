"""The parts of an answer: how they grow, and how stored ones are completed."""

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chat.protocol.objects import (
    Call,
    CallPart,
    Part,
    Section,
    TextPart,
    ThinkingPart,
    add_part,
    complete_parts,
    decode_parts,
    encode_parts,
    sections_of,
)

ONE, TWO = (Call(id=uuid.UUID(int=n), name="look_up", arguments={}, status="done", result="found") for n in (1, 2))


def grown(*added: Part, **options: Any) -> list[Part]:
    parts: list[Part] = []
    for part in added:
        add_part(parts, part, **options)
    return parts


def test_adjacent_lengths_of_one_kind_are_one_part() -> None:
    calls = (CallPart(ONE.id), CallPart(TWO.id))
    added = (ThinkingPart(2), ThinkingPart(3), TextPart(1), TextPart(1), *calls, TextPart(4))
    expected = [ThinkingPart(5), TextPart(2), CallPart(ONE.id), CallPart(TWO.id), TextPart(4)]
    assert grown(*added) == expected


def test_thinking_does_not_divide_a_text_that_was_cut_off() -> None:
    assert grown(TextPart(3), ThinkingPart(2), ThinkingPart(1), TextPart(4), continues=True) == [
        ThinkingPart(3), TextPart(7)
    ]  # fmt: skip
    after_a_call: list[Part] = [TextPart(3), CallPart(ONE.id), ThinkingPart(2), TextPart(4)]
    assert grown(*after_a_call, continues=True) == after_a_call


def test_an_answer_without_stored_parts_shows_thinking_then_calls_then_text() -> None:
    expected = [ThinkingPart(2), CallPart(ONE.id), CallPart(TWO.id), TextPart(4)]
    assert complete_parts([], "Text", "Hm", [ONE, TWO]) == expected
    assert complete_parts([], "", "", []) == []


def test_stored_parts_are_fitted_to_what_is_stored() -> None:
    stored: list[Part] = [TextPart(3), CallPart(ONE.id), ThinkingPart(9), CallPart(uuid.uuid4()), TextPart(1)]
    assert complete_parts(stored, "Text and more", "Hm", [ONE, TWO]) == [
        TextPart(3), CallPart(ONE.id), ThinkingPart(2), TextPart(1), CallPart(TWO.id), TextPart(9)
    ]  # fmt: skip


def test_sections_hold_what_the_parts_stand_for() -> None:
    parts: list[Part] = [ThinkingPart(3), TextPart(6), CallPart(ONE.id), TextPart(7)]
    sections = sections_of(parts, "Hello.\n\nThere", "Hm.", [ONE])
    assert sections == [Section(thinking="Hm."), Section(text="Hello."), Section(call=ONE), Section(text="There")]


lengths = st.integers(0, 9)
any_part = st.one_of(
    st.builds(TextPart, lengths),
    st.builds(ThinkingPart, lengths),
    st.sampled_from([CallPart(ONE.id), CallPart(TWO.id)]),
)


@given(st.lists(any_part), st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_complete_parts_cover_everything_exactly_once(stored: list[Part], text: str, thinking: str, two: bool) -> None:
    calls = [ONE, TWO] if two else [ONE]
    parts = complete_parts(stored, text, thinking, calls)
    assert sum(part.length for part in parts if isinstance(part, TextPart)) == len(text)
    assert sum(part.length for part in parts if isinstance(part, ThinkingPart)) == len(thinking)
    called = [part.call for part in parts if isinstance(part, CallPart)]
    assert sorted(called) == sorted(call.id for call in calls)
    assert decode_parts(encode_parts(parts)) == parts
    assert complete_parts(parts, text, thinking, calls) == parts
