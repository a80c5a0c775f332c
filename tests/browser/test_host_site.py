"""Rooms and the floating button on pages of a foreign site, in a real Chromium and under a strict security policy."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support import servers
from tests.support.host import Hosts, HostSite, manage_host
from tests.support.page import answer, ends, live, say
from tests.support.servers import PASSWORD

from .conftest import PATIENCE

MEMBERS = "from django.contrib.auth import get_user_model; from shop.models import Order;"
MEMBERS += "member = get_user_model().objects.get;"

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def site(hosts: Hosts) -> Iterator[HostSite]:
    agents = {"helper": {"name": "Helper"}}
    chat = {"WEBSOCKET_URL": "/live/talk/", "AGENTS": agents, "PERMISSIONS": "accounts.rules.Rules"}
    served = hosts.start({"NOUS_CHAT": chat}, NOUS_CHAT_MODEL="custom:words@n=5")
    with servers.running(served):
        yield served


def change(site: HostSite, code: str) -> None:
    manage_host(site.env, "shell", "--command", MEMBERS + code)


@pytest.fixture
def visit(browser: Browser, site: HostSite) -> Iterator[Open]:
    """`visit("ada", "/orders/1/")`: that page, as this member. What a script or the policy complains about fails the
    test.
    """
    problems: list[str] = []
    with ExitStack() as closing:

        def opened(name: str, address: str, **options: Any) -> Page:
            context = browser.new_context(base_url=site.url, **options)
            closing.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: problems.extend([said.text] if "Content Security" in said.text else []))
            page.goto("/enter/")
            page.locator("[name=username]").fill(name)
            page.locator("[name=password]").fill(PASSWORD)
            page.get_by_role("button", name="Enter").click()
            page.wait_for_url("**/talk/**")
            page.goto(address)
            return page

        yield opened
    assert not problems


def test_the_room_of_an_order_is_on_its_page_and_follows_the_rule(site: HostSite, visit: Open) -> None:
    change(site, "Order.objects.create(number='A1', customer=member(email='ada'))")
    ada, eve = visit("ada", "/orders/A1/"), visit("eve", "/orders/A1/")
    live(ada)
    expect(eve.locator("nous-chat")).to_have_count(0)
    title = ada.get_by_role("link", name="Order A1")
    expect(title).to_have_attribute("href", "/orders/A1/")
    say(ada, "Where is it?")
    ends(ada, "completed")
    # Her list does not have it, not even while it is open there.
    ada.goto(
        str(ada.locator("nous-chat").evaluate("e => e.getAttribute('base') + e.getAttribute('conversation')")) + "/"
    )
    live(ada)
    expect(answer(ada)).to_contain_text("w4")
    expect(ada.get_by_role("navigation").get_by_text("Order A1")).to_have_count(0)
    # It is no longer her order: the socket closes at the next check, and the pages show nothing.
    change(
        site,
        "import nous_chat; order = Order.objects.get(pk='A1'); ada = order.customer;"
        "order.customer = member(email='eve'); order.save(); nous_chat.recheck(ada)",
    )
    assert ada.reload().status == 404  # type: ignore[union-attr]
    ada.goto("/orders/A1/")
    expect(ada.locator("nous-chat")).to_have_count(0)
    eve.reload()
    live(eve)
    expect(answer(eve)).to_contain_text("w4")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 390], ids=["wide", "small"])
def test_the_open_panel_is_accessible(site: HostSite, visit: Open, scheme: str, width: int) -> None:
    number = f"E-{scheme}-{width}"
    change(site, f"Order.objects.create(number='{number}', customer=member(email='bob'))")
    size = {"width": width, "height": 700}
    page = visit("bob", f"/catalogue/{number}/", color_scheme=scheme, viewport=size, bypass_csp=True)  # axe adds styles
    for opened in (False, True):
        if opened:
            page.get_by_role("button", name="Ask about this order").click()
            live(page)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response
        assert [rule["id"] for rule in found["violations"]] == []


@pytest.mark.parametrize("width", [1000, 390], ids=["wide", "small"])
def test_the_button_opens_the_room_in_a_panel(site: HostSite, visit: Open, width: int) -> None:
    number = f"B{width}"
    change(site, f"Order.objects.create(number='{number}', customer=member(email='bob'))")
    page = visit("bob", f"/catalogue/{number}/", viewport={"width": width, "height": 700})
    opener = page.get_by_role("button", name="Ask about this order")
    expect(opener).to_have_attribute("aria-expanded", "false")
    assert page.locator("nous-chat").count() == 0, "nothing connects before it is opened"
    opener.press("Enter")
    panel = page.get_by_role("dialog", name=f"Order {number}")
    expect(panel).to_be_visible()
    live(page)
    field = page.get_by_role("textbox", name="Message")
    field.fill("Hello")
    field.press("Enter")
    ends(page, "completed")
    if width < 640:
        assert panel.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 700}
    # Escape first closes what the chat has opened, then the panel; the button has the focus again.
    panel.get_by_role("button", name="Close", exact=True).focus()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(opener).to_be_focused()
    opener.press("Enter")
    expect(answer(page)).to_contain_text("w4")
    panel.get_by_role("button", name="Close", exact=True).click()
    expect(opener).to_be_focused()


def test_without_javascript_the_button_is_a_link(site: HostSite, visit: Open) -> None:
    change(site, "Order.objects.create(number='C1', customer=member(email='bob'))")
    page = visit("bob", "/catalogue/C1/", java_script_enabled=False)
    page.get_by_role("link", name="Ask about this order").click()
    page.get_by_label("Message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.locator('article[data-role="user"]')).to_contain_text("Hello")


def test_the_admin_of_the_site_shows_the_room(site: HostSite, visit: Open) -> None:
    change(site, "Order.objects.create(number='D1', customer=member(email='bob'))")
    page = visit("root", "/orders/D1/")
    live(page)
    say(page, "Hello")
    ends(page, "completed")
    page.goto("/admin/shop/order/D1/change/")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Open in the chat"))
    expect(row).to_contain_text("2")
    row.get_by_role("link", name="Read transcript").click()
    expect(page.get_by_role("article")).to_have_count(2)


def test_pictures_of_people_are_shown_and_initials_without(site: HostSite, visit: Open) -> None:
    change(site, "Order.objects.create(number='P1', customer=member(email='bob'))")
    bob = visit("bob", "/orders/P1/")
    live(bob)
    say(bob, "Hello")
    ends(bob, "completed")
    picture = bob.locator('article[data-role="user"] .avatar img')
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 0
    change(site, "order = Order.objects.get(pk='P1'); order.customer = member(email='ada'); order.save()")
    ada = visit("ada", "/orders/P1/")
    live(ada)
    say(ada, "Thanks")
    expect(ada.locator('article[data-role="user"] .avatar').last).to_have_text("A")


def test_who_may_not_create_conversations_is_offered_none(site: HostSite, visit: Open) -> None:
    eve = visit("eve", "/talk/")
    expect(eve.get_by_text("You have no conversations yet.")).to_be_visible()
    change(
        site,
        "from nous_chat import store; ada = member(email='ada');"
        "room = store.create_conversation(ada, 'Plans'); store.add_participant(ada.pk, room.id, 'eve', 'member')",
    )
    eve.goto("/talk/")
    expect(eve.get_by_role("heading", name="Plans")).to_be_visible()
    live(eve)
    eve.keyboard.press("Control+k")
    expect(eve.get_by_role("option", name="Plans")).to_be_visible()
    expect(eve.get_by_text("New conversation")).to_have_count(0)
    eve.keyboard.press("Escape")
    eve.get_by_role("link", name="API tokens").click()
    expect(eve.get_by_role("heading", name="API tokens")).to_be_visible()
    eve.goto("/talk/plain/")
    expect(eve.get_by_role("button", name="New conversation")).to_have_count(0)
