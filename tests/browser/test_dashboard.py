"""The dashboard: what other processes do is seen, and stopped, from here."""

import json
import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.test_accessible import faults
from tests.support.page import SLOW, SignIn, StartSite, answer, begin, ends, say, until
from tests.support.servers import Site, Upstream, manage

pytestmark = pytest.mark.browser


def watch(page: Page) -> None:
    page.goto("/chat/dashboard/")
    expect(page.locator(".state")).to_have_text("Live")


def table(page: Page, name: str) -> Locator:
    return page.locator(f'[data-table="{name}"] tbody tr')


def figure(page: Page, name: str) -> Locator:
    """A figure of the overview, by what stands above it."""
    return page.locator(".tiles > div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def test_a_run_of_another_process_is_watched_and_stopped(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str, sign_in: SignIn
) -> None:
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL=SLOW)
    two = stop_after(one.second_process())
    page = sign_in(one, "ada")
    conversation = begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w5 ")
    staff = sign_in(two, "root")
    errors: list[str] = []
    staff.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    staff.goto("/admin/nous_chat/run/")
    staff.get_by_role("link", name="Dashboard").click()
    staff.wait_for_url("**/chat/dashboard/")
    run = table(staff, "runs")
    expect(run).to_have_count(1)
    expect(run).to_contain_text(SLOW)
    expect(run).to_contain_text("running")
    expect(table(staff, "processes")).to_have_count(2)
    expect(figure(staff, "Answers being made")).to_have_text("1")
    expect(figure(staff, "Tokens per second").first).not_to_have_text("0")
    expect(staff.locator("figure svg[role=img]").first).to_have_attribute("aria-label", re.compile("at most [1-9]"))
    provider = table(staff, "providers")
    expect(provider.get_by_role("rowheader")).to_have_text("custom")
    expect(provider.locator("td").last).to_have_text("none")
    expect(staff.locator('[data-status="versions"]')).to_contain_text("Django")
    expect(staff.locator('[data-status="migrations"]')).to_have_text("none")
    expect(table(staff, "checks").first).to_be_visible()
    staff.get_by_text("As a table").click()
    expect(table(staff, "hour").first).to_be_visible()
    with staff.context.expect_page() as opened:
        run.get_by_role("link", name=conversation[:8]).click(modifiers=["Control"])
    expect(opened.value.locator("article").last).to_contain_text("w5 ")
    run.get_by_role("button", name="Stop").click()
    ends(page, "stopped")
    expect(run).to_have_count(0)
    expect(staff.get_by_text("No answer is being made.")).to_be_visible()
    expect(table(staff, "models").filter(has_text=SLOW).locator("td").nth(2)).to_have_text("1")
    expect(figure(staff, "Answers ended")).to_have_text("1")
    assert errors == []


def test_a_stuck_run_and_a_process_that_hangs_are_seen_from_another(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str, sign_in: SignIn
) -> None:
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL=SLOW)
    two = stop_after(one.second_process())
    page = sign_in(one, "ada")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w5 ")
    staff = sign_in(two, "root")
    watch(staff)
    run = table(staff, "runs")
    expect(run).to_contain_text("running")
    one.process.send_signal(signal.SIGSTOP)
    try:
        expect(run).to_contain_text("its process does not answer")
        expect(table(staff, "processes").filter(has_text="silent for")).to_have_count(1)
        expect(staff.locator(".said")).to_contain_text("An answer is stuck: assistant")
    finally:
        one.process.send_signal(signal.SIGCONT)
    expect(table(staff, "processes").filter(has_text="silent for")).to_have_count(0)


def test_a_process_that_hangs_is_seen_within_three_seconds(start_site: StartSite, sign_in: SignIn) -> None:
    """Three seconds of the page's clock, which the test holds, after the last report: the test passes reports on, so a
    busy machine changes nothing.
    """
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    page = sign_in(site, "ada")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w5 ")
    staff = sign_in(site, "root")
    silent = False
    passed: list[str] = []

    def connect(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(frame: str | bytes) -> None:
            assert isinstance(frame, str)
            if not silent:
                passed.append(json.loads(frame)["type"])
                socket.send(frame)

        server.on_message(pass_on)
        server.on_close(lambda code, reason: None)  # a page that reconnects would wait for the clock

    staff.route_web_socket(re.compile("/dashboard/"), connect)
    staff.clock.install()
    watch(staff)
    run = table(staff, "runs")
    expect(run).to_contain_text("running")
    staff.clock.pause_at(staff.evaluate("Date.now()") / 1000 + 10)
    del passed[:]
    until(staff, lambda: "report" in passed, "a report at the time at which the clock stands")
    silent = True
    staff.clock.run_for(2000)
    expect(run).to_contain_text("running")
    staff.clock.run_for(1000)
    assert "its process does not answer" in (run.text_content() or "")


def test_staff_opens_the_breaker_of_a_model_for_all_processes(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str, sign_in: SignIn
) -> None:
    model = "custom:words@n=5"
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL=model)
    two = stop_after(one.second_process())
    page = sign_in(one, "ada")
    begin(page)
    staff = sign_in(two, "root")
    watch(staff)
    breaker = table(staff, "breakers").filter(has_text=model)
    expect(breaker.locator("td").first).to_have_text("closed")
    breaker.get_by_label(f"Circuit breaker of {model}", exact=True).select_option("open")
    expect(breaker.locator("td").first).to_have_text("closed")
    breaker.get_by_role("button", name=f"Set the circuit breaker of {model}").click()
    expect(staff.locator(".said")).to_contain_text(f"The circuit breaker of {model} is set.")
    expect(breaker.locator("td").first).to_have_text("open in 2 of 2 processes")
    expect(table(staff, "providers")).to_contain_text(model)
    say(page, "Hello")
    ends(page, "failed")
    expect(answer(page)).to_contain_text("The model does not answer at the moment.")
    breaker.get_by_role("combobox").select_option("automatic")
    breaker.get_by_role("button").click()
    expect(breaker.locator("td").first).to_have_text("closed")
    staff.goto("/admin/nous_chat/breaker/1/history/")
    expect(staff.get_by_text("Opened the circuit breaker.")).to_be_visible()
    expect(staff.get_by_text("Left the circuit breaker to each process.")).to_be_visible()


def test_a_run_whose_model_says_nothing_is_stuck(start_site: StartSite, sign_in: SignIn, upstream: Upstream) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=50,hold=0")
    page = sign_in(site, "ada")
    begin(page)
    say(page, "Hello")
    staff = sign_in(site, "root")
    watch(staff)
    expect(table(staff, "runs")).to_contain_text("nothing for")
    upstream.release()
    ends(page, "completed")
    expect(table(staff, "runs")).to_have_count(0)


def test_who_may_only_watch_has_no_stop_and_others_no_page(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    page = sign_in(site, "ada")
    assert (refused := page.goto("/chat/dashboard/")) is not None
    assert refused.status == 403
    page.goto("/chat/")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    give = (
        "from django.contrib.auth.models import Permission, User; bob = User.objects.get(username='bob');"
        "bob.is_staff = True; bob.save();"
        "bob.user_permissions.add(Permission.objects.get(codename='view_dashboard'))"
    )
    manage(site.env, "shell", "-v0", "-c", give)
    staff = sign_in(site, "bob")
    watch(staff)
    expect(table(staff, "runs")).to_contain_text("running")
    expect(staff.get_by_role("button", name="Stop")).to_have_count(0)
    expect(table(staff, "runs").get_by_role("link")).to_have_count(0)


def test_axe_finds_nothing_and_nothing_runs_over_the_edge(start_site: StartSite, sign_in: SignIn) -> None:
    site = start_site(NOUS_CHAT_MODEL=SLOW)
    page = sign_in(site, "ada")
    begin(page)
    say(page, "Hello")
    expect(answer(page).locator('[data-part="text"]')).to_contain_text("w1 ")
    staff = sign_in(site, "root", bypass_csp=True, reduced_motion="reduce")  # axe-core writes styles into the page
    problems: list[str] = []
    for width in (1440, 375):
        staff.set_viewport_size({"width": width, "height": 900})
        watch(staff)
        expect(table(staff, "runs")).to_contain_text("running")
        staff.get_by_text("As a table").click()
        expect(table(staff, "hour").first).to_be_visible()
        for theme in ("light", "dark"):
            staff.emulate_media(color_scheme=theme)
            problems += [f"{width} px, {theme}: {fault}" for fault in faults(staff)]
        assert staff.evaluate("document.documentElement.scrollWidth") <= width
    assert not problems, "\n".join(problems)


def test_the_log_of_another_process_is_read_and_filtered(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str, sign_in: SignIn
) -> None:
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL="custom:fails@n=2")
    two = stop_after(one.second_process())
    page = sign_in(one, "ada")
    begin(page)
    say(page, "Hello")
    ends(page, "failed")
    staff = sign_in(two, "root", bypass_csp=True)
    staff.goto("/chat/dashboard/")
    staff.get_by_role("link", name="Log").click()
    lines = staff.get_by_role("log").locator("li")
    failed = lines.filter(has_text=re.compile(r"Run \S+ failed"))
    expect(failed).to_have_count(1)  # from before the page was open
    say(page, "Again")
    expect(failed).to_have_count(2)  # and live
    expect(failed.first.locator(".level")).to_have_text("WARNING")
    staff.get_by_label("Level").select_option("WARNING")
    expect(lines.filter(has_text="INFO")).to_have_count(0)
    failed.first.get_by_role("button", name="Only lines with run").click()
    expect(lines).to_have_count(1)
    assert staff.get_by_label("Run ID").input_value() in (failed.first.text_content() or "")
    staff.get_by_role("button", name="Clear").click()
    expect(lines.filter(has_text="INFO").first).to_be_visible()
    staff.get_by_label("Text").fill("no line says this")
    expect(lines).to_have_count(0)
    staff.get_by_label("Text").fill("")
    expect(failed.last).to_be_visible()
    for theme in ("light", "dark"):
        staff.emulate_media(color_scheme=theme)
        assert faults(staff) == []
