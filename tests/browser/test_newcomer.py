"""What a newcomer does first: type, look for keys, search, zoom, ask two agents."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.page import SLOW, SignIn, StartSite, answer, begin, box, ends, fill, live, made, posting, row, say
from tests.support.servers import Site

pytestmark = pytest.mark.browser


def test_typing_goes_into_the_field_from_the_beginning(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    page.keyboard.type("Hello words@n=3")
    expect(box(page)).to_have_value("Hello words@n=3")
    page.keyboard.press("Enter")
    ends(page, "completed")
    made(page, "Plans")
    row(page, "Plans").get_by_role("link").click()
    live(page)
    page.keyboard.type("More")
    expect(box(page)).to_have_value("More")
    page.reload()
    live(page)
    expect(box(page)).to_be_focused()


def test_the_question_mark_lists_the_keys_wherever_nothing_is_written(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    box(page).blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    box(page).press("?")
    expect(box(page)).to_have_value("?")


def test_one_tab_leads_past_the_list(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    for number in range(3):
        made(page, f"Another {number}")
    page.evaluate("document.querySelector('nous-chat').shadowRoot.activeElement.blur()")
    skip = page.get_by_role("button", name="Skip to the message field")
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus() }")
    for _ in range(8):
        page.keyboard.press("Tab")
        if skip.evaluate("skip => skip === skip.getRootNode().activeElement"):
            break
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(box(page)).to_be_focused()


def test_a_search_result_opens_at_its_word_and_marks_it(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    conversation = begin(page)
    lines = "Some **line** of text.\n\n" * 200
    text = f"# Long\n\n{lines}## The *needle*\n\nA `needle` [here](https://example.org/) 😀\n\n{lines}"
    fill(parrot, conversation, [text, "after"], role="assistant")
    page.reload()
    live(page)
    page.get_by_role("searchbox", name="Search").fill("needle")
    excerpt = page.locator(".results .excerpt")
    expect(excerpt.locator("mark")).to_have_text(["needle", "needle"])
    assert not re.search(r"[*#`\[\]]", str(excerpt.text_content())), excerpt.text_content()
    page.locator(".results a").click()
    expect(page.get_by_role("log").get_by_text("A needle here")).to_be_in_viewport()
    marked = "[...CSS.highlights.get('nous-chat-found')].map(range => range.toString())"
    assert page.evaluate(marked) == ["needle", "needle"]


@pytest.mark.parametrize(("width", "height"), [(640, 360), (320, 180)], ids=["200 %", "400 %"])
def test_the_greeting_and_the_starters_can_be_read_zoomed_in(
    parrot: Site, sign_in: SignIn, width: int, height: int
) -> None:
    page = sign_in(parrot, "ada", viewport={"width": width, "height": height})
    begin(page)
    first = page.locator(".starter" if height < 280 else ".greeting").first
    expect(first).to_be_in_viewport(ratio=0.9)
    header, place = page.locator(".conversation-header").bounding_box(), first.bounding_box()
    assert header
    assert place
    assert place["y"] >= header["y"] + header["height"], "it is under the header"
    for text in (page.locator(".greeting"), page.locator(".starter").last):
        text.scroll_into_view_if_needed()
        expect(text).to_be_in_viewport(ratio=0.9)


def test_the_list_names_the_agent_that_answers_and_each_has_its_picture(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(DJANGO_SETTINGS_MODULE="tests.sites.office", NOUS_CHAT_MODEL=SLOW), "ada")
    conversation = begin(page)
    agents = {"agents": ["wordy", "assistant"]}
    page.request.patch(f"/chat/api/conversations/{conversation}/", data=agents, headers=posting(page))
    say(page, "Hello @wordy please")
    ends(page, "completed")
    say(page, "Hello @assistant please")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    expect(row(page, "please")).to_contain_text("Assistant is answering")
    expect(page.locator('article[data-role="assistant"] .avatar')).to_have_text(["W", "A"])
    box(page).fill("@")
    box(page).press("End")
    box(page).press_sequentially("a")
    expect(page.locator(".mentions .avatar")).to_have_text(["A"])
