from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import TextDelta, ThinkingDelta
from chat.engine.providers.think_tags import ThinkTags

from .responses import STOP, decode, delta, sse


def split(*pieces: str) -> tuple[str, str]:
    """The thinking and the text of an answer that comes in these pieces."""
    tags = ThinkTags()
    deltas = [delta for piece in pieces for delta in tags.split(piece)] + tags.flush()
    assert all(delta.text for delta in deltas)
    assert tags.flush() == []
    return tuple("".join(d.text for d in deltas if isinstance(d, kind)) for kind in (ThinkingDelta, TextDelta))  # type: ignore[return-value]


@pytest.mark.parametrize(("answer", "thinking", "text"), [
    ("<think>\nHm, so.\n</think>\n\nYes.", "Hm, so.\n", "Yes."),
    ("\n <think>Hm</think>Yes", "Hm", "Yes"),
    ("<think>\n\n</think>\n\nYes", "", "Yes"),
    ("<think>a < b </thin> c</think>Yes </think>", "a < b </thin> c", "Yes </think>"),
    ("<think>cut off in the middle </th", "cut off in the middle </th", ""),
    ("<think></think>", "", ""),
    ("No tag", "", "No tag"),
    ("\n\n  indented", "", "\n\n  indented"),
    ("The tag <think> begins thoughts</think>.", "", "The tag <think> begins thoughts</think>."),
    ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
    ("<thought>Hm</think>, so</thought>Yes", "Hm</think>, so", "Yes"),
    ("</think>\n\nYes", "", "</think>\n\nYes"),
    ("<b>bold</b>", "", "<b>bold</b>"),
    ("<thi", "", "<thi"),
    ("  ", "", "  "),
    ("", "", ""),
    (" " * 2000 + "late", "", " " * 2000 + "late"),
])  # fmt: skip
def test_leading_tags_are_split_off_wherever_they_are_cut(answer: str, thinking: str, text: str) -> None:
    assert split(answer) == (thinking, text)
    assert split(*answer) == (thinking, text)
    for place in range(len(answer)):
        assert split(answer[:place], answer[place:]) == (thinking, text)


def test_text_is_held_back_only_as_long_as_necessary() -> None:
    tags = ThinkTags()
    assert tags.split("<") == []
    assert tags.split("b>") == [TextDelta("<b>")]
    assert tags.done
    tags = ThinkTags()
    assert tags.split("<think>Hm") == [ThinkingDelta("Hm")]
    assert tags.split(" so</") == [ThinkingDelta(" so")]
    assert not tags.done


words = st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", " ", "\n", "a", "🌊", "<", ">"])


@given(st.lists(words, max_size=12), st.lists(st.integers(0, 60)))
def test_only_the_tags_and_the_blanks_around_them_are_removed(parts: list[str], cuts: list[int]) -> None:
    answer = "".join(parts)
    places = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    thinking, text = split(*(answer[a:b] for a, b in pairwise(places)))
    assert (thinking, text) == split(answer)
    if not answer.lstrip().startswith("<think>"):
        assert (thinking, text) == ("", answer)
    else:
        thought, _, rest = answer.lstrip().removeprefix("<think>").lstrip().partition("</think>")
        assert (thinking, text) == (thought, rest.lstrip())


def test_held_text_comes_out_if_an_answer_breaks_off() -> None:
    decoded = decode([sse(delta(content="<thi"), done=False)])
    assert (decoded.text, decoded.code) == ("<thi", "stream_cut")
    decoded = decode([sse(delta(content="<think>Hm</th"), {"error": {"message": "No"}}, done=False)])
    assert (decoded.thinking, decoded.text, decoded.code) == ("Hm</th", "", "server_error")


def test_tags_are_split_off_in_lists_of_parts_and_next_to_a_thinking_field() -> None:
    parts = [{"type": "text", "text": "<think>b</think>c"}]
    decoded = decode([sse(delta(reasoning="a"), delta(content=parts), STOP)])
    assert (decoded.thinking, decoded.text) == ("ab", "c")


@pytest.mark.parametrize("body", ["</think>\n\nHello.", "\n</thought>Hello.", "Hello."])
def test_a_closing_tag_at_the_start_is_left_over_from_thoughts_in_their_own_field(body: str) -> None:
    for place in range(len(body) + 1):
        pieces = [delta(content=body[:place]), delta(content=body[place:])]
        decoded = decode([sse(delta(reasoning_content="Hm."), *pieces, STOP)])
        assert (decoded.thinking, decoded.text) == ("Hm.", "Hello.")
