"""The report: results to tables and verdicts, in Markdown that reads well in a terminal. Pure.

answers.py  whole answers, arrivals, reconnects, startup   streams.py  streams, fan-out, stops, memory
room.py, documents.py, monitoring.py, engine.py            admin.py, page.py
tables.py   what all of them use
"""

from dataclasses import dataclass, field

from ..admin import Administration
from ..answers import Answers, Counts
from ..arrivals import Arrivals
from ..engine import EngineCosts
from ..measure import median
from ..monitoring import Flood, Tracing, Watching
from ..page import PageCosts
from ..reconnects import Reconnects
from ..room import Room
from ..startup import Startup
from ..typists import Typing
from ..windows import Stops, Window
from ..writing import Writing
from . import admin, answers, documents, engine, monitoring, page, room, streams, tables
from .streams import Memory


@dataclass
class Results:
    machine: list[str]
    answers: list[Answers] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    arrivals: list[Arrivals] = field(default_factory=list)
    reconnects: list[Reconnects] = field(default_factory=list)
    startups: list[Startup] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    fan_out: list[Window] = field(default_factory=list)
    stops: list[Stops] = field(default_factory=list)
    rooms: list[Room] = field(default_factory=list)
    typing: list[Typing] = field(default_factory=list)
    writing: list[Writing] = field(default_factory=list)
    watching: list[Watching] = field(default_factory=list)
    floods: list[Flood] = field(default_factory=list)
    tracing: list[Tracing] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    administration: list[Administration] = field(default_factory=list)
    engine: EngineCosts | None = None
    page: PageCosts | None = None
    missing: dict[str, str] = field(default_factory=dict)
    busy: float = 0.0
    """Share of a core that other processes took before the run."""


def render(results: Results) -> str:
    windows = [*results.windows, *results.fan_out]
    par = median([*(a.pace for a in results.answers), *(w.pace for w in windows)])
    merged, fan_out = streams.merge(results.windows, par), streams.merge(results.fan_out, par)
    whole = answers.merge(results.answers, results.counts, par)
    parts = ["\n".join(results.machine)]
    if results.busy > 0.25:
        parts.append(f"The machine was busy before the run: other processes took {results.busy:.0%} of a core.")
    for heading, table in (
        ("Whole answers, all asked for at once", whole and answers.answers(whole)),
        ("Arrivals: starts spread evenly", results.arrivals and answers.arrivals(results.arrivals)),
        ("Reconnects", results.reconnects and answers.reconnects(results.reconnects)),
        ("Startup", results.startups and answers.startups(results.startups)),
        ("Streams", merged and streams.streams(merged)),
        ("Fan-out, per delta and viewer", fan_out and streams.fan_out(fan_out)),
        ("Stop", results.stops and streams.stops(results.stops)),
        (
            "A conversation over two processes: ms from sending a message until everybody has it",
            results.rooms and room.rooms(results.rooms),
        ),
        (
            "A document in which many people type: ms from a change until everybody has it",
            results.typing and documents.typing(results.typing),
        ),
        ("Documents that agents write", results.writing and documents.writing(results.writing)),
        (
            "Monitoring: shares of a core per process, more than without it",
            results.watching and monitoring.watching(results.watching),
        ),
        ("A flood of log lines next to streams", results.floods and monitoring.floods(results.floods)),
        ("Traces", results.tracing and monitoring.tracing(results.tracing)),
        ("Memory", results.memory and streams.memory(results.memory)),
        ("The engine alone", results.engine and engine.engine(results.engine)),
        ("Pages of the admin", results.administration and admin.pages(results.administration)),
        ("Export and import", results.administration and admin.transfers(results.administration)),
        ("Pruning, with streams next to it", results.administration and admin.prunings(results.administration)),
        ("A page", results.page and page.page(results.page)),
        ("Not available", "\n".join(f"- {name}: {why}" for name, why in results.missing.items())),
        ("Goals", "\n".join(_goals(results, whole, merged))),
        ("Doubtful windows", "\n".join(_doubts(results))),
    ):
        if table:
            parts += [f"## {heading}", table]
    return "\n\n".join(parts)


def _goals(results: Results, whole: list[answers.Merged], merged: list[streams.Merged]) -> list[str]:
    return [
        *answers.goals(whole, results.arrivals, results.reconnects, results.startups),
        *streams.goals(merged),
        *room.goals(results.rooms),
        *documents.goals(results.typing, results.writing),
        *monitoring.goals(results.watching, results.floods),
        *(engine.goals(results.engine) if results.engine else []),
        *admin.goals(results.administration),
        *(page.goals(results.page) if results.page else []),
    ]


def _doubts(results: Results) -> list[str]:
    kinds = [
        *((f"{a.target}, {a.shape}", a.shares.doubts) for a in results.answers),
        *((f"{w.target}, {w.streams} x {w.viewers}", w.doubts) for w in [*results.windows, *results.fan_out]),
        *((f"{w.target}, {w.documents} documents", w.doubts) for w in results.writing),
        *((f"{w.target}, monitoring next to {w.streams}", w.shares.doubts) for w in results.watching),
        *((f"{f.target}, a flood of log lines", f.shares.doubts) for f in results.floods),
        *((f"{t.target}, traces", t.shares.doubts) for t in results.tracing),
    ]
    return tables.doubts(kinds)
