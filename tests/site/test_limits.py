"""Limits hold under parallel requests: counting and adding are one transaction."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ..support.client import Person, signed_in
from ..support.servers import Site
from .test_outages import tuned

StartSite = Callable[..., Site]


async def statuses(requests: Iterable[Awaitable[Any]]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*requests))


def test_parallel_requests_to_two_processes_exceed_no_limit(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str
) -> None:
    stored = 60 * 16 * 1024  # 60 files of the least size that is counted
    one = start_site(REDIS_URL=redis, **tuned(COMMAND_BURST=1000, MAX_PARTICIPANTS=2, STORAGE_BYTES_PER_USER=stored))
    two = stop_after(one.second_process())

    def post(person: Person, number: int, path: str, **fields: Any) -> Awaitable[Any]:
        """To both processes in turn."""
        return person.http.post(f"{(one, two)[number % 2].url}/chat/{path}", headers=person.csrf, **fields)

    async def talk() -> None:
        async with signed_in(one, "ada") as ada, signed_in(one, "bob") as bob, signed_in(one, "eve") as eve:
            room, other = await ada.new_conversation(), await ada.new_conversation()
            api = f"api/conversations/{room}/"

            async def upload() -> list[str]:
                answers = await asyncio.gather(
                    *(post(ada, number, f"{api}attachments/", files={"file": ("a.txt", b"x")}) for number in range(58))
                )
                assert {answer.status_code for answer in answers} == {201, 409}
                return [answer.json()["id"] for answer in answers if answer.status_code == 201]

            unsent = await upload()
            assert len(unsent) == 50, "files without a message"
            async with ada.socket(room) as socket:
                await socket.hear("snapshot")
                for number in range(5):
                    await socket.say("@nobody", attachments=unsent[10 * number : 10 * number + 10])
                    await socket.hear("message.created", number + 1)
            assert len(await upload()) == 10, "bytes of one user"

            links = await statuses(post(ada, number, f"{api}invitations/", json={}) for number in range(55))
            assert links == {201: 50, 409: 5}, "links of a conversation"
            token = (await ada.http.get(f"/chat/{api}invitations/")).json()["invitations"][0]["token"]
            joined = await statuses(post(person, number, f"join/{token}/") for number, person in enumerate((bob, eve)))
            assert joined == {302: 1, 409: 1}, "participants of a conversation"

            made = await ada.http.post(
                f"/chat/api/conversations/{other}/invitations/", headers=ada.csrf, json={"max_uses": 1}
            )
            path = f"join/{made.json()['token']}/"
            joined = await statuses(post(person, number, path) for number, person in enumerate((bob, eve)))
            assert joined == {302: 1, 404: 1}, "uses of a link"

    asyncio.run(talk())
