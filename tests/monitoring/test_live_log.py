"""The log that is kept in memory: bounded whatever is logged, and exact about what it left out."""

import gc
import json
import logging
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from chat.monitoring import live_log
from chat.monitoring.live_log import MAX_CHARS, MAX_LINE_CHARS, MAX_LINES, PER_SECOND, LiveLog

logger = logging.getLogger("nous_chat.test")


class Clock:
    at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live_log, "time", clock)
    return clock


@pytest.fixture
def log(clock: Clock) -> Iterator[LiveLog]:
    kept = LiveLog("host")
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    yield kept
    logger.removeHandler(kept)
    logger.setLevel(logging.NOTSET)


def read(log: LiveLog, content: bool = True, after: tuple[int, int] | None = None) -> tuple[list[Any], int]:
    text, count = log.frame(content, after)
    frame = json.loads(text)
    assert (frame["type"], frame["host"], len(frame["lines"])) == ("log", "host", count)
    return frame["lines"], frame["dropped"]


def test_a_flood_is_counted_and_not_formatted_and_hides_no_warning(
    log: LiveLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    formatted: list[object] = []
    format_record = log._formatter.fields

    def note(record: logging.LogRecord) -> dict[str, object]:
        formatted.append(record)
        return format_record(record)

    monkeypatch.setattr(log._formatter, "fields", note)
    start, size = log.position(), log._lines.__sizeof__()
    for number in range(10_000):
        logger.info("Line %s", number)
    logger.warning("This one counts")
    lines, dropped = read(log, after=start)
    assert [line["message"] for line in lines][-1] == "This one counts"
    assert (len(lines), dropped) == (PER_SECOND + 1, 10_000 - PER_SECOND)
    assert len(formatted) == PER_SECOND + 1, "what is left out costs a count alone"
    assert log._lines.__sizeof__() < size + 50_000
    clock.at += 1
    logger.info("The next second")
    assert [line["message"] for line in read(log)[0]][-1] == "The next second"


def test_lines_and_characters_are_bounded(log: LiveLog, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_log, "MAX_LINES", 100)  # so few are never too long together
    for number in range(300):
        clock.at += 1
        logger.info("Short line %d", number)
    lines, _ = read(log)
    assert len(lines) == 100
    assert lines[-1]["number"] == 300
    monkeypatch.setattr(live_log, "MAX_LINES", MAX_LINES)
    for _ in range(100):
        clock.at += 1
        logger.info("x" * 100_000)
    text, count = log.frame(True)
    assert MAX_CHARS / 2 < len(text) < MAX_CHARS + 1000
    assert count < 100
    assert len(json.loads(text)["lines"][0]["message"]) == MAX_LINE_CHARS
    assert log._chars == sum(line.size for line in log._lines)


def test_the_memory_of_a_flood_is_bounded(log: LiveLog, clock: Clock) -> None:
    """From several threads, with long texts and tracebacks, in both forms of each line."""

    def flood() -> None:
        for number in range(150):
            try:
                raise ValueError("é" * 5000)
            except ValueError:
                logger.exception("%d: %s", number, "\x1b" * 5000)

    def flood_for_a_while() -> int:
        for _ in range(3):
            threads = [threading.Thread(target=flood) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            clock.at += 1
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    logger.propagate = False
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        once, again = flood_for_a_while(), flood_for_a_while()
    finally:
        tracemalloc.stop()
        logger.propagate = True
    assert log.position()[1] > 0
    assert once - before < 4 * MAX_CHARS
    assert again - once < MAX_CHARS / 4, "a longer flood takes nothing in addition"


def test_what_was_kept_too_short_counts_as_left_out(log: LiveLog, clock: Clock) -> None:
    start = log.position()
    for number in range(MAX_LINES + 5):
        clock.at += 1
        logger.info("Line %d", number)
    lines, dropped = read(log, after=start)
    assert (len(lines), dropped) == (MAX_LINES, 5)
    middle = log.position()
    logger.info("One more")
    lines, dropped = read(log, after=middle)
    assert ([line["message"] for line in lines], dropped) == (["One more"], 0)


def test_what_people_wrote_is_left_out_for_those_who_may_not_read_it(log: LiveLog) -> None:
    said = "My wife is ill"
    try:
        raise ValueError(said)
    except ValueError as error:
        logger.error("Run %s failed (%s): %s", "0f4c-1", "overloaded", f"openai said: {said}", exc_info=True)
        logger.warning("The database did not answer: %s", error)
        logger.info("Took %.1f s for %d of %s", 0.5, 3, {"text": said})
        logger.debug("%(event)s: %(data)r", {"event": "delta", "data": said})
        logging.getLogger("site.shop").addHandler(log)
        logging.getLogger("site.shop").warning(f"Customer says: {said}")
        logging.getLogger("site.shop").warning("Customer %s says: %s", 7, said)
        logger.warning(error)
        logging.getLogger("site.shop").removeHandler(log)
    full, masked = log.frame(True)[0], log.frame(False)[0]
    assert full.count(said) >= 7
    assert said not in masked
    lines = json.loads(masked)["lines"]
    assert [line["message"] for line in lines] == [
        "Run 0f4c-1 failed (overloaded): ***",
        "The database did not answer: ValueError: ***",
        "Took 0.5 s for 3 of ***",
        "delta: '***'",
        "***",
        "Customer 7 says: ***",
        "***",
    ]
    assert "test_live_log.py" in lines[0]["exception"]
    assert lines[0]["exception"].endswith("ValueError: ***")


def test_secrets_are_masked_for_everybody(log: LiveLog) -> None:
    logger.warning("Refused %s and %s", "nct_0123456789012345678901234567890", "sk-0123456789abcdefghij")
    for content in (True, False):
        assert "0123456789" not in log.frame(content)[0]


def test_a_record_that_cannot_be_written_harms_nobody(log: LiveLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(logger, "propagate", False)  # pytest's workers cannot report a lone surrogate
    logger.warning("Broken %d", "x")
    logger.warning("No text: %s", "\udc80")
    logger.warning("Fine")
    assert [line["message"] for line in read(log)[0]] == ["No text: \\udc80", "Fine"]
