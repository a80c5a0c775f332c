"""What becomes of an answer's Markdown on the page: in a real Chromium, through a real site."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Frame, Locator, Page, Route, expect

from tests.browser import hostile
from tests.support import servers
from tests.support.page import answer, begin, ends, live, noted, posting, say, until
from tests.support.servers import Database, Site, Upstream

from .conftest import serve_workbench

pytestmark = pytest.mark.browser

StartSite = Callable[..., Site]
SignIn = Callable[..., Page]


@pytest.fixture(scope="module")
def parrot(database: Database, upstream: Upstream) -> Iterator[Site]:
    """A site whose agent says what it is told."""
    env = servers.environment(
        DATABASE_URL=database.copy(), NOUS_CHAT_MODEL="custom:echo", CUSTOM_BASE_URL=f"{upstream.url}/v1"
    )
    site = Site(env)
    with servers.running(site):
        yield site


@pytest.fixture
def page(parrot: Site, sign_in: SignIn) -> Page:
    """A conversation with it."""
    page = sign_in(parrot, "ada")
    made = page.request.post("/chat/api/conversations/", data="{}", headers=posting(page)).json()
    page.goto(f"/chat/{made['id']}/")
    live(page)
    return page


@pytest.fixture
def bench(page: Page) -> Page:
    """A page with what workbench.js exports in its window."""
    serve_workbench(page)
    return page


def asked(page: Page, text: str) -> Locator:
    """The answer, which is the text."""
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send").click()
    page.wait_for_function(
        "text => [...document.querySelector('nous-chat').shadowRoot.querySelectorAll('.markdown')]"
        ".some(part => part.source?.trim() === text)",
        arg=text.strip(),
    )
    ends(page, "completed")
    return answer(page).locator('[data-part="text"]')


def test_blocks_and_what_stands_in_them(page: Page) -> None:
    part = asked(
        page,
        "# One\n\n## Two\n\nSome **bold**, *leaning*, ~~struck~~ and `code`.\nNext line.\n\n- a\n- b\n  1. c\n\n"
        "- [x] done\n- [ ] open\n\n> quoted\n\n---\n\n3. three\n",
    )
    expect(part.get_by_role("heading", level=3, name="One")).to_be_visible()
    expect(part.get_by_role("heading", level=4, name="Two")).to_be_visible()
    expect(part.locator("strong")).to_have_text("bold")
    expect(part.locator("em")).to_have_text("leaning")
    expect(part.locator("s")).to_have_text("struck")
    expect(part.locator("p code")).to_have_text("code")
    assert "code.\nNext line." in part.locator("p").first.inner_text()
    expect(part.locator("ul > li > ol > li")).to_have_text("c")
    boxes = part.get_by_role("checkbox")
    expect(boxes).to_have_count(2)
    expect(boxes.first).to_be_checked()
    expect(boxes.last).not_to_be_checked()
    expect(boxes.first).to_be_disabled()
    expect(part.locator("blockquote p")).to_have_text("quoted")
    expect(part.get_by_role("separator")).to_have_count(1)
    expect(part.locator("ol").last).to_have_attribute("start", "3")


def test_links_say_where_they_go_and_take_nothing_along(page: Page) -> None:
    part = asked(
        page,
        "[here](https://example.org/a?b=c) https://django.example/x <mailto:a@b.example> [r][1]\n\n[1]: https://r.example/",
    )
    links = part.get_by_role("link")
    expect(links).to_have_count(4)  # what refers to a definition further down is read again later
    assert [links.nth(i).get_attribute("href") for i in range(links.count())] == [
        "https://example.org/a?b=c",
        "https://django.example/x",
        "mailto:a@b.example",
        "https://r.example/",
    ]
    for i in range(links.count()):
        assert links.nth(i).get_attribute("rel") == "noopener noreferrer"
        assert links.nth(i).get_attribute("target") == "_blank"
    assert [links.nth(i).get_attribute("data-host") for i in range(2)] == ["example.org", None]
    expect(links.first).to_have_attribute("title", "https://example.org/a?b=c")
    after = "link => getComputedStyle(link, '::after').content"
    assert "example.org" in links.first.evaluate(after)


def test_a_wide_table_scrolls_inside_itself(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    columns = 12
    part = asked(page, f"{'| head ' * columns}|\n{'|---:' * columns}|\n{'| some words ' * columns}|\n")
    table = part.get_by_role("region", name="Table")
    assert table.evaluate("table => table.scrollWidth > table.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    expect(table.get_by_role("columnheader")).to_have_count(columns)
    expect(table.get_by_role("cell")).to_have_count(columns)
    assert table.get_by_role("cell").first.evaluate("cell => getComputedStyle(cell).textAlign") == "right"
    table.focus()
    expect(table).to_be_focused()


def test_code_has_its_language_its_colours_copy_and_wrapping(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = 'def f():\n    """Of two\n    lines."""\n    return "<b>"  # said'
    part = asked(page, f"```python\n{code}\n```")
    expect(part.locator(".language")).to_have_text("python")
    expect(part.locator(".hljs-keyword").first).to_have_text("def")
    expect(part.locator(".hljs-string")).to_have_text(['"""Of two', 'lines."""', '"<b>"'])
    expect(part.locator(".hljs-comment")).to_have_text("# said")  # the last that is coloured
    assert part.locator("pre").text_content() == code
    said = noted(part.locator(".title"))
    part.get_by_role("button", name="Copy").click()
    until(page, lambda: any("Copied" in each for each in said()), "that it is copied")
    assert page.evaluate("navigator.clipboard.readText()") == code
    wrap = part.get_by_role("button", name="Wrap")
    wrap.click()
    expect(wrap).to_have_attribute("aria-pressed", "true")
    assert part.locator("pre code").evaluate("code => getComputedStyle(code).whiteSpace") == "pre-wrap"


def test_long_code_is_folded_and_unfolds(page: Page) -> None:
    lines = [f"line {n}" for n in range(1, 121)]
    part = asked(page, "```\n" + "\n".join(lines) + "\n```")
    pre = part.locator("pre")
    assert pre.evaluate("pre => pre.clientHeight") < 31 * 20
    assert pre.text_content() == "\n".join(lines)
    part.get_by_role("button", name="Show all 120 lines").click()
    assert pre.evaluate("pre => pre.clientHeight") > 119 * 20
    expect(pre).to_be_focused()
    selected = pre.evaluate("pre => { getSelection().selectAllChildren(pre); return getSelection().toString() }")
    assert selected.strip() == "\n".join(lines), "nothing is added where it is laid out in parts"


def test_formulas_become_mathml_and_what_is_none_stays(page: Page) -> None:
    part = asked(
        page, "Euler: $e^{i\\pi} = -1$, \\(a^2\\). It costs $5 to $10.\n\n$$\n\\frac{1}{2}\n$$\n\n$\\nonsense{x}$\n"
    )
    expect(part.locator("math")).to_have_count(3)
    expect(part.locator("math[display=block] mfrac")).to_have_count(1)
    assert "It costs $5 to $10." in str(part.text_content())
    expect(part.locator(".unreadable")).to_have_text("$\\nonsense{x}$")
    assert part.locator("[style]").count() == 0


def test_a_diagram_is_drawn_when_it_is_asked_for(page: Page) -> None:
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    part = asked(page, "```mermaid\ngraph TD\n  A[Question] --> B[Answer]\n```\n\n```mermaid\nno diagram\n```")
    assert not any("mermaid" in url for url in loaded)
    part.get_by_role("button", name="Diagram").first.click()
    picture = part.get_by_role("img")
    expect(picture).to_have_attribute("src", re.compile("^data:image/svg"))
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth > 50)")
    part.get_by_role("button", name="Diagram").last.click()
    expect(part.locator(".diagram").last).to_have_text("This diagram could not be drawn.")
    frame = page.locator("iframe[data-nous-chat-diagram]")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    assert page.frames[-1].evaluate("origin") == "null"


def test_pictures_are_loaded_from_the_hosts_that_the_site_allows(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:echo", DJANGO_SETTINGS_MODULE="tests.sites.pictures"), "ada")
    dot = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
    asked_for: list[str] = []

    def serve(route: Route) -> None:
        asked_for.append(route.request.url)
        route.fulfill(body=dot, content_type="image/svg+xml")

    page.context.route(re.compile("example"), serve)
    begin(page)
    part = asked(
        page,
        "![one](http://allowed.example/a.svg) ![two](http://evil.example/b.svg) ![three](http://allowed.example:8/c.svg)",
    )
    expect(part.get_by_role("img")).to_have_count(1)
    expect(part.get_by_role("img", name="one")).to_have_attribute("referrerpolicy", "no-referrer")
    expect(part.get_by_role("link", name="Image: two")).to_have_attribute("href", "http://evil.example/b.svg")
    until(page, lambda: asked_for, "the picture")
    page.wait_for_timeout(300)
    assert asked_for == ["http://allowed.example/a.svg"]


def test_people_and_thinking_are_shown_as_they_wrote(start_site: StartSite, sign_in: SignIn) -> None:
    page = sign_in(start_site(NOUS_CHAT_MODEL="custom:thinking"), "ada")
    begin(page)
    say(page, "# not a *heading*")
    ends(page, "completed")
    expect(page.locator('article[data-role="user"] [data-part="text"]')).to_have_text("# not a *heading*")
    expect(page.locator("article :is(h3, em)")).to_have_count(0)


def test_however_it_is_cut_the_page_ends_the_same(bench: Page) -> None:
    different = bench.evaluate("""async () => {
      const random = new Random(11);
      const drawn = [...documents(random, 150)].map((text) => ({
        text, whole: draw([text]), cut: [draw([...text]), draw(random.pieces(text)), draw(random.pieces(text))] }));
      await settle();
      return drawn.filter(({ whole, cut }) => cut.some((each) => each.innerHTML !== whole.innerHTML))
        .map(({ text, whole, cut }) => [text, whole.innerHTML, ...cut.map((each) => each.innerHTML)]);
    }""")
    assert different == []


def test_tags_of_the_closed_list_are_what_they_are(page: Page) -> None:
    part = asked(
        page,
        "| Step | What |\n|---|---|\n| 1 | Open<br>Check<br/>Close |\n| 2 | H<sub>2</sub>O and x<sup>2</sup> |\n\n"
        "Press <kbd>Ctrl</kbd>.\n\n<details><summary>More *of* it</summary>\n\nHidden **text**.\n\n"
        "</details>\n\nAfter.",
    )
    expect(part.locator("td br")).to_have_count(2)
    expect(part.locator("sub")).to_have_text("2")
    expect(part.locator("sup")).to_have_text("2")
    expect(part.locator("kbd")).to_have_text("Ctrl")
    expect(part.locator("details strong")).to_be_hidden()
    part.locator("summary").click()
    expect(part.locator("details strong")).to_be_visible()
    expect(part.locator("summary em")).to_have_text("of")
    expect(part.locator("details ~ p")).to_have_text("After.")
    assert "<" not in str(part.text_content())


def test_footnotes_have_links_both_ways(page: Page) -> None:
    part = asked(
        page,
        "Water boils[^1] at sea[^note], [^none].\n\n"
        + "Line.\n\n" * 40
        + "[^1]: Celsius.\n[^note]: By `definition`.\n\nEnd.",
    )
    references = part.locator(".reference a")
    expect(references).to_have_count(2)
    first, second = references.all()
    expect(first).to_have_accessible_name("Footnote 1")
    second.click()
    note = part.locator(".footnote").last
    expect(note).to_be_focused()
    expect(note).to_be_in_viewport()
    expect(note.locator("p")).to_have_text("By definition.")
    note.locator(".number").click()
    expect(second).to_be_focused()
    expect(second).to_be_in_viewport()
    assert "[^none]" in str(part.text_content())


def test_urls_in_peoples_messages_are_links(page: Page) -> None:
    text = "See https://example.org/a_b?c=d. <b>はhttps://example.org了</b>\n javascript:alert(1)"
    asked(page, text)
    said = page.locator('article[data-role="user"] [data-part="text"]')
    assert said.text_content() == text
    links = said.get_by_role("link")
    assert [link.get_attribute("href") for link in links.all()] == [
        "https://example.org/a_b?c=d",
        "https://example.org/",
    ]
    expect(links.first).to_have_attribute("rel", "noopener noreferrer")


def test_a_translator_that_replaces_text_nodes_breaks_nothing(bench: Page) -> None:
    """Translators put `<font>` elements in the place of text nodes, also of the ones that grow."""
    text = "First **bold** words and `code`.\n\n- one\n- two\n\n```python\nx = 1\ny = 2\n```\n\nThe end of it."
    drawn = bench.evaluate(
        """text => {
          const untouched = [], translated = [];
          draw([...text], (element) => untouched.push(element.textContent));
          draw([...text], (element) => {
            translated.push(element.textContent);
            translate(element);
          });
          const plain = document.createElement("div");
          const view = new TextView(plain);
          for (const character of text) {
            view.append(character);
            translate(plain);
          }
          return { untouched, translated, plain: plain.textContent };
        }""",
        text,
    )
    assert drawn["translated"] == drawn["untouched"]
    assert drawn["plain"] == text


def test_what_must_not_be_translated_says_so(page: Page) -> None:
    part = asked(page, "Words and `code` and $x^2$.\n\n```python\nprint(1)\n```\n\n$$\nx\n$$")
    for kept in ("p code", ".math >> nth=0", ".code", ".formula"):
        assert part.locator(kept).evaluate("kept => kept.closest('[translate=no]') !== null"), kept
    assert part.locator("p").first.evaluate("text => text.translate")


def test_of_plain_text_nothing_is_lost_and_nothing_added(bench: Page) -> None:
    texts = [
        "w0 w1 🌊 w2",
        "One sentence. Another: 2 + 2 = 4; a_b_c, 5 * 3 * 2 < 40 & more\n\nA second paragraph\nof two lines.",
    ]
    texts += ["Preise: 5 $, 10 €\n\n\u0645\u0631\u062d\u0628\u0627\n\n日本語のテキスト", "x" * 20_000, "word " * 5_000]
    for text in texts:
        shown = bench.evaluate("text => { const d = draw([...text]); return d.textContent }", text)
        assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", text)


def test_what_is_closed_is_never_touched_again(bench: Page) -> None:
    text = (
        "Some **bold** [a](https://a.example).\n\n- one\n- two\n\n> quote\n\n| a |\n|---|\n| b |\n\n---\n\n"
        "```py\nx = 1\n```\n\n$x$ and\n\n$$\ny\n$$\n\n"
    )
    assert bench.evaluate("text => touched(text)", text) == 0


# --- Hostile


def guarded(page: Page) -> list[str]:
    """What is asked of other hosts, or runs, from now on."""
    problems: list[str] = []
    own = page.url.split("/chat/")[0]

    def look(route: Route) -> None:
        if not route.request.url.startswith((own, "data:", "blob:")):
            problems.append(route.request.url)
            return route.abort()
        return route.fallback()

    def navigated(frame: Frame) -> None:
        if frame == page.main_frame:
            problems.append(f"navigated: {frame.url}")

    page.context.route("**/*", look)
    page.context.expose_function("hacked", lambda *_: problems.append("a script ran"))
    page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
    page.on("popup", lambda popup: problems.append(f"popup: {popup.url}"))
    page.on("framenavigated", navigated)
    return problems


def test_no_vector_runs_loads_or_leaves_anything_that_it_should_not(bench: Page) -> None:
    page, problems = bench, guarded(bench)
    for start in range(0, len(hostile.VECTORS), 20):
        part = asked(page, "\n\n".join(hostile.VECTORS[start : start + 20]))
        assert part.evaluate("async (part) => { await settle(); return inventory(part) }") == []
    page.wait_for_timeout(1000)
    assert problems == []


def test_no_vector_alone_or_unfinished_does_either(bench: Page) -> None:
    problems = guarded(bench)
    for start in range(0, len(hostile.VECTORS), 20):
        texts = [pieces for vector in hostile.VECTORS[start : start + 20] for pieces in ([vector], list(vector))]
        assert bench.evaluate("texts => strange(texts)", texts) == []
    bench.wait_for_timeout(500)
    assert problems == []


def test_hostile_diagrams_are_drawn_or_refused_and_reach_nothing(page: Page) -> None:
    problems = guarded(page)
    part = asked(page, "\n\n".join(f"```mermaid\n{source}\n```" for source in hostile.DIAGRAMS))
    buttons = part.get_by_role("button", name="Diagram")
    for i in range(buttons.count()):
        buttons.nth(i).click()
        expect(part.locator(".diagram").nth(i)).not_to_have_text("Drawing…")
    assert part.locator(".diagram img").count() > 3
    page.wait_for_timeout(500)
    assert problems == []


@pytest.mark.slow
def test_what_is_made_to_take_long_takes_no_longer_than_it_is_long(bench: Page) -> None:
    """Of a text that is sixteen times as long, what grows with the square takes sixteen times as long as sixteen short
    ones take together; what does not, takes about as long.

    May take over 20 s: less text measures nothing.
    """
    small, large = hostile.endless(6_000), hostile.endless(96_000)
    slower = {name: bench.evaluate("texts => slower(...texts, 6)", [small[name], large[name]]) for name in small}
    assert {name: times for name, times in slower.items() if times} == {}


def test_what_is_loaded_later_is_found_under_hashed_names(
    production_site: Callable[[str], Site], sign_in: SignIn
) -> None:
    site = production_site("custom:echo")
    page = sign_in(site, "ada")
    loaded: list[str] = []
    page.context.on("response", lambda response: loaded.append(f"{response.status} {response.url}"))
    begin(page)
    part = asked(page, "```python\ndef f(): ...\n```\n\n$x^2$\n\n```mermaid\ngraph TD\n  A --> B\n```")
    expect(part.locator(".hljs-keyword").first).to_have_text("def")
    expect(part.locator("math")).to_have_count(1)
    part.get_by_role("button", name="Diagram").click()
    expect(part.get_by_role("img")).to_have_attribute("src", re.compile("^data:image/svg"))
    for name in ("highlight", "katex", "mermaid"):
        assert any(re.match(rf"200 .*/{name}\.[0-9a-f]{{6}}\.js$", line) for line in loaded), name
    assert not [line for line in loaded if line.endswith(".js") and not re.search(r"\.[0-9a-f]{6}\.js$", line)]
