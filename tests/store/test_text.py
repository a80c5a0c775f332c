"""Text as it is stored and shown: cut between letters, titles that can be seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import store
from chat.graphemes import PIECE_CHARS, cluster_at, cut, limit_marks, split_pieces
from chat.models import Conversation
from chat.store.summaries import clean_title
from chat.store.text import make_title, normalize_title

from ..support.store_helpers import post

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
FLAG = "\N{REGIONAL INDICATOR SYMBOL LETTER D}\N{REGIONAL INDICATOR SYMBOL LETTER E}"
LETTERS = [FAMILY, FLAG, "e\u0301", "\u0915\u094d\u0937\u093f", "\u0e01\u0e33", "\u1112\u1161\u11ab", "a"]
"""Each is one letter for a reader."""


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("before", range(52, 60))
def test_a_title_is_never_cut_inside_a_letter(letter: str, before: int) -> None:
    for title in (make_title("x" * before + letter * 30), clean_title("x" * before + letter * 30)):
        assert len(title) <= 60
        rest = title.removeprefix("x" * before).removesuffix("…")
        assert rest == letter * (len(rest) // len(letter))


@given(st.lists(st.sampled_from([*LETTERS, " "]), max_size=30), st.integers(0, 40))
def test_a_cut_is_the_longest_that_ends_between_letters(letters: list[str], limit: int) -> None:
    text = "".join(letters)
    part = cut(text, limit)
    assert text.startswith(part)
    if limit >= 7:
        lengths = [len("".join(letters[:count])) for count in range(len(letters) + 1)]
        flags = FLAG in letters  # two flags next to each other are four symbols that pair up from the beginning
        assert flags or len(part) == max(length for length in lengths if length <= limit)


def test_a_letter_with_more_accents_than_fit_is_cut() -> None:
    assert cut("e" + "\u0301" * 100, 10) == "e" + "\u0301" * 9
    assert cluster_at("ab" + FAMILY + "c", 4) == (2, 7)


@pytest.mark.parametrize(
    "title", ["", " ", "\u200b\u200d\ufeff", "\u2060 \u00ad\u034f", "\u3164\u2800", "\U000e0041\u200e"]
)
def test_a_title_of_which_nothing_can_be_seen_is_none(title: str) -> None:
    assert normalize_title(title) == make_title(title) == clean_title(title) == ""


def test_a_title_that_can_be_seen_keeps_its_joiners() -> None:
    assert normalize_title(f" {FAMILY}\n\u0646\u200c\u0627 ") == f"{FAMILY} \u0646\u200c\u0627"


@pytest.mark.django_db
def test_a_conversation_with_an_invisible_title_gets_one_from_its_first_message(people: dict[str, Any]) -> None:
    made = store.create_conversation(people["ada"], "\u200b")
    assert made.title == ""
    changes = store.ConversationChanges(title="\u200b\u2060")
    assert store.change_conversation(people["ada"].pk, made.id, changes).title == ""
    room = Conversation.objects.get(pk=made.id)
    post(people["ada"], room, "\u200b")
    post(people["ada"], room, "Hello")
    assert Conversation.objects.get(pk=made.id).title == "Hello"


@pytest.mark.parametrize("mark", ["\u0301", "\u034f", "\u200c", "\ufe0f", "\u202e", "\U0001f3fb", "\u0e31", "\u0e33"])
def test_no_letter_is_shown_with_more_marks_than_unicode_allows(mark: str) -> None:
    assert limit_marks(f"a{mark * 1000}b") == f"a{mark * 30}b"


def test_what_people_write_is_shown_whole() -> None:
    assert limit_marks("".join(LETTERS) * 50) == "".join(LETTERS) * 50


@given(st.lists(st.sampled_from(["A line.\n", "A sentence. ", "word ", "w" * 3000, *LETTERS]), max_size=20))
def test_the_pieces_of_a_text_are_the_text(parts: list[str]) -> None:
    text = "".join(part * 300 for part in parts)
    pieces = list(split_pieces(text))
    assert "".join(pieces) == text
    assert all(len(piece) <= PIECE_CHARS for piece in pieces)
