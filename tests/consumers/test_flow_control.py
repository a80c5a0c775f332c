"""A socket's reader may be 256 KiB behind, and no more."""

from chat.consumers.flow_control import LIMIT, PATIENCE, FlowControl

RUN, OTHER = "a" * 32, "b" * 32


def test_everything_is_admitted_while_the_reader_keeps_up() -> None:
    flow = FlowControl()
    for seq in range(1, 2000):
        assert flow.admit(RUN, seq, 1000, 0.0)
        assert not flow.acknowledge(RUN, seq)


def test_a_reader_who_says_nothing_gets_no_more_than_the_limit() -> None:
    flow = FlowControl()
    admitted = sum(flow.admit(RUN, seq, 1000, 0.0) for seq in range(1, 2000))
    assert admitted == LIMIT // 1000
    assert flow.behind


def test_nothing_follows_a_refused_delta_until_the_reader_has_caught_up() -> None:
    flow = FlowControl()
    assert flow.admit(RUN, 1, LIMIT - 10, 0.0)
    assert not flow.admit(RUN, 2, 100, 0.0)
    assert not flow.admit(RUN, 3, 1, 0.0), "a hole would follow"
    assert flow.acknowledge(RUN, 1), "caught up: it needs the state"
    assert not flow.acknowledge(RUN, 1), "once"
    assert flow.admit(RUN, 4, 1, 0.0)


def test_catching_up_half_way_is_enough_and_less_is_not() -> None:
    flow = FlowControl()
    for seq in range(1, 5):
        flow.admit(RUN, seq, LIMIT // 4, 0.0)
    flow.admit(RUN, 5, 1, 0.0)
    assert not flow.acknowledge(RUN, 1)
    assert flow.acknowledge(RUN, 2)


def test_a_new_run_starts_afresh() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    assert not flow.admit(RUN, 2, 1, 0.0)
    assert flow.admit(OTHER, 1, 1, 0.0)
    assert not flow.acknowledge(RUN, 1), "an acknowledgement of the old run says nothing"


def test_a_reader_who_says_nothing_for_long_gets_nothing_more_however_little_it_is() -> None:
    flow = FlowControl()
    assert flow.admit(RUN, 1, 10, 0.0)
    assert flow.admit(RUN, 2, 10, PATIENCE - 1)
    assert not flow.admit(RUN, 3, 10, PATIENCE + 1)
    assert flow.acknowledge(RUN, 2), "he is back"
    assert flow.admit(RUN, 4, 10, PATIENCE + 2)


def test_who_never_catches_up_is_exhausted_and_who_does_is_not() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    assert not flow.admit(RUN, 2, 1, 5.0)
    assert not flow.exhausted(5.0 + PATIENCE)
    assert flow.exhausted(5.1 + PATIENCE)
    assert flow.acknowledge(RUN, 1)
    assert not flow.exhausted(1000.0)


def test_the_end_of_a_run_settles_it() -> None:
    flow = FlowControl()
    flow.admit(RUN, 1, LIMIT, 0.0)
    flow.admit(RUN, 2, 1, 0.0)
    flow.finish(OTHER)
    assert flow.behind
    flow.finish(RUN)
    assert not flow.behind
    assert not flow.exhausted(1000.0)
