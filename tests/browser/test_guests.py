"""The tour of a visitor without an account, in a real Chromium: chat, sign in, and the conversation is still there."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support import servers
from tests.support.host import GUEST_CHAT, Hosts, HostSite
from tests.support.page import answer, box, ends, live, say
from tests.support.servers import PASSWORD

from .conftest import PATIENCE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[HostSite]:
    served = hosts.start({"NOUS_CHAT": GUEST_CHAT}, NOUS_CHAT_MODEL="custom:words@n=5")
    with servers.running(served):
        yield served


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(browser: Browser, site: HostSite, request: pytest.FixtureRequest) -> Iterator[Page]:
    problems: list[str] = []
    context = browser.new_context(base_url=site.url, java_script_enabled=request.param, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems


def test_a_visitor_chats_signs_in_and_still_has_the_conversation(page: Page, request: pytest.FixtureRequest) -> None:
    with_script = "no-script" not in request.node.name
    page.goto("/talk/")
    page.get_by_label("Message").fill("Where is my order?")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/talk/*/")
    if with_script:
        live(page)
        ends(page, "completed")
        say(page, "Thank you")
        expect(page.locator("article[data-role=assistant]").filter(visible=True)).to_have_count(2)
        ends(page, "completed")
        for hidden in ("New conversation", "People and settings", "Attach files"):
            expect(page.get_by_role("button", name=hidden)).to_have_count(0)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response
        assert [rule["id"] for rule in found["violations"]] == []
    notice = page.get_by_text("You are chatting as a guest.").filter(visible=True)
    expect(notice).to_have_count(1)
    at = page.url
    page.get_by_role("link", name="Sign in to keep this conversation").filter(visible=True).click()
    page.locator("[name=username]").fill("ada" if with_script else "bob")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Enter").click()
    page.wait_for_url(at)
    expect(page.locator('article[data-role="user"]').first).to_contain_text("Where is my order?")
    expect(notice).to_have_count(0)
    if with_script:
        live(page)
        expect(page.get_by_role("navigation").get_by_role("link", name="Where is my order?")).to_be_visible()
        expect(page.get_by_role("link", name="API tokens")).to_be_visible()
        say(page, "Here I am")
        ends(page, "completed")
        expect(box(page)).to_be_enabled()
        expect(answer(page)).to_contain_text("w4")
