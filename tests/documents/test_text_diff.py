"""The difference of two texts is right for any two, small for similar ones, and found in bounded time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.documents import text_diff
from chat.documents.changesets import ChangeSet
from chat.documents.text_diff import diff_texts

TEXTS = st.lists(st.sampled_from(["a", "b", "😀", "ä", "\u2028", "a b"]), max_size=12).map("\n".join)


@given(TEXTS, TEXTS)
def test_it_makes_the_new_text_of_the_old_one(old: str, new: str) -> None:
    assert diff_texts(old, new).apply(old) == new


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("", "", []),
        ("a", "a", [1]),
        ("", "a\nb", [[0, "a", "b"]]),
        ("one\ntwo\nthree", "one\nthree", [4, [4], 5]),
        ("one\n😀 two\nthree", "one\n😀 too\nthree", [8, [1, "o"], 7]),
        ("one\ntwo\nthree", "one!\nTwo\nthree", [3, [0, "!"], 1, [1, "T"], 8]),
        ("a\nb\nc\nd\ne", "a\nB\nc\nD\ne", [2, [1, "B"], 3, [1, "D"], 2]),
    ],
)
def test_it_keeps_what_both_have(old: str, new: str, changes: list[object]) -> None:
    assert diff_texts(old, new).to_json() == changes


def test_it_deletes_and_inserts_as_few_lines_as_possible() -> None:
    old = "\n".join("abcabba")
    assert sum(count for count, text in diff_texts(old, "\n".join("cbabac")).sections if text is not None) <= 10


@pytest.mark.parametrize("limit", ["MAX_EDITS", "MAX_STEPS"])
def test_beyond_its_limits_it_replaces_everything_between(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_diff, limit, 1)
    old, new = "x\na\nb\nc\nd\ny", "x\n1\nb\n2\nd\n3\ny"
    changes = diff_texts(old, new)
    assert changes == ChangeSet.parse([2, [7, "1", "b", "2", "d", "3"], 2])
    assert changes.apply(old) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\n" * 250_000, "b\n" * 250_000),
        ("a\nb\n" * 60_000, "b\na\n" * 60_000 + "c"),
        ("a" * 500_000, "b" + "a" * 500_000),
        ("".join(f"{n}\n" for n in range(50_000)), "".join(f"{n * 7 % 50_000}\n" for n in range(50_000))),
    ],
)
def test_hostile_texts_take_bounded_time(old: str, new: str) -> None:
    began = time.process_time()
    assert diff_texts(old, new).apply(old) == new
    assert time.process_time() - began < 5
