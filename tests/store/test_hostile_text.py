"""What text can cost: nothing that a person or a model writes takes much longer to process than ordinary prose."""

import random
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chat import fulltext, graphemes
from chat.engine import exceptions, schema, structured_output
from chat.engine.providers import call_pieces, errors, json_stream, lenient_json, think_tags
from chat.store import mentions, prompts, summaries, text

LENGTH = 16_000
"""Half of the longest message. What takes quadratic time takes at least seconds for an answer of 200,000 characters."""

AGENTS = [("support", "Support"), ("research", "Deep Research")]

TOKENS = [
    *(
        "[",
        "](",
        "![a](",
        '[a](x "',
        "[^",
        "]",
        ")",
        "(",
        "`",
        "``",
        "```\n",
        "~~~\n",
        "> ",
        "<br ",
        "</sub",
        "_",
        "a_",
    ),
    *("|", " ", "\t", "\n", "@", "@deep ", "@support", "*", "~~", "$$", "#", "a", "{", "}", '"', "\\"),
    *("\u0301", "\u0327", "\u0f73", "\ufdfa", "\U0001f1e6", "\u200d", "\U0001f468\u200d", "\u0e01", "\uac01", "\u1100"),
    *("\u4e2d", "\xdf", "\u0130", "\u200b", "\ud800", "\udc80", "\u0903", "\u2028"),
    *("<think>", "</think>", " - at `$", "model ", "bearer ", "api_key", "sk-"),
]
"""What Markdown, mentions, Unicode, and the formats of providers give a meaning to."""


def hostile_texts() -> list[str]:
    """Repetitions of one token, of two, of one after another, and of one that grows. The sample is always the same."""
    found = [token * (LENGTH // len(token)) for token in TOKENS]
    found.append("".join("`" * length + " " for length in range(1, 180)))
    found.append("\n".join("~" * length for length in range(3, 180)))
    found.append("```\n" + " " * LENGTH + "x")
    found.append("\u0301" * (LENGTH // 2) + "\u0327" * (LENGTH // 2))
    choose = random.Random(13)
    for _ in range(60):
        one, other = choose.sample(TOKENS, 2)
        found += [(one + other) * (LENGTH // len(one + other)), one + other * (LENGTH // len(other) - 1) + "x"]
    return found


def _split_thoughts(text: str) -> None:
    tags = think_tags.ThinkTags()
    for start in range(0, len(text), 50):
        tags.split(text[start : start + 50])
    tags.flush()


def _join_pieces(text: str) -> None:
    pieces = call_pieces.CallPieces()
    for start in range(0, len(text), 20):
        pieces.add(0, "call", "tool", text[start : start + 20])
    pieces.tool_calls()


def _read_objects(text: str) -> None:
    with suppress(lenient_json.NotJSONError):
        list(json_stream.JSONStreamDecoder().decode(text.encode("utf-8", "replace")))


READERS: dict[str, Callable[[str], Any]] = {
    "index": fulltext.make_index_text,
    "query": fulltext.parse_query,
    "excerpt": lambda text: fulltext.make_excerpt(text, ["support", "zz"]),
    "excerpt of itself": lambda text: fulltext.make_excerpt(text, fulltext.parse_query(text[-60:])),
    "Markdown": fulltext.strip_markdown,
    "mentions": lambda text: mentions.find_mentions("@" + text, AGENTS),
    "cut": lambda text: graphemes.cut(text, len(text) - 1),
    "cluster": lambda text: graphemes.cluster_at(text, len(text) - 1),
    "title": text.make_title,
    "title of a model": summaries.clean_title,
    "stored text": text.sanitize_text,
    "stored JSON": lambda given: text.sanitize_json({text.sanitize_text(given): given.encode("utf-8", "replace")}),
    "quote": prompts._quote,
    "structured output": structured_output._without_fence,
    "refused arguments": schema._with_path_first,
    "masked error": exceptions.mask,
    "reported error": lambda text: errors.ProviderErrors("a", "b", "c", "d", "key").in_stream({"message": text}),
    "halves": lenient_json.join_halves,
    "thoughts": _split_thoughts,
    "call in pieces": _join_pieces,
    "JSON": _read_objects,
}
"""Everything that reads such a text character by character, or with a pattern."""


@pytest.mark.parametrize("name", READERS)
def test_no_text_costs_much_more_than_ordinary_prose(name: str) -> None:
    """The unit is what it takes to index prose of the same length, in CPU time of this process. A linear reader takes
    less than 6 units whatever it reads, a quadratic one hundreds. A disturbance would have to hit three times in a row.
    """
    read = READERS[name]
    prose = ("An ordinary sentence, by @support, with a [link](https://example.org) and `code`. " * 200)[:LENGTH]
    unit = min(_cost(fulltext.make_index_text, prose) for _ in range(3))
    for hostile in hostile_texts():
        costs = [_cost(read, hostile)]
        while costs[-1] > 20 * unit and len(costs) < 3:
            costs.append(_cost(read, hostile))
        assert min(costs) <= 20 * unit, f"{min(costs) / unit:.0f} units for {hostile[:30]!a}"


def _cost(read: Callable[[str], Any], text: str) -> float:
    began = time.process_time()
    read(text)
    return time.process_time() - began


def test_a_text_grows_little_when_it_is_folded() -> None:
    for hostile in hostile_texts():
        assert len(fulltext.fold(hostile)) <= 4 * len(hostile) + 100
    many_words = " ".join(map(str, range(200_000)))
    assert len(fulltext.make_index_text(many_words)) <= fulltext.MAX_INDEXED_CHARS
    assert len("\ufdfa" * 1000) * 18 == len(unicodedata.normalize("NFKD", "\ufdfa" * 1000)), "which would be more"


def test_folding_piece_by_piece_gives_what_folding_the_whole_text_gives() -> None:
    for hostile in hostile_texts():
        given = hostile[:300]
        whole = unicodedata.normalize("NFKD", given.casefold())
        whole = "".join(char for char in whole if not unicodedata.combining(char))
        assert fulltext.fold(given) == whole[: 4 * len(given) + 100]


def test_the_words_of_ligatures_and_of_korean_are_indexed_whole() -> None:
    assert [len(word) for word in fulltext.make_index_text("\ufdfa").split()] == [3, 4, 4, 4]
    korean = " ".join(f"\ub2e8\uc5b4{number}" for number in range(5000))
    assert len(fulltext.make_index_text(korean).split()) == 5000
