"""The history of a document: what is different, who wrote what, and going back."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.test_documents import (
    field,
    new_document,
    open_document,
    reads,
    room,
    saved,
    stored_text,
    text_of,
    write,
)
from tests.support.page import SignIn, live, posting, until
from tests.support.servers import Site

pytestmark = pytest.mark.browser


def act(pane: Locator, name: str) -> None:
    """Choose from the document's menu."""
    pane.get_by_role("button", name="Document actions").click()
    pane.page.get_by_role("menuitem", name=name).click()


def written(site: Site, sign_in: SignIn) -> tuple[Page, Page, Locator, Locator, str]:
    """A document that ada began, and bob has changed."""
    conversation, (ada, bob) = room(site, sign_in, "bob")
    document = new_document(ada, conversation, "Plan", "one\ntwo\nthree\n")
    mine, theirs = open_document(ada, "Plan"), open_document(bob, "Plan")
    write(theirs, "four\n")
    saved(theirs)
    reads(mine, "one\ntwo\nthree\nfour\n")
    return ada, bob, mine, theirs, document


def test_versions_are_compared_named_and_restored(parrot: Site, sign_in: SignIn) -> None:
    ada, _, mine, theirs, document = written(parrot, sign_in)
    act(mine, "History")
    versions = mine.get_by_role("list", name="Versions").get_by_role("button")
    expect(versions).to_have_count(2)
    expect(versions.first).to_contain_text("bob")
    expect(versions.last).to_contain_text("ada")
    expect(mine.locator(".comparison .cm-changedLine").first).to_contain_text("four")

    # Side by side, and with another version than the one before.
    versions.last.click()
    mine.get_by_role("button", name="Side by side").click()
    newest = mine.get_by_label("Compare with").locator("option").nth(1).get_attribute("value")
    mine.get_by_label("Compare with").select_option(newest)
    expect(mine.locator(".cm-merge-b .cm-changedLine").first).to_contain_text("four")
    expect(mine.locator(".cm-merge-a")).not_to_contain_text("four")

    mine.get_by_role("button", name="Name this version").click()
    ada.get_by_label("Name (empty for none)").fill("First draft")
    ada.keyboard.press("Enter")
    expect(versions.last).to_contain_text("First draft")

    mine.get_by_role("button", name="Restore this version").click()
    reads(mine, "one\ntwo\nthree\n")
    reads(theirs, "one\ntwo\nthree\n")
    until(ada, lambda: stored_text(ada, document) == "one\ntwo\nthree\n", "the restored text")


def test_who_wrote_which_line(parrot: Site, sign_in: SignIn) -> None:
    ada, _, mine, _, _ = written(parrot, sign_in)
    act(mine, "History")
    mine.get_by_role("button", name="Who wrote it").click()
    rows = mine.get_by_role("region", name="Who wrote it").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("ada")
    expect(rows.nth(1)).to_contain_text("three")
    expect(rows.nth(2)).to_contain_text("bob")
    expect(rows.nth(2)).to_contain_text("four")
    expect(mine.get_by_role("region", name="Who wrote it")).not_to_contain_text("looked at")

    # As if the log were longer than what is looked at.
    def cut_off(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"version": 10_002, "since": 2})

    ada.route("**/blame/**", cut_off)
    mine.get_by_role("button", name="Inline").click()
    mine.get_by_role("button", name="Who wrote it").click()
    expect(mine.get_by_role("region", name="Who wrote it")).to_contain_text(
        "Only the last 10,000 changes were looked at."
    )
    mine.get_by_role("button", name="Back to the text").click()
    expect(field(mine)).to_be_visible()


def test_a_document_is_downloaded_renamed_deleted_and_restored(parrot: Site, sign_in: SignIn) -> None:
    ada, _, mine, theirs, _ = written(parrot, sign_in)
    with ada.expect_download() as downloading:
        act(mine, "Download")
    assert downloading.value.suggested_filename == "Plan.md"

    act(mine, "Rename document")
    ada.get_by_role("dialog", name="Rename document").get_by_label("Title").fill("Big plan")
    ada.keyboard.press("Enter")
    for page in (mine.page, theirs.page):
        expect(page.get_by_role("region", name="Big plan", exact=True)).to_be_visible()
    mine, theirs = (each.page.locator("section.document") for each in (mine, theirs))

    act(mine, "Delete")
    ada.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for pane in (mine, theirs):
        expect(pane.get_by_role("alert").first).to_contain_text("This document was deleted.")
    expect(theirs.get_by_role("button", name="Undo")).to_have_count(0)
    mine.get_by_role("button", name="Undo").click()
    for pane in (mine, theirs):
        until(ada, lambda: text_of(mine) == "one\ntwo\nthree\nfour\n", "the text")
        expect(field(pane)).to_be_visible()


def test_what_is_open_when_a_document_is_deleted_closes_and_comes_back_with_it(parrot: Site, sign_in: SignIn) -> None:
    ada, bob, mine, theirs, document = written(parrot, sign_in)
    act(mine, "History")
    expect(mine.get_by_role("list", name="Versions").get_by_role("button")).to_have_count(2)
    theirs.get_by_role("button", name="Document actions").click()
    bob.get_by_role("menuitem", name="Rename document").click()
    bob.get_by_role("dialog", name="Rename document").get_by_label("Title").fill("Too late")
    address = f"/chat/api/conversations/{ada.url.rstrip('/').rsplit('/', 1)[1]}/documents/{document}/"
    assert ada.request.delete(address, headers=posting(ada)).ok
    for pane in (mine, theirs):
        expect(pane.get_by_role("alert").first).to_contain_text("This document was deleted.")
        # The menu would act on a text that is not there.
        expect(pane.get_by_role("button", name="Document actions")).to_have_count(0)
    expect(mine.get_by_role("list", name="Versions")).to_have_count(0)
    expect(mine.get_by_role("heading", name="Plan")).to_be_focused()
    bob.keyboard.press("Enter")
    expect(theirs.get_by_role("alert").last).to_contain_text("does not exist")
    mine.get_by_role("button", name="Undo").click()
    for pane in (mine, theirs):
        reads(pane, "one\ntwo\nthree\nfour\n")
        expect(field(pane)).to_be_visible()
        expect(pane.get_by_role("button", name="Document actions")).to_be_visible()
    write(mine, "five")
    reads(theirs, "one\ntwo\nthree\nfour\nfive")


def test_a_page_that_was_offline_notices_a_deletion_and_a_restored_document(parrot: Site, sign_in: SignIn) -> None:
    ada, bob, mine, theirs, document = written(parrot, sign_in)
    address = f"/chat/api/conversations/{ada.url.rstrip('/').rsplit('/', 1)[1]}/documents/{document}/"
    offline(bob)
    write(theirs, "five")
    assert ada.request.delete(address, headers=posting(ada)).ok
    online(bob)
    expect(theirs.get_by_role("alert").first).to_contain_text("This document was deleted.")
    offline(bob)
    mine.get_by_role("button", name="Undo").click()
    expect(field(mine)).to_be_visible()
    online(bob)
    for pane in (mine, theirs):  # what bob has typed is not lost
        reads(pane, "one\ntwo\nthree\nfour\nfive")


def offline(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.locator("nous-chat")).to_have_attribute("data-connection", re.compile("offline|reconnecting"))


def online(page: Page) -> None:
    page.context.set_offline(False)
    live(page)


def test_a_version_stays_in_view_while_others_write(parrot: Site, sign_in: SignIn) -> None:
    _, _, mine, theirs, _ = written(parrot, sign_in)
    act(mine, "History")
    versions = mine.get_by_role("list", name="Versions").get_by_role("button")
    versions.last.click()
    expect(mine.locator(".comparison")).not_to_contain_text("four")
    shown = mine.locator(".comparison").element_handle()
    newest = versions.first.text_content()
    for text in ("five\n", "six\n", "seven\n"):  # many changes of one step, which the list must show once
        write(theirs, text)
        saved(theirs)
    expect(versions.first).not_to_have_text(str(newest))
    expect(versions).to_have_count(2)
    expect(versions.last).to_have_attribute("aria-current", "true")
    assert shown.evaluate("element => element.isConnected"), "the comparison was drawn again"


def test_a_document_whose_kind_changes_gets_the_preview_of_its_new_kind(parrot: Site, sign_in: SignIn) -> None:
    ada, _, mine, theirs, document = written(parrot, sign_in)
    address = f"/chat/api/conversations/{ada.url.rstrip('/').rsplit('/', 1)[1]}/documents/{document}/"
    write(mine, "five")
    assert ada.request.patch(address, data={"kind": "csv"}, headers=posting(ada)).ok
    for pane in (mine, theirs):
        expect(pane.get_by_role("table")).to_be_visible()
        reads(pane, "one\ntwo\nthree\nfour\nfive")
