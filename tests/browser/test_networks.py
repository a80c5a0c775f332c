"""What stands between the page and the server: size limits, lost sessions, old tokens, networks without WebSockets."""

import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.support import servers
from tests.support.page import SignIn, answer, begin, box, ends, fill, live, made, row, say, stored, until
from tests.support.servers import Site, Upstream

pytestmark = pytest.mark.browser

NOTICE = ".composer .notice"
SIGNED_OUT = "You are signed out. What you wrote is kept."
BLOCKED = "This network blocks live updates."


@pytest.fixture(scope="module")
def parrot(database: servers.Database, upstream: Upstream) -> Iterator[Site]:
    """A site whose agent says what it is told, behind LoginRequiredMiddleware."""
    env = servers.environment(
        DJANGO_SETTINGS_MODULE="tests.sites.guarded",
        DATABASE_URL=database.copy(),
        NOUS_CHAT_MODEL="custom:echo",
        CUSTOM_BASE_URL=f"{upstream.url}/v1",
    )
    site = Site(env)
    with servers.running(site):
        yield site


def test_a_text_that_is_too_long_comes_back_and_holds_up_nothing(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    conversation = begin(page)
    for length in (300_000, 70_000, 40_000):
        box(page).fill("x" * length)
        box(page).press("Enter")
        expect(page.locator(NOTICE)).to_contain_text(
            f"A message can have up to 32,000 characters. This one has {length:,}."
        )
        expect(box(page)).to_have_value("x" * length)
        expect(page.locator("article")).to_have_count(0)
    page.reload()
    live(page)
    expect(box(page)).to_have_value("x" * 40_000)  # the draft is kept
    box(page).fill("Short")
    box(page).press("Enter")
    ends(page, "completed")
    assert [message["text"].strip() for message in stored(page, conversation)] == ["Short", "Short"]


def test_a_session_that_is_gone_is_told(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "completed")
    page.context.clear_cookies()
    page.get_by_role("searchbox", name="Search").fill("hello")
    expect(page.locator(".result-count")).to_have_text(SIGNED_OUT)
    page.get_by_role("button", name="New conversation", exact=True).click()
    expect(page.locator(NOTICE)).to_contain_text(SIGNED_OUT)


@pytest.mark.parametrize(
    ("status", "headers", "body", "sentence"),
    [
        (200, {"Content-Type": "text/html"}, "<p>Down for maintenance</p>", "The server's answer could not be read."),
        (200, {"Content-Type": "application/json"}, "null", "The server's answer could not be read."),
        (502, {"Content-Type": "text/html"}, "<p>Bad gateway</p>", "The server's answer could not be read."),
        (302, {"Location": "/accounts/login/"}, "", SIGNED_OUT),
    ],
)
def test_what_is_not_an_answer_of_the_chat_is_an_error(
    parrot: Site, sign_in: SignIn, status: int, headers: dict[str, str], body: str, sentence: str
) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "completed")
    page.route("**/api/**", lambda route: route.fulfill(status=status, headers=headers, body=body))
    page.get_by_role("button", name="New conversation", exact=True).click()
    expect(page.locator(NOTICE)).to_contain_text(sentence)
    page.get_by_role("searchbox", name="Search").fill("hello")
    expect(page.locator(".result-count")).to_contain_text(sentence)
    page.locator(".attach + input").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
    expect(page.locator(".uploads small")).to_contain_text(sentence)


def test_after_signing_in_again_in_another_tab_the_first_goes_on(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    made(page, "Plans")
    expect(row(page, "Plans")).to_be_visible()
    other = page.context.new_page()
    other.goto("/accounts/login/")
    other.get_by_label("Username").fill("ada")
    other.get_by_label("Password").fill(servers.PASSWORD)
    other.keyboard.press("Enter")
    live(other)
    row(page, "Plans").hover()
    row(page, "Plans").get_by_role("button").click()
    page.get_by_role("menuitem", name="Pin", exact=True).click()
    expect(page.get_by_role("list", name="Pinned", exact=True)).to_contain_text("Plans")
    other.goto("/accounts/login/")
    other.get_by_label("Username").fill("ada")
    other.get_by_label("Password").fill(servers.PASSWORD)
    other.keyboard.press("Enter")
    live(other)
    page.locator(".attach + input").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
    expect(page.locator(".uploads li")).to_have_attribute("data-state", "there")


def test_a_socket_that_ends_with_the_old_session_opens_again_with_the_new_one(parrot: Site, sign_in: SignIn) -> None:
    page = sign_in(parrot, "ada")
    begin(page)
    sockets = []

    def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        sockets.append(route)

    page.route_web_socket(re.compile("/ws/chat/"), through)
    page.reload()
    live(page)
    ended = list(sockets)
    for route in ended:
        route.close(code=4401)
    until(page, lambda: len(sockets) == 2 * len(ended), "new sockets")
    live(page)
    page.context.clear_cookies()
    for route in sockets[len(ended) :]:
        route.close(code=4401)
    expect(page.locator(".conversation .connection-bar")).to_contain_text(SIGNED_OUT)
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


# --- Networks in which WebSockets do not open


def blocked(address: str) -> str:
    """A script after which WebSockets go to another address, while `localStorage.blocked` is set."""
    return f"""if (localStorage.blocked) {{
      const Real = WebSocket;
      window.WebSocket = class extends Real {{ constructor() {{ super({address!r}); }} }};
    }}"""


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"


class NotFound(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)


@pytest.fixture
def not_found() -> Iterator[str]:
    """The address of a server that answers 404, as a proxy does that knows no WebSockets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("network", ["not_found", "silence"])
def test_without_websockets_the_page_reads_and_writes_with_a_form(
    parrot: Site, sign_in: SignIn, network: str, request: pytest.FixtureRequest
) -> None:
    page = sign_in(parrot, "ada", bypass_csp=True)
    conversation = begin(page)
    say(page, "Stored before")
    ends(page, "completed")
    page.add_init_script(blocked(request.getfixturevalue(network)))
    page.evaluate("localStorage.blocked = '1'")
    page.reload()
    box(page).fill("Half a thought")
    box(page).press("Enter")
    box(page).fill("and more")
    expect(page.locator(".fallback")).to_contain_text(BLOCKED, timeout=10_000)
    expect(page.locator(".nous-chat-no-script article").first).to_contain_text("Stored before")
    field = page.locator("#nous-chat-text")
    expect(field).to_have_value("Half a thought\nand more")
    field.fill("Over the form")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".nous-chat-no-script article").nth(2)).to_contain_text("Over the form")
    expect(field).to_have_value("", timeout=3_000)  # at once: the next page need not find it out again
    until(page, lambda: len(stored(page, conversation)) == 4, "the answer")
    field.fill("Kept for later")
    page.evaluate("localStorage.removeItem('blocked')")
    page.reload()
    live(page)
    expect(page.locator(".fallback")).to_be_hidden()
    expect(answer(page)).to_contain_text("Over the form")
    expect(box(page)).to_have_value("Kept for later")
    assert len(stored(page, conversation)) == 4, "nothing was sent twice"


def test_a_network_that_blocks_websockets_later_is_told(parrot: Site, sign_in: SignIn, silence: str) -> None:
    page = sign_in(parrot, "ada", bypass_csp=True)
    conversation = begin(page)
    fill(parrot, conversation, ["Stored before"])
    page.add_init_script(blocked(silence))
    page.reload()
    live(page)
    page.evaluate("() => { localStorage.blocked = '1'; " + blocked(silence) + "}")
    page.context.set_offline(True)
    expect(page.locator("nous-chat")).to_have_attribute("data-connection", re.compile("offline|reconnecting"))
    page.context.set_offline(False)
    bar = page.locator(".conversation .connection-bar")
    expect(bar).to_contain_text(BLOCKED, timeout=20_000)
    expect(page.get_by_role("log")).to_contain_text("Stored before")
    bar.get_by_role("button", name="Reload").click()
    expect(page.locator(".fallback")).to_contain_text(BLOCKED, timeout=5_000)
