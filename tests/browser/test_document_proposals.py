"""A part of a document is sent to the agent, and people accept what it proposes, part by part."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_document_agents import site_that_writes
from tests.browser.test_document_versions import act, offline, online
from tests.browser.test_documents import field, new_document, open_document, reads, room, saved, stored_text, write
from tests.support.page import SignIn, StartSite, answer, ends, until
from tests.support.servers import Upstream

pytestmark = pytest.mark.browser

LINES = "first line\nsecond line\nthird line\nfourth line\nfifth line\n"


def test_a_selection_is_sent_and_the_proposal_accepted_by_part(start_site: StartSite, sign_in: SignIn) -> None:
    conversation, (ada, bob) = room(site_that_writes(start_site, hold=-1), sign_in, "bob")
    document = new_document(ada, conversation, "Poem", LINES)
    mine, theirs = open_document(ada, "Poem"), open_document(bob, "Poem")
    expect(field(mine)).to_have_attribute("contenteditable", "true")
    field(mine).focus()
    field(mine).press("ControlOrMeta+a")
    edits = [{"search": "second line", "replace": "2nd line"}, {"search": "fourth line", "replace": "4th line"}]
    asked = f"edit_document {json.dumps({'document': 'Poem', 'edits': edits})}"
    mine.get_by_label("Ask the agent about the selection").fill(asked)
    mine.get_by_role("button", name="Ask", exact=True).click()
    ends(ada, "completed")
    expect(answer(ada).get_by_text("Proposed changes to a document")).to_be_visible()

    # Nothing has changed; both see what is proposed.
    for pane in (mine, theirs):
        expect(pane.get_by_role("group", name="Proposed change")).to_have_count(2)
        expect(pane.locator(".proposed-removal").first).to_have_text(re.compile("second line"))
    assert stored_text(ada, document) == LINES

    # Meanwhile people write on, and one part after the other is decided.
    write(theirs, "zeroth line\n", "ControlOrMeta+Home")
    expect(field(mine)).to_contain_text("zeroth line")
    changes = mine.get_by_role("group", name="Proposed change")
    changes.first.get_by_role("button", name="Accept").click()
    expect(changes).to_have_count(1)
    expect(field(theirs)).to_contain_text("2nd line")
    changes.first.get_by_role("button", name="Decline").press("Enter")
    expect(changes).to_have_count(0)
    expect(theirs.get_by_role("group", name="Proposed change")).to_have_count(0)
    text = "zeroth line\n" + LINES.replace("second", "2nd")
    for pane in (mine, theirs):
        saved(pane)
        reads(pane, text)
    until(ada, lambda: stored_text(ada, document) == text, "the accepted part")
    proposals = ada.request.get(f"/chat/api/documents/{document}/proposals/").json()["proposals"]
    assert proposals == []


def test_people_see_that_the_agent_writes_a_proposal(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    conversation, (ada, bob) = room(site_that_writes(start_site, hold=6), sign_in, "bob")
    new_document(ada, conversation, "Poem", LINES)
    bob.set_extra_http_headers({"Accept-Language": "de"})
    bob.reload()
    mine = open_document(ada, "Poem")
    expect(field(mine)).to_have_attribute("contenteditable", "true")
    field(mine).focus()
    field(mine).press("ControlOrMeta+a")
    edits = [{"search": "second line", "replace": "2nd line"}]
    asked = f"edit_document {json.dumps({'document': 'Poem', 'edits': edits})}"
    mine.get_by_label("Ask the agent about the selection").fill(asked)
    mine.get_by_role("button", name="Ask", exact=True).click()
    for page, running, writes in (
        (ada, "Editing a document…", "Assistant is writing"),
        (bob, "Dokument wird bearbeitet …", "Assistant schreibt"),
    ):
        expect(answer(page).get_by_text(running)).to_be_visible()
        expect(answer(page).get_by_role("button", name="Poem")).to_be_visible()
        expect(page.locator(".activity")).to_have_text(writes)
    assert not mine.get_by_role("group", name="Proposed change").count()
    upstream.release()
    ends(ada, "completed")
    expect(answer(ada).get_by_text("Proposed changes to a document")).to_be_visible()
    expect(answer(bob).get_by_text("Änderungen an einem Dokument vorgeschlagen")).to_be_visible()
    expect(mine.get_by_role("group", name="Proposed change")).to_have_count(1)

    # What is about the text goes while the history is open.
    about = mine.get_by_text("1 proposed change", exact=True), mine.get_by_label("Ask the agent about the selection")
    for each in about:
        expect(each).to_be_visible()
    act(mine, "History")
    for each in about:
        expect(each).to_be_hidden()
    mine.get_by_role("button", name="Back to the text").click()
    expect(about[0]).to_be_visible()


def test_a_page_that_was_offline_shows_the_proposals_that_wait_now(start_site: StartSite, sign_in: SignIn) -> None:
    conversation, (ada, bob) = room(site_that_writes(start_site, hold=-1), sign_in, "bob")
    document = new_document(ada, conversation, "Poem", LINES)
    mine, theirs = open_document(ada, "Poem"), open_document(bob, "Poem")

    def ask(search: str, replace: str) -> None:
        expect(field(mine)).to_have_attribute("contenteditable", "true")
        field(mine).focus()
        field(mine).press("ControlOrMeta+a")
        edits = [{"search": search, "replace": replace}]
        asked = f"edit_document {json.dumps({'document': 'Poem', 'edits': edits})}"
        mine.get_by_label("Ask the agent about the selection").fill(asked)
        mine.get_by_role("button", name="Ask", exact=True).click()

    changes, seen = (pane.get_by_role("group", name="Proposed change") for pane in (mine, theirs))
    ask("second line", "2nd line")
    expect(seen).to_have_count(1)
    offline(bob)
    changes.get_by_role("button", name="Decline").click()
    expect(changes).to_have_count(0)
    ask("fourth line", "4th line")
    expect(changes).to_have_count(1)
    online(bob)
    expect(seen).to_have_count(1)
    expect(seen).to_contain_text("4th line")

    # What is decided offline counts, too.
    offline(bob)
    seen.get_by_role("button", name="Accept").click()
    expect(seen).to_have_count(0)
    online(bob)
    expect(changes).to_have_count(0)
    text = LINES.replace("fourth", "4th")
    for pane in (mine, theirs):
        reads(pane, text)
        saved(pane)
    expect(seen).to_have_count(0)
    assert ada.request.get(f"/chat/api/documents/{document}/proposals/").json()["proposals"] == []
