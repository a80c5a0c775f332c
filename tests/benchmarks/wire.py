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
_ORDER = re.compile(r"stream=(\S+) deltas=(\d+) rate=(\d+) chars=(\d+)( document)?")


class Order(NamedTuple):
    """An order of a stream. `rate` 0 means as fast as possible; then each delta has `chars` characters and no time.
    With `document`, the text is not an answer but the argument of a call that creates a document.
    """

    stream: str
    deltas: int
    rate: int = RATE
    chars: int = WIDTH
    document: bool = False

    def __str__(self) -> str:
        order = f"stream={self.stream} deltas={self.deltas} rate={self.rate} chars={self.chars}"
        return f"{order} document" if self.document else order


def parse(text: str) -> Order:
    found = _ORDER.search(text)
    if found is None:
        raise ValueError(f"no order: {text[:100]!r}")
    return Order(found[1], int(found[2]), int(found[3]), int(found[4]), bool(found[5]))


def microseconds() -> int:
    return time.monotonic_ns() // 1000


def token(chars: int = WIDTH) -> str:
    """A delta of so many characters with the current time."""
    return f"{microseconds() & _MASK:07x} ".ljust(chars, "x")


def lags(text: str, now: int, chars: int = WIDTH) -> list[float]:
    """The age of each delta in a text, in milliseconds. `now` comes from `microseconds`."""
    return [((now - int(text[at : at + WIDTH], 16)) & _MASK) / 1000 for at in range(0, len(text), chars)]
