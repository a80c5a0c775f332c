"""`/chat/metrics`: any process answers for all, as Prometheus reads it. A wrong sum would page somebody, or nobody."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ..support.client import Socket, signed_in
from ..support.servers import Site, Uvicorn, wait_for

StartSite = Callable[..., Site]
TOKEN = "a-token-of-thirty-two-characters-or-more"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MODEL = "custom:words@n=5"


class Scrape:
    """What one process answers for all."""

    def __init__(self, site: Site, **headers: str) -> None:
        answer = httpx.get(f"{site.url}/chat/metrics", headers=HEADERS | headers, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Over all processes."""
        found = [s.value for s in self.samples if s.name == f"nous_chat_{name}" and labels.items() <= s.labels.items()]
        assert found, name
        return sum(found)

    @property
    def processes(self) -> set[str]:
        return {s.labels["process"] for s in self.samples if "process" in s.labels}


def scrape_all(*sites: Site) -> list[Scrape]:
    """From each process, when each knows the others."""

    def settled() -> list[Scrape] | None:
        found = [Scrape(site) for site in sites]
        return found if all(len(each.processes) == len(sites) for each in found) else None

    return wait_for(settled, 60, "all processes")  # type: ignore[no-any-return]


async def ask(socket: Socket, number: int) -> None:
    await socket.say("Hello")
    await socket.hear("run.finished", number)


@pytest.fixture
def three(start_site: StartSite, stop_after: Callable[[Any], Any], redis: str) -> list[Site]:
    site = start_site(NOUS_CHAT_MODEL=MODEL, NOUS_CHAT_METRICS_TOKEN=TOKEN, REDIS_URL=redis)
    return [site, stop_after(site.second_process()), stop_after(Uvicorn(site.env))]


def test_three_processes_add_up_also_after_one_is_killed(three: list[Site]) -> None:
    one, two, _ = three

    async def talk() -> None:
        async with signed_in(one, "ada") as ada, contextlib.AsyncExitStack() as opened:
            for site in three:
                conversation = await ada.new_conversation()
                socket = await opened.enter_async_context(ada.socket(conversation, site))
                for number in (1, 2):
                    await ask(socket, number)
            await opened.enter_async_context(ada.socket("", two))
            found = await asyncio.to_thread(scrape_all, *three)
        for each in found:
            assert each.sum("runs_total", status="completed", model=MODEL, agent="assistant") == 6
            assert each.sum("runs_total") == 6
            assert each.sum("first_token_seconds_count", model=MODEL) == 6
            assert each.sum("first_token_seconds_bucket", model=MODEL, le="+Inf") == 6
            assert each.sum("delta_lag_seconds_count") >= 6
            assert 0 < each.sum("delta_lag_seconds_sum") < 6
            assert each.sum("tokens_total", kind="output", model=MODEL) == 6 * 5
            assert each.sum("sockets", kind="conversation") == 3
            assert each.sum("sockets", kind="inbox") == 1
            assert each.sum("runs_active") == 0
            assert each.sum("processes") == 3

    asyncio.run(talk())
    two.process.send_signal(signal.SIGKILL)
    two.process.wait()
    scraped = Scrape(one)
    assert len(scraped.processes) == 2, "its series vanish with it"
    assert scraped.sum("runs_total", status="completed") == 4
    assert scraped.sum("processes_silent") == 1


def test_a_process_that_ends_is_not_waited_for(three: list[Site]) -> None:
    scrape_all(*three)
    three[1].stop()
    assert (scraped := Scrape(three[0])).sum("processes_silent") == 0
    assert len(scraped.processes) == 2


def test_a_running_run_is_counted_while_it_runs(start_site: StartSite) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:flowing", NOUS_CHAT_METRICS_TOKEN=TOKEN)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, ada.socket(await ada.new_conversation()) as socket:
            await socket.say("Hello")
            started = await socket.hear("run.started")
            await socket.hear("run.delta", 3)
            found = await asyncio.to_thread(Scrape, site)
            assert found.sum("runs_active", model="custom:flowing", agent="assistant") == 1
            assert found.sum("streamed_characters_total") > 0
            assert found.sum("runs_total") == 0
            await socket.send("run.stop", run=started["run"])
            await socket.hear("run.finished")
            found = await asyncio.to_thread(Scrape, site)
            assert found.sum("runs_active") == 0
            assert found.sum("runs_total", status="stopped") == 1

    asyncio.run(talk())


def test_only_staff_and_the_token_read_the_metrics(start_site: StartSite) -> None:
    site = start_site(NOUS_CHAT_METRICS_TOKEN=TOKEN)

    def status(authorization: str = "") -> tuple[int, bool]:
        headers = [(b"Authorization", authorization.encode())] if authorization else []
        answer = httpx.get(f"{site.url}/chat/metrics", headers=headers, trust_env=False, timeout=30)
        return answer.status_code, "nous_chat_sockets" in answer.text

    assert status() == (401, False)
    assert status(f"Bearer {TOKEN[:-1]}") == (401, False)
    assert status(f"Bearer {TOKEN}ü") == (401, False)
    assert status(f"Basic {TOKEN}") == (401, False)
    assert status(f"bearer {TOKEN}") == (200, True)
    assert Scrape(site, Host="10.0.0.7").processes, "a scraper asks each server by its address"


def test_without_a_token_in_the_settings_none_is_right(start_site: StartSite) -> None:
    site = start_site()
    for header in ("Bearer", "Bearer x"):
        answer = httpx.get(f"{site.url}/chat/metrics", headers={"Authorization": header}, trust_env=False)
        assert answer.status_code == 401
