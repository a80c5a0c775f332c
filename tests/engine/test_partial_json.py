"""The reader of partial JSON gives the same texts as a whole reader, however the pieces are cut, in linear time."""

import json
import random
import time
from typing import Any

import pytest

from chat.engine.partial_json import BrokenJSONError, PartialJSONReader, Path, StringPart


def read(pieces: list[str]) -> tuple[dict[Path, str], bool]:
    """The texts by their paths, and whether the object has ended."""
    reader = PartialJSONReader()
    texts: dict[Path, str] = {}
    ended: set[Path] = set()
    for piece in pieces:
        for path, text, ends in reader.feed(piece):
            assert path not in ended
            texts[path] = texts.get(path, "") + text
            if ends:
                ended.add(path)
    assert not reader.complete or ended == set(texts)
    return texts, reader.complete


def flatten(value: Any, path: Path = ()) -> dict[Path, str]:
    if isinstance(value, str):
        return {path: value}
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {key: text for name, inner in items for key, text in flatten(inner, (*path, name)).items()}


def make_value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(7 if depth else 4)
    if kind <= 1:
        return "".join(chance.choice('ab "\\/\n\t\x01é😀\u2028{}[]:,') for _ in range(chance.randrange(9)))
    if kind == 2:
        return chance.choice([None, True, False, 0, -1, 3.5, 1e30, 123456789])
    if kind <= 4:
        return [make_value(chance, depth - 1) for _ in range(chance.randrange(4))] if depth else "x"
    return {f"k{number}\n😀": make_value(chance, depth - 1) for number in range(chance.randrange(4))}


def test_texts_grow_as_they_are_written() -> None:
    reader = PartialJSONReader()
    assert list(reader.feed('{"title": "Pl')) == [StringPart(("title",), "Pl", False)]
    assert list(reader.feed('an", "edits": [{"search": "a\\')) == [
        StringPart(("title",), "an", True),
        StringPart(("edits", 0, "search"), "a", False),
    ]
    assert list(reader.feed("nb\\ud83d")) == [StringPart(("edits", 0, "search"), "\nb", False)]
    assert list(reader.feed('\\ude00", "replace": ""}, {"search"')) == [
        StringPart(("edits", 0, "search"), "😀", True),
        StringPart(("edits", 0, "replace"), "", True),
    ]
    assert list(reader.feed(': "c"}], "n": 1')) == [StringPart(("edits", 1, "search"), "c", True)]
    assert not reader.complete
    assert list(reader.feed('2.5e3, "x": true}  ')) == []
    assert reader.complete


@pytest.mark.parametrize("ascii_only", [True, False])
def test_all_texts_are_those_of_a_whole_reader(ascii_only: bool) -> None:
    chance = random.Random(2)
    for _ in range(1500):
        value = {f"k{number}": make_value(chance, 3) for number in range(3)}
        raw = json.dumps(value, ensure_ascii=ascii_only, indent=chance.choice([None, 1]))
        cuts = sorted(chance.randrange(len(raw)) for _ in range(chance.choice([0, 3, len(raw)])))
        pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        assert read(pieces) == (flatten(value), True)
        assert read(list(raw)) == (flatten(value), True)


@pytest.mark.parametrize(
    "raw",
    [
        "[1]",
        '"text"',
        "x",
        '{"a": 1]',
        '{"a": [1}',
        '{"a" 1}',
        '{"a": }',
        '{"a": 1,}',
        '{"a": [1,]}',
        "{,}",
        '{"a": "b" "c"}',
        '{"a": "1", "a": "2"}',
        '{"a": truth}',
        '{"a": 01}',
        '{"a": "\\x"}',
        '{"a": "\\u12g4"}',
        '{"a": "\\ud83d"}',
        '{"a": "\\ud83dx"}',
        '{"a": "\\ud83d\\n"}',
        '{"a": "\\ude00"}',
        '{"a": "\\ud83d\\ud83d\\ude00"}',
        '{"a": 1}{',
        '{"a":' + "[" * 40,
        '{"a": ' + "1" * 101,
    ],
)
def test_what_is_no_object_is_broken(raw: str) -> None:
    for pieces in ([raw], list(raw)):
        with pytest.raises(BrokenJSONError):
            read(pieces)


def test_the_texts_before_a_fault_are_given() -> None:
    texts = []
    with pytest.raises(BrokenJSONError):
        for part in PartialJSONReader().feed('{"a": "one", "b": "two\\x"}'):
            texts.append(part.text)
    assert texts == ["one"]


def test_every_beginning_of_an_object_is_read() -> None:
    raw = json.dumps({"a": "x\n😀", "b": [1, {"c": "\\u"}], "d": None, "e": -1.5})
    for end in range(len(raw)):
        texts, complete = read(list(raw[:end]))
        assert not complete
        assert "\n😀".startswith(texts.get(("a",), "x")[1:])


def test_its_time_is_in_proportion_to_the_length() -> None:
    def cost(chars: int) -> float:
        raw = json.dumps({"text": 'say "hi"\n' * (chars // 9)})
        pieces = [raw[at : at + 7] for at in range(0, len(raw), 7)]
        began = time.process_time()
        read_all(pieces)
        return time.process_time() - began

    def read_all(pieces: list[str]) -> None:
        reader = PartialJSONReader()
        for piece in pieces:
            for _ in reader.feed(piece):
                pass
        assert reader.complete

    cost(20_000)
    assert min(cost(400_000) for _ in range(3)) < 40 * min(cost(40_000) for _ in range(3))
