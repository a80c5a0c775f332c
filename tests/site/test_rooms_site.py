"""Three people and their agents in a room that two real processes serve: who comes in, asks, stops, decides, is over
budget, has to go.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync

from ..realtime.test_presence import names
from ..support.client import Person, Socket, signed_in
from ..support.servers import Site, Upstream
from .test_content_site import ask

StartSite = Callable[..., Site]
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.sites.office", "NOUS_CHAT_MODEL": "custom:flowing"}


def calls(peer: Socket, status: str) -> list[dict[str, Any]]:
    return [call for message in peer.messages.values() for call in message["calls"] if call["status"] == status]


async def invite(owner: Person, room: str, guest: Person, **fields: Any) -> None:
    """As by a link in a mail, with a browser that has no JavaScript."""
    made = await ask(owner, "POST", f"conversations/{room}/invitations/", 201, **fields)
    page = await guest.http.get(made["url"])
    assert "invites you" in page.text
    form = {"csrfmiddlewaretoken": guest.http.cookies["csrftoken"]}
    joined = await guest.http.post(made["url"], data=form)
    assert (joined.status_code, joined.headers["location"]) == (302, f"/chat/{room}/")


def test_three_people_two_processes_two_agents(
    start_site: StartSite, stop_after: Callable[[Site], Site], redis: str, upstream: Upstream
) -> None:
    one = start_site(REDIS_URL=redis, **SETTINGS)
    two = stop_after(one.second_process())

    async def talk() -> None:
        async with signed_in(one, "ada") as ada, signed_in(one, "bob") as bob, signed_in(two, "eve") as eve:
            room = await ada.new_conversation(title="Chains")
            at = f"conversations/{room}/"
            await ask(ada, "PATCH", at, 200, agents=["assistant", "clerk"])

            async with ada.socket(room) as here, eve.socket() as list_of_eve:
                # one is added by name, one comes with a link; the room and their lists hear of it
                await ask(ada, "POST", f"{at}participants/", 201, username="bob")
                await invite(ada, room, eve, role="viewer", max_uses=1)
                await here.hear("participant.joined", 2)
                assert (await list_of_eve.hear("conversation.updated"))["conversation"]["yours"]["role"] == "viewer"

                async with bob.socket(room, two) as there, eve.socket(room, two) as viewer:
                    # who is here, over both processes; who types
                    for peer in (here, there, viewer):
                        await peer.until(lambda peer=peer: names(peer) == {"ada", "bob", "eve"})
                    await there.send("typing", on=True)
                    for peer in (here, list_of_eve):
                        assert (await peer.hear("typing"))["user"]["name"] == "bob"

                    # people talk and no agent interferes; asked by name it answers, and all see it live
                    await here.say("Shall we ask?")
                    await there.hear("message.created")
                    await there.say("@assistant, how long is it?")
                    for peer in (here, there, viewer):
                        await peer.until(lambda peer=peer: peer.delta_chars > 100)
                    assert len(here.of_type("run.started")) == 1

                    # two messages of others wait for it and get one answer; the owner stops the first, with a receipt
                    await here.say("@assistant and in feet?")
                    await here.say("@assistant or in miles?")
                    await viewer.until(lambda: len(viewer.of_type("message.created")) >= 4)
                    run = here.of_type("run.started")[0]["run"]
                    await here.send("run.stop", run=run)
                    for peer in (here, there, viewer):
                        receipt = await peer.hear("run.finished")
                        assert (receipt["status"], receipt["stopped_by"]["name"]) == ("stopped", "ada")
                        assert receipt["tokens"] == -(-len(receipt["message"]["text"]) // 4)
                    upstream.release()
                    for peer in (here, there, viewer):
                        second = await peer.hear("run.finished", 2)
                    assert second["status"] == "completed"
                    assert second["message"]["run"]["launched_by"]["name"] == "ada"
                    assert len(here.of_type("run.started")) == 2
                    assert here.transcript == there.transcript == viewer.transcript

                    # the clerk wants an approval: asked for on one process, decided once on the other
                    await there.say("@clerk refund it")
                    for peer in (here, there, viewer):
                        await peer.until(lambda peer=peer: calls(peer, "awaiting_approval"))
                    call = calls(here, "awaiting_approval")[0]["id"]
                    await viewer.send("tool.decide", call=call, decision="approve", ref="no")
                    assert (await viewer.answered("no"))["code"] == "forbidden"
                    await asyncio.gather(
                        here.send("tool.decide", call=call, decision="approve", ref="d"),
                        there.send("tool.decide", call=call, decision="approve", ref="d"),
                    )
                    first, other = await here.answered("d"), await there.answered("d")
                    assert {first["type"], other["type"]} == {"ack", "error"}
                    for peer in (here, there, viewer):
                        await peer.hear("run.finished", 3)
                        (decided,) = calls(peer, "done")
                        assert decided["decided_by"]["name"] == ("ada" if first["type"] == "ack" else "bob")

                    # roles change, the room is handed over, and who is removed is out at once, on the other process
                    mine = {p["user"]["name"]: p["id"] for p in await everybody(ada, room)}
                    await ask(ada, "PATCH", f"{at}participants/{mine['bob']}/", 200, role="owner")
                    assert (await viewer.hear("participant.updated"))["participant"]["role"] == "owner"
                    await ask(ada, "DELETE", f"{at}participants/{mine['eve']}/", 403)
                    await ask(bob, "DELETE", f"{at}participants/{mine['eve']}/", 204)
                    assert await viewer.wait_closed() == 4403
                    assert (await list_of_eve.hear("conversation.removed"))["conversation"] == room
                    await here.until(lambda: names(here) == {"ada", "bob"})
                    await ask(eve, "GET", at, 404)

                    # everybody has read the same, the notes of who came and went among it
                    await there.until(lambda: there.transcript[-1] == ("system", "bob removed eve."))
                    await here.until(lambda: here.transcript == there.transcript)
                    notes = [said for role, said in here.transcript if role == "system"]
                    assert notes == [
                        "ada added bob.",
                        "eve joined, invited by ada.",
                        "ada transferred ownership to bob.",
                        "bob removed eve.",
                    ]
                    stored = [(m["role"], m["text"]) for m in await ada.messages(room)]
                    assert stored == here.transcript

    async_to_sync(talk)()


async def everybody(person: Person, room: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask(person, "GET", f"conversations/{room}/participants/", 200))["participants"]
    return found


def test_a_budget_holds_over_processes(start_site: StartSite, stop_after: Callable[[Site], Site], redis: str) -> None:
    one = start_site(
        REDIS_URL=redis,
        DJANGO_SETTINGS_MODULE="tests.sites.tuned",
        NOUS_CHAT_MODEL="custom:words@n=2000,delay=2",
        NOUS_CHAT='{"BUDGETS": [{"per": "user", "tokens": 200}]}',
    )
    two = stop_after(one.second_process())

    async def talk() -> None:
        async with signed_in(one, "ada") as ada:
            room, other = await ada.new_conversation(), await ada.new_conversation()
            async with ada.socket(room) as here:
                await here.say("Hello")
                finished = await here.hear("run.finished")
                assert (finished["status"], finished["error"]["code"]) == ("failed", "budget")
                assert finished["message"]["text"]
            async with ada.socket(other, two) as there:
                await there.say("Hello", ref="x")
                refused = await there.answered("x")
                assert (refused["code"], refused["retry_after"] > 0) == ("budget", True)
                assert there.messages == {}

    async_to_sync(talk)()
