"""Fixtures: a real Chromium, and pages of signed-in users in it."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

from tests.conftest import browser_path
from tests.support import servers
from tests.support.servers import PASSWORD, Database, Site, Upstream

# What Chromium otherwise asks of the network at its start, and what a container without a user namespace needs.
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

PATIENCE = 60_000  # ms; how quick the machine is proves nothing
expect.set_options(timeout=PATIENCE)


HERE = Path(__file__).parent
WORKBENCH = {"workbench.js": HERE / "workbench.js", "documents.js": HERE.parent / "js/markdown/documents.js"}


def serve_workbench(page: Page) -> None:
    """Add what workbench.js exports to the window of a page."""

    def serve(route: Route) -> None:
        route.fulfill(path=WORKBENCH[route.request.url.rsplit("/", 1)[1]], content_type="text/javascript")

    for name in WORKBENCH:
        page.route(f"**/static/{name}", serve)
    page.evaluate("async () => void Object.assign(window, await import('/static/workbench.js'))")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright's loop runs in this thread while it is open: no other module's tests could run a loop of their own.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox", *QUIET])
        yield chromium
        chromium.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def _refused(said: ConsoleMessage) -> bool:
    """Whether the page's security policy refused something. In the frames of diagrams and documents it is meant to."""
    frame = "/diagram/|/mermaid|/preview/|/preview-frame|^about:srcdoc"
    meant = re.search(frame, said.location["url"]) or "frame-src 'none'" in said.text  # without a place
    return "Content Security" in said.text and not meant


@pytest.fixture
def sign_in(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`sign_in(site, "ada")`: a page of that user, in its own browser context. An error of a script, and anything that
    the security policy refuses, fails the test.
    """
    problems: list[str] = []
    with ExitStack() as closing:

        def page_of(site: Site, name: str, **options: Any) -> Page:
            context: BrowserContext = browser.new_context(base_url=site.url, **options)
            closing.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: problems.extend([said.text] if _refused(said) else []))
            page.goto("/accounts/login/")
            page.get_by_label("Username").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(re.compile(r"/chat/([0-9a-f-]{36}/)?$"))  # it opens one at once
            return page

        yield page_of
    assert not problems


def _production(static_files: Path, **env: str) -> dict[str, str]:
    return servers.environment(
        DJANGO_SETTINGS_MODULE="tests.sites.production",
        STATIC_ROOT=str(static_files),
        DEBUG="",
        PLAIN_HTTP="1",
        ALLOWED_HOSTS="127.0.0.1",
        **env,
    )


@pytest.fixture(scope="session")
def static_files(run_folder: Path) -> Path:
    """The folder of the static files as production serves them, hashed and compressed. Collected once for a run."""
    folder = run_folder / "static"

    def collect() -> str:
        servers.manage(_production(folder), "collectstatic", "--noinput", "-v0")
        return "collected"

    servers.once(run_folder / "static-files", collect)
    return folder


@pytest.fixture
def production_site(database: Database, upstream: Upstream, static_files: Path) -> Iterator[Callable[[str], Site]]:
    """`production_site("custom:echo")`: a site as on the internet, with hashed and compressed static files."""
    with ExitStack() as closing:

        def start(model: str) -> Site:
            base_url = f"{upstream.url}/v1"
            site = Site(
                _production(static_files, DATABASE_URL=database.copy(), NOUS_CHAT_MODEL=model, CUSTOM_BASE_URL=base_url)
            )
            closing.enter_context(servers.running(site))
            return site

        yield start


@pytest.fixture(scope="module")
def parrot(database: Database, upstream: Upstream) -> Iterator[Site]:
    """A site whose agent says what it is told: `words@n=3` for three words."""
    env = servers.environment(
        DATABASE_URL=database.copy(), NOUS_CHAT_MODEL="custom:told", CUSTOM_BASE_URL=f"{upstream.url}/v1"
    )
    site = Site(env)
    with servers.running(site):
        yield site
