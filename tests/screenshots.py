"""`make screenshots`: each state of the page, from a real site in a real Chromium, in both themes, wide and on a small
phone, as var/screenshots/<state>.<theme>.<width>.png. Names of states as arguments choose.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from . import servers
from .conftest import browser_path
from .servers import PASSWORD, ROOT, Site

FOLDER = ROOT / "var" / "screenshots"
SIZES = {"wide": {"width": 1440, "height": 900}, "small": {"width": 320, "height": 640}}
THEMES = ("light", "dark")
States = dict[str, Callable[["Window"], None]]
STATES: States = {}


def state(make: Callable[["Window"], None]) -> Callable[["Window"], None]:
    """One state of the page: a function that brings a window there."""
    STATES[make.__name__.replace("_", "-")] = make
    return make


class Window:
    """A signed-in person's window on the site."""

    def __init__(self, browser: Browser, site: Site, name: str, theme: Any, size: Any) -> None:
        self.site = site
        self.context = browser.new_context(
            base_url=site.url, color_scheme=theme, viewport=size, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.small = size["width"] < 900
        self.page.goto("/accounts/login/")
        if name:
            self.page.get_by_label("Username").fill(name)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.keyboard.press("Enter")
            self.page.wait_for_url("**/chat/**")

    def open(self, conversation: str) -> Page:
        self.page.goto(f"/chat/{conversation}/")
        self.live()
        return self.page

    def live(self) -> None:
        expect(self.page.locator("nous-chat")).to_have_attribute("data-connection", "live")

    def list(self) -> None:
        """On a phone the list is a drawer."""
        if self.small:
            self.page.get_by_role("button", name="Conversations").click()

    def say(self, text: str) -> None:
        self.page.get_by_role("textbox", name="Message").fill(text)
        self.page.keyboard.press("Enter")

    def ends(self, status: str = "completed") -> None:
        answer = self.page.locator('article[data-role="assistant"]').last
        expect(answer).to_have_attribute("data-status", re.compile(status), timeout=60_000)


@state
def sign_in(window: Window) -> None:
    window.context.clear_cookies()
    window.page.goto("/accounts/login/")


@state
def first_visit(window: Window) -> None:
    window.page.goto("/chat/")
    window.live()
    expect(window.page.locator(".starter").first).to_be_visible()


@state
def list_of_conversations(window: Window) -> None:
    window.page.goto("/chat/")
    window.live()
    window.list()


@state
def keys(window: Window) -> None:
    window.page.goto("/chat/")
    window.live()
    window.list()
    window.page.get_by_role("button", name="Keys").click()


@state
def switcher(window: Window) -> None:
    window.page.goto("/chat/")
    window.live()
    window.page.keyboard.press("Control+k")


def main(wanted: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        database = servers.Database(Path(folder))
        site = Site(servers.environment(DATABASE_URL=database.copy()))
        with servers.running(site):
            browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            for name, make in STATES.items():
                if wanted and name not in wanted:
                    continue
                for theme in THEMES:
                    for width, size in SIZES.items():
                        window = Window(browser, site, "ada", theme, size)
                        make(window)
                        window.page.screenshot(path=FOLDER / f"{name}.{theme}.{width}.png")
                        window.context.close()
                print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
