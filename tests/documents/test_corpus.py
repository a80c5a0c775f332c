"""Edits in the manner of real models: nearly all are made as they are meant, and none is silently wrong."""

from collections import Counter

import pytest

from chat.documents.search_replace import EditFailed, find_place, find_replacement

from .corpus import Case, cases

CASES = list(cases())


def apply(case: Case) -> str | None:
    try:
        return find_replacement(case.text, case.search, case.replace).apply(case.text)
    except EditFailed:
        return None


def test_the_corpus_has_many_different_edits() -> None:
    assert len({(case.text, case.search, case.replace) for case in CASES}) >= 200
    assert sum(case.meant is None for case in CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_edit_is_silently_wrong(case: Case) -> None:
    made = apply(case)
    assert made is None or made == case.meant


def test_nearly_all_edits_are_made_as_they_are_meant() -> None:
    outcomes = Counter(apply(case) == case.meant for case in CASES)
    assert outcomes[True] / len(CASES) >= 0.98, [case.name for case in CASES if apply(case) != case.meant]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_growing_replacement_goes_to_the_same_place(case: Case) -> None:
    place = find_place(case.text, case.search)
    if place is None:
        return
    replace = case.replace.replace("\r\n", "\n").replace("\r", "\n")
    assert case.text[: place[0]] + replace + case.text[place[1] :] in (apply(case), case.text)
