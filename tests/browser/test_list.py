"""The list of conversations: live, searched, arranged; and the panel of people, invitations and settings."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.site.test_site import add_participant
from tests.support import servers
from tests.support.page import (
    SLOW,
    SignIn,
    StartSite,
    answer,
    begin,
    ends,
    fill,
    live,
    made,
    noted,
    open_list,
    panel,
    person,
    posting,
    row,
    say,
    types,
    until,
)
from tests.support.servers import Site

pytestmark = pytest.mark.browser


def act(page: Page, title: str, action: str) -> None:
    """Choose an action of a row's menu."""
    row(page, title).hover()
    row(page, title).get_by_role("button").click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def titles(page: Page, section: str) -> Locator:
    return page.get_by_role("list", name=section, exact=True).locator(".title")


@pytest.fixture
def site(start_site: StartSite) -> Site:
    return start_site(NOUS_CHAT_MODEL="custom:words@n=5")


def test_a_conversation_is_pinned_archived_and_taken_back(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    begin(page)
    for title in ("One", "Two", "Three"):
        made(page, title)
    expect(titles(page, "Conversations")).to_have_text(["Three", "Two", "One", "New conversation"])
    act(page, "One", "Pin")
    expect(titles(page, "Pinned")).to_have_text(["One"])
    expect(titles(page, "Conversations")).to_have_text(["Three", "Two", "New conversation"])
    act(page, "Two", "Archive")
    undo = page.get_by_role("button", name="Undo")
    undo.hover()  # as long as it is looked at, it does not go by itself
    expect(page.get_by_text("Archived (1)")).to_be_visible()
    expect(titles(page, "Conversations")).to_have_text(["Three", "New conversation"])
    undo.click()
    expect(titles(page, "Conversations")).to_have_text(["Three", "Two", "New conversation"])
    act(page, "Three", "Archive")
    expect(page.get_by_text("Archived (1)")).to_be_visible()
    page.reload()
    expect(titles(page, "Pinned")).to_have_text(["One"])  # it is kept
    page.get_by_text("Archived (1)").click()
    act(page, "Three", "Unarchive")
    expect(page.get_by_text("Archived (1)")).to_be_hidden()


def test_a_conversation_is_renamed_for_everybody(site: Site, sign_in: SignIn) -> None:
    ada, bob = sign_in(site, "ada"), sign_in(site, "bob")
    conversation = made(ada, "Plans")
    add_participant(site, conversation, "bob")
    bob.goto(f"/chat/{conversation}/")
    live(bob)
    act(ada, "Plans", "Rename")
    field = ada.get_by_role("textbox", name="Title")
    expect(field).to_be_focused()
    field.fill("Better plans")
    field.press("Enter")
    for page in (ada, bob):
        expect(row(page, "Better plans")).to_be_visible()
    expect(bob.get_by_role("heading", level=1)).to_have_text("Better plans")
    act(ada, "Better plans", "Rename")
    field.fill("Thrown away")
    field.press("Escape")
    expect(row(ada, "Better plans").get_by_role("link")).to_be_focused()
    row(bob, "Better plans").get_by_role("button").click()
    expect(bob.get_by_role("menuitem")).to_have_text(["Pin", "Archive"])  # a member may do no more


def test_a_deleted_conversation_comes_back_with_undo(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    conversation = made(page, "Precious")
    page.goto(f"/chat/{conversation}/")
    live(page)
    act(page, "Precious", "Delete")
    undo = page.get_by_role("button", name="Undo")
    undo.hover()
    expect(row(page, "Precious")).to_have_count(0)
    page.wait_for_url(lambda url: conversation not in url)
    live(page)
    undo.click()
    page.wait_for_url(f"**/{conversation}/")
    live(page)
    expect(row(page, "Precious")).to_be_visible()


def test_what_was_not_open_comes_back_without_being_opened(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    for title in ("Precious", "Read"):
        conversation = made(page, title)
    page.goto(f"/chat/{conversation}/")
    live(page)
    act(page, "Precious", "Delete")
    expect(row(page, "Precious")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "Precious")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Read")


def test_where_a_conversation_goes_the_focus_is_at_its_neighbour(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    begin(page)
    for title in ("Three", "Two", "One", "Open"):
        conversation = made(page, title)
    page.goto(f"/chat/{conversation}/")
    live(page)
    act(page, "One", "Archive")
    expect(row(page, "Two").get_by_role("link")).to_be_focused()
    act(page, "Two", "Delete")
    expect(row(page, "Three").get_by_role("link")).to_be_focused()


def test_a_visit_leaves_no_empty_conversation_behind(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))
    empty = page.url
    made(page, "Prepared")  # has a name, so it is not just any
    page.goto("/chat/")
    page.wait_for_url(empty)
    live(page)
    row(page, "Prepared").get_by_role("link").click()
    page.wait_for_url(lambda url: url != empty)
    live(page)
    page.get_by_role("button", name="New conversation", exact=True).click()
    page.wait_for_url(empty)
    live(page)
    say(page, "Hello")
    page.get_by_role("button", name="New conversation", exact=True).click()  # now it is one of the others
    page.wait_for_url(lambda url: url != empty)
    live(page)
    expect(titles(page, "Conversations")).to_have_count(3)


def test_what_is_being_read_is_not_counted_as_unread(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:words@n=100,delay=20"), "ada")
    begin(page)
    lists = page.get_by_role("navigation", name="Conversations")
    counts = noted(lists, "list => list.querySelectorAll('.count:not([hidden])').length")
    say(page, "Hello")
    expect(row(page, "Hello")).to_contain_text("is answering")
    ends(page, "completed")
    assert set(counts()) == {0}


def test_undo_goes_when_it_is_too_late_for_it(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    page.clock.install()
    made(page, "Precious")
    page.goto("/chat/")
    live(page)
    act(page, "Precious", "Delete")
    undo = page.get_by_role("button", name="Undo")
    undo.hover()  # as long as it is looked at, it does not go by itself
    page.clock.fast_forward("08:00")
    expect(undo).to_be_visible()
    page.clock.fast_forward("02:10")
    expect(undo).to_be_hidden()


def test_what_happens_elsewhere_is_seen_in_the_list(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    ada, bob = sign_in(site, "ada"), sign_in(site, "bob")
    begin(bob)
    conversation = made(ada, "Together")
    add_participant(site, conversation, "bob")
    ada.goto(f"/chat/{conversation}/")
    bob.reload()
    live(ada)
    expect(row(bob, "Together")).to_be_visible()
    types(ada, row(bob, "Together").get_by_text("ada is typing"))
    say(ada, "Hello @assistant, how are you?")
    expect(row(bob, "Together")).to_contain_text("Assistant is answering")
    expect(row(bob, "Together")).to_contain_text("2 unread")  # the question, and the answer to it
    expect(bob).to_have_title(re.compile(r"^\(2\) "))
    ada.get_by_role("button", name="Stop").click()
    expect(row(bob, "Together")).not_to_contain_text("is answering")
    row(bob, "Together").get_by_role("link").click()
    live(bob)
    expect(row(bob, "Together").locator(".count")).to_be_hidden()
    expect(bob).to_have_title("Together")


def test_the_search_finds_what_was_said_and_opens_there(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    conversation = made(page, "Zoo")
    fill(site, conversation, ["An <b>elephant</b> came" if n == 20 else f"line {n}" for n in range(1, 151)])
    field = page.get_by_role("searchbox", name="Search")
    field.fill("eleph")
    results = page.get_by_role("list", name="Search results").get_by_role("link")
    expect(results).to_have_count(1)
    expect(results.locator("mark")).to_have_text("eleph")
    expect(results).to_contain_text("An <b>elephant</b> came")
    expect(page.locator("nous-chat")).to_contain_text("1 result")
    results.click()
    page.wait_for_url(f"**/{conversation}/#message-*")
    found = page.locator("article").filter(has_text="elephant")
    expect(found).to_be_in_viewport()
    expect(found).to_be_focused()
    page.reload()
    expect(page.locator("article").filter(has_text="elephant")).to_be_in_viewport()
    field.fill("nothing like this")
    expect(page.locator("nous-chat")).to_contain_text("No results")
    field.press("Escape")
    expect(field).to_have_value("")
    expect(row(page, "Zoo")).to_be_visible()


def test_the_search_finds_documents_and_opens_them(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada", viewport={"width": 1400, "height": 900})
    conversation, other = made(page, "Zoo"), made(page, "Elsewhere")
    new = {"title": "Animals", "text": "# Here\n\nAn **elephant** came"}
    path = f"/chat/api/conversations/{conversation}/documents/"
    document = page.request.post(path, data=new, headers=posting(page)).json()["id"]
    page.goto(f"/chat/{other}/")
    live(page)
    until(page, lambda: page.request.get("/chat/api/search/?q=eleph").json()["results"], "the document is indexed")
    page.get_by_role("searchbox", name="Search").fill("eleph")
    results = page.get_by_role("list", name="Search results").get_by_role("link")
    expect(results).to_have_count(1)
    expect(results).to_contain_text("Zoo")
    expect(results).to_contain_text("Animals")
    expect(results).to_contain_text("An elephant came")
    results.click()
    page.wait_for_url(f"**/{conversation}/#document-{document}")
    pane = page.get_by_role("region", name="Animals", exact=True)
    expect(pane.locator(".cm-content")).to_contain_text("An **elephant** came")
    page.reload()
    expect(pane.locator(".cm-content")).to_contain_text("An **elephant** came")


def test_people_are_added_changed_and_removed(site: Site, sign_in: SignIn) -> None:
    ada, bob = sign_in(site, "ada"), sign_in(site, "bob")
    conversation = made(ada, "Ours")
    ada.goto(f"/chat/{conversation}/")
    live(ada)
    side = panel(ada)
    side.get_by_label("Add by username").fill("nobody-of-that-name")
    side.get_by_role("button", name="Add").click()
    expect(side.get_by_role("alert")).not_to_be_empty()
    side.get_by_label("Add by username").fill("bob")
    side.get_by_role("button", name="Add").click()
    expect(person(side, "bob")).to_be_visible()
    expect(row(bob, "Ours")).to_be_visible()
    row(bob, "Ours").get_by_role("link").click()
    live(bob)
    expect(person(side, "bob")).to_contain_text("viewing now")
    person(side, "bob").get_by_role("combobox", name="Role of bob").select_option("viewer")
    expect(bob.get_by_text("You can read this conversation but not write in it.")).to_be_visible()
    person(side, "bob").get_by_role("button", name="Actions for bob").click()
    ada.get_by_role("menuitem", name="Transfer ownership").click()
    ada.get_by_role("dialog", name="Transfer ownership to bob?").get_by_role(
        "button", name="Transfer ownership"
    ).click()
    expect(person(side, "ada")).to_contain_text("Member")
    expect(side.get_by_label("Add by username")).to_be_hidden()
    theirs = panel(bob)
    person(theirs, "ada").get_by_role("button", name="Actions for ada").click()
    bob.get_by_role("menuitem", name="Remove").click()
    bob.get_by_role("dialog", name="Remove ada?").get_by_role("button", name="Remove").click()
    expect(ada.get_by_text("You are no longer in this conversation.").first).to_be_visible()
    expect(row(ada, "Ours")).to_have_count(0)


def test_a_panel_that_cannot_be_loaded_says_so_and_comes_when_it_can(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    begin(page)
    page.context.set_offline(True)
    side = panel(page)
    expect(side.get_by_role("alert")).to_have_text("The server could not be reached.")
    page.context.set_offline(False)
    side.get_by_role("button", name="Close").click()
    expect(panel(page).get_by_role("heading", name="People", exact=True)).to_be_visible()


def test_the_number_of_people_is_that_of_the_conversation_that_is_open(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    conversation = begin(page)
    add_participant(site, conversation, "bob")
    page.reload()
    people = page.get_by_role("button", name="People and settings")
    expect(people).to_have_text("2")
    page.evaluate("document.querySelector('nous-chat').setAttribute('conversation', crypto.randomUUID())")
    expect(page.locator(".conversation .connection-bar")).to_contain_text(
        "This conversation does not exist, or you have no access to it."
    )
    expect(people).to_have_text("")


def test_what_comes_late_does_not_bring_back_a_conversation_that_the_person_is_out_of(
    site: Site, sign_in: SignIn
) -> None:
    page = sign_in(site, "ada")
    begin(page)
    rows = page.evaluate("""async () => {
      const { ConversationList } = await import("/static/nous_chat/sidebar/conversation-list.js");
      const list = new ConversationList({ href: (id) => id });
      const told = (last_seq) => {
        const conversation = { id: "one", title: "One", last_seq, updated_at: "2026-11-25T00:00:00Z" };
        list.apply({ type: "conversation.updated", conversation });
        return list.conversations.length;
      };
      const removed = (last_seq) => list.apply({ type: "conversation.removed", conversation: "one", last_seq });
      return [told(3), removed(5), told(4), told(5), told(6), removed(null), told(6)];
    }""")
    assert rows == [1, None, 0, 0, 1, None, 1], "who is added again, or whose conversation is restored, has it again"


def test_a_link_lets_somebody_in_until_it_is_revoked(site: Site, sign_in: SignIn) -> None:
    ada, bob, eve = (sign_in(site, name) for name in ("ada", "bob", "eve"))
    conversation = made(ada, "By invitation")
    ada.goto(f"/chat/{conversation}/")
    live(ada)
    side = panel(ada)
    side.get_by_role("button", name="Create link").click()
    link = side.get_by_role("textbox", name="Link").input_value()
    bob.goto(link)
    expect(bob.get_by_role("heading", name="By invitation")).to_be_visible()
    bob.get_by_role("button", name="Join").click()
    bob.wait_for_url(f"**/{conversation}/")
    live(bob)
    expect(person(side, "bob")).to_be_visible()
    ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    side.get_by_role("button", name="Copy link").click()
    expect(side.get_by_text("Copied.")).to_be_visible()
    assert ada.evaluate("navigator.clipboard.readText()") == link
    side.get_by_role("button", name="Revoke link").click()
    expect(side.get_by_role("textbox", name="Link")).to_have_count(0)
    eve.goto(link)
    expect(eve.get_by_role("heading", name="This link does not work")).to_be_visible()
    theirs = panel(bob)
    person(theirs, "bob").get_by_role("button", name="Actions for bob").click()
    bob.get_by_role("menuitem", name="Leave").click()
    bob.get_by_role("dialog", name="Leave this conversation?").get_by_role("button", name="Leave").click()
    expect(row(bob, "By invitation")).to_have_count(0)
    expect(person(side, "bob")).to_have_count(0)


def test_the_owner_sets_how_it_goes(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    conversation = made(page, "Settings")
    page.goto(f"/chat/{conversation}/")
    live(page)
    side = panel(page)
    side.get_by_label("The agent answers").select_option("off")
    expect(side.get_by_text("Saved.")).to_be_visible()
    side.get_by_label("A message during an answer").select_option("queue")
    expect(side.get_by_text("Saved.")).to_be_visible()
    side.get_by_label("Title").fill("Quiet")
    side.get_by_label("Title").press("Enter")
    expect(row(page, "Quiet")).to_be_visible()
    page.reload()
    live(page)
    side = panel(page)
    expect(side.get_by_label("The agent answers")).to_have_value("off")
    expect(side.get_by_label("A message during an answer")).to_have_value("queue")
    say(page, "Nobody answers this")
    expect(page.locator('article[data-role="user"]')).to_contain_text("Nobody answers this")
    expect(answer(page)).to_have_count(0)


def test_the_theme_is_chosen_and_there_before_anything_is_painted(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada", color_scheme="light")
    begin(page)

    chat = page.locator("nous-chat")
    light = chat.evaluate("chat => getComputedStyle(chat).backgroundColor")
    page.get_by_role("radio", name="Dark").check()
    expect(chat).not_to_have_css("background-color", light)
    page.add_init_script(
        "const look = () => document.body && (window.atFirst ??= document.documentElement.dataset.theme ?? 'none');"
        "new MutationObserver(look).observe(document, { childList: true, subtree: true })"
    )
    page.reload()
    live(page)
    assert page.evaluate("window.atFirst") == "dark", "before the body was there"
    other = page.context.new_page()
    other.goto("/accounts/login/")
    expect(other.locator("body")).to_have_css("color-scheme", "dark")  # the site's own pages as well
    open_list(page)
    page.get_by_role("radio", name="System").check()
    expect(chat).to_have_css("background-color", light)
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    other.close()


def test_many_are_found_with_the_switcher(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    begin(page)
    wanted = made(page, "Größe und Gewicht")
    made(page, "Another")
    expect(row(page, "Another")).to_be_visible()
    page.keyboard.press("Control+k")
    options = page.get_by_role("option")
    expect(options.first).to_have_text("Another")
    page.keyboard.type("GRÖSSE")
    page.keyboard.press("Control+a")
    page.keyboard.type("größe")
    expect(options).to_have_count(2)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{wanted}/")
    expect(page.get_by_role("combobox")).to_have_count(0)


def test_a_long_list_is_loaded_in_pages(site: Site, sign_in: SignIn) -> None:
    page = sign_in(site, "ada")
    many = (
        "from datetime import timedelta; from django.contrib.auth import get_user_model as u;"
        "from django.utils import timezone; from chat.models import Conversation as c, Participant as p;"
        "ada, now = u().objects.get(username='ada'), timezone.now() - timedelta(days=1);"
        "rows = c.objects.bulk_create(c(title=f'Old {n}', agent='assistant', updated_at=now - timedelta(minutes=n))"
        " for n in range(250));"
        "p.objects.bulk_create(p(conversation=row, user=ada, role='owner') for row in rows)"
    )
    servers.manage(site.env, "shell", "-v0", "-c", many)
    page.reload()
    live(page)
    rows = page.locator("li.row")
    expect(rows).to_have_count(200)
    page.get_by_role("button", name="Earlier conversations").click()
    expect(rows).to_have_count(251)
    expect(rows.last).to_contain_text("Old 249")
    expect(page.get_by_role("button", name="Earlier conversations")).to_be_hidden()
