"""The run inspector as staff use it: record answers for some hours, ask, read the timeline, download, replay."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.page import SignIn, StartSite, begin, ends, say
from tests.support.servers import manage, wait_for

from .test_admin import faults

pytestmark = pytest.mark.browser


def timeline(page: Page) -> list[str]:
    """The sentences, in order."""
    return page.locator(".nous-timeline tbody p").all_inner_texts()


def open_recorded(page: Page) -> None:
    """Open the page of the only run that was recorded. The recording is written a second after the end at most."""

    def is_listed() -> bool:
        page.goto("/admin/nous_chat/run/?recorded=yes")
        return page.locator("#result_list tbody a").count() > 0

    wait_for(is_listed)
    page.locator("#result_list tbody a").first.click()


def test_staff_record_an_answer_read_its_timeline_and_replay_it(
    start_site: StartSite, sign_in: SignIn, tmp_path: Path
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=200,delay=1")
    staff = sign_in(site, "root", bypass_csp=True, viewport={"width": 1280, "height": 900})
    staff.goto("/admin/nous_chat/inspection/")
    staff.get_by_role("link", name="Record answers").first.click()
    expect(staff.get_by_label("For how many hours")).to_have_value("2")
    assert faults(staff, "form") == []
    staff.get_by_role("button", name="Record").click()
    expect(staff.get_by_role("row").filter(has_text="active")).to_contain_text("All agents")

    ada = sign_in(site, "ada")
    begin(ada)
    say(ada, 'My api_key="sk-abcdefghijklmnop", keep it.')
    ends(ada, "completed")

    open_recorded(staff)
    staff.get_by_role("link", name="Inspect", exact=True).click()
    expect(staff.get_by_text("200 pieces of text")).to_be_visible()
    said = " | ".join(timeline(staff))
    order = ("ada asks for the answer.", "Request 1 to custom:words@n=200,delay=1", "status 200", "pieces of text")
    places = [said.index(each) for each in (*order, "Readers are told the end: completed.")]
    assert places == sorted(places)
    assert "ada reads." in said
    staff.get_by_role("row").filter(has_text="Request 1 to").get_by_text("Show").click()
    request = staff.locator("details[open] pre")
    expect(request).to_contain_text('My api_key=\\"***\\", keep it.')
    staff.get_by_role("row").filter(has_text="200 pieces of text").get_by_text("Show each").click()
    expect(staff.locator("details[open] li").last).to_contain_text("w199")
    assert staff.evaluate("document.documentElement.scrollWidth") == 1280
    assert faults(staff, "#content") == []

    with staff.expect_download() as download:
        staff.get_by_role("link", name="Download the recording").click()
    download.value.save_as(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        archive.extractall(tmp_path)
    replayed = manage(site.env, "nous_ask", "anything", "--model", f"demo:{tmp_path / '1.sse'}")
    assert replayed.strip() == json.loads((tmp_path / "1.json").read_text())["expected"]["text"].strip()
    assert len(re.findall(r"\bw\d+", replayed)) == 200


def test_the_timeline_opens_and_closes_without_scripts(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=5")
    manage(site.env, "shell", "-v0", "-c", "from chat import store; store.start_inspection(None, 1)")
    staff = sign_in(site, "root")
    begin(staff)
    say(staff, "Hello")
    ends(staff, "completed")
    open_recorded(staff)
    address = staff.get_by_role("link", name="Inspect", exact=True).get_attribute("href")
    cookies = staff.context.cookies()
    plain = staff.context.browser
    assert plain is not None
    context = plain.new_context(base_url=site.url, java_script_enabled=False)
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(str(address))
    row = page.get_by_role("row").filter(has_text="Response 1")
    expect(row.locator("pre")).to_be_hidden()
    row.get_by_text("Show").click()
    expect(row.locator("pre")).to_contain_text("[DONE]")
    context.close()
