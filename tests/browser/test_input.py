"""How text gets into the page and out of it: input methods, the clipboard, phones."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.page import SignIn, answer, begin, box, ends, live, made, row, say
from tests.support.servers import Site, Upstream

pytestmark = pytest.mark.browser


# --- Input methods


def compose(field: Locator, key: str, order: str) -> None:
    """Compose a text in a field and press a key that belongs to the input method, in a browser's order of events."""
    page = field.page
    field.focus()
    if order == "chromium":
        devtools = page.context.new_cdp_session(page)
        composition = {"text": "ni", "selectionStart": 2, "selectionEnd": 2}
        devtools.send("Input.imeSetComposition", composition)
        page.keyboard.press(key)
        devtools.send("Input.insertText", {"text": "ni"})
        return
    # Firefox: the key comes inside the composition. Safari: it comes behind it, and has only the key code.
    field.evaluate(
        """(field, [key, isComposing]) => {
          const composition = (type) => field.dispatchEvent(new CompositionEvent(type, { bubbles: true, data: "ni" }));
          const init = { key, keyCode: 229, isComposing, bubbles: true, composed: true, cancelable: true };
          composition("compositionstart");
          if (!isComposing) composition("compositionend");
          field.dispatchEvent(new KeyboardEvent("keydown", init));
          if (isComposing) composition("compositionend");
        }""",
        [key, order == "firefox"],
    )


@pytest.mark.parametrize("order", ["chromium", "firefox", "safari"])
def test_a_key_that_ends_a_composition_does_nothing_else(parrot: Site, sign_in: SignIn, order: str) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    made(page, f"Plans {order}")
    say(page, "Tell me words@n=20000,delay=20")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    box(page).fill("Half ")
    for key in ("Enter", "Escape"):
        compose(box(page), key, order)
    expect(page.locator('article[data-role="user"]')).to_have_count(1)
    expect(box(page)).to_have_value("Half " if order != "chromium" else "Half nini")
    search = page.get_by_role("searchbox", name="Search")
    search.fill("plan")
    compose(search, "Escape", order)
    expect(search).not_to_have_value("")
    search.fill("")
    row(page, f"Plans {order}").hover()
    row(page, f"Plans {order}").get_by_role("button").click()
    page.get_by_role("menuitem", name="Rename", exact=True).click()
    title = page.get_by_role("textbox", name="Title")
    title.fill("Better")
    for key in ("Escape", "Enter"):
        compose(title, key, order)
    expect(title).to_be_focused()
    title.press("Escape")
    url = page.url
    page.keyboard.press("Control+k")
    switcher = page.get_by_role("combobox")
    switcher.fill(f"Plans {order}")
    for key in ("Enter", "Escape"):
        compose(switcher, key, order)
    expect(switcher).to_be_visible()
    assert page.url == url, "no conversation was opened"
    switcher.press("Escape")
    expect(answer(page)).to_have_attribute("data-status", "running")  # no Escape has stopped it
    page.keyboard.press("Escape")
    ends(page, "stopped")


# --- The clipboard


def copied(page: Page, **kinds: str) -> None:
    """Put these on the clipboard: `text`, `html`, and `png`, a picture."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (kinds) => {
          const types = { text: "text/plain", html: "text/html", png: "image/png" };
          const picture = new OffscreenCanvas(2, 2);
          picture.getContext("2d");
          const items = {};
          for (const [kind, content] of Object.entries(kinds)) {
            const type = types[kind];
            items[type] = kind === "png" ? await picture.convertToBlob({ type }) : new Blob([content], { type });
          }
          await navigator.clipboard.write([new ClipboardItem(items)]);
        }""",
        kinds,
    )


@pytest.mark.parametrize(
    ("kinds", "text", "files"),
    [
        ({"text": "a\tb", "html": "<table><tr><td>a<td>b</table>", "png": ""}, "a\tb", 0),  # Excel
        ({"text": "a word", "html": "<b>a word</b>"}, "a word", 0),
        ({"html": "<img src='https://example.org/a.png'>", "png": ""}, "", 1),  # a picture from a page
        ({"png": ""}, "", 1),
        ({"text": " ", "html": "<p><img></p>", "png": ""}, "", 1),  # a picture in Word
    ],
)
def test_what_is_pasted_is_the_text_or_else_the_files(
    parrot: Site, sign_in: SignIn, kinds: dict[str, str], text: str, files: int
) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    copied(page, **kinds)
    box(page).focus()
    page.keyboard.press("Control+v")
    expect(page.locator(".uploads li")).to_have_count(files)
    expect(box(page)).to_have_value(text)


ANSWER = "Before.\n\n```python\nprint(1)\n```\n\n```mermaid\ngraph TD\n```\n\nAfter."


def test_a_copied_answer_contains_no_names_of_buttons(
    database: Any, upstream: Upstream, start_site: Any, sign_in: SignIn
) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:echo"), "ada")
    begin(page)
    box(page).fill(ANSWER + "\n\n```\n" + "line\n" * 40 + "```")
    page.get_by_role("button", name="Send").click()
    ends(page, "completed")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for part in (answer(page).locator('[data-part="text"]'), answer(page)):
        part.evaluate("part => getSelection().setBaseAndExtent(part, 0, part, part.childNodes.length)")
        page.keyboard.press("Control+c")
        lines = page.evaluate("navigator.clipboard.readText()").split()
        assert not {"Wrap", "Copy", "Diagram", "Show"} & set(lines), lines
        assert {"Before.", "print(1)", "After.", "line"} <= set(lines)


# --- Phones


def test_on_a_phone_enter_makes_a_line_and_the_button_sends(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.wait_for_url("**/chat/*-*/")
    live(page)
    expect(box(page)).to_have_attribute("enterkeyhint", "enter")
    box(page).fill("One")
    box(page).press("Enter")
    box(page).press_sequentially("Two words@n=3")
    expect(box(page)).to_have_value("One\nTwo words@n=3")
    page.get_by_role("button", name="Send").click()
    ends(page, "completed")
    page.locator('article[data-role="user"]').get_by_role("button", name="Edit").click(force=True)
    editor = page.get_by_role("textbox", name="Edit message")
    editor.press("Enter")
    expect(editor).to_have_value("One\nTwo words@n=3\n")
    page.get_by_role("button", name="Cancel").click()
    box(page).fill("With a keyboard words@n=3")
    box(page).press("Control+Enter")
    expect(page.locator('article[data-role="user"]')).to_have_count(2)
