"""What staff changes in the admin counts in every process of the site, some seconds later."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..support.client import Person, csrf_token, signed_in
from ..support.servers import Site, Upstream

Ask = Callable[[], Awaitable[dict[str, Any]]]

SECONDS = 60
"""How long a change may take: far more than `MAX_AGE`, for busy machines."""


async def save(staff: Person, page: str, **fields: str) -> None:
    """Send the form of a page of the admin."""
    url = f"/admin/nous_chat/{page}/"
    token = csrf_token((await staff.http.get(url)).text)
    answer = await staff.http.post(url, data=fields | {"csrfmiddlewaretoken": token})
    assert answer.status_code == 302, answer.text


def asking(person: Person, site: Site, conversation: str) -> Ask:
    """A question in that process: returns the answer when it has ended, or the error."""
    number = 0

    async def ask() -> dict[str, Any]:
        nonlocal number
        number += 1
        async with person.socket(conversation, site) as socket:
            await socket.say("Hello", ref=str(number))
            reply = await socket.answered(str(number))
            if reply["type"] == "error":
                return reply
            ended: dict[str, Any] = (await socket.hear("run.finished"))["message"]
            return ended

    return ask


async def until(ask: Ask, condition: Callable[[dict[str, Any]], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition(await ask()):
            await asyncio.sleep(0.2)


def test_prices_agents_and_budgets_of_the_admin_reach_a_second_process(
    start_site: Callable[..., Site], stop_after: Callable[[Site], Site], redis: str, upstream: Upstream
) -> None:
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL="custom:words@n=3")
    two = stop_after(one.second_process())

    async def talk() -> None:
        async with signed_in(one, "root") as staff, signed_in(two, "ada") as ada:
            ask = asking(ada, two, await ada.new_conversation())
            assert (await ask())["run"]["cost"] is None, "this process has read that there is no price"
            await save(
                staff, "price/add", model="custom:words@n=3", valid_from="2026-01-01", input="1000", output="1000"
            )
            await until(ask, lambda message: message["run"]["cost"])

            agent = {"name": "Clerk", "slug": "clerk", "enabled": "on", "max_turns": "5"}
            await save(staff, "storedagent/add", **agent, instructions="Be brief.")
            models = f"{ada.prefix}v1/models"

            async def listed() -> dict[str, Any]:
                return {"ids": [each["id"] for each in (await ada.http.get(models)).json()["data"]]}

            await until(listed, lambda answer: "clerk" in answer["ids"])
            ask = asking(ada, two, await ada.new_conversation(agent="clerk"))
            await ask()
            assert upstream.last()["body"]["messages"][0]["content"] == "Be brief."
            await save(staff, "storedagent/1/change", **agent, instructions="Be kind.", based_on="1")
            await until(ask, lambda _: upstream.last()["body"]["messages"][0]["content"] == "Be kind.")

            await save(staff, "budget/add", scope="site", period="day", tokens="1")
            await until(ask, lambda answer: answer.get("code") == "budget")

    asyncio.run(talk())
