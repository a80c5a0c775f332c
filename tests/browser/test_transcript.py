"""The transcript in the admin, live while an answer is made."""

import pytest
from playwright.sync_api import expect

from tests.support.page import SLOW, SignIn, StartSite, answer, begin, ends, say

pytestmark = pytest.mark.browser


def test_staff_watch_an_answer_and_stop_it(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    page = sign_in(site, "ada")
    conversation = begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w5 ")
    staff = sign_in(site, "root")
    errors: list[str] = []
    staff.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    staff.goto(f"/admin/nous_chat/conversation/{conversation}/transcript/")
    text = staff.locator("article").last.locator(".nous-text")
    expect(text).to_contain_text("w20 ")
    staff.get_by_role("button", name="Stop").click()
    ends(page, "stopped")
    expect(staff.locator("article").last.locator('[data-status="stopped"]')).to_be_visible()
    assert errors == []
