"""A page in the browser."""

from ..measure import percentile
from ..page import PageCosts, Streamed
from .tables import goal, table

LATE = 20.0  # ms between frames: at 60 per second, one was missed


def page(costs: PageCosts) -> str:
    rows = [
        *_streamed("an answer", costs.answer),
        *_streamed("a document", costs.document),
        (f"{costs.messages:,} messages opened: s", f"{costs.opened:.2f}"),
        ("loading the older messages, longest task: ms", f"{max(costs.load_tasks, default=0):.0f}"),
        (f"scrolling, late frames of {len(costs.frames)}", sum(frame > LATE for frame in costs.frames)),
        ("scrolling, ms between frames: p50, p95", f"{_frame(costs, 50):.1f}, {_frame(costs, 95):.1f}"),
    ]
    return table("cost, page", rows)


def _streamed(what: str, costs: Streamed) -> list[tuple[str, object]]:
    first, last = costs.tenths[0], costs.tenths[-1]
    return [
        (f"{what} of {costs.characters:,} characters streamed: s", f"{costs.seconds:.1f}"),
        ("main thread busy during that time", f"{costs.share:.0%}"),
        ("first tenth, last tenth: ms busy", f"{first.busy * 1000:.0f}, {last.busy * 1000:.0f}"),
        ("scripts, layout and style: ms", f"{costs.script * 1000:.0f}, {costs.layout * 1000:.0f}"),
        ("tasks over 50 ms", len(costs.long_tasks)),
        ("longest task: ms", f"{max(costs.long_tasks, default=0):.0f}"),
    ]


def _frame(costs: PageCosts, percent: float) -> float:
    return percentile(costs.frames, percent)


def goals(costs: PageCosts) -> list[str]:
    return [
        *_goals("answer", costs.answer),
        *_goals("document", costs.document),
        goal(f"page: {costs.messages:,} messages open in under 1 s", costs.opened < 1, f"{costs.opened:.2f} s"),
        goal("page: scrolls at 60 frames per second", _frame(costs, 95) < 17.5, f"p95 {_frame(costs, 95):.1f} ms"),
    ]


def _goals(what: str, costs: Streamed) -> list[str]:
    return [
        goal(f"page: has the whole {what}", costs.whole, f"{costs.characters:,} characters"),
        goal(
            f"page, {what}: no task over 50 ms", not costs.long_tasks, str([round(task) for task in costs.long_tasks])
        ),
        goal(
            f"page, {what}: the last tenth costs at most 1.3 times the first",
            costs.growth <= 1.3,
            f"{costs.growth:.2f}",
        ),
        goal(f"page, {what}: main thread busy less than 25 %", costs.share < 0.25, f"{costs.share:.0%}"),
    ]
