"""Prices, budgets, and spending in the admin, as axe-core and a reader of a small screen see them."""

from itertools import product

import pytest

from tests.support.axe import find_faults
from tests.support.page import SignIn, StartSite, begin, ends, say

pytestmark = pytest.mark.browser

MODEL = "custom:words@n=30"
PAGES = ("spending/", "spending/?by=model", "price/", "price/add/", "budget/", "budget/add/")
OURS = (".object-tools", ".nous-spending", ".nous-figures", ".nous-table", ".nous-note", "fieldset")
"""Our parts of the pages. The rest is Django's: filters, and heads of lists."""


def test_axe_finds_nothing_on_the_pages_of_money(start_site: StartSite, sign_in: SignIn) -> None:
    staff = sign_in(start_site(NOUS_CHAT_MODEL=MODEL), "root", bypass_csp=True)
    staff.goto("/admin/nous_chat/price/add/")
    for field, value in (("model", MODEL), ("input", "250"), ("output", "1000")):
        staff.fill(f"#id_{field}", value)
    staff.click("[name=_save]")
    staff.goto("/admin/nous_chat/budget/add/")
    staff.select_option("#id_scope", "site")
    staff.fill("#id_cost", "20")
    staff.click("[name=_save]")
    staff.goto("/chat/")
    begin(staff)
    say(staff, "Hello")
    ends(staff, "completed")
    problems: list[str] = []
    for width, name in product((1440, 375), PAGES):
        staff.set_viewport_size({"width": width, "height": 800})
        for theme in ("light", "dark"):
            staff.emulate_media(color_scheme=theme)
            staff.goto(f"/admin/nous_chat/{name}")  # again: Django fades the colours of links
            problems += [f"{name}, {width} px, {theme}: {fault}" for fault in find_faults(staff, OURS)]
        wide = staff.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} scrolls sideways at {width} px"
    assert not problems, "\n".join(problems)
    staff.goto("/admin/nous_chat/spending/?by=model")
    assert "USD" in staff.locator(".nous-table tbody tr", has_text=MODEL).inner_text()
