"""The options of `make bench`, and the sizes of all measurements that follow from them. Pure."""

import argparse
from dataclasses import dataclass, field

from .answers import ALONE, Shape
from .monitoring import Effort
from .people import Sizes
from .reconnects import TABS
from .targets import KINDS, Kind

SECTIONS = {
    "answers": "many askers at once: CPU and statements per answer, first delta, lag of streams next to them",
    "arrivals": "starts spread evenly, at rising rates: first delta, and the highest rate that the site sustains",
    "reconnects": "sockets that come back at once after a restart; memory of an idle socket",
    "startup": "from the command that serves the site to the first connection",
    "streams": "streams at a steady pace: CPU and lag of a delta",
    "fan-out": "streams with many readers each",
    "stop": "from the command to the provider's closed connection",
    "room": "one conversation of many people over two processes",
    "documents": "many people type in one document: how late a change is; agents write documents: CPU, lag",
    "monitoring": "nobody watches, somebody does, a flood of log lines, traces: CPU, and lag of streams",
    "engine": "the engine without a site",
    "admin": "a made-up site: pages of the admin, export, import, and pruning with streams next to it",
    "page": "a page in Chromium reads a long answer and a document, and opens a long conversation",
}
WARMING_UP = 4
"""Streams before the first measurement."""

DEFAULT = ("answers", "arrivals", "reconnects", "startup", "streams")
DEFAULT_KINDS = (KINDS[0], KINDS[2], KINDS[4])


@dataclass
class Plan:
    """Who is measured, and how long. Times are in seconds."""

    sections: list[str]
    kinds: list[Kind]
    peers: bool
    """Whether Chainlit is measured too."""
    rounds: int
    seconds: float
    """Of each window of streams."""
    patience: float
    """To wait for a quiet machine before each measurement."""
    askers: int
    deltas: list[int]
    history: list[int]
    beside: int
    """Streams next to askers, and to sockets that come back."""
    rates: list[int]
    climb: float
    """Of each rate."""
    pool: int
    """Conversations that `arrivals` asks in."""
    sockets: int
    streams: list[int]
    fan_out: tuple[int, int] = (5, 20)
    stops: int = 20
    room: tuple[int, int] = (200, 40)
    typists: tuple[int, int, float] = (50, 50, 0.2)
    documents: list[int] = field(default_factory=lambda: [1, 4])
    writing: tuple[int, int, int] = (4000, 200, 50)
    monitoring: Effort = field(default_factory=Effort)
    page: tuple[int, int] = (5000, 1000)
    engine: tuple[int, float, float] = (50, 4, 1)
    starts: int = 3
    showcase: tuple[int, int] = (2_000, 20_000)
    """Conversations and messages of the site that is administrated."""

    @property
    def shapes(self) -> list[Shape]:
        return [Shape(self.askers, deltas, history) for history in self.history for deltas in self.deltas]

    def has(self, section: str) -> bool:
        return section in self.sections

    @property
    def needs_servers(self) -> bool:
        return bool(set(self.sections) - {"page", "admin"})

    @property
    def administrated(self) -> list[Kind]:
        """One site for each database, of one process."""
        return list({kind.database: kind for kind in self.kinds if kind.processes == 1}.values())

    @property
    def sizes(self) -> Sizes:
        """The users that each site needs."""
        fresh, used = WARMING_UP, {}
        if self.has("answers"):
            fresh += len(self.shapes) * self.rounds * self.beside
            fresh += sum((2 * self.rounds + 1) * self.askers + s.alone for s in self.shapes if not s.history)
            used = {history: self.askers + ALONE for history in self.history if history}
        fresh += self.pool * self.has("arrivals") + self.beside * self.has("reconnects")
        fresh += self.rounds * (sum(self.streams) * self.has("streams") + self.fan_out[0] * self.has("fan-out"))
        fresh += self.stops * self.has("stop")
        effort = self.monitoring
        fresh += (effort.streams + effort.flooded + effort.askers) * self.has("monitoring")
        return Sizes(
            alone={0: fresh, **used},
            returning=-(-self.sockets // TABS) if self.has("reconnects") else 0,
            together=max(self.room[0] * self.has("room"), self.typists[0] * self.has("documents")),
            writing=sum(self.documents) * self.has("documents"),
            staff=self.has("monitoring"),
        )


def parse_options(arguments: list[str] | None = None) -> Plan | None:
    """The plan for these options; None if they only ask for the list of sections."""
    parser = argparse.ArgumentParser(
        "make bench",
        description="The site compared with a bare relay, in one run. docs/benchmarks.md explains the report.",
        epilog='A first look at one answer: make bench ARGS="answers --deltas 1 --sites PostgreSQL --processes 1"',
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"only these (default: {' '.join(DEFAULT)})")
    parser.add_argument("--list", action="store_true", help="list the sections")
    parser.add_argument("--full", action="store_true", help="the whole table: all sections, sites, and sizes")
    parser.add_argument("--quick", action="store_true", help="a few seconds each: does it run? Ignore its numbers")
    parser.add_argument("--peers", action="store_true", help="measure Chainlit too; installs it under var/ first")
    parser.add_argument("--sites", default="", help="only sites whose names contain one of these: memory,PostgreSQL")
    parser.add_argument("--processes", type=int, choices=(1, 2), help="only sites of so many processes")
    parser.add_argument("--rounds", type=int, help="measurements of each kind; the report has medians (1; full: 3)")
    parser.add_argument("--askers", type=int, help="who ask at once (50)")
    parser.add_argument("--deltas", type=_numbers, help="lengths of answers (1,200; full: 1,20,200,1000)")
    parser.add_argument("--history", type=_numbers, help="numbers of earlier messages (0; full: 0,50,1000)")
    parser.add_argument("--rates", type=_numbers, help="starts a second (20,40,70; full: 5,10,20,...,70)")
    parser.add_argument("--messages", type=int, help="of the site that is administrated (20000; full: 1000000)")
    parser.add_argument("--sockets", type=int, help="that come back after a restart (2000)")
    parser.add_argument("--streams", type=_numbers, help="numbers of streams (50; full: 1,10,50)")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        return None
    if unknown := set(chosen.sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if unfit := [history for history in chosen.history or [] if history % 2]:
        parser.error(f"earlier messages are questions and answers, so no odd number: {unfit[0]}")
    return _plan(chosen)


def _plan(chosen: argparse.Namespace) -> Plan:
    full, quick = chosen.full, chosen.quick
    plan = Plan(
        sections=chosen.sections or list(SECTIONS if full or quick else DEFAULT),
        kinds=_kinds(chosen),
        peers=chosen.peers,
        rounds=3 if full else 1,
        seconds=4,
        patience=10 if full else 3,
        askers=50,
        deltas=[1, 20, 200, 1000] if full else [1, 200],
        history=[0, 50, 1000] if full else [0],
        beside=10,
        rates=[5, 10, 20, 30, 40, 50, 60, 70] if full else [20, 40, 70],
        climb=10 if full else 8,
        pool=200,
        sockets=2000,
        streams=[1, 10, 50] if full else [50],
        showcase=_showcase(chosen.messages or (1_000_000 if full else 400 if quick else 20_000)),
    )
    if quick:
        plan.seconds, plan.patience, plan.climb, plan.starts = 0.6, 0, 1, 1
        plan.askers, plan.deltas, plan.history, plan.beside = 4, [1, 20], [0, 50], 2
        plan.rates, plan.pool, plan.sockets, plan.streams = [5, 10], 20, 40, [1, 4]
        plan.fan_out, plan.stops, plan.room, plan.page, plan.engine = (2, 3), 3, (6, 2), (500, 60), (5, 0.5, 0.05)
        plan.typists, plan.documents, plan.writing = (5, 5, 0.2), [1, 2], (100, 200, 50)
        plan.monitoring = Effort(rounds=1, seconds=1, streams=2, flooded=2, askers=2)
    for name in ("rounds", "askers", "deltas", "history", "rates", "sockets", "streams"):
        if (given := getattr(chosen, name)) is not None:
            setattr(plan, name, given)
    return plan


def _showcase(messages: int) -> tuple[int, int]:
    return max(1, messages // 10), messages


def _kinds(chosen: argparse.Namespace) -> list[Kind]:
    selects = chosen.full or chosen.quick or chosen.sites or chosen.processes or "room" in chosen.sections
    wanted = [part.strip().lower() for part in chosen.sites.split(",")]
    return [
        kind
        for kind in (KINDS if selects else DEFAULT_KINDS)
        if any(part in str(kind).lower() for part in wanted) and chosen.processes in (None, kind.processes)
    ]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]
