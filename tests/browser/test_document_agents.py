"""An agent writes a document while people read it and write around it; they can take over."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.test_documents import field, open_document, reads, room, saved, stored_text, text_of, write
from tests.support.page import SignIn, StartSite, answer, ends, posting, say, until
from tests.support.servers import Site, Upstream

pytestmark = pytest.mark.browser

WORDS = " ".join(f"word{number}" for number in range(30))


def site_that_writes(start_site: StartSite, hold: int) -> Site:
    """Its agent calls the tool that a message names, and waits after `hold` words of its arguments for the release."""
    return start_site(DJANGO_SETTINGS_MODULE="tests.sites.documents", MODEL=f"custom:called@hold={hold}")


def ask(tool: str, **arguments: Any) -> str:
    return f"@assistant {tool} {json.dumps(arguments)}"


def test_two_people_and_an_agent_write_in_one_document(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    _, (ada, bob) = room(site_that_writes(start_site, hold=16), sign_in, "bob")
    say(ada, ask("create_document", title="Draft", text=WORDS))

    # It opens for the person who asked, and shows what is there so far.
    mine = ada.get_by_role("region", name="Draft", exact=True)
    expect(field(mine)).to_contain_text("word9")
    expect(mine.locator(".document-writer")).to_contain_text("Assistant is writing")
    answer(bob).get_by_role("button", name="Draft").click()
    theirs = bob.get_by_role("region", name="Draft", exact=True)
    expect(theirs.locator(".agent-caret")).to_have_text("Assistant")
    expect(bob.get_by_role("status").filter(has_text="Assistant is writing in Draft.")).to_have_count(1)

    # Both write around it, and neither inside.
    write(theirs, "Hello\n\n", "ControlOrMeta+Home")
    write(mine, "\n\nBye")
    expect(field(mine)).to_contain_text("Hello")
    expect(field(theirs)).to_contain_text("Bye")
    field(mine).press("ControlOrMeta+Home")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "x"):
        field(mine).press(key)
    expect(mine.get_by_role("alert")).to_contain_text("Assistant is writing here")
    upstream.release()
    for pane in (mine, theirs):
        saved(pane)
        reads(pane, f"Hello\n\n{WORDS}\n\nBye")
        expect(pane.locator(".document-writer")).to_be_hidden()
        expect(pane.locator(".agent-caret")).to_have_count(0)
    ends(ada, "completed")
    assert stored_text(ada, str(mine.get_attribute("data-document"))) == f"Hello\n\n{WORDS}\n\nBye"


def test_a_person_takes_over_and_what_the_agent_wrote_stays(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    _, (ada, bob) = room(site_that_writes(start_site, hold=16), sign_in, "bob")
    say(ada, ask("create_document", title="Draft", text=WORDS))
    mine = ada.get_by_role("region", name="Draft", exact=True)
    expect(field(mine)).to_contain_text("word9")
    theirs = open_document(bob, "Draft")
    take_over = theirs.get_by_role("button", name="Take over")
    take_over.focus()
    take_over.press("Enter")
    for pane in (mine, theirs):
        expect(pane.locator(".document-writer")).to_be_hidden()
    before = text_of(theirs)
    write(theirs, "That is enough. ", "ControlOrMeta+Home")
    upstream.release()
    ends(ada, "completed")
    for pane in (mine, theirs):
        saved(pane)
        reads(pane, f"That is enough. {before}")
    assert re.fullmatch(r"(word\d+ ?)+", before)


def test_a_new_text_stands_in_front_of_the_old_one_until_it_is_whole(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    conversation, (ada,) = room(site_that_writes(start_site, hold=12), sign_in)
    path = f"/chat/api/conversations/{conversation}/documents/"
    fields = {"title": "Old", "text": "the old text"}
    document = ada.request.post(path, data=fields, headers=posting(ada)).json()["id"]
    pane = open_document(ada, "Old")
    say(ada, ask("edit_document", document="Old", edits=[{"search": "the old text", "replace": WORDS}]))
    expect(pane.locator(".being-replaced")).to_have_text("the old text")
    expect(pane.locator(".being-written")).to_contain_text("word1")
    expect(pane.locator(".document-preview")).not_to_contain_text("old text")
    upstream.release()
    reads(pane, WORDS)
    until(ada, lambda: stored_text(ada, document) == WORDS, "the new text")
