"""How many tokens an answer took, as its provider counted them. Providers fill it in; nobody here estimates."""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Token counts, each exactly as it was sent; None where it was not sent. Adding two adds what is known.

    `cached_tokens` is the part of the input that the provider had in its cache, `reasoning_tokens` the part of the
    output that was thinking. `total_tokens` is the provider's own sum and may hold more than input and output.
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


def _sum(one: int | None, two: int | None) -> int | None:
    if one is None or two is None:
        return two if one is None else one
    return one + two
