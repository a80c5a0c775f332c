"""When a process may take the others' runs, and when it has to fear that they took its own."""

from typing import Any

import pytest

from chat.runs.liveness import TICK, Pulse

TIMEOUT = 10.0


@pytest.fixture(autouse=True)
def timeout(settings: Any) -> None:
    settings.NOUS_CHAT = {"HOST_TIMEOUT": TIMEOUT}


def live(pulse: Pulse, since: float, until: float, database: bool = True) -> float:
    """Tick every second, with the database answering or not; returns the time."""
    now = since
    while now <= until:
        pulse.tick(now)
        if database:
            pulse.beat(now, now + 0.01)
        now += TICK
    return now - TICK


def test_a_process_judges_others_when_it_has_been_in_touch_long_enough() -> None:
    pulse = Pulse(0)
    live(pulse, 0, TIMEOUT - 1)
    assert not pulse.may_judge(TIMEOUT - 1)
    assert pulse.may_judge(live(pulse, TIMEOUT, TIMEOUT + 1))


def test_after_an_outage_it_waits_until_the_others_have_had_their_time() -> None:
    pulse = Pulse(0)
    assert pulse.may_judge(live(pulse, 0, 20))
    now = live(pulse, 21, 36, database=False)
    assert not pulse.may_judge(now), "it does not know anything"
    now = live(pulse, 37, 38)
    assert not pulse.may_judge(now), "the others' heartbeats are as old as its own were"
    assert pulse.may_judge(live(pulse, 39, 37 + TIMEOUT + 1))


def test_a_hiccup_does_not_matter() -> None:
    pulse = Pulse(0)
    live(pulse, 0, 20)
    live(pulse, 21, 23, database=False)
    assert pulse.may_judge(live(pulse, 24, 24))


def test_who_stood_still_is_frozen_until_a_heartbeat_that_was_asked_for_after_it() -> None:
    pulse = Pulse(0)
    now = live(pulse, 0, 5)
    assert not pulse.frozen(now + 1)
    assert pulse.frozen(now + 60), "before the first tick after it, too"
    assert pulse.tick(now + 60)
    pulse.beat(now, now + 60.1)
    assert pulse.frozen(now + 60.2), "that answer is from before"
    pulse.beat(now + 60.5, now + 60.6)
    assert not pulse.frozen(now + 60.7)
    assert not pulse.may_judge(now + 61)


def test_a_database_that_hangs_is_no_frozen_process() -> None:
    pulse = Pulse(0)
    now = live(pulse, 0, 60, database=False)
    assert not pulse.frozen(now)
    assert pulse.database_away(now)


def test_lost_messages_to_oneself_are_counted() -> None:
    pulse = Pulse(0)
    assert pulse.echo(1, 1) == 0
    assert pulse.echo(2, 2) == 0
    assert pulse.echo(5, 3) == 2
    assert pulse.echo(5, 4) == 0, "twice is not lost"
    assert not pulse.layer_away(6)
    assert pulse.layer_away(8)
