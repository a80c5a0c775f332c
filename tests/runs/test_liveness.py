"""Liveness: when a process may reap the runs of others, and when it may have lost its own."""

from typing import Any

import pytest

from chat.runs.liveness import TICK, Liveness

TIMEOUT = 10.0


@pytest.fixture(autouse=True)
def host_timeout(settings: Any) -> None:
    settings.NOUS_CHAT = {"HOST_TIMEOUT": TIMEOUT}


def tick(liveness: Liveness, since: float, until: float, database: bool = True) -> float:
    """Tick every TICK, with heartbeats if the database answers. Returns the time of the last tick."""
    now = since
    while now <= until:
        liveness.tick(now)
        if database:
            liveness.beat(now, now + 0.01)
        now += TICK
    return now - TICK


def test_a_process_may_reap_after_a_whole_timeout_of_regular_heartbeats() -> None:
    liveness = Liveness(0)
    tick(liveness, 0, TIMEOUT - 1)
    assert not liveness.may_reap(TIMEOUT - 1)
    assert liveness.may_reap(tick(liveness, TIMEOUT, TIMEOUT + 1))


def test_a_process_waits_for_the_heartbeats_of_others_after_an_outage() -> None:
    liveness = Liveness(0)
    assert liveness.may_reap(tick(liveness, 0, 20))
    now = tick(liveness, 21, 36, database=False)
    assert not liveness.may_reap(now), "it cannot know anything"
    now = tick(liveness, 37, 38)
    assert not liveness.may_reap(now), "the heartbeats of others are as old as its own were"
    assert liveness.may_reap(tick(liveness, 39, 37 + TIMEOUT + 1))


def test_a_short_outage_does_not_matter() -> None:
    liveness = Liveness(0)
    tick(liveness, 0, 20)
    tick(liveness, 21, 23, database=False)
    assert liveness.may_reap(tick(liveness, 24, 24))


def test_a_process_is_frozen_until_a_heartbeat_that_began_after_it_woke_up() -> None:
    liveness = Liveness(0)
    now = tick(liveness, 0, 5)
    assert not liveness.frozen(now + 1)
    assert liveness.frozen(now + 60), "before the first tick as well"
    assert liveness.tick(now + 60)
    liveness.beat(now, now + 60.1)
    assert liveness.frozen(now + 60.2), "that heartbeat began before the freeze"
    liveness.beat(now + 60.5, now + 60.6)
    assert not liveness.frozen(now + 60.7)
    assert not liveness.may_reap(now + 61)


def test_a_hanging_database_does_not_make_a_process_frozen() -> None:
    liveness = Liveness(0)
    now = tick(liveness, 0, 60, database=False)
    assert not liveness.frozen(now)
    assert liveness.database_away(now)


def test_lost_messages_to_itself_are_counted() -> None:
    liveness = Liveness(0)
    assert liveness.echo(0, 1, 1) == 0
    assert liveness.echo(0, 2, 2) == 0
    assert liveness.echo(0, 5, 3) == 2
    assert liveness.echo(0, 5, 4) == 0, "a duplicate is not a lost message"
    assert not liveness.layer_away(0, 6)
    assert liveness.layer_away(0, 8)


def test_a_server_of_the_layer_that_is_away_says_nothing_about_another_one() -> None:
    liveness = Liveness(0)
    for at in range(1, 10):
        assert liveness.echo(1, at, at) == 0
    assert liveness.layer_away(0, 9)
    assert not liveness.layer_away(1, 9)
    assert liveness.echo(0, 10, 10) == 9
    assert not liveness.layer_away(0, 10)
