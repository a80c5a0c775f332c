"""Scripts of the admin's pages, and the ways between the page and the admin. Who may use them: tests/admin."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.axe import find_faults
from tests.support.page import SignIn, StartSite, answer, begin, ends, live, made, row, say
from tests.support.servers import Upstream, manage

pytestmark = pytest.mark.browser


def faults(page: Page, *parts: str) -> list[str]:
    """What axe-core finds in these parts of the page in both themes. The rest is Django's."""
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("document.getAnimations().every((each) => each.playState !== 'running')")
        found += [f"{theme}: {fault}" for fault in find_faults(page, parts)]
    return found


def test_trying_an_agent_streams_its_answer_and_stops(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=20,hold=5")
    staff = sign_in(site, "root", bypass_csp=True)  # axe-core writes styles into the page
    staff.goto("/admin/nous_chat/storedagent/add/")
    staff.get_by_label("Name:").fill("Clerk")
    staff.get_by_label("Instructions").fill("Be brief.")
    staff.get_by_label("Message").fill("Hello")
    output = staff.locator(".nous-answer")
    staff.get_by_role("button", name="Ask").click()
    expect(output).to_contain_text("w4")  # the answer has not ended
    expect(output).to_have_attribute("aria-busy", "true")
    sent = upstream.last()["body"]["messages"]
    assert [each["content"] for each in sent] == ["Be brief.", "Hello"], "as the form says, which is not saved"
    upstream.release()
    expect(output).to_contain_text("w19")
    expect(output.locator(".nous-figures-line")).to_contain_text("custom:words@n=20,hold=5 · ")
    expect(output).to_have_attribute("aria-busy", "false")
    staff.get_by_role("button", name="Ask").click()
    expect(output).to_contain_text("w4")
    staff.get_by_role("button", name="Stop").click()
    expect(output).to_contain_text("Stopped.")
    assert upstream.ended(), "the provider is no longer asked"
    expect(staff.get_by_role("button", name="Stop")).to_be_hidden()
    assert faults(staff, "#content") == []


def test_the_versions_of_an_agent_are_compared_and_restored(start_site: StartSite, sign_in: SignIn) -> None:
    staff = sign_in(start_site(), "root", bypass_csp=True)
    staff.goto("/admin/nous_chat/storedagent/add/")
    staff.get_by_label("Name:").fill("Clerk")
    staff.get_by_label("Instructions").fill("Be brief.\nBe kind.")
    staff.get_by_role("button", name="Save and continue editing").click()
    staff.get_by_label("Instructions").fill("Be brief.\nBe funny.")
    staff.get_by_role("button", name="Save and continue editing").click()
    staff.get_by_role("link", name="Versions").click()
    expect(staff.locator(".nous-diff del")).to_have_text("Be kind.")
    expect(staff.locator(".nous-diff ins")).to_have_text("Be funny.")
    assert faults(staff, "#content") == []
    staff.get_by_role("button", name="Restore 1").click()
    expect(staff.get_by_role("row", name="3 (current) (restores 1)")).to_be_visible()
    expect(staff.locator(".nous-diff ins")).to_have_text("Be kind.")


def test_an_erasure_goes_on_by_itself_and_leaves_a_receipt(
    start_site: StartSite, sign_in: SignIn, tmp_path: Path
) -> None:
    site = start_site()
    bob = sign_in(site, "bob")
    begin(bob)
    say(bob, "Sesame")
    ends(bob, "completed")
    staff = sign_in(site, "root", bypass_csp=True)
    staff.goto("/admin/nous_chat/erasure/")
    staff.get_by_role("link", name="Erase a user").click()
    staff.get_by_label("Username").fill("bob")
    staff.get_by_role("button", name="Show what would be erased").click()
    expect(staff.locator(".nous-counts")).to_be_visible()
    planned = staff.locator(".nous-counts td").all_inner_texts()
    assert faults(staff, "#content") == []
    staff.get_by_role("button", name="Erase bob").click()
    expect(staff.locator(".field-state")).to_contain_text("complete", timeout=60_000)  # nobody presses a button
    expect(staff.locator(".field-state")).not_to_contain_text("incomplete")
    assert staff.locator(".field-erased td").all_inner_texts() == planned
    assert faults(staff, ".module", ".object-tools") == []
    with staff.expect_download() as download:
        staff.get_by_role("link", name="Download the receipt").click()
    download.value.save_as(tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["finished_at"]
    assert receipt["erased_by"] == "root"
    assert sum(receipt["counts"].values()) > 0
    assert "bob" not in json.dumps(receipt)
    bob.goto("/chat/")
    expect(bob.get_by_label("Password")).to_be_visible()
    code = "from chat.models import Message; print(Message.objects.filter(text__contains='Sesame').count())"
    assert manage(site.env, "shell", "-v0", "-c", code).split() == ["0"]


def test_the_menu_of_a_conversation_leads_to_the_admin_and_back(start_site: StartSite, sign_in: SignIn) -> None:
    staff = sign_in(start_site(), "root")
    conversation = made(staff, "Plans")
    staff.goto(f"/chat/{conversation}/")
    live(staff)
    say(staff, "Hello")
    ends(staff, "completed")
    text = answer(staff).locator('[data-part="text"]').first.inner_text().split("\n")[0]
    row(staff, "Plans").hover()
    row(staff, "Plans").get_by_role("button").click()
    with staff.expect_popup() as opened:
        staff.get_by_role("menuitem", name="Open in the admin").click()
    transcript = opened.value
    transcript.wait_for_url(f"**/admin/nous_chat/conversation/{conversation}/transcript/")
    expect(transcript.locator("article").last).to_contain_text(text[:20])
    transcript.get_by_role("link", name="Open in the chat").click()
    transcript.wait_for_url(f"**/chat/{conversation}/")
