"""A seed in, a Schedule out: who talks where, and what breaks when. Pure; the same seed is the same schedule."""

import random
from dataclasses import dataclass, field

from ..support.servers import PEOPLE

PROCESSES = 2
LENGTH = 4.0
"""Seconds in which faults begin; what they broke is whole again some seconds later."""

MOST_PAUSE = 6.0
"""The longest pause of a process, Redis or the database, in seconds: longer than HOST_TIMEOUT of settings.py."""

INFRASTRUCTURE = (
    "kill", "kill", "terminate", "terminate", "freeze", "restart redis", "pause redis", "cut redis", "pause database",
    "cut database", "pause provider",
)  # fmt: skip
"""As often as they stand here."""

PEOPLES_DOINGS = (
    "say", "say", "say", "disconnect", "disconnect", "reload", "reload", "move", "stall", "stop", "stop", "retry",
    "approve", "page",
)  # fmt: skip

CHANGES = ("edit", "edit and resend", "delete", "restore", "choose", "go on")
"""Done only where the layer loses nothing by itself: nothing but a new snapshot makes a lost change good."""


@dataclass(frozen=True)
class Step:
    """`fault` (a name of faults.FAULTS) begins `at` seconds after the start and lasts `seconds`, where it lasts."""

    at: float
    fault: str
    room: int = 0
    browser: int = 0
    process: int = 0
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True)
class Room:
    """A conversation: its mode, and the browsers in it, each with whose it is and which process it begins at."""

    mode: str
    browsers: list[tuple[str, int]]


@dataclass(frozen=True)
class Schedule:
    seed: int
    rooms: list[Room]
    loss: dict[str, float]
    """Chances of messages of the channel layer to be dropped, doubled or delayed."""

    steps: list[Step] = field(default_factory=list)


def schedule(seed: int) -> Schedule:
    dice = random.Random(seed)
    rooms = [_room(dice) for _ in range(dice.randint(2, 4))]
    lossy = dice.random() < 0.5
    loss = {what: round(dice.uniform(0, 0.25), 2) if lossy else 0.0 for what in ("drop", "double", "delay")}
    steps = [
        Step(dice.uniform(0, 0.3), "say", room, dice.randrange(len(rooms[room].browsers)), text=_question(dice))
        for room in range(len(rooms))
    ]
    for _ in range(dice.randint(1, 3)):
        pause = round(dice.uniform(0.2, dice.choice((1.0, 2.5, MOST_PAUSE))), 1)
        fault = dice.choice(INFRASTRUCTURE)
        steps.append(Step(_when(dice), fault, process=dice.randrange(PROCESSES), seconds=pause))
    for _ in range(dice.randint(4, 12)):
        room = dice.randrange(len(rooms))
        steps.append(
            Step(
                _when(dice),
                dice.choice(PEOPLES_DOINGS if lossy else (*PEOPLES_DOINGS, *CHANGES)),
                room,
                dice.randrange(len(rooms[room].browsers)),
                process=dice.randrange(PROCESSES),
                seconds=round(dice.uniform(0.1, 3), 1),
                text=_question(dice),
            )
        )
    return Schedule(seed, rooms, loss, sorted(steps, key=lambda step: step.at))


def _when(dice: random.Random) -> float:
    return round(dice.uniform(0.3, LENGTH), 2)


def _room(dice: random.Random) -> Room:
    names = [*PEOPLE, dice.choice(PEOPLE)]
    browsers = [(name, dice.randrange(PROCESSES)) for name in names[: dice.randint(1, len(names))]]
    return Room(dice.choice(("interrupt", "queue")), browsers)


def _question(dice: random.Random) -> str:
    """What tests/support/upstream.py is told by its last word."""
    n, delay = dice.randint(5, 120), dice.choice((2, 10, 20, 30))
    paced = f"n={n},delay={delay}"
    return dice.choice(
        (
            f"words@{paced}", f"words@{paced}", f"words@{paced}", f"words@{paced},chars={dice.randint(10, 300)}",
            f"words@{paced},split={dice.randint(1, 9)}", f"words@{paced},cut={dice.randint(1, n * 150)}",
            f"thinking@{paced}", f"thinking@{paced},cut={dice.randint(1, n * 200)}", f"unfinished@{paced}",
            f"stall@{paced}", f"fails@{paced}", "status@code=503", "silent@", "agent@", "agent@",
        )
    )  # fmt: skip
