"""Change sets do to a text what CodeMirror does, and refuse what does not fit."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chat.documents.changesets import ChangeSet, InvalidChange, units

HERE = Path(__file__).parent
NODE = shutil.which("node")
IS_INSTALLED = NODE is not None and (HERE.parents[1] / "node_modules" / "@codemirror" / "state").exists()


@pytest.mark.skipif(not IS_INSTALLED, reason="Node.js or @codemirror/state is not installed")
def test_changes_have_the_same_effect_as_in_codemirror() -> None:
    assert NODE is not None
    made = subprocess.run([NODE, HERE / "changesets.js", "16", "4000"], capture_output=True, check=True, timeout=60)
    cases = [json.loads(line) for line in made.stdout.decode("utf-8").split("\n") if line]
    assert len(cases) == 4000
    for case in cases:
        a, b = ChangeSet.parse(case["a"]), ChangeSet.parse(case["b"])
        assert a.to_json() == case["a"]
        assert a.apply(case["document"]) == case["applied"]
        assert (a.length, a.new_length) == (units(case["document"]), units(case["applied"]))
        assert a.map(b).to_json() == case["after"]
        assert a.map(b, before=True).to_json() == case["before"]
        assert a.map(b).apply(b.apply(case["document"])) == case["merged"]
        # Whoever comes first, both end with the same text.
        assert b.map(a, before=True).apply(a.apply(case["document"])) == case["merged"]


@pytest.mark.skipif(not IS_INSTALLED, reason="Node.js or @codemirror/state is not installed")
def test_a_client_rebases_as_the_docs_show() -> None:
    assert NODE is not None
    page = (HERE.parents[1] / "docs" / "documents.md").read_text("utf-8")
    (snippet,) = re.findall(r"```js\n(.*?)```", page, re.S)
    shown = subprocess.run(
        [NODE, "--input-type=module", "-e", snippet], cwd=HERE, capture_output=True, text=True, check=True, timeout=60
    )
    mine = ChangeSet.parse([7, [0, "!"]]).map(ChangeSet.parse([[0, "zero", ""], 7]))
    assert shown.stdout == f"{json.dumps(mine.to_json(), separators=(',', ':'))}\nzero\none\ntwo!\n"


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        "3",
        [None],
        [-1],
        [1.0],
        [True],
        [[]],
        [["a"]],
        [[-1, "a"]],
        [[True, "a"]],
        [[1, 2]],
        [[1, None]],
        [[1, ["a"]]],
        [[0, "a\nb"]],
        [[0, "a\rb"]],
        [[0, "\x00"]],
        [[0, "\ud83d"]],
        [[[[[[[0]]]]]]],
    ],
)
def test_what_is_no_change_set_is_refused(given: Any) -> None:
    with pytest.raises(InvalidChange):
        ChangeSet.parse(given)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("abc", [2]),
        ("abc", [4]),
        ("abc", []),
        ("abc", [10**30]),
        ("", [[1]]),
        ("a😀b", [3]),  # counts characters instead of units
        ("a😀b", [2, [1], 1]),
        ("a😀b", [2, [0, "x"], 2]),
        ("😀😁", [1, [2], 1]),  # would join the halves of two
    ],
)
def test_a_change_that_does_not_fit_the_text_is_refused(text: str, changes: Any) -> None:
    with pytest.raises(InvalidChange):
        ChangeSet.parse(changes).apply(text)


def test_changes_for_texts_of_other_lengths_are_not_mapped() -> None:
    with pytest.raises(InvalidChange):
        ChangeSet.parse([3]).map(ChangeSet.parse([4]))
    with pytest.raises(InvalidChange):
        ChangeSet.replace(3, [(2, 4, "x")])
    with pytest.raises(InvalidChange):
        ChangeSet.replace(9, [(4, 5, "x"), (2, 3, "y")])


def test_replacements_become_sections() -> None:
    made = ChangeSet.replace(6, [(1, 2, "x\ny"), (2, 4, "")])
    assert made.to_json() == [1, [1, "x", "y"], [2], 2]
    assert made.apply("abcdef") == "ax\nyef"
    assert ChangeSet.replace(3, []).is_empty
    assert not made.is_empty


def test_large_changes_take_linear_time() -> None:
    """In quadratic time, each of these would take far longer than the suite allows."""
    count = 20_000
    text = "a😀" * count
    change = ChangeSet.parse([[1, "b", "c"], 2] * count)
    assert len(change.apply(text)) == 4 * count
    assert change.map(change).new_length == 8 * count
    insertions = ChangeSet.parse([[0, "x"], 1] * count)
    assert insertions.map(ChangeSet.parse([[count]])).to_json() == [[0, "x" * count]]
    assert ChangeSet.parse([[0, "x"]] * count).to_json() == [[0, "x" * count]]
    assert ChangeSet.parse([1] * count).to_json() == [count]
