"""What people do with what is there, on two real processes with a real Redis: three people, HTTP and sockets."""

import asyncio
from collections.abc import Callable
from typing import Any

from ..store.test_attachments import PNG
from ..support.client import Person, Socket, signed_in
from ..support.servers import Site
from ..support.upstream import text

StartSite = Callable[..., Site]


async def ask(person: Person, method: str, path: str, status: int, **body: Any) -> Any:
    given = body if "files" in body else {"json": body}
    answer = await person.http.request(method, f"/chat/api/{path}", headers=person.csrf, **given)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def shows(reader: Socket, **fields: Any) -> Callable[[], Any]:
    """Whether a `conversation.updated` has come with these fields, in the conversation or in `yours`."""

    def heard() -> bool:
        rooms = [event["conversation"] for event in reader.of_type("conversation.updated")]
        return any(all((room | (room["yours"] or {})).get(k) == v for k, v in fields.items()) for room in rooms)

    return heard


def test_what_one_does_on_one_process_reaches_the_others_on_another(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str
) -> None:
    one = start_site(REDIS_URL=redis, NOUS_CHAT_MODEL="custom:words@n=5", NOUS_CHAT_TITLE_MODEL="custom:words@n=2")
    two = stop_after(one.second_process())

    async def talk() -> None:
        async with signed_in(one, "ada") as ada, signed_in(one, "bob") as bob, signed_in(one, "eve") as eve:
            room = await ada.new_conversation()
            at = f"conversations/{room}/"
            await ask(ada, "POST", f"{at}participants/", 201, username="bob", role="member")
            await ask(ada, "POST", f"{at}participants/", 201, username="eve", role="viewer")
            async with (
                ada.socket(room) as ada_here,
                bob.socket(room, two) as bob_there,
                bob.socket(site=two) as list_of_bob,
                eve.socket(site=two) as list_of_eve,
            ):
                # a picture, sent by one, read by the others
                file = await ask(ada, "POST", f"{at}attachments/", 201, files={"file": ("cat.png", PNG)})
                assert (await bob.http.get(f"{two.url}{file['url']}")).status_code == 404
                await ada_here.say("@assistant what is this?", attachments=[file["id"]])
                await bob_there.until(lambda: any(m["attachments"] for m in bob_there.messages.values()))
                served = await eve.http.get(f"{two.url}{file['url']}")
                assert (served.content, served.headers["content-type"]) == (PNG, "image/png")
                first = (await bob_there.hear("run.finished"))["message"]
                assert first["text"] == text(5)

                # a title by a model, unread counts, reading, renaming
                await list_of_bob.until(shows(list_of_bob, title="w0 w1", unread=2))
                await bob_there.send("read", seq=first["seq"])
                await list_of_bob.until(shows(list_of_bob, title="w0 w1", unread=0))
                await ask(ada, "PATCH", at, 200, title="Cats")
                for reader in (bob_there, list_of_bob, list_of_eve):
                    await reader.until(shows(reader, title="Cats"))
                await ask(bob, "PATCH", at, 200, pinned=True)
                await list_of_bob.until(shows(list_of_bob, pinned=True))
                assert not shows(list_of_eve, pinned=True)()
                await ask(bob, "PATCH", at, 403, title="Dogs")

                # alternatives
                await bob_there.send("run.start", message=first["id"])
                second = (await ada_here.hear("run.finished", 2))["message"]
                assert second["alternatives"] == [first["id"], second["id"]]
                await bob_there.hear("run.finished", 2)
                await ada_here.send("message.choose", message=first["id"])
                await bob_there.until(
                    lambda: first["id"] in bob_there.messages and second["id"] not in bob_there.messages
                )

                # the search, a fork
                results = (await ask(eve, "GET", "search/?q=cats", 200))["results"]
                assert [result["excerpt"] for result in results] == ["Cats"]
                fork = await ask(bob, "POST", f"{at}fork/", 201, message=first["id"])
                assert [m["text"] for m in await bob.messages(fork["id"])] == ["@assistant what is this?", text(5)]
                await list_of_bob.until(
                    lambda: any(
                        e["conversation"]["id"] == fork["id"] for e in list_of_bob.of_type("conversation.updated")
                    )
                )
                await ask(eve, "POST", f"{at}fork/", 403, message=first["id"])

                # gone for all, and back
                await ask(bob, "DELETE", at, 403)
                await ask(ada, "DELETE", at, 204)
                assert await bob_there.wait_closed() == await ada_here.wait_closed() == 4403
                for reader in (list_of_bob, list_of_eve):
                    assert (await reader.hear("conversation.removed"))["conversation"] == room
                assert (await bob.http.get(f"/chat/api/{at}messages/")).status_code == 404
                heard = len(list_of_eve.of_type("conversation.updated"))
                await ask(ada, "POST", f"{at}restore/", 200)
                await list_of_eve.until(lambda: len(list_of_eve.of_type("conversation.updated")) > heard)
                assert len(await eve.messages(room)) == 2 + 2  # with the notes of who was added

    asyncio.run(talk())
