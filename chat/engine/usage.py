"""Token counts of an answer, as its provider counted them. Nothing here is estimated (tokens.py does that)."""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Token counts as the provider sent them; None if it did not. The sum of two adds the known counts.

    `cached_tokens` is the part of the input that the provider read from its cache, `reasoning_tokens` the part of the
    output that was thinking. `total_tokens` is the provider's own sum, and may be more than input and output together.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __add__(self, other: "Usage") -> "Usage":
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(*(_sum(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__))


def _sum(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
