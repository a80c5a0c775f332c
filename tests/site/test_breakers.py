"""Circuit breakers on a whole site: who answers, what readers hear, and what staff set for all processes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from ..support.client import Person, Socket, signed_in
from ..support.servers import Site, Upstream, wait_for
from ..support.upstream import text
from .test_metrics import TOKEN, Scrape

StartSite = Callable[..., Site]
StopAfter = Callable[[Any], Any]

AWAY, OTHER = "custom:status@code=500", "custom:words@n=5"


def breaking(start_site: StartSite, **env: str) -> Site:
    agents = {"helper": {"name": "Helper", "model": AWAY, "fallback": [OTHER]}}
    settings = {"AGENTS": agents, "BREAKER_FAILURES": 2, "BREAKER_SECONDS": 600, "TITLE_MODEL": ""}
    return start_site(
        DJANGO_SETTINGS_MODULE="tests.sites.doctored",
        NOUS_CHAT=json.dumps(settings | {"METRICS_TOKEN": TOKEN}),
        NOUS_CHAT_MAX_RETRIES="0",
        **env,
    )


async def ask(socket: Socket, number: int) -> None:
    """The fallback answers, and everybody hears of it."""
    await socket.say("Hello")
    finished = await socket.hear("run.finished", number)
    assert finished["message"]["text"] == text(5)
    fallback = socket.of_type("run.fallback")[number - 1]
    assert fallback["model"] == OTHER
    assert fallback["run"] == finished["run"]


def paused(scrape: Scrape) -> dict[str, float]:
    """The breakers of the model, by process."""
    samples = [s for s in scrape.samples if s.name == "nous_chat_breaker_open" and s.labels["model"] == AWAY]
    assert all(sample.labels["provider"] == "custom" for sample in samples)
    return {sample.labels["process"]: sample.value for sample in samples}


def test_a_model_that_fails_is_not_asked_any_more_and_the_fallback_answers(
    start_site: StartSite, upstream: Upstream
) -> None:
    site = breaking(start_site)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, ada.socket(await ada.new_conversation()) as socket:
            for number, requests in ((1, 2), (2, 2), (3, 1), (4, 1)):
                before = upstream.stats()["started"]
                await ask(socket, number)
                assert upstream.stats()["started"] == before + requests, number

    asyncio.run(talk())
    assert list(paused(Scrape(site)).values()) == [1]


def test_without_a_fallback_people_are_told_when_to_try_again(start_site: StartSite) -> None:
    site = start_site(
        DJANGO_SETTINGS_MODULE="tests.sites.doctored",
        NOUS_CHAT=json.dumps({"MODEL": AWAY, "BREAKER_FAILURES": 1, "TITLE_MODEL": ""}),
        NOUS_CHAT_MAX_RETRIES="0",
    )

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, ada.socket(await ada.new_conversation()) as socket:
            await socket.say("Hello")
            assert (await socket.hear("run.finished"))["error"]["code"] == "server_error"
            await socket.say("Hello")
            error = (await socket.hear("run.finished", 2))["error"]
            assert error["code"] == "model_paused"
            assert error["message"] == "The model does not answer at the moment. Try again later."
            assert 20 < error["retry_after"] <= 30

    asyncio.run(talk())


def test_staff_opens_and_closes_it_for_all_processes(
    start_site: StartSite, stop_after: StopAfter, redis: str, upstream: Upstream
) -> None:
    one = breaking(start_site, REDIS_URL=redis)
    two = stop_after(one.second_process())

    async def change(root: Person, path: str, setting: str) -> None:
        page = f"/admin/nous_chat/breaker/{path}/"
        answer = await root.http.post(page, data={"model": AWAY, "setting": setting, "_save": "1"}, headers=root.csrf)
        assert answer.status_code == 302, answer.text

    def shown(values: set[float]) -> Any:
        """Wait until both processes show this."""
        return wait_for(lambda: len(found := paused(Scrape(one))) == 2 and set(found.values()) == values, 30)

    async def talk() -> None:
        async with (
            signed_in(one, "root") as root,
            signed_in(one, "ada") as ada,
            ada.socket(await ada.new_conversation(), two) as socket,
        ):
            await change(root, "add", "open")
            await asyncio.to_thread(shown, {1.0})
            before = upstream.stats()["started"]
            await ask(socket, 1)
            assert upstream.stats()["started"] == before + 1
            answer = await root.http.get("/admin/nous_chat/breaker/")
            row = answer.text.partition("breaker/")[2]
            assert AWAY in row
            await change(root, "1/change", "closed")
            await asyncio.to_thread(shown, {0.0})
            for number in range(2, 6):
                before = upstream.stats()["started"]
                await ask(socket, number)
                assert upstream.stats()["started"] == before + 2
            await change(root, "1/change", "automatic")
            await asyncio.to_thread(wait_for, lambda: 1.0 in paused(Scrape(one)).values(), 30)
            before = upstream.stats()["started"]
            await ask(socket, 6)
            assert upstream.stats()["started"] == before + 1, "it has failed again and again"

    asyncio.run(talk())
