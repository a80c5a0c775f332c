"""Documents in real browsers: people and agents write in the same text, at the same time."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.page import SignIn, live, made, panel, posting, until
from tests.support.servers import Site

pytestmark = pytest.mark.browser


def room(site: Site, sign_in: SignIn, *names: str, **options: Any) -> tuple[str, list[Page]]:
    """A conversation of ada and others, open for each of them."""
    options = {"viewport": {"width": 1500, "height": 900}} | options
    pages = [sign_in(site, name, **options) for name in ("ada", *names)]
    conversation = made(pages[0], "Writing")
    for name in names:
        added = {"username": name, "role": "member"}
        path = f"/chat/api/conversations/{conversation}/participants/"
        assert pages[0].request.post(path, data=added, headers=posting(pages[0])).status == 201
    for page in pages:
        page.goto(f"/chat/{conversation}/")
        live(page)
    return conversation, pages


def new_document(page: Page, conversation: str, title: str, text: str = "", kind: str = "markdown", **more: str) -> str:
    fields = {"title": title, "text": text, "kind": kind, **more}
    path = f"/chat/api/conversations/{conversation}/documents/"
    answer = page.request.post(path, data=fields, headers=posting(page))
    assert answer.status == 201, answer.text()
    return str(answer.json()["id"])


def open_document(page: Page, title: str) -> Locator:
    """Open a document from the list in the panel; returns its pane."""
    side = panel(page)
    side.get_by_role("list", name="Documents").get_by_role("button", name=title).click()
    pane = page.get_by_role("region", name=title, exact=True)
    expect(pane.locator(".document-body")).to_be_visible()
    return pane


def field(pane: Locator) -> Locator:
    """The text of an open document."""
    return pane.locator(".document-source .cm-content")


def text_of(pane: Locator) -> str:
    """The text as it is shown, without the names of those who write: short enough to be laid out as a whole."""
    lines = (
        field(pane)
        .locator(".cm-line")
        .evaluate_all("""lines => lines.map((line) => {
        const copy = line.cloneNode(true);
        for (const caret of copy.querySelectorAll(".agent-caret, .person-caret")) caret.remove();
        return copy.textContent;
    })""")
    )
    return "\n".join(lines)


def stored_text(page: Page, document: str) -> str:
    return str(page.request.get(f"/chat/api/documents/{document}/").json()["text"])


def reads(pane: Locator, text: str) -> None:
    """Wait until the text is this one."""
    until(pane.page, lambda: text_of(pane) == text, f"{text!r}")


def saved(pane: Locator) -> None:
    expect(pane).to_have_attribute("data-saved", "true")


def write(pane: Locator, text: str, at: str = "ControlOrMeta+End") -> None:
    expect(field(pane)).to_have_attribute("contenteditable", "true")
    field(pane).focus()
    field(pane).press(at)
    field(pane).press_sequentially(text)


def test_two_people_write_in_a_new_document(parrot: Site, sign_in: SignIn) -> None:
    _, (ada, bob) = room(parrot, sign_in, "bob")
    side = panel(ada)
    side.get_by_label("New document").fill("Minutes")
    side.get_by_role("button", name="Create", exact=True).click()
    mine = ada.get_by_role("region", name="Minutes", exact=True)
    write(mine, "# Agenda")
    theirs = open_document(bob, "Minutes")
    expect(field(theirs)).to_contain_text("# Agenda")
    write(theirs, "\nLunch")
    write(mine, "Our ", "ControlOrMeta+Home")
    for pane in (mine, theirs):
        saved(pane)
        reads(pane, "Our # Agenda\nLunch")
    document = str(mine.get_attribute("data-document"))
    assert stored_text(ada, document) == "Our # Agenda\nLunch"

    # Undo takes back one's own change, not the newer one of somebody else.
    write(theirs, "!")
    expect(field(mine)).to_contain_text("Lunch!")
    field(mine).focus()
    for _ in range(5):
        field(mine).press("ControlOrMeta+z")
    expect(field(theirs)).not_to_contain_text("Agenda")
    until(bob, lambda: text_of(theirs).strip() == "Lunch!", "what bob wrote")


def test_what_is_typed_offline_is_saved_after_a_reload(parrot: Site, sign_in: SignIn) -> None:
    conversation, (ada, bob) = room(parrot, sign_in, "bob")
    document = new_document(ada, conversation, "Plan", "one\ntwo\n")
    mine, theirs = open_document(ada, "Plan"), open_document(bob, "Plan")
    expect(field(mine)).to_have_attribute("contenteditable", "true")
    ada.context.set_offline(True)
    expect(ada.locator("nous-chat")).to_have_attribute("data-connection", re.compile("offline|reconnecting"))
    write(mine, "three")
    expect(mine.get_by_role("status").last).to_contain_text("Your changes are kept")
    write(theirs, "zero\n", "ControlOrMeta+Home")
    saved(theirs)
    ada.context.set_offline(False)
    ada.reload()
    live(ada)
    mine = open_document(ada, "Plan")
    reads(mine, "zero\none\ntwo\nthree")
    saved(mine)
    reads(theirs, "zero\none\ntwo\nthree")
    assert stored_text(ada, document) == "zero\none\ntwo\nthree"


def test_a_viewer_reads_along_and_changes_nothing(parrot: Site, sign_in: SignIn) -> None:
    conversation, (ada, bob) = room(parrot, sign_in, "bob")
    people = ada.request.get(f"/chat/api/conversations/{conversation}/participants/").json()["participants"]
    [bobs] = [each["id"] for each in people if each["user"]["name"] == "bob"]
    path = f"/chat/api/conversations/{conversation}/participants/{bobs}/"
    ada.request.patch(path, data={"role": "viewer"}, headers=posting(ada))
    new_document(ada, conversation, "Notes", "Read me")
    mine, theirs = open_document(ada, "Notes"), open_document(bob, "Notes")
    expect(field(theirs)).to_have_attribute("contenteditable", "false")
    expect(theirs.get_by_role("status").last).to_contain_text("You can read this document")
    write(mine, " now")
    expect(field(theirs)).to_contain_text("Read me now")
