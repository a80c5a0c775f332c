"""Revocation: a socket closes when its user signs out, is deactivated or is removed, and learns of another role.

A process re-checks access by itself only once a minute, so whatever a test sees earlier came by a message.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chat import concurrency, store
from chat.consumers import base
from chat.models import Conversation, Participant
from chat.node import heartbeat, node
from chat.permissions import Permissions

from ..site.test_site import add_participant
from ..support import servers
from ..support.client import InProcess, signed_in
from ..support.servers import Site

Scenario = Callable[..., Any]


def run_code(site: Site, code: str) -> None:
    """Run Python as a command of the site, in a process of its own."""
    prelude = "from django.contrib.auth import get_user_model; from chat.models import Participant;"
    prelude += "user = get_user_model().objects.get(username='bob');"
    servers.manage(site.env, "shell", "-v0", "-c", prelude + code)


@pytest.fixture(scope="module")
def two_processes(database: Any, redis: str) -> Iterator[tuple[Site, Site]]:
    """Two processes of one site."""
    url = database.copy()
    site = Site(servers.environment(DATABASE_URL=url, REDIS_URL=redis, REDIS_PREFIX=os.urandom(4).hex()))
    other = site.second_process()
    with servers.running(site, other):
        yield site, other


def test_signing_out_closes_the_sockets_of_that_session_in_every_process(two_processes: tuple[Site, Site]) -> None:
    site, other = two_processes

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "ada") as other_session:
            conversation = await ada.new_conversation()
            async with (
                ada.socket(conversation) as here,
                ada.socket(conversation, other) as there,
                ada.socket("", other) as inbox,
                other_session.socket(conversation, other) as another,
            ):
                for socket in (here, there, inbox, another):
                    await socket.hear("snapshot")
                await ada.sign_out()
                for socket in (here, there, inbox):
                    assert await socket.wait_closed() == 4401
                await another.send("ping", ref="1")
                assert (await another.answered("1"))["type"] == "pong"

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("code", "closed"),
    [
        ("user.set_password('other'); user.save()", 4401),
        ("user.is_active = False; user.save()", 4401),
        ("Participant.objects.filter(user=user).delete()", 4403),
        ("user.delete()", 4401),
    ],
    ids=["new password", "deactivated", "removed", "deleted"],
)
def test_a_change_in_any_process_closes_the_sockets_of_a_user_who_lost_access(
    start_site: Callable[..., Site], redis: str, code: str, closed: int
) -> None:
    site = start_site(REDIS_URL=redis)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            conversation = await ada.new_conversation()
            add_participant(site, conversation, "bob")
            async with ada.socket(conversation) as owner, bob.socket(conversation) as member:
                await member.hear("snapshot")
                await asyncio.to_thread(run_code, site, code)
                assert await member.wait_closed() == closed
                await owner.send("ping", ref="1")
                assert (await owner.answered("1"))["type"] == "pong"

    asyncio.run(talk())


def test_a_lowered_role_is_sent_to_its_user_and_takes_effect_at_once(
    start_site: Callable[..., Site], redis: str
) -> None:
    site = start_site(REDIS_URL=redis)

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            conversation = await ada.new_conversation()
            add_participant(site, conversation, "bob")
            async with bob.socket(conversation) as member:
                await member.hear("snapshot")
                lower = "p = Participant.objects.get(user=user); p.role = 'viewer'; p.save()"
                await asyncio.to_thread(run_code, site, lower)
                assert (await member.hear("snapshot", 2))["you"]["role"] == "viewer"
                await member.say("Hello", ref="1")
                assert (await member.answered("1"))["code"] == "forbidden"

    asyncio.run(talk())


@pytest.mark.parametrize("change", ["removed", "deactivated", "lowered"])
def test_a_change_without_a_signal_is_noticed_at_the_next_re_check(
    scenario: Scenario, people: Any, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(heartbeat, "TICK", 3600)  # this test does what a tick does, when it is due
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    Participant.objects.create(conversation=room, user=people["bob"])

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob, InProcess(people["ada"], room.pk) as ada:
            hub, due = node.current().hub, concurrency.now() + base.RECHECK_EVERY
            participants = Participant.objects.filter(user=people["bob"])
            match change:
                case "removed":
                    await participants.adelete()
                    hub.watch(due)
                    assert await bob.wait_closed() == 4403
                case "deactivated":
                    await type(people["bob"]).objects.filter(pk=people["bob"].pk).aupdate(is_active=False)
                    hub.watch(due)
                    assert await bob.wait_closed() == 4401
                case "lowered":
                    await participants.aupdate(role="viewer")
                    hub.watch(due)
                    assert (await bob.hear("snapshot", 2))["you"]["role"] == "viewer"
            for number in range(2):  # her socket is re-checked too; the second answer comes after it
                rechecks = (getattr(socket, "_rechecking", None) for socket in hub.sockets)
                await asyncio.gather(*(task for task in rechecks if task is not None))
                await ada.send("ping", ref=str(number))
                await ada.answered(str(number))
            assert len(ada.of_type("snapshot")) == 1, "nothing changed for Ada"

    scenario(talk)


def test_other_changes_of_a_user_cause_no_re_check(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from chat.realtime import revocation

    sent: list[Any] = []
    monkeypatch.setattr(revocation, "_send_on_commit", lambda user_id, message: sent.append(message))
    people["ada"].first_name = "Ada"
    people["ada"].save()
    assert sent == []
    people["ada"].set_password("new")
    people["ada"].save()
    assert sent == [{"type": "check_access"}]


class HideByTitle(Permissions):
    def can_see(self, participant: Participant) -> bool:
        return super().can_see(participant) and participant.conversation.title != "hidden"


def test_lists_contain_only_what_the_sites_permissions_let_a_user_see(people: Any, settings: Any) -> None:
    visible, hidden = (store.create_conversation(people["ada"], title) for title in ("visible", "hidden"))
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.HideByTitle"}
    assert [c.id for c in store.list_conversations(people["ada"].pk)[0]] == [visible.id]
    (listing,) = store.find_listings([hidden.id])
    assert listing is not None
    assert listing.audience == {}
