"""`make screenshots`: each state of the page, from a real site in a real Chromium, in both themes, wide and on a small
phone, as var/screenshots/<state>.<theme>.<width>.png. Names of states as arguments choose.
"""

import contextlib
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, expect, sync_playwright

from ..conftest import browser_path
from . import servers
from .page import fill, posting
from .servers import PASSWORD, ROOT, Server, Site

FOLDER = ROOT / "var" / "screenshots"
SIZES = {"wide": {"width": 1440, "height": 900}, "small": {"width": 320, "height": 640}}
THEMES = ("light", "dark")
States = dict[str, Callable[["Window"], None]]
STATES: States = {}
ALONE: dict[str, dict[str, str]] = {}
"""The environment of states that have a site and a Redis of their own, which they may stop."""


def state(make: Callable[["Window"], None]) -> Callable[["Window"], None]:
    """One state of the page: a function that brings a window there."""
    STATES[make.__name__.replace("_", "-")] = make
    return make


def alone(**env: str) -> Callable[[Callable[["Window"], None]], Callable[["Window"], None]]:
    def keep(make: Callable[["Window"], None]) -> Callable[["Window"], None]:
        ALONE[make.__name__.replace("_", "-")] = env
        return state(make)

    return keep


class Window:
    """A window on the site, of ada unless somebody else signs in."""

    def __init__(self, browser: Browser, site: Site, redis: Server | None, theme: Any, size: Any) -> None:
        self.site, self.redis = site, redis
        look: dict[str, Any] = {"color_scheme": theme, "viewport": size, "reduced_motion": "reduce"}
        self.context = browser.new_context(base_url=site.url, **look)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        expect.set_options(timeout=15_000)
        self.small = size["width"] < 900
        self.sign_in("ada")

    def sign_in(self, name: str) -> None:
        self.context.clear_cookies()
        self.page.goto("/accounts/login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/chat/**")

    def open(self, conversation: str) -> None:
        self.page.goto(f"/chat/{conversation}/")
        self.live()

    def live(self) -> None:
        expect(self.page.locator("nous-chat")).to_have_attribute("data-connection", "live")

    # --- Conversations

    def post(self, path: str, fields: dict[str, str]) -> Any:
        return self.page.request.post(f"/chat/api/{path}", data=fields, headers=posting(self.page)).json()

    def make(self, title: str, agent: str = "assistant") -> str:
        return str(self.post("conversations/", {"title": title, "agent": agent})["id"])

    def begin(self) -> None:
        self.open(str(self.post("conversations/", {})["id"]))

    def together(self, role: str = "member") -> str:
        conversation = self.make("Plans for the garden")
        self.post(f"conversations/{conversation}/participants/", {"username": "bob", "role": role})
        self.post(f"conversations/{conversation}/participants/", {"username": "eve", "role": "viewer"})
        return conversation

    def several(self) -> None:
        """A list with some in it, one of them pinned, and one open."""
        for title in ("Garden", "A poem about patience", "Release notes of the spring version, for everybody"):
            pinned = self.make(title)
        headers = posting(self.page)
        self.page.request.patch(f"/chat/api/conversations/{pinned}/", data={"pinned": True}, headers=headers)
        self.begin()
        self.say("A word on patience, please")
        self.ends()

    # --- What a person does

    def list(self) -> None:
        """On a phone the list is a drawer."""
        if self.small:
            self.page.get_by_role("button", name="Conversations").click()

    def panel(self) -> None:
        self.page.get_by_role("button", name="People and settings").click()

    def say(self, text: str) -> None:
        self.page.get_by_role("textbox", name="Message").fill(text)
        self.page.keyboard.press("Enter")

    @property
    def answer(self) -> Locator:
        return self.page.locator('article[data-role="assistant"]').last

    def bar(self, text: str) -> None:
        """What the bar over the conversation says."""
        expect(self.page.locator(".conversation .connection-bar")).to_contain_text(re.compile(text), timeout=60_000)

    def ends(self, status: str = "completed") -> None:
        expect(self.answer).to_have_attribute("data-status", status, timeout=60_000)


@state
def sign_in(window: Window) -> None:
    window.context.clear_cookies()
    window.page.goto("/accounts/login/")


@state
def first_visit(window: Window) -> None:
    window.begin()
    expect(window.page.locator(".starter").first).to_be_visible()


@state
def answered(window: Window) -> None:
    window.begin()
    window.say("Show me some code")
    window.ends()


@state
def answering(window: Window) -> None:
    window.begin()
    window.say("slow, please")
    expect(window.answer.locator('[data-part="text"]')).not_to_be_empty()


@state
def thinking(window: Window) -> None:
    window.begin()
    window.say("think about it")
    window.ends()
    window.answer.locator('[data-part="thinking"] summary').click()


def release_notes(window: Window) -> tuple[str, str]:
    """A conversation with a document; the ids of both."""
    conversation = window.make("Release")
    text = (
        "# Release notes\n\nWhat is *new*:\n\n| part | state |\n|---|---|\n| editor | done |\n\n```python\nx = 1\n```\n"
    )
    made = window.post(f"conversations/{conversation}/documents/", {"title": "Release notes", "text": text})
    return conversation, made["id"]


@state
def document(window: Window) -> None:
    conversation, _ = release_notes(window)
    window.open(conversation)
    window.panel()
    window.page.get_by_role("button", name="Release notes").click()
    expect(window.page.locator(".document-preview").get_by_role("heading", name="Release notes")).to_be_visible()


@state
def document_history(window: Window) -> None:
    document(window)
    window.page.get_by_role("button", name="Document actions").click()
    window.page.get_by_role("menuitem", name="History").click()
    expect(window.page.locator(".comparison .cm-line").first).to_be_visible()


@state
def tour(window: Window) -> None:
    window.begin()
    window.say("What can I try here?")
    window.ends("awaiting_approval")
    window.page.get_by_role("log").evaluate("log => log.scrollTo(0, 0)")


@state
def edit_history(window: Window) -> None:
    window.begin()
    window.say("code")
    window.ends()
    window.page.keyboard.press("ArrowUp")
    window.page.get_by_role("textbox", name="Edit message").fill("usage")
    window.page.get_by_role("button", name="Save and ask again").click()
    expect(window.answer).to_contain_text("A token is a piece of a word.")
    window.ends()
    window.page.get_by_role("button", name="edited").click()
    expect(window.page.get_by_role("dialog", name="Edit history")).to_be_visible()


@state
def wrong_link(window: Window) -> None:
    window.page.goto("/nothing/here/")


@state
def password(window: Window) -> None:
    window.page.goto("/accounts/password_change/")


@state
def password_reset(window: Window) -> None:
    window.page.goto("/accounts/password_reset/")


@state
def password_reset_sent(window: Window) -> None:
    window.page.goto("/accounts/password_reset/done/")


@state
def password_reset_expired(window: Window) -> None:
    window.page.goto("/accounts/reset/MQ/set-password/")


@state
def password_reset_complete(window: Window) -> None:
    window.page.goto("/accounts/reset/done/")


@state
def too_many_sign_ins(window: Window) -> None:
    window.context.clear_cookies()
    window.page.goto("/accounts/login/")
    token = window.page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    form: Any = {"username": "mallory", "password": "wrong", "csrfmiddlewaretoken": token}
    while window.page.request.post("/accounts/login/", form=form).status != 429:
        pass
    window.page.get_by_label("Username").fill("mallory")
    window.page.get_by_label("Password").fill("wrong")
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("heading", name="Too many requests")).to_be_visible()


@alone()
def too_many_messages(window: Window) -> None:
    """Without JavaScript. The answer holds the text that was not sent."""
    conversation = window.together()
    window.sign_in("bob")
    window.page.route("**/nous-chat*.js", lambda route: route.abort())
    window.page.goto(f"/chat/{conversation}/")
    window.page.get_by_label("Message").fill("The beds are 30 feet long. I'd like to plant at prime distances.")
    refused = 0
    while refused < 100:  # further requests make the wait longer
        refused += window.page.request.get("/chat/api/conversations/").status == 429
    window.page.get_by_role("button", name="Send").click()
    expect(window.page.get_by_role("heading", name="Too many requests")).to_be_visible()


@state
def signed_out_page(window: Window) -> None:
    window.page.get_by_role("button", name="Sign out").click()


@state
def footnotes(window: Window) -> None:
    conversation = window.make("Boiling points")
    text = (
        "Water boils at 100 °C[^1] at sea level, and at 70 °C on Mount Everest[^everest].\n\n"
        "> A watched pot never boils.[^1]\n\n[^1]: At a pressure of 1013 hPa.\n"
        "[^everest]: At `337 hPa`. The exact number depends on the weather, and is a little higher in summer.\n"
    )
    fill(window.site, conversation, [text], role="assistant")
    window.open(conversation)
    expect(window.page.locator(".footnote").last).to_be_visible()


@state
def long_texts(window: Window) -> None:
    conversation = window.make("A long text")
    lines = ["A sentence of a very long line. " * 300, "```\n" + "x = 1; " * 700 + "\ny = 2\n```\n"]
    fill(window.site, conversation, ["\n\n".join(lines)], role="assistant")
    window.open(conversation)
    expect(window.page.locator(".code .piece").last).to_be_attached()


@state
def stopped(window: Window) -> None:
    window.begin()
    window.say("long")
    expect(window.answer.locator('[data-part="text"]')).not_to_be_empty()
    window.page.get_by_role("button", name="Stop").click()
    window.ends("stopped")


@state
def failed(window: Window) -> None:
    window.begin()
    window.say("error")
    window.ends("failed")


@state
def approval(window: Window) -> None:
    window.open(window.make("A refund", agent="clerk"))
    window.say("Please look up the order and refund it")
    window.ends("awaiting_approval")


@state
def rating(window: Window) -> None:
    answered(window)
    window.answer.hover()
    window.answer.get_by_role("button", name="Rate").click()
    window.page.get_by_role("radio", name="Bad answer").check()
    window.page.get_by_role("textbox", name="Comment").fill("The second function is missing.")


@state
def tokens(window: Window) -> None:
    window.page.goto("/chat/tokens/")
    window.page.get_by_label("What is the token for?").fill("Backup script")
    window.page.get_by_role("button", name="Create token").click()


@state
def dashboard(window: Window) -> None:
    answering(window)
    window.sign_in("root")
    window.page.goto("/chat/dashboard/")
    expect(window.page.get_by_role("button", name="Stop")).to_be_visible()


@state
def list_of_conversations(window: Window) -> None:
    window.several()
    window.list()


@state
def actions(window: Window) -> None:
    window.several()
    window.list()
    row = window.page.locator("li.row").filter(has_text="Garden").first
    row.hover()
    row.get_by_role("button").click()


@state
def archived(window: Window) -> None:
    window.several()
    window.list()
    row = window.page.locator("li.row").filter(has_text="Garden").first
    row.hover()
    row.get_by_role("button").click()
    window.page.get_by_role("menuitem", name="Archive").click()
    expect(window.page.get_by_role("button", name="Undo")).to_be_visible()


@state
def search(window: Window) -> None:
    window.several()
    window.list()
    window.page.get_by_role("searchbox").fill("patience")
    expect(window.page.locator("mark").first).to_be_visible()


@state
def switcher(window: Window) -> None:
    window.several()
    window.page.keyboard.press("Control+k")


@state
def keys(window: Window) -> None:
    window.begin()
    window.list()
    window.page.get_by_role("button", name="Keyboard shortcuts").click()


@state
def people(window: Window) -> None:
    window.open(window.together())
    window.panel()
    window.page.get_by_role("button", name="Create link").click()
    expect(window.page.get_by_role("textbox", name="Link")).to_be_visible()


@state
def settings(window: Window) -> None:
    window.open(window.together())
    window.panel()
    window.page.get_by_label("A message during an answer").scroll_into_view_if_needed()


@state
def hand_over(window: Window) -> None:
    window.open(window.together())
    window.panel()
    window.page.get_by_role("button", name="Actions for bob").click()
    window.page.get_by_role("menuitem", name="Transfer ownership").click()


@state
def several_people(window: Window) -> None:
    """Two people and an agent in one conversation: the picture in README.md (light, wide)."""
    for title in ("Order 1284", "A poem about patience", "Release notes for spring"):
        window.make(title)
    conversation = window.together()
    window.sign_in("bob")
    window.open(conversation)
    window.say("The beds are 30 feet long. I'd like to plant at prime distances.")
    expect(window.page.locator('article[data-role="user"]')).to_have_count(1)
    window.sign_in("ada")
    window.open(conversation)
    window.say("@assistant Can you show us some code for that?")
    window.ends()


@state
def read_only(window: Window) -> None:
    conversation = window.together(role="viewer")
    window.sign_in("bob")
    window.open(conversation)


@state
def invitation(window: Window) -> None:
    link = window.post(f"conversations/{window.make('Garden plans')}/invitations/", {})["url"]
    window.sign_in("bob")
    window.page.goto(link)


@state
def no_such_conversation(window: Window) -> None:
    window.page.goto("/chat/00000000-0000-4000-8000-000000000000/")


@state
def offline(window: Window) -> None:
    window.begin()
    window.context.set_offline(True)
    window.page.evaluate("dispatchEvent(new Event('offline'))")
    window.say("This waits until I am back")
    expect(window.page.locator("nous-chat")).to_have_attribute("data-connection", "offline", timeout=20_000)


@alone()
def reconnecting(window: Window) -> None:
    window.begin()
    window.site.kill()
    window.say("This waits until the server is back")
    window.bar(r"Reconnecting in ([4-9]|1\d) seconds")


@alone()
def restarting(window: Window) -> None:
    window.begin()
    window.site.process.terminate()
    window.bar("The server is restarting")


@state
def signed_out(window: Window) -> None:
    window.begin()
    window.page.get_by_role("textbox", name="Message").fill("Half a thought")
    window.page.request.post("/accounts/logout/", headers=posting(window.page))
    window.bar("You are signed out")


@state
def removed(window: Window) -> None:
    conversation = window.together()
    window.sign_in("bob")
    window.open(conversation)
    api = f"/chat/api/conversations/{conversation}/participants/"
    people = window.page.request.get(api).json()["participants"]
    mine = next(participant["id"] for participant in people if participant["user"]["name"] == "bob")
    window.page.request.delete(f"{api}{mine}/", headers=posting(window.page))
    window.bar("You are no longer in this conversation")


@alone(MAX_RUNS="1")
def queue(window: Window) -> None:
    window.begin()
    window.say("slow, please")
    expect(window.answer.locator('[data-part="text"]')).not_to_be_empty()
    window.open(window.make("Behind it"))
    window.say("And now?")
    expect(window.page.locator(".activity")).to_contain_text("1st in line")


@alone(DAILY_TOKENS="0")
def budget(window: Window) -> None:
    window.begin()
    window.say("And now?")
    expect(window.page.locator(".notice")).to_contain_text("used up")


@alone()
def outage(window: Window) -> None:
    assert window.redis is not None
    window.begin()
    window.redis.process.send_signal(signal.SIGSTOP)
    window.bar("New messages may arrive late")


@state
def without_javascript(window: Window) -> None:
    conversation = window.together()
    window.page.route("**/nous-chat*.js", lambda route: route.abort())
    window.page.goto(f"/chat/{conversation}/")
    expect(window.page.get_by_role("button", name="Send")).to_be_visible()


@state
def document_without_javascript(window: Window) -> None:
    conversation, made = release_notes(window)
    window.page.goto(f"/chat/{conversation}/documents/{made}/")


@state
def without_web_sockets(window: Window) -> None:
    conversation = window.together()
    window.page.add_init_script("sessionStorage.setItem('nous-chat:no-socket', '1')")
    window.page.route_web_socket(re.compile("/ws/"), lambda route: route.close())
    window.page.goto(f"/chat/{conversation}/")
    expect(window.page.locator(".fallback-notice")).to_be_visible()


@state
def german(window: Window) -> None:
    conversation = window.together()
    window.page.set_extra_http_headers({"Accept-Language": "de"})
    window.open(conversation)
    window.page.get_by_role("button", name="Personen und Einstellungen").click()


@state
def right_to_left(window: Window) -> None:
    window.several()
    window.page.evaluate("document.documentElement.dir = 'rtl'")
    window.say("code")
    window.ends()


@contextlib.contextmanager
def served_alone(env: dict[str, str]) -> Iterator[tuple[Site, Server]]:
    redis = servers.start_redis()
    try:
        site = Site({**env, "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"})
        try:
            yield site, redis
        finally:
            site.kill()
    finally:
        redis.kill()


def main(wanted: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        database = servers.Database(Path(folder))
        env = servers.environment(DATABASE_URL=database.copy(), DJANGO_SETTINGS_MODULE="tests.sites.showcase")
        site = Site(env)
        with servers.running(site):
            browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            for name, make in STATES.items():
                if wanted and name not in wanted:
                    continue
                for theme in THEMES:
                    for width, size in SIZES.items():
                        with contextlib.ExitStack() as closing:
                            where: tuple[Site, Server | None] = site, None
                            if name in ALONE:
                                fresh = {"DATABASE_URL": database.copy()}
                                where = closing.enter_context(served_alone(env | fresh | ALONE[name]))
                            window = Window(browser, *where, theme, size)
                            make(window)
                            window.page.screenshot(path=FOLDER / f"{name}.{theme}.{width}.png")
                            window.context.close()
                print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
