"""The cost of a page in the browser: `python -m tests.benchmarks.page DELTAS MESSAGES` prints PageCosts as JSON.

A page reads a long answer as it streams, and a long document that an agent writes; then it opens a long conversation
and scrolls through it. The site and Chromium are real; the processor time of the main thread comes from DevTools'
Performance domain.
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from ..conftest import browser_path
from ..support import servers
from ..support.upstream import document
from .people import WRITER

RATE = 200
"""Deltas per second."""

OPENING = 1.0
"""Seconds from the first delta of a document until its pane may be open."""

CHARS = 20
"""Characters per delta."""

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

WATCH = """() => {
  window.long = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.long.push(duration);
  }).observe({ entryTypes: ["longtask"] });
}"""

PART = "document.querySelector('nous-chat').shadowRoot.querySelector('article[data-role=assistant] [data-part=text]')"
COMPLETED = """() => document.querySelector("nous-chat").shadowRoot
  .querySelector("article[data-role=assistant][data-status=completed]")"""
ARRIVED = f"length => {PART}?.source?.length >= length"

# Scrolls by some pixels per frame, and returns the duration of each frame.
SCROLL = """async (pixels) => {
  const log = document.querySelector("nous-chat").shadowRoot.querySelector(".log");
  const times = [];
  let before = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 240; i++) {
    log.scrollTop += pixels;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - before);
    before = now;
  }
  return times;
}"""


@dataclass(frozen=True)
class Tenth:
    """A tenth of the deltas: its duration, and how long the main thread was busy, in seconds."""

    seconds: float
    busy: float


@dataclass(frozen=True)
class Streamed:
    """What a text costs as it streams. `script` and `layout` are in seconds, `long_tasks` in ms. `whole`: all of it
    was there at the end.
    """

    characters: int = 0
    tenths: list[Tenth] = field(default_factory=list)
    script: float = 0.0
    layout: float = 0.0
    long_tasks: list[float] = field(default_factory=list)
    whole: bool = False

    @property
    def seconds(self) -> float:
        return sum(tenth.seconds for tenth in self.tenths)

    @property
    def share(self) -> float:
        """The share of the stream's time during which the main thread was busy."""
        return sum(tenth.busy for tenth in self.tenths) / self.seconds if self.seconds else 0.0

    @property
    def growth(self) -> float:
        """The busy time of the last tenth, as a multiple of the first."""
        return self.tenths[-1].busy / self.tenths[0].busy if self.tenths else 0.0


@dataclass(frozen=True)
class PageCosts:
    """`load_tasks` (while loading older messages) and `frames` are in ms; `opened` is in seconds, from the navigation
    until the user can type.
    """

    answer: Streamed = field(default_factory=Streamed)
    document: Streamed = field(default_factory=Streamed)
    messages: int = 0
    opened: float = 0.0
    load_tasks: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)


def metrics(session: CDPSession) -> dict[str, float]:
    """Seconds that the main thread has spent so far, by name, and the `Clock`."""
    found = session.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found} | {"Clock": time.monotonic()}


def ask(page: Page) -> CDPSession:
    """Ask for an answer. Returns the session that `metrics` asks."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.get_by_role("textbox", name="Message").fill("Go on")
    page.keyboard.press("Enter")
    return session


def stream(page: Page, deltas: int) -> Streamed:
    """Measure one answer as it streams, from its first character to its last."""
    session = ask(page)
    characters = deltas * CHARS
    page.wait_for_function(ARRIVED, arg=1, polling=50)
    page.evaluate(WATCH)
    marks = [metrics(session)]
    for tenth in range(1, 11):
        page.wait_for_function(ARRIVED, arg=characters * tenth // 10, polling=50)
        marks.append(metrics(session))
    page.wait_for_function(COMPLETED, polling=50)
    whole = page.evaluate(f"{PART}.source.length") == characters
    return streamed(characters, marks, page.evaluate("window.long"), whole)


def write(page: Page, conversation: str, deltas: int) -> Streamed:
    """Measure one document as an agent writes it next to the conversation, with its preview. The editor keeps only
    what is visible in the page, so the tenths are tenths of the time.
    """
    session = ask(page)
    page.get_by_role("region", name="Waves", exact=True).wait_for()
    page.evaluate(WATCH)
    marks = [metrics(session)]
    for _ in range(10):
        page.wait_for_timeout((deltas / RATE - OPENING) * 1000 / 10)
        marks.append(metrics(session))
    page.wait_for_function(COMPLETED, polling=50)
    long_tasks = page.evaluate("window.long")
    characters = deltas * CHARS
    (found,) = page.request.get(f"/chat/api/conversations/{conversation}/documents/").json()["documents"]
    stored = page.request.get(f"/chat/api/documents/{found['id']}/").json()["text"]
    return streamed(characters, marks, long_tasks, stored == document(characters))


def streamed(characters: int, marks: list[dict[str, float]], long_tasks: list[float], whole: bool) -> Streamed:
    tenths = [
        Tenth(after["Clock"] - before["Clock"], after["TaskDuration"] - before["TaskDuration"])
        for before, after in pairwise(marks)
    ]
    first, last = marks[0], marks[-1]
    return Streamed(
        characters=characters,
        tenths=tenths,
        script=last["ScriptDuration"] - first["ScriptDuration"],
        layout=sum(last[name] - first[name] for name in ("LayoutDuration", "RecalcStyleDuration")),
        long_tasks=long_tasks,
        whole=whole,
    )


def open_and_scroll(page: Page, url: str, messages: int) -> dict[str, Any]:
    """Open a conversation, load it to its start, and scroll through it."""
    page.goto("about:blank")
    page.goto(url, wait_until="commit")
    page.wait_for_function(
        """() => {
          const root = document.querySelector("nous-chat")?.shadowRoot;
          return root?.querySelectorAll("article").length > 0 && !root.querySelector("textarea").readOnly;
        }""",
        polling="raf",
    )
    opened = page.evaluate("performance.now()") / 1000
    page.evaluate(WATCH)
    articles = page.locator("article")
    while articles.count() < messages:
        page.evaluate("document.querySelector('nous-chat').shadowRoot.querySelector('.log').scrollTop = 0")
        page.wait_for_timeout(100)
    page.wait_for_timeout(1000)
    load_tasks = page.evaluate("window.long")
    frames = page.evaluate(SCROLL, 150) + page.evaluate(SCROLL, -90)
    return {"messages": messages, "opened": opened, "load_tasks": load_tasks, "frames": frames}


def fill(site: servers.Site, conversation: str, messages: int) -> None:
    """Add messages to a conversation; every second one is a short answer in Markdown."""
    code = (
        "from chat.models import Message as m, Conversation as c; from tests.support.upstream import SECTION;"
        f"c.objects.filter(pk='{conversation}').update(last_seq={messages});"
        f"m.objects.bulk_create(m(conversation_id='{conversation}', seq=n, role='user' if n % 2 else 'assistant',"
        f" text=f'Question {{n}}' if n % 2 else SECTION.format(n=n)) for n in range(1, {messages} + 1))"
    )
    servers.manage(site.env, "shell", "-v0", "-c", code)


def begin(page: Page, agent: str = "assistant") -> str:
    """Open a new conversation with this agent in the page. Returns its id."""
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
    headers = {"X-CSRFToken": token, "Content-Type": "application/json"}
    made = page.request.post("/chat/api/conversations/", data={"agent": agent}, headers=headers).json()
    page.goto(f"/chat/{made['id']}/")
    page.locator("nous-chat[data-connection=live]").wait_for()
    return str(made["id"])


def measure(deltas: int, messages: int) -> PageCosts:
    with tempfile.TemporaryDirectory() as folder:
        database = servers.Database(Path(folder))
        upstream = servers.start_upstream()
        env = servers.environment(
            DJANGO_SETTINGS_MODULE="tests.benchmarks.page_settings",
            STATIC_ROOT=f"{folder}/static",
            DATABASE_URL=database.copy(),
            DEBUG="",
            PLAIN_HTTP="1",
            ALLOWED_HOSTS="127.0.0.1",
            OPTIONS=f"n={deltas},chars={CHARS},delay={1000 / RATE}",
            CUSTOM_BASE_URL=f"{upstream.url}/v1",
        )
        servers.manage(env, "collectstatic", "--noinput", "-v0")
        site = servers.Site(env, plain=True)
        with servers.running(upstream, site), sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser_path(), args=QUIET)
            page = chromium.new_page(base_url=site.url)
            page.goto("/accounts/login/")
            page.get_by_label("Username").fill("ada")
            page.get_by_label("Password").fill(servers.PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url("**/chat/**")
            begin(page)
            page.set_default_timeout(120_000)
            answer = stream(page, deltas)
            written = write(page, begin(page, WRITER), deltas)
            conversation = begin(page)
            fill(site, conversation, messages)
            scrolled = open_and_scroll(page, f"/chat/{conversation}/", messages)
            chromium.close()
    return PageCosts(answer, written, **scrolled)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(*map(int, sys.argv[1:])))))
