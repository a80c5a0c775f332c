"""What hostile texts cost a reader's browser: CPU time of the page's main thread, for script, style, and layout.

The times of one text in two lengths are compared. If the text is four times as long, what grows with the square takes
16 times as long, and what does not takes about four times as long.
"""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.page import SignIn, StartSite, begin

from .conftest import serve_workbench

pytestmark = pytest.mark.browser

Cost = Callable[[str, Any], float]

FACTOR = 8
SLACK = 0.1  # s

PLACES = ["user", "thinking", "paragraph", "code", "formula", "cell", "tool", "approval", "edit"]  # of workbench.js
TEXTS: dict[str, Callable[[int], str]] = {
    "combining marks": lambda n: "a" + "\u0301" * n,
    "marks with grapheme joiners": lambda n: "a" + "\u0301\u034f" * (n // 2),
    "Thai vowels": lambda n: "\u0e01" + "\u0e31" * n,
    "zero-width non-joiners": lambda n: "\u200c" * n,
    "skin tones": lambda n: "\U0001f3fb" * (n // 2),
    "letters of two directions": lambda n: "a\u05d0" * (n // 2),
    "isolates": lambda n: "\u2067a\u2069" * (n // 3),
}


@pytest.fixture
def page(start_site: StartSite, sign_in: SignIn) -> Page:
    page = sign_in(start_site(), "ada")
    begin(page)
    serve_workbench(page)
    return page


@pytest.fixture
def cost(page: Page) -> Cost:
    """`cost(script, argument)`: seconds of CPU time until what the script does to the page is laid out and painted."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def now() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    def measure(script: str, argument: Any) -> float:
        before = now()
        page.evaluate(script, argument)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        return now() - before

    return measure


def too_slow(cost: Cost, script: str, small: str, large: str) -> tuple[float, float] | None:
    """Both times, if the text of four times the length takes more than `FACTOR` times as long."""
    times = cost(script, small), cost(script, large)
    return times if times[1] > FACTOR * times[0] + SLACK else None


def test_no_text_costs_the_square_of_its_length(cost: Cost) -> None:
    slow = {}
    for place in PLACES:
        script = f"(text) => show({place!r}, text)"
        cost(script, "Some words. " * 100)
        for name, text in TEXTS.items():
            slow[place, name] = too_slow(cost, script, text(12_000), text(48_000))
    assert {each: times for each, times in slow.items() if times} == {}


def test_arguments_too_long_for_a_field_can_be_read_and_approved(page: Page) -> None:
    page.evaluate("(text) => show('approval', text)", "word " * 4_000)
    card = page.get_by_role("group", name="Approval needed: Look up.")
    expect(card.get_by_role("group", name="Arguments")).to_contain_text('"text": "' + "word " * 3_999)
    expect(card.get_by_role("textbox", name="Arguments")).to_have_count(0)
    card.get_by_role("button", name="Approve").click()
    assert page.evaluate("decision") == {"decision": "approve"}


def test_a_long_text_is_selected_as_it_is_written(page: Page) -> None:
    texts = {
        "user": "A line of some words.\n" * 300 + "\n" + "word " * 3_000 + "end",
        "paragraph": "A sentence of some words. " * 500 + "End.",
        "code": "x = 1; " * 1_500 + "\ny = 2",
    }
    for place, text in texts.items():
        page.evaluate("([place, text]) => show(place, text)", [place, text])
        assert str(page.evaluate("selected()")).strip() == text, place


def test_a_text_that_streams_costs_no_more_at_its_end(cost: Cost) -> None:
    texts = {
        "one line": "word " * 4_000,
        "one word": "w" * 20_000,
        "items of a list": "- a\n" * 5_000,
        "rows of a table": "|a|b|\n|-|-|\n" + "|x|y|\n" * 3_000,
        "a formula": "$$\n" + "x^2 +\n" * 3_000,
    }
    script = "(text) => stream(text)"
    cost(script, "Some words. " * 100)
    slow = {name: too_slow(cost, script, text, text * 4) for name, text in texts.items()}
    assert {name: times for name, times in slow.items() if times} == {}
