"""`python -m tests.support.admin_screenshots`: the pages of the admin with a made-up site, in both themes, at 1440 and
1280 px, as var/screenshots/admin-<page>.<theme>.<width>.png. Those of docs/images are the light ones at 1280 px.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from ..conftest import browser_path
from . import servers
from .screenshots import FOLDER, THEMES
from .servers import PASSWORD, Database, Site

WIDTHS = (1440, 1280)
PREPARE = """
from chat import store
from chat.conf import AgentConf
from chat.models import Budget, Participant
from django.contrib.auth import get_user_model
store.create_agent(None, "clerk", AgentConf(name="Clerk", instructions="Be brief.\\nBe kind."))
store.change_agent(None, "clerk", AgentConf(name="Clerk", instructions="Be brief.\\nBe funny."), enabled=True)
Budget.objects.create(scope="site", period="month", cost=50)
Budget.objects.create(scope="user", tokens=200_000)
person = Participant.objects.order_by("pk")[5].user
list(store.erase_user(person, get_user_model().objects.get(username="root")))
print(store.place_hold(None, "Case 7", user=Participant.objects.order_by("-pk").first().user_id))
"""
FIRST = "#result_list tbody a"
PAGES = {
    "index": "",
    "conversations": "nous_chat/conversation/",
    "transcript": f"nous_chat/conversation/?shared=yes > {FIRST}",
    "runs": "nous_chat/run/",
    "run": f"nous_chat/run/ > {FIRST}",
    "spending": "nous_chat/spending/?by=model",
    "budgets": "nous_chat/budget/",
    "prices": "nous_chat/price/",
    "agents": "nous_chat/storedagent/",
    "agent": f"nous_chat/storedagent/ > {FIRST}",
    "versions": "nous_chat/storedagent/1/versions/",
    "holds": "nous_chat/hold/",
    "hold": f"nous_chat/hold/ > {FIRST}",
    "erasures": "nous_chat/erasure/",
    "receipt": f"nous_chat/erasure/ > {FIRST}",
    "retention": "nous_chat/pruning/",
}
"""The address of each page; after `>`, what leads from there to it."""


def open_page(page: Page, address: str) -> None:
    start, _, link = address.partition(" > ")
    page.goto(f"/admin/{start}")
    if link:
        page.locator(link).first.click()
    page.wait_for_load_state("networkidle")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        env = servers.environment(DATABASE_URL=Database(Path(folder)).copy())
        servers.manage(env, "nous_showcase", "--conversations", "400", "--messages", "4000")
        servers.manage(env, "shell", "-v0", "-c", PREPARE)
        site = Site(env)
        chromium = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        with servers.running(site):
            for theme in THEMES:
                context = chromium.new_context(base_url=site.url, color_scheme=theme)  # type: ignore[arg-type]
                page = context.new_page()
                page.goto("/admin/login/")
                page.fill("#id_username", "root")
                page.fill("#id_password", PASSWORD)
                page.keyboard.press("Enter")
                page.wait_for_url("**/admin/")
                for name in sys.argv[1:] or PAGES:
                    for width in WIDTHS:
                        page.set_viewport_size({"width": width, "height": 900})
                        open_page(page, PAGES[name])
                        page.screenshot(path=FOLDER / f"admin-{name}.{theme}.{width}.png")
                        wide = page.evaluate("document.documentElement.scrollWidth")
                        print(name, theme, width, f"scrolls sideways to {wide} px" if wide > width else "")
                context.close()
        chromium.close()


if __name__ == "__main__":
    main()
