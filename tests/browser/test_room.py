"""Three people in real Chromiums, on two processes of one site over Redis: from being invited to being removed."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.page import SignIn, StartSite, answer, ends, live, made, panel, person, row, say, types
from tests.support.servers import Site, Upstream

pytestmark = pytest.mark.browser


def enters(page: Page, conversation: str) -> None:
    page.goto(f"/chat/{conversation}/")
    live(page)


def test_three_people_in_two_processes(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str, sign_in: SignIn, upstream: Upstream
) -> None:
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL="custom:words@n=200,delay=20,hold=100")
    two = stop_after(one.second_process())
    ada, bob, eve = sign_in(one, "ada"), sign_in(two, "bob"), sign_in(two, "eve")
    everybody = (ada, bob, eve)
    conversation = made(ada, "Together")
    enters(ada, conversation)

    # One is added by name and hears of it in the other process; one comes with a link.
    side = panel(ada)
    side.get_by_label("Add by username").fill("bob")
    side.get_by_role("button", name="Add").click()
    row(bob, "Together").get_by_role("link").click()
    live(bob)
    side.get_by_role("button", name="Create link").click()
    link = side.get_by_role("textbox", name="Link").input_value()
    eve.goto(link.replace(one.url, two.url))
    eve.get_by_role("button", name="Join").click()
    eve.wait_for_url(f"**/{conversation}/")
    live(eve)
    for name in ("bob", "eve"):
        expect(person(side, name)).to_contain_text("viewing now")

    # They talk, and no agent interferes; who types is seen; asked by name, the agent answers all of them at once.
    types(bob, ada.get_by_text("bob is typing").first)
    say(bob, "Shall we ask?")
    for page in everybody:
        expect(page.locator('article[data-role="user"]').last).to_contain_text("Shall we ask?")
        expect(answer(page)).to_have_count(0)
    say(eve, "@assistant, what do you think?")
    for page in everybody:
        expect(answer(page)).to_contain_text("w20 ")

    # Whose question it was, or an owner, may stop it; everybody sees who did.
    expect(bob.get_by_role("button", name="Stop")).to_have_count(0)
    ada.get_by_role("button", name="Stop").click()
    for page in everybody:
        ends(page, "stopped")
    for page in (bob, eve):
        expect(answer(page).locator('[data-part="outcome"]')).to_contain_text(re.compile("ada", re.IGNORECASE))

    # It is made again, beside the first; which one is shown is the same for all.
    answer(eve).hover()
    answer(eve).get_by_role("toolbar").get_by_role("button", name="Retry").click()
    for page in everybody:
        expect(answer(page).get_by_role("group", name="Answers")).to_contain_text("2 of 2")
    upstream.release()
    for page in everybody:
        ends(page, "completed")

    # A viewer can do nothing but read, from the moment he is one.
    person(side, "eve").get_by_role("combobox", name="Role of eve").select_option("viewer")
    expect(eve.get_by_text("You can read this conversation but not write in it.")).to_be_visible()
    say(bob, "She reads this, too")
    expect(eve.locator('article[data-role="user"]').last).to_contain_text("She reads this, too")

    # Who is removed is out, in whichever process he is.
    person(side, "bob").get_by_role("button", name="Actions for bob").click()
    ada.get_by_role("menuitem", name="Remove").click()
    ada.get_by_role("dialog", name="Remove bob?").get_by_role("button", name="Remove").click()
    expect(bob.get_by_text("You are no longer in this conversation.").first).to_be_visible()
    expect(row(bob, "Together")).to_have_count(0)
