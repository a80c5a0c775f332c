"""When a process may take the others' runs, and when it has to fear that they took its own."""

from typing import Any

import pytest

from chat.runs.liveness import TICK, Liveness

TIMEOUT = 10.0


@pytest.fixture(autouse=True)
def timeout(settings: Any) -> None:
    settings.NOUS_CHAT = {"HOST_TIMEOUT": TIMEOUT}


def live(liveness: Liveness, since: float, until: float, database: bool = True) -> float:
    """Tick every second, with the database answering or not; returns the time."""
    now = since
    while now <= until:
        liveness.tick(now)
        if database:
            liveness.beat(now, now + 0.01)
        now += TICK
    return now - TICK


def test_a_process_judges_others_when_it_has_been_in_touch_long_enough() -> None:
    liveness = Liveness(0)
    live(liveness, 0, TIMEOUT - 1)
    assert not liveness.may_reap(TIMEOUT - 1)
    assert liveness.may_reap(live(liveness, TIMEOUT, TIMEOUT + 1))


def test_after_an_outage_it_waits_until_the_others_have_had_their_time() -> None:
    liveness = Liveness(0)
    assert liveness.may_reap(live(liveness, 0, 20))
    now = live(liveness, 21, 36, database=False)
    assert not liveness.may_reap(now), "it does not know anything"
    now = live(liveness, 37, 38)
    assert not liveness.may_reap(now), "the others' heartbeats are as old as its own were"
    assert liveness.may_reap(live(liveness, 39, 37 + TIMEOUT + 1))


def test_a_hiccup_does_not_matter() -> None:
    liveness = Liveness(0)
    live(liveness, 0, 20)
    live(liveness, 21, 23, database=False)
    assert liveness.may_reap(live(liveness, 24, 24))


def test_who_stood_still_is_frozen_until_a_heartbeat_that_was_asked_for_after_it() -> None:
    liveness = Liveness(0)
    now = live(liveness, 0, 5)
    assert not liveness.frozen(now + 1)
    assert liveness.frozen(now + 60), "before the first tick after it, too"
    assert liveness.tick(now + 60)
    liveness.beat(now, now + 60.1)
    assert liveness.frozen(now + 60.2), "that answer is from before"
    liveness.beat(now + 60.5, now + 60.6)
    assert not liveness.frozen(now + 60.7)
    assert not liveness.may_reap(now + 61)


def test_a_database_that_hangs_is_no_frozen_process() -> None:
    liveness = Liveness(0)
    now = live(liveness, 0, 60, database=False)
    assert not liveness.frozen(now)
    assert liveness.database_away(now)


def test_lost_messages_to_oneself_are_counted() -> None:
    liveness = Liveness(0)
    assert liveness.echo(1, 1) == 0
    assert liveness.echo(2, 2) == 0
    assert liveness.echo(5, 3) == 2
    assert liveness.echo(5, 4) == 0, "twice is not lost"
    assert not liveness.layer_away(6)
    assert liveness.layer_away(8)
