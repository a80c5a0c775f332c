"""The chat without JavaScript: read, begin, write, and be answered."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.site.test_site import add_participant
from tests.support.page import SLOW, SignIn, StartSite, fill, posting, stored, until
from tests.support.servers import Site
from tests.support.upstream import text

pytestmark = pytest.mark.browser


@pytest.fixture
def site(start_site: StartSite) -> Site:
    return start_site(NOUS_CHAT_MODEL="custom:words@n=150,delay=20")


def visit(sign_in: SignIn, site: Site, name: str, **options: Any) -> Page:
    return sign_in(site, name, java_script_enabled=False, **options)


def begin(page: Page) -> str:
    page.get_by_role("link", name="All conversations").click()
    page.get_by_role("button", name="New conversation").click()
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))
    return page.url.rstrip("/").rsplit("/", 1)[1]


def say(page: Page, what: str) -> None:
    page.get_by_label("Message").fill(what)
    page.get_by_role("button", name="Send").click()


def test_a_person_without_javascript_writes_and_is_answered(start_site: StartSite, sign_in: SignIn) -> None:
    page = visit(sign_in, start_site(NOUS_CHAT_MODEL="custom:words@n=150"), "ada")
    conversation = begin(page)
    say(page, "Hello <b>there</b>")
    page.wait_for_url(f"**/{conversation}/")
    expect(page.locator("article").first).to_contain_text("Hello <b>there</b>")
    until(
        page, lambda: "completed" in [m["run"]["status"] for m in stored(page, conversation) if m["run"]], "the answer"
    )
    page.reload()
    expect(page.locator('article[data-role="assistant"] .text')).to_have_text(text(150).strip())
    expect(page.get_by_role("link", name="The answer is being written")).to_have_count(0)
    page.get_by_role("link", name="All conversations").click()
    expect(page.get_by_role("link", name="Hello <b>there</b>")).to_be_visible()


def test_an_answer_that_is_being_written_is_a_link_to_more_of_it(start_site: StartSite, sign_in: SignIn) -> None:
    page = visit(sign_in, start_site(NOUS_CHAT_MODEL=SLOW), "ada")
    begin(page)
    say(page, "Hello")
    more = page.get_by_role("link", name="The answer is being written. Reload the page to see it.")
    for _ in range(2):
        more.click()
        page.wait_for_load_state()
    expect(more).to_be_visible()


def test_what_is_sent_twice_is_one_message_and_who_reads_live_sees_it(site: Site, sign_in: SignIn) -> None:
    page, live = visit(sign_in, site, "ada"), sign_in(site, "bob")
    conversation = begin(page)
    add_participant(site, conversation, "bob")
    live.goto(f"/chat/{conversation}/")
    expect(live.locator("nous-chat")).to_have_attribute("data-connection", "live")
    names = ("csrfmiddlewaretoken", "client_id")
    form: dict[str, str | float | bool] = {
        name: page.locator(f"#say input[name={name}]").input_value() for name in names
    }
    form |= {"text": "Once, @assistant", "next": "//evil.example/"}
    for _ in range(2):
        sent = page.request.post(
            f"/chat/{conversation}/say/", form=form | {"text": "Once, @assistant", "next": "//evil.example/"}
        )
        assert sent.url.endswith(f"/chat/{conversation}/"), "back here, wherever the form says"
    expect(live.locator('article[data-role="user"]')).to_contain_text("Once")
    expect(live.locator('article[data-role="assistant"]')).to_have_attribute("data-status", "completed")
    assert [message["role"] for message in stored(page, conversation) if message["role"] != "system"] == [
        "user",
        "assistant",
    ]
    live.context.close()  # the reader's going does not end what was asked for without a socket
    assert page.request.post(f"/chat/{conversation}/say/", form={"text": "No token"}).status == 403


def test_a_refused_message_says_why_and_is_not_lost(site: Site, sign_in: SignIn) -> None:
    page = visit(sign_in, site, "ada")
    conversation = begin(page)
    long = "x" * 32_001
    say(page, long)
    expect(page.get_by_role("alert")).to_contain_text("32,000")
    expect(page.get_by_label("Message")).to_have_value(long)
    reader = visit(sign_in, site, "eve")
    assert reader.request.get(f"/chat/{conversation}/").status == 404
    page.request.post(
        f"/chat/api/conversations/{conversation}/participants/",
        data={"username": "eve", "role": "viewer"},
        headers=posting(page),
    )
    reader.goto(f"/chat/{conversation}/")
    expect(reader.get_by_role("button", name="Send")).to_have_count(0)


def test_a_document_is_read_and_changed_without_javascript(site: Site, sign_in: SignIn) -> None:
    page = visit(sign_in, site, "ada")
    conversation = begin(page)
    new = {"title": "Plan <b>", "text": "\none\n  two 😀\n"}
    path = f"/chat/api/conversations/{conversation}/documents/"
    document = page.request.post(path, data=new, headers=posting(page)).json()["id"]

    def stored_text() -> str:
        return str(page.request.get(f"/chat/api/documents/{document}/").json()["text"])

    page.get_by_role("link", name="Documents").click()
    page.get_by_role("link", name="Plan <b>").click()
    expect(page.get_by_role("heading", name="Plan <b>")).to_be_visible()
    field = page.get_by_label("Text")
    expect(field).to_have_value("\none\n  two 😀\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert stored_text() == new["text"], "sent as it was, it changes nothing"

    change = {"version": 1, "changes": [1, [3, "1"], 10]}
    assert page.request.post(f"{path}{document}/push/", data=change, headers=posting(page)).status == 200
    field.fill("\none\n  two 😀!\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("together with what others have changed")).to_be_visible()
    expect(field).to_have_value("\n1\n  two 😀!\n")
    assert stored_text() == "\n1\n  two 😀!\n"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "Plan b.md"
    assert download.value.path().read_text("utf-8") == "\n1\n  two 😀!\n"


def test_older_pages_are_links_and_the_words_are_german(site: Site, sign_in: SignIn) -> None:
    page = visit(sign_in, site, "ada")
    conversation = begin(page)
    fill(site, conversation, [f"line {n}" for n in range(1, 61)])
    page.reload()
    expect(page.locator("article")).to_have_count(50)
    page.set_extra_http_headers({"Accept-Language": "de"})
    page.reload()
    page.get_by_role("link", name="Ältere Nachrichten").click()
    expect(page.locator("article")).to_have_count(10)
    page.get_by_role("link", name="Zum Neuesten springen").click()
    expect(page.locator("article").last).to_contain_text("line 60")
