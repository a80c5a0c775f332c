"""Every command of every socket, as every kind of user: the table in tests/support/authorization.py."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from chat.consumers.base import UnknownConsumer
from chat.consumers.conversation import ConversationConsumer
from chat.consumers.dashboard import DashboardConsumer, LogConsumer
from chat.consumers.inbox import InboxConsumer
from chat.models import Conversation, Participant
from chat.protocol import commands
from chat.routing import websocket_urlpatterns

from ..support.authorization import (
    CLOSE_CODES,
    COMMANDS,
    READERS,
    SECRET,
    World,
    build_world,
    digest,
    fields_of_commands,
    read_table,
)
from ..support.client import InProcess

Scenario = Callable[..., Any]

TABLE = {name: cells for (name,), cells in read_table(COMMANDS).items()}
ROLES = list(next(iter(TABLE.values())))


@pytest.fixture(autouse=True)
def quiet(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rate limit, and nothing in the background that writes."""
    settings.NOUS_CHAT = {"COMMAND_RATE": 10_000, "COMMAND_BURST": 10_000}
    monkeypatch.setattr("chat.node.heartbeat.TICK", 3600)


def test_every_command_and_every_socket_has_its_rules_here() -> None:
    assert set(TABLE) == {command.__struct_config__.tag for command in commands.COMMANDS}
    served = {pattern.callback.consumer_class for pattern in websocket_urlpatterns}
    # Those of the dashboard take no commands about conversations: test_dashboard.py tries their permissions.
    assert served == {ConversationConsumer, InboxConsumer, UnknownConsumer, DashboardConsumer, LogConsumer}


def withdraw_access(world: World, role: str) -> None:
    """Take away the access of a connected user. Querysets send no signals, so the socket does not hear of it."""
    rows = Participant.objects.filter(conversation=world.room, user=world.users[role])
    if role == "removed":
        rows._raw_delete(rows.db)
    elif role == "deleted":
        Conversation.objects.filter(pk=world.room.pk).update(deleted_at=timezone.now())
    elif role == "deactivated":
        type(world.users[role]).objects.filter(pk=world.users[role].pk).update(is_active=False)


@pytest.mark.parametrize("role", ROLES)
def test_every_command_gets_the_answer_of_the_table(scenario: Scenario, role: str) -> None:
    world = build_world("owner")
    user = world.users[role]
    if role == "deactivated":
        type(user).objects.filter(pk=user.pk).update(is_active=True)
    elif role == "removed":
        Participant.objects.create(conversation=world.room, user=user, role="member")
    given, wrong = fields_of_commands(world), []
    start: dict[str, Any] = {}

    async def talk() -> None:
        async with InProcess(user, world.room.pk) as socket:
            await sync_to_async(withdraw_access)(world, role)
            before = await sync_to_async(digest)()
            start.update(before)
            for name, cells in TABLE.items():
                await socket.send(name, ref=name, **given[name])
                answer = await socket.answered(name)
                after = await sync_to_async(digest)()
                found = answer.get("code") or answer["type"]
                found += "+" * (after != before)
                before = after
                if found != cells[role]:
                    wrong.append(f"{name}: {found} instead of {cells[role]}")
                if role not in READERS and SECRET in str(answer):
                    wrong.append(f"{name}: shows what only participants may read")

    scenario(talk)
    assert not wrong, "\n".join(wrong)
    assert role in READERS or digest() == start, "not even the read marker, which is written last"


@pytest.mark.parametrize("role", [*CLOSE_CODES, "deactivated"])
def test_those_without_access_are_not_let_in(scenario: Scenario, role: str) -> None:
    world = build_world(role)
    user = AnonymousUser() if role == "deactivated" else world.users[role]  # Django signs deactivated users out
    before = digest()

    async def talk() -> None:
        async with InProcess(user, world.room.pk) as socket:
            assert await socket.wait_closed() == CLOSE_CODES.get(role, 4401)
            assert socket.events == []
        if CLOSE_CODES.get(role, 4401) == 4401:
            async with InProcess(user) as inbox:
                assert await inbox.wait_closed() == 4401
                assert inbox.events == []

    scenario(talk)
    assert digest() == before


def test_the_inbox_takes_ping_only_and_lists_only_ones_own(scenario: Scenario) -> None:
    world = build_world("owner")
    before, given = digest(), fields_of_commands(world)

    async def talk() -> None:
        async with InProcess(world.users["stranger"]) as socket:
            assert SECRET not in str(socket.events)
            for name in TABLE:
                await socket.send(name, ref=name, **given[name])
                answer = await socket.answered(name)
                assert answer["type"] == ("pong" if name == "ping" else "error"), name
                assert answer.get("code") in (None, "unknown_command")

    scenario(talk)
    assert digest() == before
