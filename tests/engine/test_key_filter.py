"""A provider's key in its own answer is masked, however it is cut into deltas."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Agent, Finish, Replay, TextDelta, ThinkingDelta, ToolCall, run_stream
from chat.engine.providers.key_filter import KeyFilter
from chat.engine.providers.provider import Completion
from chat.engine.providers.recording import Recording, recording

from ..support.upstream import Upstream
from .conftest import KEY
from .responses import STOP, delta, sse


def filtered(pieces: list[str], key: str = KEY) -> list[str]:
    keys = KeyFilter(key)
    passed = [each for piece in pieces for each in keys.feed([TextDelta(piece)])]
    return [each.text for each in [*passed, *keys.flush()] if isinstance(each, TextDelta)]


@pytest.mark.hypothesis
@given(st.lists(st.sampled_from(["a", "b", "ab", "aab", "aabab", "c", ""])), st.integers(0, 3))
def test_no_cut_lets_the_key_through_or_changes_anything_else(pieces: list[str], repeats: int) -> None:
    key = "aabab" * 4  # its beginning occurs again inside it
    whole = "".join([*pieces, key * repeats, *pieces])
    for size in (1, 2, 7, 19, 20, 21):
        passed = filtered([whole[start : start + size] for start in range(0, len(whole), size)], key)
        assert "".join(passed) == whole.replace(key, "***")


def test_words_that_cannot_begin_the_key_are_not_held_back() -> None:
    assert filtered(["One ", "sk-two", " three"]) == ["One ", "sk-two", " three"]
    assert filtered(["is", " it"]) == ["i", "s it"], "only its end, until the next delta"


def test_text_and_thinking_do_not_mix() -> None:
    keys = KeyFilter(KEY)
    given: list[TextDelta | ThinkingDelta | ToolCall] = [TextDelta(KEY[:5]), ThinkingDelta(KEY[5:]), TextDelta("x")]
    assert [*keys.feed(given), *keys.flush()] == given


def test_short_keys_of_local_servers_are_words() -> None:
    assert filtered(["ask ollama"], "ollama") == ["ask ollama"]


def test_calls_and_the_end_of_an_answer_are_masked() -> None:
    keys = KeyFilter(KEY)
    call = ToolCall("1", "send", {"to": [{"x": f"key {KEY}"}]}, '{"to":[{"x":"key \\u0073%s"}]}' % KEY[1:])
    (masked,) = keys.feed([call])
    assert masked == ToolCall("1", "send", {"to": [{"x": "key ***"}]}, '{"to":[{"x":"key ***"}]}')
    (unreadable,) = keys.feed([ToolCall("1", "send", None, f'{{"{KEY}')])
    assert unreadable == ToolCall("1", "send", None, '{"***')
    end = keys.mask(Completion(KEY, None, f"No, {KEY}", Replay("openai", [{"a": KEY, KEY: 1}])))
    assert end == Completion("***", None, "No, ***", Replay("openai", [{"a": "***", "***": 1}]))


def test_nothing_of_a_run_holds_a_key_that_the_provider_echoes(
    provider: Upstream, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    pieces = [delta(content=f"It is {KEY[:9]}"), delta(content=KEY[9:15]), delta(content=f"{KEY[15:]}, is it")]
    provider.script("echoes", sse(*pieces, delta(refusal=KEY), STOP))
    tape = Recording()

    async def ask() -> list[Any]:
        recording.set(tape)
        return [event async for event in run_stream(agent("echoes"), "Hello")]

    events = asyncio.run(ask())
    end = events[-1]
    assert isinstance(end, Finish)
    assert end.result.text == "It is ***, is it"
    assert end.result.refusal == "***"
    assert KEY not in repr(events)
    with pytest.raises(ValueError, match="contains the key"):
        tape.write(tmp_path / "tape", end.result)
    assert list(tmp_path.iterdir()) == []
