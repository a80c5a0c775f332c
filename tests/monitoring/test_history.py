"""What a process keeps of its last hour: bounded, by minutes, and exact although it looks only now and then."""

from typing import Any

import pytest

from chat.metrics import METRICS, OTHER, Series
from chat.monitoring import history
from chat.monitoring.history import MAX_LABELS, MINUTES, History, Minute

START = 1_800_000_000


class Clock:
    def __init__(self) -> None:
        self.at = float(START)

    def time(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(history, "time", clock)
    return clock


def characters(value: float, model: str = "m") -> Series:
    return Series("streamed_characters_total", (model, "a"), value)


def active(value: float, model: str = "m") -> Series:
    return Series("runs_active", (model, "a"), value)


def values(minute: Minute) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in minute.series:
        found[each.name] = found.get(each.name, 0) + each.value
    return found


def test_a_minute_holds_what_was_added_and_the_highest_gauges(clock: Clock) -> None:
    kept = History()
    assert kept.all() == kept.newest() == ()
    kept.note([characters(100), active(2), active(1, "n")])
    clock.at += 20
    kept.note([characters(150), active(5), active(1, "n")])
    clock.at += 20
    kept.note([characters(180), active(0)])
    (minute,) = kept.all()
    assert (minute.at, minute.seconds) == (START, 40)
    assert values(minute)["streamed_characters_total"] == 80, "what was counted before is not of this minute"
    assert values(minute)["runs_active"] == 6
    clock.at += 25
    kept.note([characters(200), active(1)])
    before, current = kept.newest()
    assert (before.at, current.at) == (START, START + 60)
    assert values(before)["streamed_characters_total"] == 100, "nothing between two looks is lost"
    assert "streamed_characters_total" not in values(current), "what is zero is left out"
    assert values(current)["runs_active"] == 1


def test_a_histogram_is_kept_by_its_buckets(clock: Clock) -> None:
    size = len(METRICS["delta_lag_seconds"].buckets) + 1
    kept = History()
    kept.note([Series("delta_lag_seconds", (), 1.0, (1,) * size)])
    kept.note([Series("delta_lag_seconds", (), 1.5, (3,) + (1,) * (size - 1))])
    (lag,) = [each for each in kept.all()[0].series if each.name == "delta_lag_seconds"]
    assert (lag.value, lag.counts) == (0.5, (2,) + (0,) * (size - 1))


def test_it_is_bounded_in_time_and_in_labels(clock: Clock) -> None:
    kept = History()
    kept.note([])
    counts = [0.0] * 300
    for minute in range(3 * MINUTES):
        clock.at = START + 60 * minute
        counts = [count + number for number, count in enumerate(counts)]
        kept.note([characters(count, f"m{number}") for number, count in enumerate(counts)])
    minutes = kept.all()
    assert len(minutes) == MINUTES + 1
    assert minutes[-1].at - minutes[0].at == 60 * MINUTES
    series = [each for each in minutes[-2].series if each.name == "streamed_characters_total"]
    assert len(series) == MAX_LABELS
    assert sum(each.value for each in series) == sum(range(300)), "no model is lost, only its name"
    assert series[0].labels == ("m299", "a")
    assert series[-1].labels == (OTHER, OTHER)


def test_everything_that_is_kept_is_a_metric() -> None:
    kinds: dict[str, Any] = {name: METRICS[name].kind for name in (*history.ADDED, *history.HIGHEST)}
    assert {kinds[name] for name in history.ADDED} == {"counter", "histogram"}
    assert {kinds[name] for name in history.HIGHEST} == {"gauge"}
