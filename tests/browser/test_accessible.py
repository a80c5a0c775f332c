"""The page for everybody: axe-core in both themes, the keyboard alone, what a screen reader hears, stillness, zoom."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_document_versions import act
from tests.browser.test_documents import field, new_document, open_document
from tests.support.axe import RULES, find_faults
from tests.support.page import SLOW, SignIn, StartSite, answer, begin, box, ends, live, made, open_list, posting, say
from tests.support.servers import Site, Upstream

pytestmark = pytest.mark.browser

IN_SHADOW = "document.querySelector('nous-chat').shadowRoot"


def faults(page: Page) -> list[str]:
    return find_faults(page, rules=(*RULES, "best-practice"))


def empty(page: Page) -> None:
    begin(page)


def answered(page: Page) -> None:
    begin(page)
    say(page, "code")
    ends(page, "completed")
    expect(answer(page).locator(".hljs-keyword").first).to_be_visible()


def answering(page: Page) -> None:
    begin(page)
    say(page, "slow")
    expect(answer(page).locator('[data-part="text"]')).not_to_be_empty()


def touring(page: Page) -> None:
    """Thinking, text, a tool, a table, a formula, a diagram, and an approval, in this order."""
    begin(page)
    say(page, "What can I try here?")
    expect(page.get_by_role("button", name="Approve")).to_be_visible(timeout=60_000)
    kinds = answer(page).locator(".body > *").evaluate_all("parts => parts.map((part) => part.dataset.part)")
    assert kinds == ["thinking", "text", "tool-call", "text", "tool-call"]


def versions(page: Page) -> None:
    answered(page)
    page.get_by_role("textbox", name="Message").press("ArrowUp")
    page.get_by_role("textbox", name="Edit message").fill("usage")
    page.get_by_role("button", name="Save and ask again").click()
    expect(answer(page)).to_contain_text("A token is a piece of a word.")
    ends(page, "completed")
    page.get_by_role("button", name="edited").click()
    expect(page.get_by_role("dialog", name="Edit history").locator(".hljs-keyword").first).to_be_visible()


def menu(page: Page) -> None:
    begin(page)
    open_list(page)
    page.get_by_role("button", name="Actions for").first.click()
    expect(page.get_by_role("menu")).to_be_visible()


def keys(page: Page) -> None:
    begin(page)
    open_list(page)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def switcher(page: Page) -> None:
    begin(page)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()


def panel(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="People and settings").click()
    page.get_by_role("button", name="Create link").click()
    expect(page.get_by_role("textbox", name="Link")).to_be_visible()


def found(page: Page) -> None:
    made(page, "Zoo and garden")
    begin(page)
    open_list(page)
    page.get_by_role("searchbox").fill("garden")
    expect(page.locator("mark").first).to_be_visible()


def invited(page: Page) -> None:
    api = f"/chat/api/conversations/{made(page, 'Garden')}/invitations/"
    page.goto(page.request.post(api, data="{}", headers=posting(page)).json()["url"])
    expect(page.get_by_role("button", name="Open conversation")).to_be_visible()


def not_invited(page: Page) -> None:
    page.goto("/chat/join/nothing-of-that-name/")
    expect(page.get_by_role("alert")).to_be_visible()


def wrong_link(page: Page) -> None:
    page.goto("/nothing/here/")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()


def changing_password(page: Page) -> None:
    page.goto("/accounts/password_change/")
    expect(page.get_by_role("button", name="Change password")).to_be_visible()


def writing(page: Page) -> str:
    """A conversation with a list of documents of its own."""
    conversation = made(page, "Writing")
    page.goto(f"/chat/{conversation}/")
    live(page)
    return conversation


def document(page: Page) -> None:
    """A document with a table, code, and somebody's list, open next to the conversation or in its place."""
    conversation = writing(page)
    new_document(
        page, conversation, "Report", "# One\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1  # y\n```\n"
    )
    open_document(page, "Report")
    expect(page.locator(".document-preview").get_by_role("heading", name="One")).to_be_visible()


def document_source(page: Page) -> None:
    conversation = writing(page)
    new_document(
        page, conversation, "main.py", "def main() -> None:\n    print('x', 1)  # y\n", "code", language="python"
    )
    pane = open_document(page, "main.py")
    expect(pane.locator(".tok-keyword").first).to_be_visible()
    field(pane).press("ControlOrMeta+a")
    expect(pane.get_by_label("Ask the agent about the selection")).to_be_visible()


def document_table(page: Page) -> None:
    conversation = writing(page)
    new_document(page, conversation, "Cities", "city,people\nRome,3\nOslo,1\n", "csv")
    pane = open_document(page, "Cities")
    expect(pane.get_by_role("columnheader", name="people")).to_be_visible()


def document_history(page: Page) -> None:
    document(page)
    pane = page.get_by_role("region", name="Report", exact=True)
    act(pane, "History")
    expect(pane.locator(".comparison .cm-line").first).to_be_visible()
    pane.get_by_role("button", name="Who wrote it").click()
    expect(pane.get_by_role("cell").first).to_be_visible()


def plain(page: Page) -> None:
    conversation = begin(page)
    say(page, "code")
    ends(page, "completed")
    page.route("**/nous-chat*.js", lambda route: route.abort())
    page.goto(f"/chat/{conversation}/")
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def plain_list(page: Page) -> None:
    plain(page)
    page.get_by_role("link", name="All conversations").click()
    expect(page.get_by_role("heading", name="Conversations")).to_be_visible()


STATES = {
    "the conversation": [empty, answered, answering, touring, panel],
    "the list and dialogs": [menu, keys, switcher, found, versions],
    "documents": [document, document_source, document_table, document_history],
    "pages without the chat": [invited, not_invited, wrong_link, changing_password, plain, plain_list],
}


@pytest.mark.parametrize("width", [1280, pytest.param(320, marks=pytest.mark.slow)])
@pytest.mark.parametrize("states", STATES.values(), ids=STATES)
def test_axe_finds_nothing(
    start_site: StartSite, sign_in: SignIn, states: list[Callable[[Page], None]], width: int
) -> None:
    """In both themes. A state is reached once: the theme only changes colours, and follows the browser at once."""
    look = {"viewport": {"width": width, "height": 700}, "reduced_motion": "reduce"}
    page = sign_in(start_site(), "ada", bypass_csp=True, **look)  # axe-core writes styles into the page
    problems: list[str] = []
    for state in states:
        page.goto("/chat/")
        state(page)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            problems += [f"{state.__name__}, {theme}: {fault}" for fault in faults(page)]
        page.emulate_media(color_scheme="light")
        page.unroute_all()
    assert not problems, "\n".join(problems)


def test_a_stream_is_announced_by_sentences_and_its_end_once(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:echo@delay=40"), "ada")
    begin(page)
    sentences = [f"This is sentence number {n} of a long answer." for n in range(1, 13)]
    page.evaluate(
        f"""() => {{
            const region = {IN_SHADOW}.querySelector("[role=status][aria-live=polite]");
            window.heard = [];
            const hear = ({{ addedNodes }}) => addedNodes.forEach((node) => window.heard.push(node.textContent));
            new MutationObserver((changes) => changes.forEach(hear)).observe(region, {{ childList: true }});
        }}"""
    )
    say(page, " ".join(sentences))
    ends(page, "completed")
    expect(page.locator("nous-chat")).to_contain_text("Answer complete.")
    heard = page.evaluate("window.heard")
    assert " ".join(heard) == " ".join(["Assistant is answering.", *sentences, "Answer complete."])
    words = sum(len(sentence.split()) for sentence in sentences)
    assert len(heard) <= len(sentences) + 2 < words
    assert all(re.search(r"[.]$", said) for said in heard), "never in mid-sentence"
    assert page.get_by_role("log").get_attribute("aria-live") == "off", "the text itself is not read out as well"


def test_the_focus_stays_where_it_is_while_things_happen(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=100,delay=10"), "ada")
    begin(page)
    say(page, "Hello")
    field = page.get_by_role("textbox", name="Message")
    expect(field).to_be_focused()
    ends(page, "completed")
    expect(field).to_be_focused()
    log = page.get_by_role("log")
    log.focus()
    page.reload()
    live(page)
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()  # what is typed on a fresh page is not lost


def test_escape_closes_the_drawer_and_stops_no_answer(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL=SLOW), "ada", viewport={"width": 320, "height": 640})
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    open_list(page)
    drawer = page.get_by_role("navigation", name="Conversations")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(answer(page)).to_have_attribute("data-status", "running")
    page.keyboard.press("Escape")
    ends(page, "stopped")


def test_escape_stops_on_a_page_that_has_just_been_loaded_and_a_character_does_nothing(
    start_site: StartSite, sign_in: SignIn
) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL=SLOW), "ada")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    page.reload()
    live(page)
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("?")  # a single character counts only where the focus is in the chat: WCAG 2.2, 2.1.4
    page.get_by_role("button", name="People and settings").focus()
    expect(keys).to_have_count(0)
    page.keyboard.press("?")
    keys.get_by_role("heading").click()  # now the focus is nowhere
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    expect(answer(page)).to_have_attribute("data-status", "running")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    ends(page, "stopped")


def test_a_starter_leaves_the_focus_in_the_field(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(), "ada")
    begin(page)
    page.get_by_role("button", name="What can I try here?").press("Enter")
    expect(answer(page)).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_everything_is_done_with_the_keyboard(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL=SLOW), "ada")
    first = begin(page)
    say(page, "The first one")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    page.keyboard.press("Escape")
    ends(page, "stopped")
    page.get_by_role("button", name="New conversation", exact=True).press("Enter")
    page.wait_for_url(lambda url: first not in url)
    live(page)
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()

    row = page.locator("li.row").filter(has_text="The first one")
    expect(row).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{first}/")
    live(page)

    more = row.get_by_role("button")
    more.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem").last).to_be_focused()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()

    button = page.get_by_role("button", name="People and settings")
    button.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()

    button.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_have_count(0)
    page.get_by_role("textbox", name="Message").press("?")
    expect(page.get_by_role("textbox", name="Message")).to_have_value("?")


def test_nothing_moves_where_stillness_is_wished(start_site: StartSite, sign_in: SignIn, upstream: Upstream) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL=f"{SLOW},hold=0"), "ada", reduced_motion="reduce")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="pending"]')).to_be_visible()
    assert page.evaluate(f"{IN_SHADOW}.getAnimations().length") == 0
    upstream.release()
    expect(answer(page).locator('[data-part="text"]')).to_be_visible()
    assert page.evaluate(f"{IN_SHADOW}.getAnimations().length") == 0


def test_nothing_runs_over_the_edge(start_site: StartSite, sign_in: SignIn) -> None:
    """On a small phone, at 200 % of 1280 by 800, and on a 4K screen, in both directions of writing."""
    page = sign_in(start_site(), "ada")
    begin(page)
    say(page, "code")
    ends(page, "completed")
    for width, height in ((320, 568), (640, 400), (3840, 2160)):
        page.set_viewport_size({"width": width, "height": height})
        page.reload()
        ends(page, "completed")
        for direction in ("ltr", "rtl"):
            page.evaluate("(direction) => (document.documentElement.dir = direction)", direction)
            where = f"{width} by {height}, {direction}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, where
            assert page.evaluate("document.documentElement.scrollHeight") <= height, where
            for control in (box(page), page.get_by_role("button", name="People and settings", exact=True)):
                expect(control).to_be_in_viewport(ratio=1)
            column = page.locator(".column").bounding_box()
            assert column is not None
            assert column["width"] <= 900, f"a line stays as long as an eye can follow: {where}"
            if width > 900:
                side, stage = page.locator("nav").bounding_box(), page.locator(".stage").bounding_box()
                assert side is not None
                assert stage is not None
                assert (side["x"] < stage["x"]) == (direction == "ltr")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_documents_without_javascript_fit_a_phone(parrot: Site, sign_in: SignIn, scheme: str) -> None:
    """Who has no script reads and writes them, too: nothing lies outside of the window, and axe finds nothing."""
    look = {"viewport": {"width": 320, "height": 640}, "color_scheme": scheme, "bypass_csp": True}
    page = sign_in(parrot, "ada", **look)
    conversation = made(page, "Writing")
    title = "Quarterlyreport" * 6
    document = new_document(page, conversation, title, "# One\n\n" + "word" * 200 + "\n\nend\n")
    long = new_document(page, conversation, "Too long for a form", "a line of a long text\n" * 2500)
    for path in ("", f"{document}/", f"{long}/", None):
        if path is None:  # what could not be saved stays in the form, next to the document
            page.goto(f"/chat/{conversation}/documents/{document}/")
            page.locator("input[name=version]").evaluate("field => (field.value = 'x')")
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("alert")).to_be_visible()
        else:
            page.goto(f"/chat/{conversation}/documents/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        assert faults(page) == []
