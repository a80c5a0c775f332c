"""What a person does on the page, in a real Chromium against a real site."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
from playwright.sync_api import expect

from tests.site.test_site import add_participant, cases
from tests.sites import recorded
from tests.support import servers
from tests.support.host import Hosts
from tests.support.page import (
    SLOW,
    SignIn,
    StartSite,
    answer,
    begin,
    ends,
    fill,
    live,
    panel,
    posting,
    say,
    shown,
    stored,
    types,
    until,
)
from tests.support.servers import Site, Upstream
from tests.support.upstream import text

pytestmark = pytest.mark.browser

OWN_SCRIPT = 76 * 1024
"""Largest size in bytes of the page's own modules as they are sent (compressed), without vendored libraries and those
of an open document. docs/benchmarks.md says what has raised it.
"""
DOCUMENT_SCRIPT = 24 * 1024
"""The same for the modules that are loaded with the first document."""


def test_a_conversation_from_the_first_visit_to_the_token_count(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=80,delay=10,hold=0"), "ada")
    conversation = begin(page)
    say(page, "Hello, <b>world</b>")
    expect(answer(page).locator('[data-part="pending"]')).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    upstream.release()
    ends(page, "completed")
    assert shown(page) == text(80) == stored(page, conversation)[-1]["text"]
    expect(page.locator('article[data-role="user"]')).to_contain_text("Hello, <b>world</b>")
    usage = stored(page, conversation)[-1]["run"]["usage"]
    expect(answer(page).locator('[data-part="usage"]')).to_contain_text(str(usage["total_tokens"]))
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(page.get_by_role("link", name="Hello, <b>world</b>")).to_be_visible()


def test_stop_keeps_what_was_written_and_says_who_stopped_it(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL=SLOW), "ada")
    conversation = begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w5 ")
    page.get_by_role("button", name="Stop").click()
    ends(page, "stopped")
    assert shown(page) == stored(page, conversation)[-1]["text"]
    assert text(20_000).startswith(shown(page))
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_escape_stops_too(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL=SLOW), "ada")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    page.keyboard.press("Escape")
    ends(page, "stopped")


def test_a_failed_answer_says_why_and_is_made_again(start_site: StartSite, sign_in: SignIn, upstream: Upstream) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:cut@n=7"), "ada")
    conversation = begin(page)
    say(page, "Hello")
    ends(page, "failed")
    assert shown(page) == text(7)
    sentence = stored(page, conversation)[-1]["run"]["error"]["message"]
    expect(answer(page)).to_contain_text(sentence)
    first = answer(page).get_attribute("data-message")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(f'article[data-message="{first}"]')).to_have_count(0)
    ends(page, "failed")
    expect(page.locator('article[data-role="assistant"]')).to_have_count(1)


def test_a_reload_in_mid_stream_goes_on_whole(start_site: StartSite, sign_in: SignIn, upstream: Upstream) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=250,delay=20,hold=200"), "ada")
    conversation = begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w20 ")
    page.reload()
    live(page)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    upstream.release()
    ends(page, "completed")
    assert shown(page) == text(250) == stored(page, conversation)[-1]["text"]


def test_a_connection_that_breaks_is_shown_comes_back_and_loses_nothing(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=40,delay=20")
    page = sign_in(site, "ada")
    conversation = begin(page)
    site.kill()
    expect(page.locator("nous-chat")).to_have_attribute("data-connection", re.compile("reconnecting|offline"))
    say(page, "Sent while away")
    expect(page.locator('article[data-role="user"]')).to_contain_text("Sent while away")
    again = site.restarted()
    with servers.running(again):
        live(page)
        ends(page, "completed")
        assert shown(page) == text(40)
        assert [m["role"] for m in stored(page, conversation)] == ["user", "assistant"], "sent once"


def test_what_a_dead_server_was_writing_is_marked_and_can_be_made_again(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    page = sign_in(site, "ada")
    conversation = begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w100 ")
    site.kill()
    with servers.running(site.restarted()):
        ends(page, "interrupted")
        assert shown(page) == stored(page, conversation)[-1]["text"]
        expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_two_people_see_each_other_and_the_same_answer(
    start_site: StartSite, sign_in: SignIn, stop_after: Callable[[Any], Any], redis: str
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=150,delay=20", REDIS_URL=redis)
    other = stop_after(site.second_process())
    ada, bob = sign_in(site, "ada"), sign_in(other, "bob")
    conversation = begin(ada)
    add_participant(site, conversation, "bob")
    bob.goto(f"/chat/{conversation}/")
    live(bob)
    types(ada, bob.locator(".activity").filter(has_text="ada is typing"))
    say(ada, "Hello both")
    expect(bob.locator('article[data-role="user"]')).to_contain_text("Hello both")
    for page in (ada, bob):
        ends(page, "completed")
        assert shown(page) == text(150)


def test_signing_out_elsewhere_is_told_and_the_draft_is_kept(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site()
    page = sign_in(site, "ada")
    begin(page)
    page.get_by_role("textbox", name="Message").fill("Half a thought")
    page.context.clear_cookies()
    page.reload()
    expect(page).to_have_url(re.compile("/accounts/login/"))
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(servers.PASSWORD)
    page.keyboard.press("Enter")
    live(page)
    expect(page.get_by_role("textbox", name="Message")).to_have_value("Half a thought")


def test_older_messages_are_loaded_above_without_moving_what_is_read(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site()
    page = sign_in(site, "ada")
    conversation = begin(page)
    fill(site, conversation, [f"line {n}" for n in range(1, 121)])
    page.reload()
    live(page)
    articles = page.get_by_role("log").locator("article")
    expect(articles.last).to_be_in_viewport()
    page.mouse.move(640, 300)

    def up() -> bool:
        page.mouse.wheel(0, -3000)
        return articles.count() == 120

    until(page, up, "the first message")
    expect(articles.locator('[data-part="text"]')).to_have_text([f"line {n}" for n in range(1, 121)])


def test_what_is_printed_is_the_whole_conversation(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3000"), "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "completed")
    page.emulate_media(media="print")
    expect(page.get_by_role("textbox", name="Message")).to_be_hidden()
    expect(page.get_by_role("button")).to_have_count(0)
    assert page.get_by_role("log").evaluate("log => log.scrollHeight === log.clientHeight"), "it has a scrollbar"
    assert page.evaluate("document.documentElement.scrollHeight > 2 * innerHeight"), "it ends with the window"


def test_hostile_text_from_a_model_stays_text(start_site: StartSite, sign_in: SignIn) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script><a href='javascript:alert(3)'>x</a>"
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:echo"), "ada")
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    begin(page)
    say(page, hostile)
    ends(page, "completed")
    assert shown(page).strip() == hostile
    expect(answer(page).locator('[data-part="text"]')).to_have_text(hostile)
    expect(answer(page).locator("img, script, a")).to_have_count(0)


@pytest.mark.parametrize("middleware", [[], ["host.nonces.nonces"]], ids=["plain", "scripts by nonce only"])
def test_the_element_works_on_a_foreign_page(middleware: list[str], hosts: Hosts, browser: Any) -> None:
    # An open page keeps the session's cookie alive, here every three seconds.
    site = hosts.start({"+MIDDLEWARE": middleware, "SESSION_SAVE_EVERY_REQUEST": True, "SESSION_COOKIE_AGE": 30})
    with servers.running(site):
        page = browser.new_page(base_url=site.url)
        console: list[str] = []
        page.on("console", lambda message: console.append(message.text))
        page.goto("/enter/")
        page.get_by_label("Email").fill("ada")
        page.get_by_label("Password").fill(servers.PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/talk/")
        made = page.request.post("/talk/api/conversations/", data="{}", headers=posting(page))
        page.goto(f"/pages/{made.json()['id']}/")
        live(page)
        say(page, "Hello")
        ends(page, "completed")
        assert shown(page) == text(20)
        expect(page.get_by_role("button", name="New conversation")).to_have_count(0)
        page.goto("/talk/")
        expect(page.get_by_role("button", name="New conversation", exact=True)).to_be_visible()
        with page.expect_response("**/api/token/") as renewed:
            pass
        assert "sessionid=" in renewed.value.all_headers()["set-cookie"]
        assert not [line for line in console if "Content Security Policy" in line]
        page.close()


@pytest.mark.parametrize("pieces", ["", pytest.param("@split=1", marks=pytest.mark.slow)])
def test_recorded_answers_are_shown_and_stored_exactly(
    sign_in: SignIn, start_site: StartSite, replay: Upstream, pieces: str
) -> None:
    page = sign_in(start_site(**recorded.environment(replay.url)), "ada")
    for case in cases()[::8]:
        slug, expected, _ = case.values
        asked = json.dumps({"agent": slug + pieces})
        conversation = page.request.post("/chat/api/conversations/", data=asked, headers=posting(page)).json()["id"]
        page.goto(f"/chat/{conversation}/")
        live(page)
        say(page, "Hello")
        expect(answer(page)).to_have_attribute("data-status", re.compile("completed|failed"))
        kept = stored(page, conversation)[-1]["text"]
        assert shown(page) == kept == expected["text"], slug


def test_the_page_works_as_it_is_served_on_the_internet(
    production_site: Callable[[str], Site], static_files: Path, sign_in: SignIn
) -> None:
    site = production_site("custom:words")
    files = (static_files / "nous_chat").rglob("*.js.br")
    compressed = [file for file in files if not {"vendor", "admin", "dashboard"} & set(file.parts)]
    hashed = [file for file in compressed if re.search(r"\.[0-9a-f]{6}\.js\.br$", file.name)]
    assert len(hashed) > 40
    # Not the size of the compressed files: for the tests, they are compressed quickly (tests/sites/production.py).
    sizes = {file: len(brotli.compress(file.with_suffix("").read_bytes())) for file in hashed}
    of_documents = [file for file in hashed if file.parent.name == "documents" and not file.match("documents.*")]
    assert sum(size for file, size in sizes.items() if file not in of_documents) < OWN_SCRIPT
    assert sum(sizes[file] for file in of_documents) < DOCUMENT_SCRIPT
    page = sign_in(site, "ada")
    loaded: list[str] = []
    page.on("response", lambda response: loaded.append(f"{response.status} {response.url}"))
    begin(page)
    page.reload()
    live(page)
    say(page, "Hello")
    ends(page, "completed")
    assert shown(page) == text(20)
    assert not [line for line in loaded if "/sections." in line], "what stands in the panel waits until it is asked for"
    expect(panel(page).get_by_role("heading", name="Invitation links")).to_be_visible()
    modules = [line for line in loaded if line.endswith(".js")]
    assert len(modules) > 5
    assert all(re.match(r"(200|304) .*\.[0-9a-f]{6}\.js$", line) for line in modules), "all by their hashed names"
    module = page.request.get(modules[0].split()[1]).headers
    assert "immutable" in module["cache-control"], "browsers do not ask for it again"
    for headers in (module, page.request.get("/chat/").headers):
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin", "an invitation link is told to no other site"
    assert page.request.get("/chat/nothing/").status == 404
