"""The format that upstream, relay and clients share: orders of streams, and deltas that carry their sending time.

An order is the text of the message that the model answers. A delta is WIDTH characters: microseconds of the monotonic
clock, which all processes of a machine share, in hexadecimal, and a space. The times can be read from the text even if
deltas were merged.
"""

import re
import time
from typing import NamedTuple

RATE = 50
"""Deltas per second of a paced stream."""

WIDTH = 8
_MASK = (1 << 4 * (WIDTH - 1)) - 1
_ORDER = re.compile(r"stream=(\S+) deltas=(\d+) rate=(\d+) chars=(\d+)")


class Order(NamedTuple):
    """An order of a stream. `rate` 0 means as fast as possible; then each delta has `chars` characters and no time."""

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
    """A delta with the current time."""
    return f"{microseconds() & _MASK:07x} "


def lags(text: str, now: int) -> list[float]:
    """The age of each delta in a text, in milliseconds. `now` comes from `microseconds`."""
    return [((now - int(text[at : at + WIDTH], 16)) & _MASK) / 1000 for at in range(0, len(text), WIDTH)]
