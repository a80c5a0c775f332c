"""A socket's reader may be 256 KiB of deltas behind, and 4 MiB of everything, and no more."""

from chat.credit import LIMIT, MOST, Credit

RUN, OTHER = "a" * 32, "b" * 32


def test_everything_is_admitted_while_the_reader_keeps_up() -> None:
    credit = Credit()
    for seq in range(1, 2000):
        assert credit.admit(RUN, seq, 1000)
        assert not credit.acknowledge(RUN, seq)


def test_a_reader_who_says_nothing_gets_no_more_than_the_limit() -> None:
    credit = Credit()
    admitted = sum(credit.admit(RUN, seq, 1000) for seq in range(1, 2000))
    assert admitted == LIMIT // 1000
    assert credit.behind


def test_nothing_follows_a_refused_delta_until_the_reader_has_caught_up() -> None:
    credit = Credit()
    assert credit.admit(RUN, 1, LIMIT - 10)
    assert not credit.admit(RUN, 2, 100)
    assert not credit.admit(RUN, 3, 1), "a hole would follow"
    assert credit.acknowledge(RUN, 1), "caught up: it needs the state"
    assert not credit.acknowledge(RUN, 1), "once"
    assert credit.admit(RUN, 4, 1)


def test_catching_up_half_way_is_enough_and_less_is_not() -> None:
    credit = Credit()
    for seq in range(1, 5):
        credit.admit(RUN, seq, LIMIT // 4)
    credit.admit(RUN, 5, 1)
    assert not credit.acknowledge(RUN, 1)
    assert credit.acknowledge(RUN, 2)


def test_a_new_run_starts_afresh() -> None:
    credit = Credit()
    credit.admit(RUN, 1, LIMIT)
    assert not credit.admit(RUN, 2, 1)
    assert credit.admit(OTHER, 1, 1)
    assert not credit.acknowledge(RUN, 1), "an acknowledgement of the old run says nothing"


def test_who_reads_nothing_may_leave_so_much_of_everything_unread_and_no_more() -> None:
    credit = Credit()
    assert all(credit.push(1000) for _ in range(MOST // 1000))
    assert not credit.push(1000)


def test_an_acknowledged_delta_shows_that_all_before_it_was_read() -> None:
    credit = Credit()
    for seq in range(1, 100):
        assert credit.push(MOST - 1000)
        assert credit.admit(RUN, seq, 10)
        assert credit.push(10)
        credit.acknowledge(RUN, seq)


def test_a_second_ping_shows_that_all_before_the_first_pong_was_read() -> None:
    credit = Credit()
    assert credit.push(MOST)
    credit.pong()
    assert not credit.push(1), "the first ping shows nothing"
    credit.pong()
    assert credit.push(1)
    assert credit.push(MOST - 2)
    assert not credit.push(1), "what came after the first pong counts"
