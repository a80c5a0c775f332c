from collections.abc import Iterator
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Coalescer, TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from chat.engine.coalesce import merge_adjacent

Delta = TextDelta | ThinkingDelta


def steady(coalescer: Coalescer, start: float, seconds: float, every: float, text: str = "abc") -> list[float]:
    """Add deltas at a steady pace, with a caller that is never late. Returns the times at which it took something."""
    arrivals: list[tuple[float, Delta]] = [(start + i * every, TextDelta(text)) for i in range(int(seconds / every))]
    return [now for now, _ in drive(coalescer, arrivals)]


def drive(
    coalescer: Coalescer, arrivals: list[tuple[float, Delta]], late: float = 0
) -> Iterator[tuple[float, list[Delta]]]:
    """The deltas taken, with their times, if the caller takes `late` seconds after they are due."""
    due: float | None = None
    for at, event in arrivals:
        while due is not None and due + late <= at:
            now = due + late
            yield now, coalescer.take(now)
            wait = coalescer.due(now)
            due = None if wait is None else now + wait
        coalescer.add(event, at)
        wait = coalescer.due(at)
        due = None if wait is None else at + wait if due is None else min(due, at + wait)
    if due is not None:
        yield due + late, coalescer.take(due + late)


def test_the_first_delta_is_due_at_once() -> None:
    coalescer = Coalescer()
    assert coalescer.due(0) is None
    coalescer.add(TextDelta("a"), 0)
    assert coalescer.due(0) == 0
    assert coalescer.take(0) == [TextDelta("a")]
    assert coalescer.due(0) is None
    assert coalescer.take(0) == []


def test_a_frame_is_due_after_forty_milliseconds() -> None:
    coalescer = Coalescer()
    coalescer.add(TextDelta("a"), 0)
    coalescer.take(0)
    coalescer.add(TextDelta("b"), 0.010)
    assert coalescer.due(0.010) == pytest.approx(0.030)
    coalescer.add(TextDelta("c"), 0.030)
    assert coalescer.due(0.030) == pytest.approx(0.010)
    assert coalescer.due(0.040) == 0
    assert coalescer.take(0.040) == [TextDelta("bc")]


def test_a_frame_is_due_at_fifty_characters_but_not_before_the_minimum_gap() -> None:
    coalescer = Coalescer()
    coalescer.add(TextDelta("a"), 0)
    coalescer.take(0)
    coalescer.add(TextDelta("x" * 60), 0.001)
    assert coalescer.due(0.001) == pytest.approx(0.015)
    coalescer.take(0.016)
    coalescer.add(TextDelta("x" * 60), 0.036)
    assert coalescer.due(0.036) == 0


def test_the_first_delta_after_a_pause_is_due_at_once() -> None:
    coalescer = Coalescer()
    coalescer.add(TextDelta("a"), 0)
    coalescer.take(0)
    coalescer.add(TextDelta("b"), 5)
    assert coalescer.due(5) == 0


def test_text_and_thinking_keep_their_order_and_adjacent_deltas_merge() -> None:
    coalescer = Coalescer()
    deltas: list[TextDelta | ThinkingDelta] = [
        *(ThinkingDelta("a"), ThinkingDelta("b"), TextDelta("c")),
        *(ThinkingDelta("d"), TextDelta(""), TextDelta("e")),
    ]
    for event in deltas:
        coalescer.add(event, 0)
    assert coalescer.held == 5
    assert coalescer.take(0) == [ThinkingDelta("ab"), TextDelta("c"), ThinkingDelta("d"), TextDelta("e")]
    assert coalescer.held == 0


def test_what_one_read_has_brought_keeps_its_order() -> None:
    call = ToolCall("1", "pay", {})
    read = [TextDelta("a"), TextDelta("b"), ThinkingDelta("c"), call, call, TextDelta("d"), TextDelta("e")]
    assert merge_adjacent(read) == [TextDelta("ab"), ThinkingDelta("c"), call, call, TextDelta("de")]


def test_the_arguments_of_each_call_are_merged_for_themselves() -> None:
    first, second = (ToolCallDelta(number, "create_document", "ab") for number in "12")
    merged = [ToolCallDelta(number, "create_document", "abab") for number in "12"]
    assert merge_adjacent([first, first, second, second, TextDelta("c")]) == [*merged, TextDelta("c")]


def test_fifty_deltas_a_second_make_twenty_five_frames() -> None:
    assert len(steady(Coalescer(), 0, 1, every=0.020)) == pytest.approx(25, abs=1)


def test_under_load_the_interval_grows_at_once_and_shrinks_slowly() -> None:
    coalescer = Coalescer()
    coalescer.add(TextDelta("a"), 0)
    coalescer.take(0.060)  # 60 ms late
    coalescer.add(TextDelta("b"), 0.060)
    assert coalescer.due(0.060) == pytest.approx(0.100)
    coalescer.add(TextDelta("x" * 100), 0.060)
    assert coalescer.due(0.060) == pytest.approx(0.100)  # the limit of characters grows in proportion
    coalescer.take(0.160)
    times = steady(coalescer, 0.161, 6, every=0.002, text="a")
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[0] > 0.09
    assert gaps[5] > 0.07
    assert gaps[-1] < 0.045


def test_an_early_take_does_not_change_the_interval() -> None:
    coalescer = Coalescer()
    coalescer.add(TextDelta("a"), 0)
    coalescer.take(0)
    coalescer.add(TextDelta("b"), 0.001)
    assert coalescer.take(0.002) == [TextDelta("b")]
    coalescer.add(TextDelta("c"), 0.003)
    assert coalescer.due(0.003) == pytest.approx(0.039)


deltas = st.builds(lambda kind, text: kind(text), st.sampled_from([TextDelta, ThinkingDelta]), st.text(max_size=70))
arriving = st.lists(st.tuples(st.floats(0, 0.2), deltas), max_size=60)


@given(arriving, st.floats(0, 0.15))
def test_no_text_is_lost_or_reordered_and_the_limits_hold(gaps: list[tuple[float, Delta]], late: float) -> None:
    now, arrivals = 0.0, []
    for gap, event in gaps:
        now += gap
        arrivals.append((now, event))
    frames = list(drive(Coalescer(), arrivals, late))

    def merged(events: list[Delta]) -> list[tuple[type, str]]:
        kept = [event for event in events if event.text]
        return [(kind, "".join(e.text for e in group)) for kind, group in groupby(kept, key=type)]

    assert merged([event for _, frame in frames for event in frame]) == merged([event for _, event in arrivals])
    times = [at for at, _ in frames]
    assert all(b - a >= 0.016 - 1e-6 for a, b in pairwise(times))
    waiting = [at for at, event in arrivals if event.text]
    for at in waiting:
        leaves = next(time for time in times if time >= at)
        assert leaves - at <= 0.100 + late + 1e-6
