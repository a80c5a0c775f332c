"""Every page of the admin, on a made-up site: nothing is cut off, and axe-core finds nothing in both themes."""

from typing import Any

import pytest

from tests.support.admin_screenshots import FEW_PAGES, PAGES, WIDTHS, fill, open_page
from tests.support.axe import find_faults
from tests.support.page import SignIn, StartSite

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DJANGOS = (
    "#changelist-filter",
    "#changelist-search",
    "#toolbar",
    ".actions",
    ".paginator",
    ".submit-row",
    ".inline-group",
)
"""Parts of the pages that Django makes, as it does for every app."""

CUT_OFF = """[...document.querySelectorAll("#content .results, #content table")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth)
  .map((each) => `${each.id || each.className || each.tagName}: ${each.scrollWidth} of ${each.clientWidth} px`)"""


@pytest.mark.parametrize(("username", "pages"), [("root", PAGES), ("warden", FEW_PAGES)])
def test_nothing_is_cut_off_and_axe_finds_nothing(
    start_site: StartSite, sign_in: SignIn, username: str, pages: dict[str, str]
) -> None:
    site = start_site()
    fill(site.env)
    staff = sign_in(site, username, bypass_csp=True)  # axe-core writes styles into the page
    problems: list[Any] = []
    for name, address in pages.items():
        open_page(staff, address)
        for width in WIDTHS:
            staff.set_viewport_size({"width": width, "height": 900})
            problems += [f"{name}, {width} px: {each}" for each in staff.evaluate(CUT_OFF)]
            if (wide := staff.evaluate("document.documentElement.scrollWidth")) > width:
                problems.append(f"{name} scrolls sideways to {wide} px")
        for theme in ("light", "dark"):
            staff.emulate_media(color_scheme=theme)
            staff.wait_for_function("document.getAnimations().every((each) => each.playState !== 'running')")
            problems += [f"{name}, {theme}: {fault}" for fault in find_faults(staff, ["#content"], without=DJANGOS)]
    assert not problems, "\n".join(problems)
