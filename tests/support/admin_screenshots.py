"""`python -m tests.support.admin_screenshots`: the pages of the admin with a made-up site, in both themes, at 1440 and
1280 px, as var/screenshots/admin-<page>.<theme>.<width>.png. Those of docs/images are the light ones at 1280 px.

Names of pages as arguments choose. Those that begin with `few-` are what staff with a few permissions see.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from ..conftest import browser_path
from . import servers
from .screenshots import FOLDER, THEMES
from .servers import PASSWORD, Database, Site

WIDTHS = (1440, 1280)
FEW = ("view_conversation", "view_run", "view_spending")
PREPARE = f"""
from chat import store
from chat.conf import AgentConf
from chat.models import Budget, Participant
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
store.create_agent(None, "clerk", AgentConf(name="Clerk", instructions="Be brief.\\nBe kind."))
store.change_agent(None, "clerk", AgentConf(name="Clerk", instructions="Be brief.\\nBe funny."), enabled=True)
Budget.objects.create(scope="site", period="month", cost=50)
Budget.objects.create(scope="user", tokens=200_000)
person = Participant.objects.order_by("pk")[5].user
list(store.erase_user(person, get_user_model().objects.get(username="root")))
warden = get_user_model().objects.create_user("warden", password="{PASSWORD}", is_staff=True)
warden.user_permissions.set(Permission.objects.filter(codename__in={FEW}))
print(store.place_hold(None, "Case 7", user=Participant.objects.order_by("-pk").first().user_id))
"""
FIRST = "#result_list tbody a"
PAGES = {
    "index": "",
    "conversations": "nous_chat/conversation/",
    "conversation": "nous_chat/conversation/?shared=yes > #result_list tbody a > a[href$='/change/']",
    "export": "nous_chat/conversation/?shared=yes > #result_list tbody a > a[href$='/export/']",
    "transcript": f"nous_chat/conversation/?shared=yes > {FIRST}",
    "runs": "nous_chat/run/",
    "run": f"nous_chat/run/ > {FIRST}",
    "spending": "nous_chat/spending/?by=model",
    "spending-rows": "nous_chat/spending/rows/",
    "documents": "nous_chat/document/",
    "document": f"nous_chat/document/ > {FIRST}",
    "tokens": "nous_chat/apitoken/",
    "breakers": "nous_chat/breaker/",
    "budgets": "nous_chat/budget/",
    "budget-add": "nous_chat/budget/add/",
    "prices": "nous_chat/price/",
    "price-add": "nous_chat/price/add/",
    "agents": "nous_chat/storedagent/",
    "agent": f"nous_chat/storedagent/ > {FIRST}",
    "versions": "nous_chat/storedagent/1/versions/",
    "holds": "nous_chat/hold/",
    "hold-add": "nous_chat/hold/add/",
    "hold": f"nous_chat/hold/ > {FIRST}",
    "erasures": "nous_chat/erasure/",
    "erase": "nous_chat/erasure/add/?username=ada",
    "receipt": f"nous_chat/erasure/ > {FIRST}",
    "retention": "nous_chat/pruning/",
    "inspections": "nous_chat/inspection/",
    "inspection-add": "nous_chat/inspection/add/",
    "inspect": f"nous_chat/run/ > {FIRST} > .field-inspect_link a",
    "delete": "nous_chat/conversation/?shared=no > #result_list tbody a > a[href$='/change/'] > .deletelink",
    "history": "nous_chat/conversation/?shared=yes > #result_list tbody a > a[href$='/change/'] > .historylink",
}
"""The address of each page; after `>`, what leads from there to it, one link after the other."""
FEW_PAGES = {f"few-{name}": PAGES[name] for name in ("index", "conversations", "runs", "run", "spending")} | {
    "few-conversation": f"nous_chat/conversation/ > {FIRST}"
}


def fill(env: dict[str, str]) -> None:
    """Make the site up."""
    servers.manage(env, "nous_showcase", "--conversations", "400", "--messages", "4000")
    servers.manage(env, "shell", "-v0", "-c", PREPARE)


def open_page(page: Page, address: str) -> None:
    start, *links = address.split(" > ")
    page.goto(f"/admin/{start}")
    for link in links:
        page.locator(link).first.click()
    page.wait_for_load_state("networkidle")


def take(context: BrowserContext, username: str, theme: str, pages: dict[str, str]) -> None:
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("#id_username", username)
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    for name, address in pages.items():
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            open_page(page, address)
            page.screenshot(path=FOLDER / f"admin-{name}.{theme}.{width}.png")
            wide = page.evaluate("document.documentElement.scrollWidth")
            print(name, theme, width, f"scrolls sideways to {wide} px" if wide > width else "")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        env = servers.environment(DATABASE_URL=Database(Path(folder)).copy())
        fill(env)
        site = Site(env)
        chromium = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        with servers.running(site):
            for theme in THEMES:
                for username, pages in (("root", PAGES), ("warden", FEW_PAGES)):
                    context = chromium.new_context(base_url=site.url, color_scheme=theme)  # type: ignore[arg-type]
                    chosen = {name: address for name, address in pages.items() if name in (sys.argv[1:] or pages)}
                    take(context, username, theme, chosen)
                    context.close()
        chromium.close()


if __name__ == "__main__":
    main()
