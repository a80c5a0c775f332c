"""What a model is told of changes: a unified diff that is never longer than it may be."""

import difflib
import random
import time

from chat.documents.unified_diff import make_unified_diff


def test_it_shows_the_lines_around_each_change() -> None:
    old = "\n".join(f"line {number}" for number in range(30))
    new = old.replace("line 3\n", "three\n").replace("line 20\n", "line 20\nmore\n").replace("line 29", "line 29 end")
    shown, is_all = make_unified_diff(old, new, 1000)
    assert is_all
    assert shown == "\n".join(
        [
            *("@@ -2,5 +2,5 @@", " line 1", " line 2", "-line 3", "+three", " line 4", " line 5"),
            *("@@ -20,4 +20,5 @@", " line 19", " line 20", "+more", " line 21", " line 22"),
            *("@@ -28,3 +29,3 @@", " line 27", " line 28", "-line 29", "+line 29 end"),
        ]
    )


def test_what_does_not_fit_is_left_out_and_long_lines_are_cut() -> None:
    old = "\n".join(f"line {number}" for number in range(200))
    new = "\n".join(f"line {number}{'!' if number % 20 == 0 else ''}" for number in range(200))
    shown, is_all = make_unified_diff(old, new, 300)
    assert not is_all
    assert len(shown) <= 304
    assert shown.endswith("\n...")
    shown, is_all = make_unified_diff("a", "x" * 10_000, 5000)
    assert (is_all, len(shown) < 500) == (False, True)


def test_it_can_be_applied() -> None:
    chance = random.Random(3)
    for _ in range(300):
        old = [chance.choice("abcd") for _ in range(chance.randrange(12))]
        new = [chance.choice("abcd") for _ in range(chance.randrange(12))]
        shown, is_all = make_unified_diff("\n".join(old), "\n".join(new), 10_000)
        assert is_all
        kept = [line[1:] for line in shown.split("\n") if line[:1] in ("+", " ")]
        gone = [line[1:] for line in shown.split("\n") if line[:1] in ("-", " ")]
        expected = list(difflib.unified_diff("\n".join(old).split("\n"), "\n".join(new).split("\n"), n=2, lineterm=""))
        assert bool(shown) == bool(expected)
        assert is_in("\n".join(kept), "\n".join(new)) or not shown
        assert is_in("\n".join(gone), "\n".join(old)) or not shown


def is_in(lines: str, text: str) -> bool:
    """Whether all lines occur in the text in this order."""
    rest = iter(text.split("\n"))
    return all(line in rest for line in lines.split("\n"))


def test_two_texts_without_a_line_in_common_cost_little() -> None:
    old = "\n".join(str(number) for number in range(50_000))
    new = "\n".join(str(-number) for number in range(50_000))
    began = time.process_time()
    make_unified_diff(old, new, 4000)
    assert time.process_time() - began < 5
