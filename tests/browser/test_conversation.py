"""What two people do inside one conversation, in real Chromiums against a real site."""

import json
import re
from base64 import b64decode
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.site.test_site import add_participant
from tests.support import servers
from tests.support.page import (
    SLOW,
    SignIn,
    StartSite,
    answer,
    begin,
    box,
    ends,
    fill,
    live,
    noted,
    posting,
    row,
    say,
    shown,
    stored,
    until,
)
from tests.support.pictures import SECRET, exif, gif, jpeg_segment
from tests.support.servers import Site, Upstream
from tests.support.upstream import SECTION

pytestmark = pytest.mark.browser

OFFICE = "tests.sites.office"
STILL = """async (log) => {
  for (let before = NaN, frames = 0; frames < 10; frames++) {
    if (before !== log.scrollTop) frames = 0;
    before = log.scrollTop;
    await new Promise(requestAnimationFrame);
  }
  return log.scrollTop;
}"""
"""Where it is, once it scrolls no more."""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8ffff3f0005fe02fea7356b2d0000000049454e44ae426082"
)


def person(page: Page) -> Locator:
    """What a person said last."""
    return page.locator('article[data-role="user"]').last


def act(message: Locator, name: str) -> None:
    """One of the buttons of a message's toolbar."""
    message.hover()
    message.get_by_role("toolbar").get_by_role("button", name=name).click()


def with_agent(page: Page, agent: str) -> str:
    """A conversation with that agent, opened."""
    made = page.request.post("/chat/api/conversations/", data={"agent": agent}, headers=posting(page)).json()
    page.goto(f"/chat/{made['id']}/")
    live(page)
    return str(made["id"])


def both(site: Site, sign_in: SignIn, role: str = "member") -> tuple[Page, Page, str]:
    """Ada's page and Bob's of one conversation."""
    ada, bob = sign_in(site, "ada"), sign_in(site, "bob")
    conversation = begin(ada)
    add_participant(site, conversation, "bob", role)
    ada.reload()
    live(ada)
    bob.goto(f"/chat/{conversation}/")
    live(bob)
    return ada, bob, conversation


def unread(page: Page, conversation: str) -> int:
    """How many messages the person has not read."""
    found = page.request.get(f"/chat/api/conversations/{conversation}/").json()
    return int(found["yours"]["unread"])


def run_in(site: Site, code: str) -> None:
    servers.manage(site.env, "shell", "-v0", "-c", code)


# --- Answers


def test_a_stop_has_a_receipt_and_the_answer_goes_on_from_there(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, conversation = both(start_site(NOUS_CHAT_MODEL=SLOW), sign_in)
    say(ada, "Hello")
    expect(answer(bob).locator('[data-part="text"]')).to_contain_text("w9")
    expect(bob.get_by_role("button", name="Stop")).to_have_count(0)
    box(bob).fill("By the way")
    expect(bob.locator(".mode-notice")).to_contain_text("Will be answered next.")
    box(bob).fill("")
    ada.get_by_role("button", name="Stop").click()
    for page, name in ((ada, "You"), (bob, "ada")):
        ends(page, "stopped")
        expect(answer(page).locator('[data-part="outcome"]')).to_contain_text(
            re.compile(rf"{name} stopped this after [\d,]+ tokens?\.")
        )
    before = shown(ada)
    bob.get_by_role("button", name="Continue").click()
    for page in (ada, bob):
        expect(answer(page)).to_have_attribute("data-status", "running")
        expect(answer(page).locator('[data-part="text"]')).to_contain_text(before.strip() + " w0 ")
        expect(page.locator('article[data-role="assistant"]')).to_have_count(1)
    ada.keyboard.press("Escape")
    for page in (ada, bob):
        ends(page, "stopped")
    assert shown(ada) == shown(bob) == stored(ada, conversation)[-1]["text"]


def test_an_answer_that_is_as_long_as_it_may_be_goes_on(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(DJANGO_SETTINGS_MODULE=OFFICE), "ada")
    with_agent(page, "wordy")
    say(page, "Tell me everything")
    ends(page, "completed")
    expect(answer(page).locator('[data-part="outcome"]')).to_contain_text("The answer reached its length limit.")
    page.get_by_role("button", name="Continue").click()
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("As long as I may, As long as I may,")
    expect(page.locator('article[data-role="assistant"]')).to_have_count(1)


def test_alternatives_are_turned_like_pages_for_all(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, conversation = both(start_site(NOUS_CHAT_MODEL="custom:words@n=8"), sign_in)
    say(ada, "Hello")
    ends(ada, "completed")
    first = answer(ada).get_attribute("data-message")
    act(answer(ada), "Retry")
    for page in (ada, bob):
        expect(answer(page).get_by_role("group", name="Answers")).to_contain_text("2 of 2")
    ends(ada, "completed")
    answer(ada).get_by_role("button", name="Previous answer").press("Enter")
    for page in (ada, bob):
        expect(answer(page).get_by_role("group", name="Answers")).to_contain_text("1 of 2")
        expect(answer(page)).to_have_attribute("data-message", str(first))
        expect(page.locator('article[data-role="assistant"]')).to_have_count(1)
    expect(answer(ada).get_by_role("button", name="Previous answer")).to_be_focused()
    bob.reload()
    live(bob)
    expect(answer(bob)).to_have_attribute("data-message", str(first))
    assert stored(ada, conversation)[-1]["id"] == first


def test_a_tool_is_a_line_that_opens_and_an_approval_asks_who_may_decide(
    start_site: StartSite, sign_in: SignIn
) -> None:
    site = start_site(DJANGO_SETTINGS_MODULE=OFFICE)
    ada, bob = sign_in(site, "ada"), sign_in(site, "bob")
    conversation = with_agent(ada, "clerk")
    add_participant(site, conversation, "bob")
    bob.goto(f"/chat/{conversation}/")
    live(bob)
    say(ada, "Look up the order and refund it")
    for page in (ada, bob):
        expect(answer(page).get_by_text("Used look_up")).to_be_visible()
        card = page.get_by_role("group", name="Approval needed: Refund.")
        expect(card).to_contain_text("Clerk wants to use refund")
        expect(page.locator(".activity")).to_have_text("Clerk is waiting for approval")
        expect(row(page, "Look up the order")).to_contain_text("Clerk is waiting for approval")
    expect(bob.get_by_role("button", name="Approve")).to_have_count(0)
    expect(bob.get_by_role("group", name="Approval needed: Refund.")).to_contain_text("ada or an owner can decide.")
    answer(ada).get_by_text("Used look_up").click()
    expect(answer(ada).get_by_role("group", name="Arguments").first).to_contain_text('"order": 7')
    expect(answer(ada).get_by_role("group", name="Result").first).to_contain_text("shipped")

    card = ada.get_by_role("group", name="Approval needed: Refund.")
    card.get_by_label("Arguments").fill('{"order": 7, "amount": "all')
    card.get_by_role("button", name="Approve").click()
    expect(card.get_by_role("alert")).to_contain_text("This is not valid JSON")
    card.get_by_label("Arguments").fill('{"order": 7, "amount": 2.5}')
    card.get_by_role("button", name="Approve").click()
    for page in (ada, bob):
        ends(page, "completed")
        expect(answer(page).locator('[data-part="text"]').last).to_contain_text("refunded 2.5 for 7")
        expect(answer(page).get_by_text("Used refund")).to_be_visible()
        expect(answer(page)).to_contain_text("approved by ada")
        in_order = ["Let me see.", "Used look_up", "Used refund", "Result: "]
        assert_in_order(page, in_order)
        page.reload()
        ends(page, "completed")
        assert_in_order(page, in_order)
    assert shown(ada) == stored(ada, conversation)[-1]["text"]
    assert shown(ada).startswith("Let me see. \n\nResult: ")


def assert_in_order(page: Page, beginnings: list[str]) -> None:
    """The parts of the last answer are as many as these, and begin so."""
    expect(answer(page).locator(".body > *")).to_contain_text(beginnings)
    texts = answer(page).locator(".body > *").all_inner_texts()
    assert all(text.strip().startswith(start) for text, start in zip(texts, beginnings, strict=True)), texts


def test_the_wait_for_a_busy_model_is_counted_down_and_told_once_when_it_fails(
    start_site: StartSite, sign_in: SignIn
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:status@code=429,retry_after=5", NOUS_CHAT_MAX_RETRIES="1")
    page = sign_in(site, "ada")
    begin(page)
    say(page, "Hello")
    wait = "Assistant: the model is busy and is asked again in"
    expect(page.locator(".activity")).to_have_text(re.compile(rf"{wait} [56] seconds"))
    page.reload()
    expect(page.locator(".activity")).to_have_text(re.compile(rf"{wait} \d seconds?"))
    ends(page, "failed")
    sentence = re.compile(r"^The model is busy\. Try again in \d seconds?\.")
    expect(answer(page).locator('[data-part="outcome"]')).to_have_text(sentence)


def test_readers_are_told_that_another_model_answers(start_site: StartSite, sign_in: SignIn) -> None:
    agent = {"name": "Helper", "model": "custom:status@code=500", "fallback": ["custom:silent"]}
    settings = json.dumps({"AGENTS": {"helper": agent}, "TITLE_MODEL": ""})
    site = start_site(DJANGO_SETTINGS_MODULE="tests.sites.doctored", NOUS_CHAT=settings, NOUS_CHAT_MAX_RETRIES="0")
    page = sign_in(site, "ada")
    begin(page)
    said = noted(page.locator(".activity"))
    say(page, "Hello")
    sentence = "Helper: its usual model does not answer, so another one does"
    expect(page.locator("[aria-live]").filter(has_text=sentence).first).to_be_attached()
    page.get_by_role("button", name="Stop").click()
    ends(page, "stopped")
    assert sentence in said()


def test_what_the_agent_does_is_said_and_a_slow_model_too(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:stall@n=3"), "ada")
    begin(page)
    activity = page.locator(".activity")
    said = noted(activity)
    say(page, "Hello")
    expect(activity).to_have_text(re.compile(r"Assistant: no response from the model for \d+ seconds"))
    assert "Assistant is writing" in said()
    page.get_by_role("button", name="Stop").click()
    expect(activity).to_have_text("")


def test_who_waits_for_a_free_place_sees_his_place(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(DJANGO_SETTINGS_MODULE=OFFICE, NOUS_CHAT_MODEL=SLOW, MAX_RUNS="1")
    ada, bob = sign_in(site, "ada"), sign_in(site, "bob")
    begin(ada)
    say(ada, "Hello")
    expect(answer(ada).locator('[data-part="text"]')).to_contain_text("w1 ")
    begin(bob)
    say(bob, "Hello, too")
    expect(answer(bob).locator('[data-part="pending"]')).to_contain_text("1st in line")
    expect(bob.locator(".activity")).to_have_text("Assistant is queued, 1st in line")
    ada.keyboard.press("Escape")
    expect(answer(bob).locator('[data-part="text"]')).to_contain_text("w1 ")


# --- Messages


def test_arrow_up_corrects_the_last_message_and_all_see_that_it_was(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, _ = both(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), sign_in)
    say(ada, "Helo")
    ends(ada, "completed")
    box(ada).press("ArrowUp")
    field = ada.get_by_role("textbox", name="Edit message")
    expect(field).to_be_focused()
    expect(field).to_have_value("Helo")
    field.press("Escape")
    expect(field).to_have_count(0)
    expect(box(ada)).to_be_focused()
    box(ada).press("ArrowUp")
    field.fill("Hello")
    ada.get_by_role("button", name="Save", exact=True).click()
    for page in (ada, bob):
        expect(person(page).locator('[data-part="text"]')).to_have_text("Hello")
        expect(person(page).get_by_role("button", name="edited")).to_be_visible()
    expect(ada.locator('article[data-role="assistant"]')).to_have_count(1)
    person(bob).get_by_role("button", name="edited").click()
    expect(bob.get_by_role("dialog", name="Edit history")).to_contain_text("Helo")


def test_only_the_last_question_can_be_asked_again_and_only_between_answers(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    ada, bob, _ = both(start_site(NOUS_CHAT_MODEL="custom:words@n=3,hold=1"), sign_in)
    again = ada.get_by_role("button", name="Save and ask again")
    first = ada.locator('article[data-role="user"]').first
    say(ada, "@assistant First")
    expect(answer(ada).locator('[data-part="text"]')).to_contain_text("w0")
    act(first, "Edit")
    expect(ada.get_by_role("button", name="Save", exact=True)).to_be_visible()
    expect(again).to_be_hidden()
    upstream.release()
    ends(ada, "completed")
    expect(again).to_be_visible()
    say(bob, "@assistant Second")
    expect(again).to_be_hidden()
    expect(ada.get_by_role("button", name="Save", exact=True)).to_be_visible()
    expect(answer(ada)).to_have_attribute("data-status", "running")
    upstream.release()
    ends(ada, "completed")
    ada.get_by_role("button", name="Cancel").click()
    act(first, "Edit")
    expect(ada.get_by_role("button", name="Save", exact=True)).to_be_visible()
    expect(again).to_be_hidden()


def test_a_quote_follows_the_message_that_it_quotes(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    begin(page)
    say(page, "Helo")
    ends(page, "completed")
    act(person(page), "Reply")
    say(page, "I mean you")
    expect(person(page).locator(".quote")).to_contain_text("Helo")
    ends(page, "completed")
    first = page.locator('article[data-role="user"]').first
    act(first, "Edit")
    page.get_by_role("textbox", name="Edit message").fill("Hello")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(person(page).locator(".quote")).to_contain_text("Hello")
    act(first, "Delete")
    expect(person(page).locator(".quote")).not_to_contain_text("Hello")


def test_the_last_question_is_changed_and_asked_again(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:echo"), "ada")
    conversation = begin(page)
    say(page, "One")
    ends(page, "completed")
    expect(answer(page)).to_contain_text("One")
    act(person(page), "Edit")
    page.get_by_role("textbox", name="Edit message").fill("Two")
    page.keyboard.press("Enter")
    expect(answer(page).locator('[data-part="text"]')).to_have_text(re.compile(r"^\s*Two\s*$"))
    ends(page, "completed")
    expect(page.locator("article")).to_have_count(2)
    assert [message["text"].strip() for message in stored(page, conversation)] == ["Two", "Two"]
    person(page).get_by_role("button", name="edited").click()
    earlier = page.get_by_role("dialog", name="Edit history").get_by_role("listitem")
    expect(earlier).to_have_count(1)
    expect(earlier.locator(".text")).to_have_text("One")
    expect(earlier.locator('[data-part="text"]')).to_have_text(re.compile(r"^\s*One\s*$"))
    inset = "item => item.getBoundingClientRect().left - item.closest('dialog').getBoundingClientRect().left"
    assert earlier.evaluate(inset) >= 16, "it does not touch the edge"


def test_a_deleted_message_leaves_its_place_and_comes_back(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, _ = both(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), sign_in)
    say(bob, "Something secret")
    ends(ada, "completed")
    expect(person(ada)).to_contain_text("Something secret")
    act(person(bob), "Delete")
    for page in (ada, bob):
        expect(person(page)).to_contain_text("This message was deleted.")
        expect(page.get_by_role("log").get_by_text("Something secret")).to_have_count(0)
    undo = [person(page).get_by_role("button", name="Undo") for page in (bob, ada)]
    expect(undo[0]).to_be_visible()
    expect(undo[1]).to_be_hidden()  # she owns the conversation, but it was he who deleted it
    undo[0].click()
    for page in (ada, bob):
        expect(person(page)).to_contain_text("Something secret")


def test_a_deleted_answer_keeps_only_its_place(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "completed")
    expect(answer(page).locator('[data-part="usage"]')).to_contain_text("3 out")
    act(answer(page), "Delete")
    expect(answer(page)).to_contain_text("This message was deleted.")
    expect(answer(page).locator('[data-part="usage"]')).to_be_hidden()
    expect(answer(page).locator(".body")).to_be_hidden()


def test_a_message_is_copied_over_plain_http_too(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    begin(page)
    page.reload()
    live(page)
    say(page, "Hello")
    ends(page, "completed")
    act(answer(page), "Copy")
    box(page).focus()
    page.keyboard.press("Control+V")
    expect(box(page)).to_have_value(shown(page))


def test_a_deletion_is_taken_back_only_as_long_as_the_server_allows_it(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    page = sign_in(site, "ada")
    page.clock.install()
    begin(page)
    say(page, "Something secret")
    ends(page, "completed")
    act(person(page), "Delete")
    undo = person(page).get_by_role("button", name="Undo")
    undo.focus()
    page.clock.fast_forward("08:00")
    expect(undo).to_be_focused()
    page.clock.fast_forward("02:10")
    expect(undo).to_be_hidden()
    expect(person(page)).to_contain_text("This message was deleted.")
    expect(box(page)).to_be_focused()


def test_a_reply_shows_what_it_answers_and_leads_there(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, conversation = both(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), sign_in)
    say(ada, "Which colour?")
    ends(bob, "completed")
    act(person(bob), "Reply")
    expect(box(bob)).to_be_focused()
    expect(bob.locator(".replying")).to_contain_text("Replying to ada: Which colour?")
    say(bob, "Green")
    quote = person(ada).get_by_role("button", name="In reply to ada Which colour?")
    expect(quote).to_be_visible()
    expect(ada.locator("article")).to_have_count(4)
    ends(ada, "completed")
    messages = {message["text"]: message for message in stored(ada, conversation)}
    asked = messages["Which colour?"]["id"]
    assert messages["Green"]["reply_to"] == asked
    found = noted(ada.get_by_role("log"), "log => log.querySelector('[data-found]')?.dataset.message")
    quote.click()
    expect(ada.locator(f'article[data-message="{asked}"]')).to_be_focused()
    assert asked in found()


def test_from_an_answer_another_conversation_begins(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    first = begin(page)
    say(page, "Hello")
    ends(page, "completed")
    say(page, "And more")
    expect(page.locator("article")).to_have_count(4)
    ends(page, "completed")
    act(page.locator('article[data-role="assistant"]').first, "Branch from here")
    page.wait_for_url(lambda url: first not in url)
    live(page)
    expect(page.locator("article")).to_have_count(2)
    expect(page.locator("article").first).to_contain_text("Hello")


def test_days_system_lines_and_the_first_unread_are_marked(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    ada, bob, conversation = both(site, sign_in)
    say(ada, "Long ago")
    ends(bob, "completed")
    until(bob, lambda: not unread(bob, conversation), "that it is read")
    bob.goto("about:blank")
    run_in(
        site,
        "from datetime import timedelta;from django.utils import timezone;from chat.models import Message;"
        "Message.objects.update(created_at=timezone.now() - timedelta(days=1))",
    )
    say(ada, "Just now")
    expect(ada.locator("article")).to_have_count(4)
    ends(ada, "completed")
    run_in(
        site,
        "from chat.models import Conversation, Message;"
        f"c = Conversation.objects.get(pk='{conversation}'); c.last_seq += 1; c.save();"
        "Message.objects.create(conversation=c, seq=c.last_seq, role='system', text='ada renamed it.')",
    )
    bob.goto(f"/chat/{conversation}/")
    live(bob)
    between = "element => element.previousElementSibling.textContent + '|' + element.nextElementSibling.textContent"
    line = bob.locator(".column > .unread")
    expect(line).to_have_text("New")
    assert "Just now" in line.evaluate(between).split("|")[1]
    expect(bob.locator(".column > .day")).to_have_text(["Yesterday", "Today"])
    expect(bob.locator('article[data-role="system"]').last).to_contain_text("ada renamed it.")
    say(bob, "I see")
    expect(line).to_have_count(0)


# --- Writing


def test_who_writes_during_an_answer_chooses_whether_it_waits(
    start_site: StartSite, sign_in: SignIn, upstream: Upstream
) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=20,hold=10"), "ada")
    conversation = begin(page)
    say(page, "One")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    expect(page.get_by_role("button", name="Send")).to_have_count(0)
    box(page).fill("Two")
    expect(page.locator(".mode-notice")).to_contain_text("Sending this interrupts the answer.")
    page.get_by_role("button", name="Queue it instead").click()
    expect(page.locator(".mode-notice")).to_contain_text("Will be answered next.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator('article[data-role="user"]')).to_have_count(2)
    upstream.release()
    expect(page.locator("article")).to_have_count(4)
    upstream.release()
    ends(page, "completed")
    statuses = [message["run"]["status"] for message in stored(page, conversation) if message["run"]]
    assert statuses == ["completed", "completed"]

    say(page, "Three")
    expect(answer(page)).to_have_attribute("data-status", "running")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    say(page, "Four")
    expect(page.locator("article")).to_have_count(8)
    expect(page.locator('article[data-role="assistant"]').nth(2)).to_have_attribute("data-status", "stopped")
    upstream.release()
    ends(page, "completed")


def test_files_are_chosen_pasted_and_dropped_and_go_with_the_message(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, conversation = both(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), sign_in)
    send = ada.get_by_role("button", name="Send")
    expect(send).to_be_disabled()
    with ada.expect_file_chooser() as chooser:
        ada.get_by_role("button", name="Attach files").click()
    chooser.value.set_files([
        FilePayload(name="dot.png", mimeType="image/png", buffer=PNG),
        FilePayload(name="wrong.txt", mimeType="text/plain", buffer=b"not needed"),
    ])  # fmt: skip
    files = ada.locator(".uploads li")
    expect(files).to_have_count(2)
    for index in range(2):
        expect(files.nth(index)).to_have_attribute("data-state", "there")
    ada.get_by_role("button", name="Remove wrong.txt").click()
    expect(files).to_have_count(1)
    expect(box(ada)).to_be_focused()
    carry = """(area, how) => {
      const carried = new DataTransfer();
      carried.items.add(new File([how + "!"], how + ".txt", { type: "text/plain" }));
      const event = how === "pasted"
        ? new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
      area.dispatchEvent(event);
    }"""
    box(ada).evaluate(carry, "pasted")
    ada.locator(".log").evaluate(carry, "dropped")
    expect(files).to_have_count(3)
    expect(ada.locator('.uploads li[data-state="there"]')).to_have_count(3)
    send.click()
    for page in (ada, bob):
        shown_files = person(page).get_by_role("list", name="Files")
        expect(shown_files.get_by_role("link")).to_have_count(3)
        picture = shown_files.get_by_role("img", name="dot.png")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
        expect(shown_files).to_contain_text("dropped.txt")
    expect(files).to_have_count(0)
    assert [file["name"] for file in stored(ada, conversation)[0]["attachments"]] == [
        "dot.png",
        "pasted.txt",
        "dropped.txt",
    ]


def test_a_file_that_is_refused_says_why_and_does_not_go(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    conversation = begin(page)
    page.locator("input[type=file]").set_input_files(
        {"name": "virus.exe", "mimeType": "application/octet-stream", "buffer": b"MZ\x00\x01\x02\xff\xfe" * 50}
    )
    chip = page.locator(".uploads li")
    expect(chip).to_have_attribute("data-state", "failed")
    said = chip.locator("small").text_content()
    assert said is not None
    assert len(said) > 20
    say(page, "Without it")
    ends(page, "completed")
    expect(chip).to_have_count(0)
    assert stored(page, conversation)[0]["attachments"] == []


def test_agents_and_people_are_mentioned_by_the_keyboard(start_site: StartSite, sign_in: SignIn) -> None:
    ada, _, _ = both(start_site(DJANGO_SETTINGS_MODULE=OFFICE, NOUS_CHAT_MODEL="custom:words@n=3"), sign_in)
    box(ada).press_sequentially("Ask @")
    offered = ada.get_by_role("listbox", name="Mention")
    expect(offered.get_by_role("option")).to_have_text([re.compile("Assistant"), re.compile("bob")])
    expect(offered.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    box(ada).press("ArrowDown")
    expect(box(ada)).to_have_attribute(
        "aria-activedescendant", str(offered.get_by_role("option").nth(1).get_attribute("id"))
    )
    box(ada).press("Enter")
    expect(box(ada)).to_have_value("Ask @bob ")
    expect(offered).to_be_hidden()
    box(ada).press_sequentially("or @as")
    box(ada).press("Escape")
    expect(offered).to_be_hidden()
    box(ada).press_sequentially("s")
    box(ada).press("Tab")
    expect(box(ada)).to_have_value("Ask @bob or @assistant ")
    expect(box(ada)).to_be_focused()


def test_drafts_are_kept_for_each_conversation(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    first = begin(page)
    say(page, "First")
    ends(page, "completed")
    box(page).fill("for the first")
    page.get_by_role("button", name="New conversation").first.click()
    page.wait_for_url(lambda url: first not in url)
    live(page)
    expect(box(page)).to_have_value("")
    box(page).fill("for the second")
    page.get_by_role("link", name="First").click()
    expect(box(page)).to_have_value("for the first")
    page.reload()
    expect(box(page)).to_have_value("for the first")


def test_pictures_look_as_before_without_their_metadata(start_site: StartSite, sign_in: SignIn) -> None:
    """Real files, as Chromium encodes them. A photo is turned as its camera was held."""
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    draw = """(type) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 48, height: 32 });
      const context = canvas.getContext("2d");
      context.fillStyle = "rgb(0, 0, 255)";
      context.fillRect(0, 0, 48, 32);
      return canvas.toDataURL(type, 0.9);
    }"""
    look = """async (image) => {
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
      const context = canvas.getContext("2d");
      context.drawImage(image, -5, -5);
      return [image.naturalWidth, image.naturalHeight, context.getImageData(0, 0, 1, 1).data[2] > 250];
    }"""
    kinds = ("jpeg", "webp", "png")
    drawn = {kind: b64decode(page.evaluate(draw, f"image/{kind}").partition(",")[2]) for kind in kinds}
    drawn["jpeg"] = drawn["jpeg"][:2] + jpeg_segment(0xE1, exif(6)) + drawn["jpeg"][2:]
    files = [FilePayload(name=f"a.{kind}", mimeType=f"image/{kind}", buffer=drawn[kind]) for kind in kinds]
    files.append(FilePayload(name="a.gif", mimeType="image/gif", buffer=gif()))
    page.locator("input[type=file]").set_input_files(files)
    expect(page.locator('.uploads li[data-state="there"]')).to_have_count(4)
    page.get_by_role("button", name="Send").click()
    pictures = person(page).get_by_role("img")
    expect(pictures).to_have_count(4)
    seen = {picture.get_attribute("alt"): picture.evaluate(look) for picture in pictures.all()}
    assert seen == {
        "a.jpeg": [32, 48, True],
        "a.webp": [48, 32, True],
        "a.png": [48, 32, True],
        "a.gif": [1, 1, False],
    }
    for picture in pictures.all():
        served = page.request.get(picture.get_attribute("src") or "").body()
        assert SECRET not in served


def test_a_draft_keeps_its_files_and_what_it_answers(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    page = sign_in(site, "ada")
    conversation = begin(page)
    say(page, "Which colour?")
    ends(page, "completed")
    act(person(page), "Reply")
    box(page).fill("Like these")
    files = page.locator(".uploads li")
    page.locator("input[type=file]").set_input_files([
        FilePayload(name="dot.png", mimeType="image/png", buffer=PNG),
        FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"Green"),
    ])  # fmt: skip
    expect(page.locator('.uploads li[data-state="there"]')).to_have_count(2)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.resource_type} {request.method}"))
    page.reload()
    live(page)
    expect(box(page)).to_have_value("Like these")
    expect(box(page)).to_be_focused()
    expect(page.locator(".replying")).to_contain_text("Replying to ada: Which colour?")
    expect(page.locator('.uploads li[data-state="there"]')).to_have_count(2)
    until(page, lambda: asked.count("fetch HEAD") == 2, "that the server is asked for both")
    page.wait_for_load_state("networkidle")
    assert [method for method in asked if method.startswith("fetch ")] == ["fetch HEAD"] * 2, "no file is loaded for it"

    run_in(
        site,
        "from datetime import timedelta; from django.utils import timezone; from chat.models import Attachment;"
        "old = timezone.now() - timedelta(days=2); Attachment.objects.filter(name='notes.txt').update(created_at=old)",
    )
    servers.manage(site.env, "nous_clean")
    page.reload()
    live(page)
    gone = files.filter(has_text="notes.txt")
    expect(gone).to_contain_text("This file has expired (unsent files are kept for a day). Attach it again.")
    expect(box(page)).to_have_value("Like these")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log").locator("article")).to_have_count(4)
    ends(page, "completed")
    sent = next(message for message in stored(page, conversation) if message["text"] == "Like these")
    assert [file["name"] for file in sent["attachments"]] == ["dot.png"]
    assert sent["reply_to"] == stored(page, conversation)[0]["id"]
    page.reload()
    live(page)
    expect(files).to_have_count(0)
    expect(page.locator(".replying")).to_be_hidden()


def test_the_field_grows_to_ten_lines(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(), "ada")
    begin(page)
    heights = []
    for lines in (1, 4, 10, 30):
        box(page).fill("\n".join(["line"] * lines))
        heights.append(box(page).evaluate("field => field.getBoundingClientRect().height"))
    assert heights[0] < heights[1] < heights[2] == heights[3]
    box(page).fill("one")
    box(page).press("Shift+Enter")
    box(page).press_sequentially("two")
    expect(box(page)).to_have_value("one\ntwo")
    expect(page.locator("article")).to_have_count(0)


def test_a_refused_message_goes_back_to_its_writer(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(), "ada")
    begin(page)
    say(page, "x" * 32_001)
    expect(page.locator(".notice")).to_contain_text("up to 32,000 characters")
    expect(box(page)).to_have_value("x" * 32_001)
    expect(page.locator("article")).to_have_count(0)


def test_offline_what_is_written_waits_and_goes_once(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    page = sign_in(site, "ada")
    conversation = begin(page)
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("nous-chat")).to_have_attribute("data-connection", "offline")
    expect(page.locator(".connection-bar")).to_contain_text("You are offline.")
    say(page, "One")
    say(page, "Two")
    expect(person(page)).to_contain_text("Not sent yet")
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    live(page)
    ends(page, "completed")
    expect(page.get_by_text("Not sent yet")).to_have_count(0)
    assert [m["text"] for m in stored(page, conversation) if m["role"] == "user"] == ["One", "Two"]


def test_what_an_answer_cost_stands_under_it(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(DJANGO_SETTINGS_MODULE=OFFICE, NOUS_CHAT_MODEL="custom:words@n=30"), "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "completed")
    expect(answer(page).locator('[data-part="usage"]')).to_contain_text("€0.06")
    expect(page.locator(".total")).to_contain_text("€0.06")


def test_a_budget_that_is_used_up_is_told_and_the_question_stays(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(DJANGO_SETTINGS_MODULE=OFFICE, DAILY_TOKENS="0"), "ada")
    begin(page)
    say(page, "And now?")
    expect(page.locator(".notice")).to_contain_text("used up")
    expect(page.locator(".notice")).not_to_contain_text("seconds")
    expect(box(page)).to_have_value("And now?")
    expect(page.locator("article")).to_have_count(0)


# --- Scrolling


def test_the_page_follows_only_a_reader_who_is_at_the_end(start_site: StartSite, sign_in: SignIn) -> None:
    ada, bob, _ = both(start_site(NOUS_CHAT_MODEL="custom:words@n=700,delay=5"), sign_in)
    say(ada, "Hello")
    ends(ada, "completed")
    log = ada.get_by_role("log")

    def at_end() -> bool:
        return bool(log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 2"))

    expect(answer(ada)).to_be_in_viewport()
    until(ada, at_end, "that it has followed")
    log.hover()
    ada.mouse.wheel(0, -700)
    to_end = ada.get_by_role("button", name="Jump to latest")
    expect(to_end).to_be_visible()
    where = log.evaluate(STILL)
    say(bob, "Another question")
    unseen = ada.get_by_role("button", name=re.compile(r"^\d new"))
    expect(unseen).to_be_visible()
    expect(ada.locator("article")).to_have_count(4)
    ends(ada, "completed")
    assert log.evaluate(STILL) == where, "nothing moved under the eyes"
    unseen.click()
    until(ada, at_end, "that it is at the end")
    expect(unseen).to_be_hidden()


def test_what_is_done_often_touches_nothing_else(start_site: StartSite, sign_in: SignIn) -> None:
    """A step of the scroll leaves the button to the end alone; what an answer gains has nothing else styled anew."""
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:documented@n=500,chars=20"), "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "completed")
    changed = page.evaluate("""async () => {
      const root = document.querySelector("nous-chat").shadowRoot;
      const log = root.querySelector(".log");
      const step = () => {
        log.scrollTop -= 50;
        return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      };
      await step(); // the button that leads to the end comes
      const changed = [];
      const observer = new MutationObserver((records) => changed.push(...records));
      const button = root.querySelector(".jump-to-latest");
      observer.observe(button, { subtree: true, childList: true, characterData: true, attributes: true });
      for (let i = 0; i < 5; i++) await step();
      return [button.checkVisibility(), ...changed.map(({ target, type }) => `${type} of ${target.nodeName}`)];
    }""")
    assert changed == [True]
    assert page.context.browser is not None
    session = page.context.browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    done: list[bool] = []
    session.on("Tracing.tracingComplete", lambda _: done.append(True))
    session.on("Tracing.dataCollected", lambda found: events.extend(found["value"]))
    session.send("Tracing.start", {"categories": "devtools.timeline", "transferMode": "ReportEvents"})
    answer(page).locator("[data-part=text] p").last.evaluate("""element => {
      const { body } = document;
      body.getBoundingClientRect();
      console.timeStamp("begin");
      element.append(document.createElement("span"));
      body.getBoundingClientRect();
      console.timeStamp("end");
    }""")
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(20)
    begun, ended = (event for event in sorted(events, key=lambda event: event["ts"]) if event["name"] == "TimeStamp")
    styled = sum(
        event["args"].get("elementCount", 0)
        for event in events
        if event["name"] == "UpdateLayoutTree"
        and event["pid"] == begun["pid"]
        and begun["ts"] < event["ts"] < ended["ts"]
    )
    assert 0 < styled < 10, styled


def test_what_is_out_of_sight_keeps_its_size(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site()
    page = sign_in(site, "ada")
    conversation = begin(page)
    formulas = "Because of $a^2$:\n\n$$\\frac{1}{2}$$\n\n"
    fill(site, conversation, [formulas + SECTION.format(n=n) for n in range(1, 41)], "assistant")
    page.reload()
    live(page)
    log = page.get_by_role("log")
    log.locator("math").nth(79).wait_for(state="attached")
    for width in (1280, 500):
        page.set_viewport_size({"width": width, "height": 600})
        height, skipped, whole = log.evaluate(
            """async (log, width) => {
          const frame = () => new Promise(requestAnimationFrame);
          while (innerWidth !== width) await frame();
          for (let i = 0; i < 4; i++) await frame();
          while (log.querySelector("article:not([data-settled])")) await frame();
          await frame();
          const articles = [...log.querySelectorAll("article")];
          const text = (article) => article.querySelector("[data-part=text] p");
          const seen = (article) => text(article).checkVisibility({ contentVisibilityAuto: true });
          const skipped = articles.filter((article) => !seen(article)).length;
          const height = log.scrollHeight;
          for (const article of articles) article.removeAttribute("data-settled");
          const whole = log.scrollHeight;
          for (const article of articles) article.setAttribute("data-settled", "");
          return [height, skipped, whole];
        }""",
            width,
        )
        assert skipped > 20
        assert height == whole


def test_a_message_far_up_is_found(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site()
    page = sign_in(site, "ada")
    conversation = begin(page)
    fill(site, conversation, [f"line {n}" for n in range(1, 201)])
    wanted = page.request.get(f"/chat/api/conversations/{conversation}/messages/?before=11&limit=1").json()["messages"][
        0
    ]
    page.goto("/chat/")
    page.goto(f"/chat/{conversation}/#message-{wanted['id']}")
    live(page)
    found = page.locator(f'article[data-message="{wanted["id"]}"]')
    expect(found).to_be_in_viewport()
    expect(found).to_contain_text("line 10")


# --- States


def test_a_viewer_reads_and_a_new_role_counts_at_once(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    ada, bob, conversation = both(site, sign_in, "viewer")
    say(ada, "Hello")
    ends(bob, "completed")
    expect(bob.get_by_text("You can read this conversation but not write in it.")).to_be_visible()
    expect(box(bob)).to_be_hidden()
    answer(bob).hover()
    expect(answer(bob).get_by_role("button", name="Retry")).to_have_count(0)
    people = f"/chat/api/conversations/{conversation}/participants/"
    pid = next(p["id"] for p in ada.request.get(people).json()["participants"] if p["user"]["name"] == "bob")
    ada.request.patch(f"{people}{pid}/", data={"role": "member"}, headers=posting(ada))
    expect(box(bob)).to_be_visible()
    say(bob, "Now I can")
    expect(person(ada)).to_contain_text("Now I can")


def test_who_is_removed_is_told_and_cannot_write(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    ada, bob, conversation = both(site, sign_in)
    people = f"/chat/api/conversations/{conversation}/participants/"
    pid = next(p["id"] for p in ada.request.get(people).json()["participants"] if p["user"]["name"] == "bob")
    ada.request.delete(f"{people}{pid}/", headers=posting(ada))
    expect(bob.get_by_text("You are no longer in this conversation.").first).to_be_visible()
    expect(box(bob)).to_be_hidden()
    expect(bob.locator("nous-chat")).to_have_attribute("data-connection", "closed")


def test_signed_out_in_another_tab_is_told_and_the_draft_stays(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    page = sign_in(site, "ada")
    begin(page)
    box(page).fill("Half a thought")
    run_in(site, "from django.contrib.sessions.models import Session; Session.objects.all().delete()")
    site.kill()
    with servers.running(site.restarted()):  # reconnecting notices at once; an open socket, within a minute
        expect(page.locator(".connection-bar")).to_contain_text("You are signed out. What you wrote is kept.")
    expect(box(page)).to_have_value("Half a thought")
    expect(page.locator(".connection-bar").get_by_role("link", name="Sign in")).to_have_attribute(
        "href", re.compile(r"/accounts/login/\?next=")
    )


def test_a_restart_is_told_with_a_countdown(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")
    page = sign_in(site, "ada")
    begin(page)
    site.process.terminate()
    expect(page.locator(".connection-bar")).to_contain_text(
        re.compile(r"The server is restarting\. Reconnecting( in \d+ seconds?\.|…)")
    )
    site.process.wait(60)
    with servers.running(site.restarted()):
        live(page)
        expect(page.locator(".connection-bar")).to_be_hidden()
        say(page, "Back again")
        ends(page, "completed")


def test_while_the_server_is_away_nothing_is_said_of_what_the_model_does(
    start_site: StartSite, sign_in: SignIn
) -> None:
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    page = sign_in(site, "ada")
    begin(page)
    say(page, "Hello")
    expect(page.locator(".activity")).to_have_text("Assistant is writing")
    site.kill()
    expect(page.locator(".connection-bar")).to_contain_text("Reconnecting")
    expect(page.locator(".activity")).to_be_hidden()


def test_an_empty_conversation_offers_a_start(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=3"), "ada")
    begin(page)
    starter = page.locator(".starter").first
    asked = starter.text_content()
    starter.click()
    ends(page, "completed")
    expect(person(page).locator('[data-part="text"]')).to_have_text(str(asked))
    expect(page.locator(".starter")).to_have_count(0)
