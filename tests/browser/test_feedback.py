"""Rating an answer on the page, as a reader does."""

import pytest
from playwright.sync_api import expect

from tests.support.page import SignIn, StartSite, answer, begin, ends, say, stored

pytestmark = pytest.mark.browser


def test_an_answer_is_rated_and_the_rating_is_kept(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=5"), "ada")
    conversation = begin(page)
    say(page, "Hello")
    ends(page, "completed")
    answer(page).hover()
    answer(page).get_by_role("button", name="Rate").click()
    dialog = page.get_by_role("dialog", name="Rate")
    dialog.get_by_role("radio", name="Bad answer").check()
    dialog.get_by_role("textbox", name="Comment").fill("Too <b>short</b>")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_have_count(0)
    message = stored(page, conversation)[-1]["id"]
    url = f"/chat/api/conversations/{conversation}/messages/{message}/feedback/"
    feedback = page.request.get(url).json()["feedback"]
    assert (feedback["rating"], feedback["comment"]) == ("bad", "Too <b>short</b>")
    answer(page).get_by_role("button", name="Rate").click()
    expect(dialog.get_by_role("radio", name="Bad answer")).to_be_checked()
    expect(dialog.get_by_role("textbox", name="Comment")).to_have_value("Too <b>short</b>")
