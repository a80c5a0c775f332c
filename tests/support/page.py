"""What a user does on the page, for browser tests: `begin(page)`, `say(page, "Hello")`, `ends(page, "completed")`."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from playwright.sync_api import Locator, Page, expect

from .servers import Site, manage, wait_for

StartSite = Callable[..., Site]
SignIn = Callable[..., Page]
SLOW = "custom:words@n=20000,delay=20"
"""A model whose answers do not end before a test stops them, even on a slow machine. An answer that has to end is held
back instead (`hold` in `tests/support/upstream/`) until the test has seen what it waits for.
"""


def begin(page: Page) -> str:
    """Open a new conversation, or the empty one of the first visit; returns its id."""
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))
    open_list(page)
    page.get_by_role("button", name="New conversation").first.click()
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))
    live(page)
    return page.url.rstrip("/").rsplit("/", 1)[1]


def open_list(page: Page) -> None:
    """Open the list if it is a drawer, as in a narrow window."""
    menu = page.locator("button.menu")
    new = page.get_by_role("button", name="New conversation", exact=True)
    expect(menu.or_(new).filter(visible=True).first).to_be_visible()
    if menu.is_visible():
        menu.click()


def live(page: Page) -> None:
    expect(page.locator("nous-chat")).to_have_attribute("data-connection", "live")


def box(page: Page) -> Locator:
    """The message field."""
    return page.get_by_role("textbox", name="Message")


def say(page: Page, what: str) -> None:
    box(page).fill(what)
    box(page).press("Enter")


def answer(page: Page) -> Locator:
    return page.locator('article[data-role="assistant"]').last


def shown(page: Page) -> str:
    """The Markdown source of the answer shown. How it looks is the subject of test_markdown.py."""
    parts = answer(page).locator('[data-part="text"]')
    return str(parts.evaluate_all("parts => parts.map((part) => part.source).join('')"))


def ends(page: Page, status: str) -> None:
    """Wait until the last answer has ended with that status. If the previous answer ended so too, wait for the new one
    to appear first.
    """
    expect(answer(page)).to_have_attribute("data-status", status)


def until(page: Page, condition: Callable[[], Any], what: str) -> None:
    """Wait for something that `expect` cannot see, such as a stored row or a request of the browser."""

    def met() -> Any:
        if not (value := condition()):
            page.wait_for_timeout(50)  # the browser's events arrive only while Playwright waits
        return value

    wait_for(met, what=what)


def noted(element: Locator, read: str = "element => element.textContent") -> Callable[[], list[Any]]:
    """Record what is read of an element at each change from now on, so that short-lived states are seen too."""
    notes = element.evaluate_handle(f"""element => {{
        const read = {read};
        const notes = [read(element)];
        const all = {{ subtree: true, childList: true, characterData: true, attributes: true }};
        new MutationObserver(() => notes.push(read(element))).observe(element, all);
        return notes;
    }}""")
    return notes.json_value


def types(page: Page, seen: Locator) -> None:
    """Type until the typing indicator is visible elsewhere. It disappears when typing pauses."""

    def more() -> bool:
        box(page).press("x")
        return seen.is_visible()

    until(page, more, "that somebody types")


def stored(page: Page, conversation: str) -> list[dict[str, Any]]:
    answer = page.request.get(f"/chat/api/conversations/{conversation}/messages/")
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


def posting(page: Page) -> dict[str, str]:
    """The headers of a POST to the JSON endpoints."""
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
    return {"X-CSRFToken": token, "Content-Type": "application/json"}


def made(page: Page, title: str) -> str:
    """Create a conversation with that title; returns its id."""
    answer = page.request.post("/chat/api/conversations/", data={"title": title}, headers=posting(page))
    return str(answer.json()["id"])


def fill(site: Site, conversation: str, texts: Sequence[str], role: str = "user") -> None:
    """Fill a conversation with messages numbered 1, 2, 3 ..., and index them for search."""
    code = (
        "from chat.models import Message, Conversation; from tests.support.store_helpers import index;"
        f"Conversation.objects.filter(pk={conversation!r}).update(last_seq={len(texts)});"
        f"of = {{'conversation_id': {conversation!r}, 'role': {role!r}}};"
        f"said = enumerate({list(texts)!r}, start=1);"
        "index(Message.objects.bulk_create(Message(**of, seq=seq, text=text) for seq, text in said))"
    )
    manage(site.env, "shell", "-v0", "-c", code)


def row(page: Page, title: str) -> Locator:
    """The row of a conversation in the list."""
    return page.locator("li.row").filter(has_text=title)


def panel(page: Page) -> Locator:
    """Open the panel of people and settings."""
    page.get_by_role("button", name="People and settings").click()
    return page.get_by_role("dialog", name="People and settings")


def person(panel: Locator, name: str) -> Locator:
    """The line of a participant in the panel."""
    return panel.get_by_role("list", name="People").get_by_role("listitem").filter(has_text=name)
