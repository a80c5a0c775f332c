"""What the doctor found and measured."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """Something that is wrong. docs/monitoring.md lists the codes."""

    code: str
    message: str
    """What is wrong, in a sentence."""
    fix: str
    """What to change."""


class Measured(Struct, omit_defaults=True):
    """Times in seconds; None if it did not come so far."""

    round_trip: float | None = None
    """Of a frame through an idle socket."""
    first_token: float | None = None
    """From sending the question to the first piece of the answer."""
    lag: float | None = None
    """Of a frame through the socket while the answer streams, there and back, at worst."""
    clock_offset: float | None = None
    """How far the site's clock is ahead of this machine's."""


def rounded(seconds: float | None) -> float | None:
    """To the tenth of a millisecond: clocks tell nothing finer."""
    return None if seconds is None else round(seconds, 4)


class Report(Struct):
    """Findings by code, and what was measured."""

    measured: Measured
    findings: list[Finding] = []

    def add(self, code: str, message: str, fix: str) -> None:
        """Note what is wrong. Only the first finding of a code counts: the others usually follow from it."""
        if not self.has(code):
            self.findings.append(Finding(code, message, fix))

    def has(self, *codes: str) -> bool:
        """Whether one of these was found."""
        return any(finding.code in codes for finding in self.findings)
