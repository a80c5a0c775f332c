"""What upstream, relay and clients agree on: how a stream is ordered, and deltas that carry the time of their sending.

An order is the text of the message that the model answers. A delta is WIDTH characters: microseconds of the monotonic
clock, which all processes of a machine share, in hexadecimal, and a blank. However deltas are merged, their times can
be read out of the text again.
"""

import re
import time
from typing import NamedTuple

RATE = 50
"""Deltas a second of a paced stream."""

WIDTH = 8
_MASK = (1 << 4 * (WIDTH - 1)) - 1
_ORDER = re.compile(r"stream=(\S+) deltas=(\d+) rate=(\d+) chars=(\d+)")


class Order(NamedTuple):
    """`rate` 0 is as fast as it goes, then with `chars` characters in each delta instead of a time."""

    stream: str
    deltas: int
    rate: int = RATE
    chars: int = WIDTH

    def __str__(self) -> str:
        return f"stream={self.stream} deltas={self.deltas} rate={self.rate} chars={self.chars}"


def parse(text: str) -> Order:
    found = _ORDER.search(text)
    if found is None:
        raise ValueError(f"no order: {text[:100]!r}")
    return Order(found[1], int(found[2]), int(found[3]), int(found[4]))


def microseconds() -> int:
    return time.monotonic_ns() // 1000


def token() -> str:
    """A delta that says when it was made."""
    return f"{microseconds() & _MASK:07x} "


def lags(text: str, now: int) -> list[float]:
    """How old each delta in a text is, in milliseconds; `now` is of `microseconds`."""
    return [((now - int(text[at : at + WIDTH], 16)) & _MASK) / 1000 for at in range(0, len(text), WIDTH)]
