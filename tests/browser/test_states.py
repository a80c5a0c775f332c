"""What the page shows when something is not as it should be, from real causes; more of it in test_conversation.py."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.site.test_metrics import TOKEN
from tests.site.test_outages import address, frozen, locked
from tests.support import servers
from tests.support.page import (
    SignIn,
    StartSite,
    answer,
    begin,
    ends,
    live,
    made,
    noted,
    row,
    say,
    shown,
    stored,
)
from tests.support.servers import Server, Upstream

pytestmark = pytest.mark.browser

BAR = ".conversation .connection-bar"


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """One that a test may stop."""
    server = servers.start_redis()
    yield server
    server.kill()


def test_while_redis_hangs_that_is_told_and_when_it_is_back_no_more(
    start_site: StartSite, sign_in: SignIn, own_redis: Server
) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=5", REDIS_URL=address(own_redis)), "ada")
    conversation = begin(page)
    with frozen(own_redis):
        expect(page.locator(BAR)).to_have_text(re.compile("^New messages may arrive late right now."))
        expect(page.locator("nous-chat")).to_have_attribute("data-connection", "live")
    expect(page.locator(BAR)).to_be_hidden()
    say(page, "Back again")
    ends(page, "completed")
    assert shown(page) == stored(page, conversation)[-1]["text"]


def test_while_the_database_is_away_a_message_waits_and_goes_when_it_is_back(
    start_site: StartSite, sign_in: SignIn
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:told")
    page = sign_in(site, "ada")
    conversation = begin(page)
    say(page, "Hello words@n=20000,delay=20")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    with locked(site):
        expect(page.locator(BAR)).to_contain_text("Nothing can be saved right now.")
        say(page, "Keep this words@n=5")
        expect(page.locator('article[data-role="user"]').last).to_contain_text("Not sent yet")
    expect(page.locator(BAR)).to_be_hidden()
    expect(page.locator("article")).to_have_count(4)
    ends(page, "completed")
    assert [m["text"] for m in stored(page, conversation) if m["role"] == "user"] == [
        "Hello words@n=20000,delay=20",
        "Keep this words@n=5",
    ]


def test_until_a_conversation_is_loaded_its_layout_stands_there(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site()
    page = sign_in(site, "ada")
    begin(page)
    made(page, "Another")
    expect(row(page, "Another")).to_be_visible()
    with frozen(site):
        row(page, "Another").get_by_role("link").click()
        expect(page.locator(".conversation")).to_have_attribute("data-loading", "")
        bones = "column => getComputedStyle(column, '::before').content"
        assert page.locator(".column").evaluate(bones) != "none"
    live(page)
    expect(page.locator(".conversation")).not_to_have_attribute("data-loading", "")
    expect(page.get_by_role("heading", level=1)).to_have_text("Another")


def test_a_page_that_cannot_keep_up_is_told_and_loses_nothing(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    """Its only thread is held up until the server has sent it away, because it acknowledges nothing."""
    site = start_site(
        DJANGO_SETTINGS_MODULE="tests.sites.office",
        NOUS_CHAT_MODEL="custom:flowing",
        NOUS_CHAT_METRICS_TOKEN=TOKEN,
        PATIENCE="1",
        DISCONNECT_GRACE="300",
    )
    page = sign_in(site, "ada")
    conversation = begin(page)
    told = noted(page.locator(BAR))
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w5 ")
    page.evaluate(
        """token => {
            const request = new XMLHttpRequest();
            do {
                request.open("GET", "/chat/metrics", false);
                request.setRequestHeader("Authorization", `Bearer ${token}`);
                request.send();
            } while (!/^nous_chat_sockets_too_slow_total\\S* 1/m.test(request.responseText));
        }""",
        TOKEN,
    )
    live(page)
    upstream.release()
    ends(page, "completed")
    assert shown(page) == stored(page, conversation)[-1]["text"]
    assert "This page fell behind. Reconnecting; nothing is lost." in "".join(told())
    expect(page.locator(BAR)).to_be_hidden()
