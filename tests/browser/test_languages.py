"""The page in German, and in a language that is made up, in which every word shows that did not come by gettext."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.project.test_translations import strings_of_the_page
from tests.support.page import SignIn, StartSite, ends, live, posting
from tests.support.pictures import png
from tests.support.servers import ROOT

pytestmark = pytest.mark.browser

WORDS = ROOT / "chat/static/nous_chat/i18n/strings.js"
VISIBLE = """() => {
    const found = [];
    const look = (root) => {
        for (const element of root.querySelectorAll("*")) {
            const given = "[data-part=text], [data-part=usage], .title, .starter, .avatar";
            if (element.matches(`style, time, ${given}`)) continue;
            for (const name of ["aria-label", "title", "placeholder"]) found.push(element.getAttribute(name) ?? "");
            for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
        }
    };
    look(document.querySelector("nous-chat").shadowRoot);
    return found;
}"""
GERMAN = {"Accept-Language": "de-AT,de;q=0.9"}
THEIRS = {"Assistant", "ada", "Hello"}
"""What the site and its people have named."""


def pseudo() -> str:
    """A script that gives the page a catalogue in which every text stands in brackets, before its modules run."""
    counts = set(re.findall(r'ngettext\(\s*"([^"]*)"', WORDS.read_text("utf-8")))
    texts: dict[str, Any] = {text: [f"[{text}]"] if text in counts else f"[{text}]" for text in strings_of_the_page()}
    catalogue = json.dumps({"language": "en", "texts": texts, "plurals": "0" * 200})
    return f"""document.addEventListener("readystatechange", () => {{
        const setup = document.querySelector("nous-chat > script");
        if (setup && document.readyState === "interactive")
            setup.textContent = JSON.stringify({{ ...JSON.parse(setup.textContent), words: {catalogue} }});
    }})"""


def bare(page: Page) -> list[str]:
    """Words outside brackets."""
    said = {text.strip() for text in page.evaluate(VISIBLE)}
    rest = {re.sub(r"\[[^\]]*\]|\b\d+(:\d+)?( [AP]M)?\b", "", text).strip(" ·\u202f") for text in said}
    return sorted(text for text in rest if re.search(r"[A-Za-z]{2,}", text) and text not in THEIRS)


def test_no_word_of_the_page_comes_past_gettext(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))
    page.add_init_script(pseudo())
    page.reload()
    expect(page.get_by_role("button", name="[New conversation]", exact=True)).to_be_visible()
    page.get_by_role("textbox", name="[Message]").fill("Hello")
    page.keyboard.press("Enter")
    ends(page, "completed")
    page.get_by_role("button", name="[People and settings]").click()
    expect(page.get_by_role("heading", name="[Invitation links]")).to_be_visible()
    assert bare(page) == []


def test_a_german_browser_gets_a_german_page(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    page.set_extra_http_headers(GERMAN)
    page.reload()
    expect(page.get_by_role("button", name="Neues Gespräch", exact=True)).to_be_visible()
    page.get_by_role("textbox", name="Nachricht").fill("Hallo")
    page.keyboard.press("Enter")
    ends(page, "completed")
    expect(page.locator("nous-chat")).to_have_attribute("lang", "de")
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^de"))


def test_what_the_server_says_to_a_german_page_is_german(start_site: StartSite, sign_in: SignIn) -> None:
    """Over the socket, over HTTP, and where there is no JavaScript."""
    page = sign_in(start_site(), "ada")
    page.set_extra_http_headers(GERMAN)
    page.reload()
    live(page)
    page.get_by_role("textbox", name="Nachricht").fill("x" * 32_001)
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text(
        "Eine Nachricht darf bis zu 32.000 Zeichen haben. Diese hat 32.001."
    )
    page.get_by_role("button", name="Personen und Einstellungen").click()
    page.get_by_role("textbox", name="Benutzername").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Es gibt keinen Benutzer mit diesem Namen.")).to_be_visible()
    refused = page.request.post(f"{page.url}say/", form={"text": ""}, headers=posting(page) | GERMAN)
    assert refused.status == 400
    assert "Eine Nachricht darf nicht leer sein." in refused.text()


REFUSED_FILES = [
    (png(15_000, 15_000), "up to 25 megapixels. This one has 225.", "bis zu 25 Megapixel haben. Dieses hat 225."),
    (png(2, 2)[:-1], "This picture is damaged.", "Dieses Bild ist beschädigt."),
    (bytes(8 * 1024 * 1024), "Files can be up to 5 MB.", "Dateien können bis zu 5 MB groß sein."),
    (png(3, 3), "Your files take 16 KB of 20 KB", "Ihre Dateien belegen 16 KB von 20 KB"),
]
"""Files, and why each is refused: too many pixels, damaged, refused while it is being sent, and no room for it."""


def test_the_page_says_why_a_file_is_refused(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(DJANGO_SETTINGS_MODULE="tests.sites.small"), "ada")
    files = page.locator(".uploads li")
    for language in (0, 1):
        page.set_extra_http_headers({"Accept-Language": ("en", "de")[language]})
        page.reload()
        live(page)
        choose = page.locator("input[type=file]")
        if language == 0:
            choose.set_input_files(FilePayload(name="first.png", mimeType="image/png", buffer=png()))
            expect(files.nth(0)).to_have_attribute("data-state", "there")
        for number, (content, *reasons) in enumerate(REFUSED_FILES, 1):
            choose.set_input_files(FilePayload(name=f"{number}.png", mimeType="image/png", buffer=content))
            expect(files.nth(number)).to_contain_text(reasons[language])
