"""What a process reports, and its encoding between processes, which is also the frame that watchers get."""

from uuid import UUID

import msgspec
from msgspec import Struct

from ..engine import BreakerState
from ..metrics import METRICS, Series
from .history import Minute


class RunReport(Struct, frozen=True, omit_defaults=True):
    """A run that a process makes, or that waits there. Times are in seconds before the report."""

    id: UUID
    conversation: UUID
    model: str
    agent: str
    """The labels of its metrics: "other" if the settings do not name them."""
    queued: bool = False
    age: float = 0.0
    """Since it began. 0 if it waits."""
    silence: float = 0.0
    """Since its model, or one of its tools, was last heard."""
    tokens: int = 0
    """Output so far, as an estimate."""


class Report(Struct, frozen=True, tag="report"):
    """What one process measures, since it started or right now."""

    host: str
    """The process."""
    at: float
    """When this was measured, as Unix time by the clock of its server."""
    draining: bool
    """Whether the process is about to end."""
    series: tuple[Series, ...]
    runs: tuple[RunReport, ...] = ()
    minutes: tuple[Minute, ...] = ()
    """For watchers: the current minute and the one before."""
    breakers: tuple[BreakerState, ...] = ()
    """The circuit breakers of this process, of the models that it has asked, by name."""

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """The values of a counter or a gauge, by its labels."""
        assert METRICS[name].kind != "histogram", name
        return {series.labels: series.value for series in self.series if series.name == name}


class Past(Struct, frozen=True, tag="past"):
    """The last hour of one process, for a watcher who has just come."""

    host: str
    minutes: tuple[Minute, ...]


class Watching(Struct, frozen=True, tag="watching"):
    """The first frame that a watcher gets."""

    processes: list[str]
    """The hosts of all processes that have announced themselves lately, also of those that hang."""


class Missed(Struct, frozen=True, tag="missed"):
    """Lines of the log that a reader who was behind did not get."""

    lines: int


_decoder = msgspec.json.Decoder(Report)


def encode(frame: Report | Past | Watching | Missed) -> str:
    return msgspec.json.encode(frame).decode()


def decode(text: str) -> Report:
    """Raises msgspec.ValidationError if it comes from a process of another version that reports something else."""
    return _decoder.decode(text)
