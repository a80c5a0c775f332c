"""The engine without a site."""

from ..engine import EngineCosts
from .tables import goal, table

MAX_PACED, MAX_UNPACED, MAX_LINEAR = 150.0, 50.0, 2.2


def engine(costs: EngineCosts) -> str:
    rows = [
        ("50 streams of 50 deltas/s: CPU us/delta", f"{costs.paced:.0f}", f"{costs.paced_httpx:.0f}"),
        ("unpaced: CPU us/delta", f"{costs.unpaced:.1f}", f"{costs.unpaced_httpx:.1f}"),
        ("1 MB in 20,000 deltas, compared with half of it: times", f"{costs.linear:.2f}", ""),
    ]
    return table("cost, engine, plain httpx", rows)


def goals(costs: EngineCosts) -> list[str]:
    limits = [
        ("paced: at most {} us", MAX_PACED, costs.paced),
        ("unpaced: at most {} us", MAX_UNPACED, costs.unpaced),
        ("long answer: at most {} times half of it", MAX_LINEAR, costs.linear),
    ]
    return [goal(f"engine, {name.format(limit)}", cost <= limit, f"{cost:.2f}") for name, limit, cost in limits]
