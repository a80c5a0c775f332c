"""Flow control: a socket's reader may be at most LIMIT characters behind."""

from chat.consumers.flow_control import LIMIT, PATIENCE, FlowControl

RUN, OTHER = "a" * 32, "b" * 32


def test_everything_is_admitted_while_the_reader_keeps_up() -> None:
    flow = FlowControl()
    for seq in range(1, 2000):
        assert flow.admit(RUN, seq, 1000, 0.0)
        assert not flow.acknowledge(RUN, seq)


def test_a_reader_who_is_not_behind_gets_a_frame_of_any_size() -> None:
    """A withheld first frame would keep them waiting: they have nothing to acknowledge."""
    flow = FlowControl()
    assert flow.admit(RUN, 1, 2 * LIMIT, 0.0)
    assert not flow.admit(RUN, 2, 1, 0.0)
    assert flow.acknowledge(RUN, 1)
    assert flow.admit(RUN, 3, 2 * LIMIT, 0.0)


def test_a_silent_reader_gets_at_most_the_limit() -> None:
    flow = FlowControl()
    admitted = sum(flow.admit(RUN, seq, 1000, 0.0) for seq in range(1, 2000))
    assert admitted == LIMIT // 1000
    assert flow.behind


def test_no_delta_is_admitted_after_a_refused_one_until_the_reader_catches_up() -> None:
    flow = FlowControl()
    assert flow.admit(RUN, 1, LIMIT - 10, 0.0)
    assert not flow.admit(RUN, 2, 100, 0.0)
    assert not flow.admit(RUN, 3, 1, 0.0), "there would be a gap"
    assert flow.acknowledge(RUN, 1), "caught up, so the reader needs the state"
    assert not flow.acknowledge(RUN, 1), "only the first time"
    assert flow.admit(RUN, 4, 1, 0.0)


def test_a_reader_catches_up_at_half_of_the_limit() -> None:
    flow = FlowControl()
    for seq in range(1, 5):
        flow.admit(RUN, seq, LIMIT // 4, 0.0)
    flow.admit(RUN, 5, 1, 0.0)
    assert not flow.acknowledge(RUN, 1)
    assert flow.acknowledge(RUN, 2)


def test_a_new_run_starts_at_zero() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    assert not flow.admit(RUN, 2, 1, 0.0)
    assert flow.admit(OTHER, 1, 1, 0.0)
    assert not flow.acknowledge(RUN, 1), "acknowledgements of the old run are ignored"


def test_a_reader_who_stays_silent_for_too_long_gets_no_deltas_of_any_size() -> None:
    flow = FlowControl()
    assert flow.admit(RUN, 1, 10, 0.0)
    assert flow.admit(RUN, 2, 10, PATIENCE - 1)
    assert not flow.admit(RUN, 3, 10, PATIENCE + 1)
    assert flow.acknowledge(RUN, 2), "the reader is back"
    assert flow.admit(RUN, 4, 10, PATIENCE + 2)


def test_only_a_reader_who_never_catches_up_is_exhausted() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    assert not flow.admit(RUN, 2, 1, 5.0)
    assert not flow.exhausted(5.0 + PATIENCE)
    assert flow.exhausted(5.1 + PATIENCE)
    assert flow.acknowledge(RUN, 1)
    assert not flow.exhausted(1000.0)


def test_nobody_is_behind_after_the_end_of_a_run() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    flow.admit(RUN, 2, 1, 0.0)
    flow.finish(OTHER)
    assert flow.behind
    flow.finish(RUN)
    assert not flow.behind
    assert not flow.exhausted(1000.0)


def test_a_reader_who_needs_a_snapshot_is_behind_until_they_catch_up_whatever_runs_meanwhile() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    flow.admit(RUN, 2, 1, 0.0)
    flow.withhold()
    flow.finish(RUN)
    assert not flow.admit(OTHER, 1, 1, 0.0)
    assert flow.exhausted(0.1 + PATIENCE)
    assert flow.acknowledge(RUN, 1)
    assert flow.needs_snapshot
