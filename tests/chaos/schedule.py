"""Schedules: which users talk in which conversations, and what breaks when. Pure; a seed always gives the same one."""

import json
import random
from dataclasses import dataclass, field

from ..support.servers import PEOPLE

PROCESSES = 2
MARK = "--- the agent writes below this line ---"
"""A line of the shared document that nobody changes."""

LENGTH = 4.0
"""Seconds in which faults begin. They end some seconds later."""

MAX_PAUSE = 6.0
"""The longest pause of a process, Redis or the database, in seconds: longer than HOST_TIMEOUT in settings.py."""

SERVER_FAULTS = (
    "kill", "kill", "terminate", "terminate", "freeze", "restart redis", "pause redis", "cut redis", "pause database",
    "cut database", "pause provider",
)  # fmt: skip
"""A fault that is listed twice is chosen twice as often."""

RUSH_FAULTS = (
    "kill",
    "kill",
    "kill",
    "terminate",
    "freeze",
    "pause database",
    "cut database",
    "cut database",
    "cut redis",
)

ACTIONS = (
    "post", "post", "post", "disconnect", "disconnect", "reload", "reload", "switch process", "stall", "stop", "stop",
    "retry", "approve", "load history",
)  # fmt: skip

CHANGES = ("edit", "edit and resend", "delete", "restore", "choose", "continue answer")
"""Actions of schedules in which the layer loses nothing by itself: only a new snapshot repairs a lost change."""

WHOLE_DOCUMENT = (
    "propose", "propose", "resolve", "resolve", "resolve", "restore version", "restore version", "rename",
    "delete document",
)  # fmt: skip
"""Actions on a document in which people type."""


@dataclass(frozen=True)
class Step:
    """A fault or action (a name in faults.FAULTS) that begins `at` seconds after the start. Some last for `seconds`."""

    at: float
    fault: str
    conversation: int = 0
    browser: int = 0
    process: int = 0
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True)
class ConversationPlan:
    """A conversation: its mode, and its browsers, each with its user and the process to which it connects first."""

    mode: str
    browsers: list[tuple[str, int]]


@dataclass(frozen=True)
class Schedule:
    seed: int
    conversations: list[ConversationPlan]
    loss: dict[str, float]
    """The chances that the channel layer drops, doubles or delays a message."""

    steps: list[Step] = field(default_factory=list)
    documents: bool = False
    """Whether everybody types in a document of the conversation, in which the agent writes, too."""


def make_schedule(seed: int) -> Schedule:
    rng = random.Random(seed)
    conversations = [_plan_conversation(rng) for _ in range(rng.randint(2, 4))]
    lossy = rng.random() < 0.5
    loss = {kind: round(rng.uniform(0, 0.25), 2) if lossy else 0.0 for kind in ("drop", "double", "delay")}
    steps = [
        Step(rng.uniform(0, 0.3), "post", number, rng.randrange(len(planned.browsers)), text=_question(rng))
        for number, planned in enumerate(conversations)
    ]
    for _ in range(rng.randint(1, 3)):
        pause = round(rng.uniform(0.2, rng.choice((1.0, 2.5, MAX_PAUSE))), 1)
        fault = rng.choice(SERVER_FAULTS)
        steps.append(Step(_start_time(rng), fault, process=rng.randrange(PROCESSES), seconds=pause))
    for _ in range(rng.randint(4, 12)):
        number = rng.randrange(len(conversations))
        steps.append(
            Step(
                _start_time(rng),
                rng.choice(ACTIONS if lossy else (*ACTIONS, *CHANGES)),
                number,
                rng.randrange(len(conversations[number].browsers)),
                process=rng.randrange(PROCESSES),
                seconds=round(rng.uniform(0.1, 3), 1),
                text=_question(rng),
            )
        )
    return Schedule(seed, conversations, loss, sorted(steps, key=lambda step: step.at))


def make_rush(seed: int) -> Schedule:
    """Many conversations in which everybody asks at the same moment, three times. Something breaks within half a second
    of each: while starts wait in groups, between two units of work of a group, or between a start and its answer.
    """
    rng = random.Random(f"rush {seed}")
    conversations = [_plan_conversation(rng) for _ in range(rng.randint(10, 16))]
    steps = []
    for at in (0.0, 3.0, 6.0):
        steps += [
            Step(at, "post", number, browser, text=f"words@n={rng.randint(1, 30)},delay=10")
            for number, planned in enumerate(conversations)
            for browser in range(len(planned.browsers))
        ]
        fault = rng.choice(RUSH_FAULTS)
        pause = round(rng.uniform(0.2, rng.choice((1.0, MAX_PAUSE))), 1)
        start = at + round(rng.uniform(0, 0.5), 3)
        steps.append(Step(start, fault, process=rng.randrange(PROCESSES), seconds=pause))
    return Schedule(seed, conversations, {}, sorted(steps, key=lambda step: step.at))


def make_document_schedule(seed: int) -> Schedule:
    """A conversation whose three people type in one document, while an agent writes in it, and something breaks."""
    rng = random.Random(f"documents {seed}")
    browsers = [(name, rng.randrange(PROCESSES)) for name in PEOPLE[:3]]
    lossy = rng.random() < 0.5
    loss = {kind: round(rng.uniform(0, 0.2), 2) if lossy else 0.0 for kind in ("drop", "double", "delay")}
    steps = [Step(0.1, "post", 0, rng.randrange(3), text=_order(rng))]
    for _ in range(rng.randint(1, 3)):
        pause = round(rng.uniform(0.2, rng.choice((1.0, 2.5, MAX_PAUSE))), 1)
        fault = rng.choice([fault for fault in SERVER_FAULTS if fault != "pause provider"])
        steps.append(Step(_start_time(rng), fault, process=rng.randrange(PROCESSES), seconds=pause))
    for _ in range(rng.randint(2, 6)):
        action = rng.choice(("post", "disconnect", "disconnect", "switch process", "stall", "stop", "take over"))
        where = rng.randrange(3), rng.randrange(PROCESSES)
        seconds = round(rng.uniform(0.1, 3), 1)
        steps.append(Step(_start_time(rng), action, 0, where[0], where[1], seconds, _order(rng)))
    for _ in range(rng.randint(3, 7)):
        action = rng.choice(WHOLE_DOCUMENT)
        browser = 0 if action == "delete document" else rng.randrange(3)
        steps.append(
            Step(_start_time(rng), action, 0, browser, seconds=round(rng.uniform(0.1, 2), 1), text=_order(rng))
        )
    steps = sorted(steps, key=lambda step: step.at)
    return Schedule(seed, [ConversationPlan(rng.choice(("interrupt", "queue")), browsers)], loss, steps, documents=True)


def _order(rng: random.Random) -> str:
    """A question for which the model `called` writes behind the line that nobody changes."""
    words = " ".join(f"word{number} 😀" for number in range(rng.randint(5, 150)))
    arguments = {"document": "Shared", "edits": [{"search": MARK, "replace": f"{MARK}\n{words}\nend."}]}
    text = json.dumps(arguments, ensure_ascii=rng.random() < 0.5)
    return f"edit_document {text} called@delay={rng.choice((2, 10, 20))}"


def _start_time(rng: random.Random) -> float:
    return round(rng.uniform(0.3, LENGTH), 2)


def _plan_conversation(rng: random.Random) -> ConversationPlan:
    names = [*PEOPLE, rng.choice(PEOPLE)]
    browsers = [(name, rng.randrange(PROCESSES)) for name in names[: rng.randint(1, len(names))]]
    return ConversationPlan(rng.choice(("interrupt", "queue")), browsers)


def _question(rng: random.Random) -> str:
    """A question whose last word tells the model `told` what to do (tests/support/upstream/)."""
    n, delay = rng.randint(5, 120), rng.choice((2, 10, 20, 30))
    paced = f"n={n},delay={delay}"
    return rng.choice(
        (
            f"words@{paced}", f"words@{paced}", f"words@{paced}", f"words@{paced},chars={rng.randint(10, 300)}",
            f"words@{paced},split={rng.randint(1, 9)}", f"words@{paced},cut={rng.randint(1, n * 150)}",
            f"thinking@{paced}", f"thinking@{paced},cut={rng.randint(1, n * 200)}", f"unfinished@{paced}",
            f"stall@{paced}", f"fails@{paced}", "status@code=503", "silent@", "agent@", "agent@",
        )
    )  # fmt: skip
